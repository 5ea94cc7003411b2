package proxy

import (
	"slices"
)

// family is a parent's children: its fragments, one for each server that owns some of its keys, and the rule that makes
// one response of theirs.
type family struct {
	rule     mergeRule
	waiting  int        // children without a complete response
	children []*request // in the order of servers
	servers  []int32    // the server of each child, ascending
	owners   []int32    // by key of the parent: the server that owns it
	keyBytes []byte     // where merging needs the keys: all of them, one behind the other
	keyEnds  []int32    // where each of them ends in keyBytes
	all      ofAll      // of a request to all servers
	bytes    int        // that the process is charged for what stands above
	next     *family
}

// mergeRule says how the responses of children become one.
type mergeRule uint8

const (
	mergeArray    mergeRule = iota // Redis: an element for each key, in the order of the parent's keys
	mergeSum                       // Redis: the sum of integers
	mergeOK                        // Redis and memcached: OK if all say so
	mergeValues                    // memcached: the values that were found, in the order of the parent's keys
	mergeStats                     // memcached: one listing of statistics
	mergeSettings                  // memcached: likewise, and nothing is added up
	mergeAll                       // Redis: by the rule of a request to all servers
	mergeScan                      // Redis: one server's part of a SCAN over all
)

// keptKeys bounds the keys that a free family keeps room for.
const keptKeys = 8192

func (w *worker) newFamily(rule mergeRule) *family {
	f := w.freeFamilies
	if f == nil {
		f = &family{}
	} else {
		w.freeFamilies = f.next
		f.next = nil
	}
	f.rule = rule
	return f
}

func (w *worker) freeFamily(f *family) {
	w.familyBytes -= f.bytes
	f.bytes = 0
	if cap(f.owners) > keptKeys || cap(f.keyBytes) > keptKeys*16 {
		return
	}
	clear(f.children)
	clear(f.all.names)
	names := f.all.names[:0]
	*f = family{
		next: w.freeFamilies, children: f.children[:0], servers: f.servers[:0], owners: f.owners[:0],
		keyBytes: f.keyBytes[:0], keyEnds: f.keyEnds[:0],
	}
	f.all.names = names
	w.freeFamilies = f
}

// own notes that the family's next key belongs to a server.
func (f *family) own(w *worker, server int) {
	f.owners = append(f.owners, int32(server))
	if w.tally[server] == 0 {
		f.servers = append(f.servers, int32(server))
	}
	w.tally[server]++
}

// settleOwners ends the counting that own began: it leaves the servers in order.
func (f *family) settleOwners(w *worker) {
	slices.Sort(f.servers)
	for i, server := range f.servers {
		w.childOf[server] = int32(i)
	}
}

func (f *family) clearTally(w *worker) {
	for _, server := range f.servers {
		w.tally[server] = 0
	}
}

// bear makes the children of a parent, one for each server, each with the number of its keys. The caller appends their
// bytes to the connections, which it finds in the worker's scratch by child, and then calls launch.
func (f *family) bear(c *client, size int) *request {
	w := c.worker
	parent := w.newRequest()
	parent.family = f
	w.childConns = w.childConns[:0]
	w.childStarts = w.childStarts[:0]
	for _, server := range f.servers {
		child := w.newRequest()
		child.parent = parent
		child.keys = int64(w.tally[server])
		f.children = append(f.children, child)
		conn := c.pool.servers[server].connFor(c, size) // before accept: a large request takes the same kind everywhere
		w.childConns = append(w.childConns, conn)
		w.childStarts = append(w.childStarts, conn.appended)
	}
	f.waiting = len(f.children)
	f.bytes = 4*len(f.owners) + len(f.keyBytes) + 4*len(f.keyEnds)
	w.familyBytes += f.bytes
	c.accept(parent, size)
	c.pool.stats.Fragments += int64(len(f.children))
	return parent
}

// launch puts the children, whose bytes are in the outputs, on their way.
func (f *family) launch(w *worker) {
	for i, child := range f.children {
		conn := w.childConns[i]
		conn.enqueue(child, int(conn.appended-w.childStarts[i]))
	}
	clear(w.childConns)
	f.clearTally(w)
}

// fragmentAnswered takes the complete response of a child. The last one makes the parent's response.
func (w *worker) fragmentAnswered(child *request, flat []byte) {
	parent := child.parent
	f := parent.family
	if flat != nil && parent.client != nil {
		child.response.Append(&w.loop.Chunks, flat)
		child.collect(len(flat))
	}
	child.done = true
	f.waiting--
	if f.waiting > 0 {
		return
	}
	if c := parent.client; c != nil {
		f.settleOwners(w)
		c.pool.protocol.merge(c.pool, parent)
	}
	for _, child := range f.children {
		w.freeRequest(child)
	}
	w.answer(parent, nil)
}

// refusal is why one of the family's servers takes no request, nil if all do. Nothing has been sent yet.
func (f *family) refusal(c *client, size int) *failure {
	for _, server := range f.servers {
		if cause := c.pool.servers[server].connFor(c, size).refusal(); cause != nil {
			return cause
		}
	}
	return nil
}

// disband ends a family that has no children yet.
func (f *family) disband(w *worker) {
	f.clearTally(w)
	w.freeFamily(f)
}

// dropResponses forgets what has come of the children's responses: nobody waits for the parent any more.
func (f *family) dropResponses(w *worker) {
	for _, child := range f.children {
		child.response.Reset(&w.loop.Chunks)
	}
}

// childFor returns the child that the parent's key i went to. settleOwners has been called.
func (f *family) childFor(w *worker, i int) *request { return f.children[w.childOf[f.owners[i]]] }

// runEnd is the first key from i on that another server owns than key i, and the number of keys if there is none.
func (f *family) runEnd(i int) int {
	owner := f.owners[i]
	for i < len(f.owners) && f.owners[i] == owner {
		i++
	}
	return i
}

// firstFailed is the first child, in the order of servers, that isError holds for; nil if none.
func (f *family) firstFailed(isError func(*request) bool) *request {
	for _, child := range f.children {
		if isError(child) {
			return child
		}
	}
	return nil
}

// adopt makes a child's response, an error, its parent's.
func (w *worker) adopt(p *workerPool, parent, child *request) {
	if child.failed {
		p.stats.ForwardError++
	}
	parent.response.Take(&w.loop.Chunks, &child.response)
}
