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
	p.forwardMeta(c, m, request, sv)
}

// forwardMeta sends a meta command to a server.
func (p memcacheProtocol) forwardMeta(c *client, m *message, request *memcache.Request, sv *server) {
	if request.Quiet {
		p.forwardQuiet(c, m, request, sv)
		return
	}
	c.forward(m, sv, uint8(request.Kind))
}

func (memcacheProtocol) forwardQuiet(c *client, m *message, request *memcache.Request, sv *server) {
	n := m.size()
	conn := sv.connFor(c, n)
	if cause := conn.refusal(); cause != nil {
		c.replyFailure(cause)
		return
	}
	r, end := c.worker.newRequest(), c.worker.newRequest()
	r.expects, end.expects = uint8(request.Kind)|quietRequest, uint8(memcache.MetaNoop)
	m.sendAll(conn)
	c.accept(r, n)
	conn.enqueue(r, n)
	conn.append(noopRequest)
	c.acceptSilent(end, 0)
	conn.enqueue(end, len(noopRequest))
	sv.stats.Requests-- // it is no request of the client's
}

// metaResponse takes a response whose request is a quiet one, or the mn behind it.
func (s *serverConn) metaResponse(kind memcache.ResponseKind) error {
	expects := s.queue.oldest.expects
	switch {
	case expects&quietRequest != 0 && kind == memcache.MetaEnd:
		s.passOver()
	case !memcache.Kind(expects &^ quietRequest).Answers(kind):
		return failProtocol
	}
	return nil
}

// passOver ends the oldest request without a response. That what has come belongs to the next one is known only now: its
// first bytes may stand in the oldest request.
func (s *serverConn) passOver() {
	r := s.queue.pop()
	s.pending--
	s.worker.dropResponse(r)
	s.worker.answer(r, nil)
}
