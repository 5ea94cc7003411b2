package proxy

import "nutmeg/internal/memcache"

// memcacheProtocol is what the engine does for a pool of memcached servers. It has no state.
type memcacheProtocol struct{}

func (memcacheProtocol) greeting(*identity, bool) ([]byte, []greeting) { return nil, nil }

func (memcacheProtocol) probe() (string, uint8) { return "version\r\n", uint8(memcache.Version) }

func (memcacheProtocol) tooManyClients() string { return "ERROR Too many open connections\r\n" }

func (p memcacheProtocol) request(c *client, data []byte, source input) int {
	w := c.worker
	in := w.intakeOf(c)
	request := &in.memcache.request
	n, done, err := in.memcache.parser.Parse(data, request)
	if err != nil {
		p.breakOff(c, err)
		in.memcache.parser = memcache.RequestParser{}
		return len(data)
	}
	if !done {
		w.keep(c, in, data, source)
		p.boundCut(c, in)
		return n
	}
	m := &w.message // of a request that is skipped nothing is looked at
	if !in.skips {
		m = w.gather(c, in, data[:n], source)
		p.bound(c, request)
	}
	p.dispatch(c, m, request)
	w.release(c, in)
	return n
}

// again is for requests that are held, and none of these is.
func (memcacheProtocol) again(*client, *message) { panic("BUG: a memcached request was held") }

// boundCut applies the limits to a request that has not come whole. Once its line is there its size is known. What is
// refused is not kept; the client goes on behind it.
func (p memcacheProtocol) boundCut(c *client, in *intake) {
	request := &in.memcache.request
	if request.LineEnd == 0 || in.skips {
		return // no line is long
	}
	p.bound(c, request)
	if request.Problem != memcache.NoProblem {
		c.worker.skip(in)
	}
}

// bound makes a limit that the request breaks its problem.
func (memcacheProtocol) bound(c *client, request *memcache.Request) {
	limits, w := &c.pool.conf.Limits, c.worker
	switch {
	case request.Problem != memcache.NoProblem:
	case request.Size() > limits.RequestBytes:
		c.hit(limitRequestSize)
		request.Problem = memcache.ValueTooLarge
	case len(request.Keys) > limits.RequestKeys:
		c.hit(limitRequestKeys)
		request.Problem = memcache.TooManyKeys
	case w.pressure == pressureStarved && request.Kind != memcache.Quit && w.starving():
		c.hit(limitMemoryRefuse)
		request.Problem = memcache.OutOfMemory
	}
}

func (p memcacheProtocol) tooSlow(c *client) { p.breakOff(c, memcache.TooSlow) }

// breakOff tells a client that what it sent is not understood, and closes it: nobody knows where its next request begins.
func (memcacheProtocol) breakOff(c *client, cause error) {
	c.worker.log.Info("client sent what is not the protocol", "pool", c.pool.name(), "client", c.conn.Peer(), "cause", cause)
	c.broken = true
	if problem, ok := cause.(memcache.Problem); ok { //nolint:errorlint // the codec returns its own type, unwrapped
		c.reply([]byte(problem.Reply()))
	}
	c.leave()
}

// dispatch sends a whole request on its way.
func (p memcacheProtocol) dispatch(c *client, m *message, request *memcache.Request) {
	switch {
	case request.Problem != memcache.NoProblem:
		if !request.NoReply {
			c.worker.scratch = request.AppendProblem(c.worker.scratch[:0])
			c.reply(c.worker.scratch)
		}
	case request.Kind == memcache.Quit:
		c.leave()
	case request.Kind == memcache.Version:
		p.forward(c, m, request, placeholder)
	case request.Kind == memcache.Verbosity:
		p.forwardToAll(c, m, request)
	case len(request.Keys) > 1:
		p.split(c, m, request)
	default:
		p.forward(c, m, request, m.bytes(request.Keys[0].Start, request.Keys[0].End))
	}
}

// forward sends the request to the server of a key. A request without reply goes there as one with a reply, which is
// then dropped: memcached answers some of them all the same, with an error that the next client would take for its own.
func (p memcacheProtocol) forward(c *client, m *message, request *memcache.Request, key []byte) {
	sv := c.pool.pick(key)
	switch {
	case sv == nil && request.NoReply:
	case sv == nil:
		c.replyFailure(failRefused)
	case request.NoReply:
		p.forwardSilent(c, m, request, sv)
	default:
		c.forward(m, sv, uint8(request.Kind))
	}
}

func (memcacheProtocol) forwardSilent(c *client, m *message, request *memcache.Request, sv *server) {
	conn := sv.connFor(c, m.size())
	if conn.refusal() != nil {
		return // it wants no reply, also not this one
	}
	r := c.worker.newRequest()
	r.expects = uint8(request.Kind)
	before := conn.appended
	m.sendRange(conn, 0, request.NoReplySpan.Start)
	m.sendRange(conn, request.NoReplySpan.End, uint32(m.size()))
	c.acceptSilent(r, m.size())
	conn.enqueue(r, int(conn.appended-before))
}

// forwardToAll sends the request to every server of the pool; all must say OK.
func (p memcacheProtocol) forwardToAll(c *client, m *message, request *memcache.Request) {
	w := c.worker
	if request.NoReply {
		for _, sv := range c.pool.servers {
			p.forwardSilent(c, m, request, sv)
		}
		return
	}
	f := w.newFamily(mergeOK)
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

func (memcacheProtocol) response(s *serverConn, data []byte) (int, bool, error) {
	n, done, err := s.memcache.parser.Parse(data, &s.memcache.response)
	if err == nil && done && s.queue.oldest != nil && !memcache.Kind(s.queue.oldest.expects).Answers(s.memcache.response.Kind) {
		err = failProtocol
	}
	return n, done, err
}

// inspect notes what a fragment's response is. memcached's errors are about requests, not about its health.
func (memcacheProtocol) inspect(s *serverConn, r *request, _ []byte) (unwell string) {
	r.kind = byte(s.memcache.response.Kind)
	return ""
}

func (memcacheProtocol) appendFailure(dst []byte, cause *failure) []byte {
	return memcache.AppendServerError(dst, cause.text)
}

// merge makes a parent's response out of its children's.
func (p memcacheProtocol) merge(pool *workerPool, parent *request) {
	w, f := pool.worker, parent.family
	if child := f.firstFailed(func(r *request) bool { return memcache.ResponseKind(r.kind) == memcache.Error || r.failed }); child != nil {
		w.adopt(pool, parent, child)
		return
	}
	if f.rule == mergeOK {
		parent.response.AppendString(&w.loop.Chunks, memcache.OKReply)
		return
	}
	w.mergeValues(parent)
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
