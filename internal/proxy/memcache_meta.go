package proxy

import "nutmeg/internal/memcache"

// Meta commands. They are sent as they are, to the server of the key's bytes as memcached stores them: an encoded key and
// the same key in plain text are one.
//
// With the flag q a server may answer or not, by rules that differ between its versions. So mn goes behind a quiet request:
// if MN comes instead of a response, there is none. The request of mn stands in the connection's queue behind the quiet one.
//
//	mg a v q    ->  (a miss)
//	mn          ->  MN          the client gets nothing
//	ms b 2 q    ->  NS
//	mn          ->  MN          the client gets NS

// quietRequest is set in what is expected of a response that need not come.
const quietRequest = 0x80

var noopRequest = []byte(memcache.NoopRequest)

// noopReply answers the mn of clients: all that came before has been answered by then, as with one server.
var noopReply = []byte(memcache.NoopReply)

// dispatchMeta sends a meta command with a key to its server.
func (p memcacheProtocol) dispatchMeta(c *client, m *message, request *memcache.Request) {
	key := m.bytes(request.Keys[0].Start, request.Keys[0].End)
	if request.Base64 {
		decoded, ok := memcache.AppendDecodedKey(c.worker.scratch[:0], key)
		c.worker.scratch = decoded
		if key = decoded; !ok {
			key = placeholder // any server will say so, in the words of its version
		}
	}
	sv := c.pool.pick(key)
	if sv == nil {
		c.replyFailure(failRefused)
		return
	}
	p.forwardMeta(c, m, request, sv, m)
}

// forwardMeta sends a meta command to a server. Whole is the client's request that holds it, often the same: it waits if
// the server has to be asked first.
func (memcacheProtocol) forwardMeta(c *client, m *message, request *memcache.Request, sv *server, whole *message) {
	n := m.size()
	conn := sv.connFor(c, n)
	if cause := conn.refusal(); cause != nil {
		c.replyFailure(cause)
		return
	}
	if conn.memcache.dialect != dialectMeta {
		conn.learnDialect(c, whole)
		return
	}
	r := c.worker.newRequest()
	r.expects = uint8(request.Kind)
	if request.Quiet {
		r.expects |= quietRequest
	}
	m.sendAll(conn)
	c.accept(r, n)
	conn.enqueue(r, n)
	if request.Quiet {
		conn.enqueueNoop(c)
	}
}

// enqueueNoop sends mn behind a quiet request. It is no request of the client's, so the statistics do not count it.
func (s *serverConn) enqueueNoop(c *client) {
	r := c.worker.newRequest()
	r.expects = uint8(memcache.MetaNoop)
	s.append(noopRequest)
	c.acceptSilent(r, 0)
	s.enqueue(r, len(noopRequest))
	s.server.stats.Requests--
}

// metaResponse takes a response whose request is a quiet one, the mn behind it, or the question about the dialect. done says
// whether it is whole.
func (s *serverConn) metaResponse(kind memcache.ResponseKind) (done bool, err error) {
	expects := s.queue.oldest.expects
	switch {
	case expects == uint8(memcache.Question):
		return s.dialectAnswered(kind)
	case expects&quietRequest != 0 && kind == memcache.MetaEnd:
		s.passOver()
	case !memcache.Kind(expects &^ quietRequest).Answers(kind):
		return true, failProtocol
	}
	return true, nil
}

// passOver ends the oldest request without a response. That what has come belongs to the next one is known only now: its
// first bytes may stand in the oldest request.
func (s *serverConn) passOver() {
	r := s.queue.pop()
	s.pending--
	s.worker.dropResponse(r)
	s.worker.answer(r, nil)
}
