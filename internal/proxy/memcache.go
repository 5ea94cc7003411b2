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
	if request.BareLine && request.Problem == memcache.NoProblem {
		w.putCR(m, request.LineEnd-1)
		p.dispatch(c, m, request)
		w.withCR.Reset(&w.loop.Chunks)
	} else {
		p.dispatch(c, m, request)
	}
	w.release(c, in)
	return n
}

// putCR makes m a copy of itself with a CR at offset at, in front of the LF that its line ends with. Not every server ends
// a line at LF alone: one that does not would join it with the next line, perhaps of another client. Spans of the
// request that lie in front of it stay true. Large values change hands instead of being copied.
func (w *worker) putCR(m *message, at int) {
	chunks := &w.loop.Chunks
	if m.rope != nil {
		m.rope.Move(chunks, &w.withCR, at)
		w.withCR.AppendString(chunks, "\r")
		w.withCR.Take(chunks, m.rope)
	} else {
		w.withCR.Append(chunks, m.flat[:at])
		w.withCR.AppendString(chunks, "\r")
		w.withCR.Append(chunks, m.flat[at:])
	}
	m.over(w, &w.withCR)
}

// again dispatches a request that was held. It was parsed before, and found to be whole and without a fault.
func (p memcacheProtocol) again(c *client, m *message) {
	var parser memcache.RequestParser
	request := &c.worker.intake.memcache.request
	for chunk := m.rope.First(); chunk != nil; chunk = chunk.Next() {
		_, _, _ = parser.Parse(chunk.Bytes(), request)
	}
	p.dispatch(c, m, request)
}

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
	case request.Kind >= memcache.Version:
		p.dispatchRare(c, m, request)
	case len(request.Keys) > 1:
		p.split(c, m, request)
	default:
		p.forward(c, m, request, m.bytes(request.Keys[0].Start, request.Keys[0].End))
	}
}

// dispatchRare sends a request on its way that does not begin with the name of a classic command with a key.
func (p memcacheProtocol) dispatchRare(c *client, m *message, request *memcache.Request) {
	switch request.Kind {
	case memcache.Quit:
		c.leave()
	case memcache.Version:
		p.forward(c, m, request, placeholder)
	case memcache.Admin:
		p.forwardToAll(c, m, request, mergeOK)
	case memcache.Stats:
		p.gatherStats(c, m, request)
	case memcache.Own:
		p.dispatchOwn(c, m)
	case memcache.MetaNoop:
		c.reply(noopReply)
	default:
		p.dispatchMeta(c, m, request)
	}
}

// forward sends the request to the server of a key. A request without reply goes there as one with a reply, which is
// then dropped: memcached answers some of them all the same, with an error that the next client would take for its own.
func (p memcacheProtocol) forward(c *client, m *message, request *memcache.Request, key []byte) {
	switch sv := c.pool.pick(key); {
	case sv != nil:
		p.forwardTo(c, m, request, sv)
	case !request.NoReply:
		c.replyFailure(failRefused)
	}
}

func (p memcacheProtocol) forwardTo(c *client, m *message, request *memcache.Request, sv *server) {
	if request.NoReply {
		p.forwardSilent(c, m, request, sv)
		return
	}
	c.forward(m, sv, uint8(request.Kind))
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

func (memcacheProtocol) response(s *serverConn, data []byte) (int, bool, error) {
	n, done, err := s.memcache.parser.Parse(data, &s.memcache.response)
	if err == nil && done && s.queue.oldest != nil {
		switch kind := s.queue.oldest.expects; {
		case kind >= uint8(memcache.MetaNoop):
			done, err = s.metaResponse(s.memcache.response.Kind)
		case !memcache.Kind(kind).Answers(s.memcache.response.Kind):
			err = failProtocol
		}
	}
	return n, done, err
}

// flows is for values of the kind that the request asks for.
func (memcacheProtocol) flows(s *serverConn, r *request) bool {
	kind := s.memcache.parser.Kind()
	if kind != memcache.Values && kind != memcache.MetaValue {
		return false
	}
	asked := memcache.Kind(r.expects &^ quietRequest)
	return asked != memcache.Question && asked.Answers(kind)
}

// inspect notes what a fragment's response is. memcached's errors are about requests, not about its health.
func (memcacheProtocol) inspect(s *serverConn, r *request, _ []byte) (unwell string) {
	r.kind = byte(s.memcache.response.Kind)
	return ""
}

func (memcacheProtocol) appendFailure(dst []byte, cause *failure) []byte {
	return memcache.AppendServerError(dst, cause.text)
}
