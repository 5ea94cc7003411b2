package proxy

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"nutmeg/internal/merge"
	"nutmeg/internal/resp"
)

// mostMerged bounds the responses that are laid out flat to be merged, together. Lists that are only put behind one
// another are not: they may be of any size.
const mostMerged = 64 << 20

// mergeAll makes the response of a request to all servers.
func (p *redisProtocol) mergeAll(pool *workerPool, parent *request) {
	w, f := pool.worker, parent.family
	if f.all.rule == merge.Info {
		f.leaveOutFailed(w)
	}
	if !f.mayFailInPart() {
		if child := f.firstFailed(func(r *request) bool { return r.failed || isError(r.kind) }); child != nil {
			w.adoptError(pool, parent, child)
			return
		}
	}
	if f.all.rule == merge.Concat && w.mergeLists(parent) {
		return
	}
	in := merge.Responses{Servers: f.all.names, Limit: f.all.limit}
	size := 0
	for _, child := range f.children {
		size += child.response.Len()
	}
	err := errTooLargeToMerge
	if size <= mostMerged {
		in.Bodies = w.flattened(f)
		if f.all.rule == merge.RandomNonNull {
			in.Random = w.loop.Outside().Random()
		}
		if f.all.own || len(f.all.missing) > 0 {
			in.Tail = pool.appendOwnInfo(nil, f.all.missing, f.all.own)
		}
		w.scratch, err = f.all.rule.Append(w.scratch[:0], &in)
	}
	if err != nil {
		pool.stats.ForwardError++
		w.scratch = resp.AppendError(w.scratch[:0], fmt.Sprintf("ERR %s; NUTMEG ON <server> <command> asks one server", err))
	}
	parent.response.Append(&w.loop.Chunks, w.scratch)
}

// mayFailInPart reports whether the rule deals with errors by itself.
func (f *family) mayFailInPart() bool {
	switch f.all.rule {
	case merge.OneSucceeded:
		return true
	case merge.Texts:
		return slices.ContainsFunc(f.children, func(r *request) bool { return !r.failed && !isError(r.kind) })
	}
	return false
}

var errTooLargeToMerge = errors.New("the servers' answers are too large to be made one")

// flattened is the responses of a family's children, each in one piece: in place where it lies so.
func (w *worker) flattened(f *family) [][]byte {
	bodies := make([][]byte, len(f.children))
	for i, child := range f.children {
		var room []byte
		if n := child.response.Len(); len(child.response.First().Bytes()) < n {
			room = make([]byte, 0, n)
		}
		bodies[i] = child.response.View(0, child.response.Len(), room)
	}
	return bodies
}

// mergeLists moves the elements of lists behind one another. It reports false, with nothing changed, for what are no lists
// of one kind.
func (w *worker) mergeLists(parent *request) bool {
	f, chunks := parent.family, &w.loop.Chunks
	kind, total := resp.Kind(f.children[0].kind), int64(0)
	for _, child := range f.children {
		if resp.Kind(child.kind) != kind || kind != resp.Array && kind != resp.Set || child.elements < 0 || child.elements > math.MaxInt64-total {
			return false
		}
		total += child.elements
	}
	w.scratch = resp.AppendHeader(w.scratch[:0], kind, int(total))
	parent.response.Append(chunks, w.scratch)
	for _, child := range f.children {
		w.scratch = resp.AppendHeader(w.scratch[:0], kind, int(child.elements))
		child.response.Discard(chunks, len(w.scratch))
		parent.response.Take(chunks, &child.response)
	}
	return true
}

// leaveOutFailed takes those out of the family that did not answer, if others did: INFO is how clients and monitors ask
// whether all is well, and one dead server must not keep them from the others. The merged text says who is missing.
func (f *family) leaveOutFailed(w *worker) {
	failed := func(r *request) bool { return r.failed || isError(r.kind) }
	if !slices.ContainsFunc(f.children, func(r *request) bool { return !failed(r) }) {
		return
	}
	kept := 0
	for i, child := range f.children {
		if failed(child) {
			f.all.missing = append(f.all.missing, f.all.names[i])
			w.freeRequest(child)
			continue
		}
		f.children[kept], f.all.names[kept] = child, f.all.names[i]
		kept++
	}
	clear(f.children[kept:])
	f.children, f.all.names = f.children[:kept], f.all.names[:kept]
}

// mostQuoted bounds a server's error that something is said about.
const mostQuoted = 4 << 10

// adoptError makes the error of a child its parent's. It says whose it is, unless all servers say the same.
func (w *worker) adoptError(pool *workerPool, parent, child *request) {
	f := parent.family
	done, same := 0, true
	view := func(r *request) string {
		n := min(r.response.Len(), mostQuoted)
		return string(r.response.View(0, n, w.shortScratch(n)))
	}
	text := view(child)
	for _, other := range f.children {
		if !other.failed && !isError(other.kind) {
			done++
		}
		same = same && view(other) == text
	}
	if same || resp.Kind(text[0]) != resp.SimpleError {
		w.adopt(pool, parent, child)
		return
	}
	if child.failed {
		pool.stats.ForwardError++
	}
	name := printable([]byte(f.all.names[slices.Index(f.children, child)]))
	text = strings.TrimSuffix(text[1:], "\r\n")
	if f.all.whole {
		text = fmt.Sprintf("%s (server %s; done by %d of %d servers)", text, name, done, len(f.children))
	} else {
		text = fmt.Sprintf("%s (server %s)", text, name)
	}
	w.scratch = resp.AppendError(w.scratch[:0], text)
	parent.response.Append(&w.loop.Chunks, w.scratch)
}
