package proxy

import "nutmeg/internal/memcache"

// Requests over several memcached servers, and what becomes of their responses.

// forwardToAll sends the request to every server of the pool, and makes one response of theirs by a rule.
func (p memcacheProtocol) forwardToAll(c *client, m *message, request *memcache.Request, rule mergeRule) {
	w := c.worker
	if request.NoReply || len(c.pool.servers) == 1 {
		for _, sv := range c.pool.servers {
			p.forwardTo(c, m, request, sv)
		}
		return
	}
	f := w.newFamily(rule)
	for i := range c.pool.servers {
		f.own(w, i)
	}
	if cause := f.refusal(c, m.size()); cause != nil {
		f.disband(w)
		c.replyFailure(cause)
		return
	}
	f.settleOwners(w)
	f.bear(c, m.size())
	for i, child := range f.children {
		child.expects = uint8(request.Kind)
		m.sendRange(w.childConns[i], 0, uint32(m.size()))
	}
	f.launch(w)
}

// split sends each server a retrieval of the keys that it has. A request whose keys all belong to one server goes there as it is.
func (p memcacheProtocol) split(c *client, m *message, request *memcache.Request) {
	w := c.worker
	f := w.newFamily(mergeValues)
	for _, span := range request.Keys {
		key := m.bytes(span.Start, span.End)
		sv := c.pool.pick(key)
		if sv == nil {
			f.disband(w)
			c.replyFailure(failRefused)
			return
		}
		f.own(w, sv.index)
		f.keyBytes = append(f.keyBytes, key...)
		f.keyEnds = append(f.keyEnds, int32(len(f.keyBytes)))
	}
	if len(f.servers) == 1 {
		sv := c.pool.servers[f.servers[0]]
		f.disband(w)
		c.forward(m, sv, uint8(request.Kind))
		return
	}
	if cause := f.refusal(c, m.size()); cause != nil {
		f.disband(w)
		c.replyFailure(cause)
		return
	}
	f.settleOwners(w)
	f.bear(c, m.size())
	w.scratch = memcache.AppendRetrieval(w.scratch[:0], request.Kind, m.bytes(request.Exptime.Start, request.Exptime.End))
	for i, child := range f.children {
		child.expects = uint8(request.Kind)
		w.childConns[i].append(w.scratch)
	}
	for i, owner := range f.owners {
		w.scratch = memcache.AppendKey(w.scratch[:0], f.key(i))
		w.childConns[w.childOf[owner]].append(w.scratch)
	}
	for _, conn := range w.childConns {
		w.scratch = memcache.AppendLineEnd(w.scratch[:0])
		conn.append(w.scratch)
	}
	f.launch(w)
}

// key is the parent's key i, where the family keeps keys.
func (f *family) key(i int) []byte {
	start := int32(0)
	if i > 0 {
		start = f.keyEnds[i-1]
	}
	return f.keyBytes[start:f.keyEnds[i]]
}

// merge makes a parent's response out of its children's.
func (p memcacheProtocol) merge(pool *workerPool, parent *request) {
	w, f := pool.worker, parent.family
	if child := f.firstFailed(refusedByMemcache); child != nil {
		w.adopt(pool, parent, child)
		return
	}
	switch f.rule {
	case mergeOK: // OK, or RESET
		parent.response.Take(&w.loop.Chunks, &f.children[0].response)
	case mergeStats, mergeSettings:
		w.mergeStats(parent)
	default:
		w.mergeValues(parent)
	}
}

func refusedByMemcache(r *request) bool {
	kind := memcache.ResponseKind(r.kind)
	return r.failed || kind == memcache.Error || kind == memcache.Refused
}

// mergeValues puts the values into the order of the parent's keys, as one server would answer.
func (w *worker) mergeValues(parent *request) {
	f, chunks := parent.family, &w.loop.Chunks
	for i := range f.owners {
		from := &f.childFor(w, i).response
		n := min(from.Len(), memcache.MaxValueLine)
		key, size, ok := memcache.ValueSize(from.View(0, n, w.shortScratch(n)))
		if ok && string(key) == string(f.key(i)) {
			from.Move(chunks, &parent.response, size)
		}
	}
	parent.response.AppendString(chunks, memcache.EndReply)
}
