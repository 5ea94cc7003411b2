package proxy

import (
	"math"

	"nutmeg/internal/buffer"
	"nutmeg/internal/command"
	"nutmeg/internal/resp"
)

// splitPairs splits a request of keys and values.
func (p *redisProtocol) splitPairs(c *client, m *message, request *resp.Request, cmd *command.Command) {
	if m.Len()%2 == 0 {
		p.wrongArity(c, cmd)
		return
	}
	p.split(c, m, request, cmd, mergeOK, 2)
}

// split sends each server the part of a request that has its keys; step is the arguments that go with a key, itself
// counted. A request whose keys all belong to one server goes there as it is.
func (p *redisProtocol) split(c *client, m *message, request *resp.Request, cmd *command.Command, rule mergeRule, step int) {
	if (m.Len()-1)/step > c.pool.conf.Limits.RequestKeys {
		p.tooManyKeys(c)
		return
	}
	if m.Len() == 1+step {
		p.forwardKey(c, m, m.Arg(1))
		return
	}
	w := c.worker
	f := w.newFamily(rule)
	for i := 1; i < m.Len(); i += step {
		sv := c.pool.pick(m.Arg(i))
		if sv == nil {
			f.disband(w)
			c.replyFailure(failRefused)
			return
		}
		f.own(w, sv.index)
	}
	if len(f.servers) == 1 {
		sv := c.pool.servers[f.servers[0]]
		f.disband(w)
		c.forward(m, sv, 0)
		return
	}
	if cause := f.refusal(c, m.size()); cause != nil {
		f.disband(w)
		c.replyFailure(cause)
		return
	}
	f.settleOwners(w)
	f.bear(c, m.size())
	for i, child := range f.children {
		w.scratch = resp.AppendArray(w.scratch[:0], 1+int(child.keys)*step)
		w.scratch = resp.AppendBulk(w.scratch, m.nameFor(cmd))
		w.childConns[i].append(w.scratch)
	}
	for i, end := 0, 0; i < len(f.owners); i = end {
		end = f.runEnd(i)
		m.sendRange(w.childConns[w.childOf[f.owners[i]]], request.Raw(1+i*step).Start, request.Raw(end*step).End)
	}
	f.launch(w)
}

// merge makes a parent's response out of its children's.
func (p *redisProtocol) merge(pool *workerPool, parent *request) {
	w, f := pool.worker, parent.family
	if f.rule == mergeAll {
		p.mergeAll(pool, parent)
		return
	}
	if child := f.firstFailed(func(r *request) bool { return resp.Kind(r.kind) == resp.SimpleError || r.failed }); child != nil {
		w.adopt(pool, parent, child)
		return
	}
	merged := false
	switch f.rule {
	case mergeArray:
		merged = w.mergeArray(parent)
	case mergeSum:
		merged = w.mergeSum(parent)
	case mergeOK:
		merged = w.mergeOK(parent, resp.OK)
	case mergeScan:
		merged = p.mergeScan(pool, parent)
	}
	if !merged {
		pool.stats.ForwardError++
		parent.response.Reset(&w.loop.Chunks)
		w.scratch = p.appendFailure(w.scratch[:0], failProtocol)
		parent.response.Append(&w.loop.Chunks, w.scratch)
	}
}

// mergeArray puts the elements into the order of the parent's keys. It reports false if a child's response is not an
// array of one element for each of its keys.
func (w *worker) mergeArray(parent *request) bool {
	f, chunks, size := parent.family, &w.loop.Chunks, 0
	for _, child := range f.children {
		if resp.Kind(child.kind) != resp.Array || child.elements != child.keys {
			return false
		}
		size += child.response.Len()
	}
	parent.response.Reserve(chunks, size)
	w.scratch = resp.AppendArray(w.scratch[:0], len(f.owners))
	parent.response.Append(chunks, w.scratch)
	sources := w.sources[:0]
	for _, child := range f.children {
		w.scratch = resp.AppendArray(w.scratch[:0], int(child.keys))
		child.response.Discard(chunks, len(w.scratch))
		sources = append(sources, sourceOf(&child.response))
	}
	for i, end := 0, 0; i < len(f.owners); i = end {
		end = f.runEnd(i)
		sources[w.childOf[f.owners[i]]].moveElements(w, &parent.response, end-i)
	}
	clear(sources)
	w.sources = sources
	return true
}

// source is a response from whose front values are moved to another.
type source struct {
	from  *buffer.Buffer
	piece []byte // what of its first chunk has not been moved
}

func sourceOf(b *buffer.Buffer) source {
	if b.Len() == 0 {
		return source{from: b}
	}
	return source{b, b.First().Bytes()}
}

// moveElements moves values to the back of dst, as many at a time as lie in one chunk.
func (s *source) moveElements(w *worker, dst *buffer.Buffer, count int) {
	for {
		size := 0
		for ; count > 0; count-- {
			n := resp.ShortBulk(s.piece[size:])
			if n == 0 {
				break
			}
			size += n
		}
		dst.Append(&w.loop.Chunks, s.piece[:size])
		s.piece = s.piece[size:]
		if count == 0 {
			return
		}
		s.from.Discard(&w.loop.Chunks, len(s.from.First().Bytes())-len(s.piece))
		w.moveElement(dst, s.from)
		*s = sourceOf(s.from)
		count--
	}
}

// moveElement moves one value from the front of a response to the back of another.
func (w *worker) moveElement(dst, src *buffer.Buffer) {
	var parser resp.ResponseParser
	for done := false; !done; {
		var n int
		piece := src.First().Bytes()
		n, done, _ = parser.Parse(piece) // it was parsed before, as part of the whole
		src.Move(&w.loop.Chunks, dst, n)
	}
}

// mergeSum adds up counts. It reports false for what is none, and for a sum that no client could read.
func (w *worker) mergeSum(parent *request) bool {
	var sum int64
	for _, child := range parent.family.children {
		n, ok := resp.ParseInteger(child.response.View(0, child.response.Len(), w.shortScratch(child.response.Len())))
		if !ok || n < 0 || n > math.MaxInt64-sum {
			return false
		}
		sum += n
	}
	w.scratch = resp.AppendInteger(w.scratch[:0], sum)
	parent.response.Append(&w.loop.Chunks, w.scratch)
	return true
}

func (w *worker) mergeOK(parent *request, ok string) bool {
	for _, child := range parent.family.children {
		n := child.response.Len()
		if n != len(ok) || string(child.response.View(0, n, w.shortScratch(n))) != ok {
			return false
		}
	}
	parent.response.Append(&w.loop.Chunks, []byte(ok))
	return true
}

// shortScratch is room for n bytes that are looked at and forgotten.
func (w *worker) shortScratch(n int) []byte {
	if cap(w.flat) < n {
		w.flat = make([]byte, 0, n)
	}
	return w.flat[:0]
}
