package proxy

import (
	"bytes"
	"slices"
	"strconv"

	"nutmeg/internal/command"
	"nutmeg/internal/resp"
)

// WAIT and WAITAOF ask how many replicas have what the client wrote. It may have written to any server, so all are asked, and the least
// holds for all. They block: each takes a connection of the client's own.
//
// A server answers for what was written before by the same connection, or by any, but says which only once that connection has
// written, too. So it first gets a message to publish that nobody can subscribe to by a pattern: to replicas it is a write. Servers
// before version 7 do not know shard channels; to them any command does.

// waitChannel is where nobody listens.
const waitChannel = "nutmeg:wait"

func (p *redisProtocol) wait(c *client, m *message, cmd *command.Command) {
	s := c.needSession()
	switch {
	case c.requests > 0:
		c.hold(m)
		return
	case c.ended || c.leaving:
		c.sayGoodbye(true) // it has left in the meantime
		return
	}
	if fault := waitFault(m, cmd); fault != "" {
		s.giveUpWaits()
		p.refuse(c, "%s", fault)
		return
	}
	for _, conn := range slices.Clone(s.waits) {
		if conn.server.ended {
			conn.giveBack() // a reload came while it was held
		}
	}
	for i, sv := range c.pool.servers {
		if !c.pool.health.In(i) {
			s.giveUpWaits()
			p.refuse(c, "ERR server %s is out, so nobody knows what its replicas have", printable([]byte(sv.conf.Name)))
			return
		}
		if c.waitConn(sv) == nil {
			c.hold(m)
			return
		}
	}
	p.sendWait(c, m)
}

// waitFault is what Redis says of a WAIT that is wrong. Servers would say it, too, each of its own.
func waitFault(m *message, cmd *command.Command) string {
	timeout, err := strconv.ParseInt(string(m.Arg(m.Len()-1)), 10, 64)
	if cmd.Name == "wait" {
		if _, err := strconv.ParseInt(string(m.Arg(1)), 10, 64); err != nil {
			return errNotInteger
		}
	}
	switch {
	case err != nil:
		return "ERR timeout is not an integer or out of range"
	case timeout < 0:
		return "ERR timeout is negative"
	}
	return ""
}

// waitConn returns the connection on which the client shall wait for a server's replicas; nil if it has to wait for one.
func (c *client) waitConn(sv *server) *serverConn {
	s := c.session
	for _, conn := range s.waits {
		if conn.server == sv {
			return conn
		}
	}
	conn := sv.dedicated.take(c)
	if conn != nil {
		conn.waits = true
		s.waits = append(s.waits, conn)
	}
	return conn
}

// waiting is a WAIT that is in flight.
type waiting struct {
	request *request
	session *session
	left    int
	counts  []int64 // the least so far, nil before the first; WAITAOF has two
	over    bool
}

func (p *redisProtocol) sendWait(c *client, m *message) {
	w := c.worker
	s := c.session
	for _, conn := range s.waits {
		if cause := conn.refusal(); cause != nil {
			s.giveUpWaits()
			c.replyFailure(cause)
			return
		}
	}
	all := &waiting{request: w.newRequest(), session: s, left: len(s.waits)}
	c.accept(all.request, m.size())
	c.alone, s.blocked = true, true
	c.watchLeaving()
	patience := asMilliseconds(m.Arg(m.Len() - 1))
	for _, conn := range s.waits {
		conn.sendSilently(p.command(nil, "PING"))
		text := p.command(nil, "SPUBLISH", waitChannel, "")
		mark, part := w.newRequest(), w.newRequest()
		var unmarked []byte
		mark.errand = func(response []byte, _ *failure) ([]byte, bool) {
			if _, isError := resp.ErrorText(response); isError && !bytes.HasPrefix(response, []byte("-ERR unknown command")) {
				unmarked = bytes.Clone(response)
			}
			return nil, false
		}
		conn.append(text)
		conn.enqueue(mark, len(text))
		part.errand = func(response []byte, _ *failure) ([]byte, bool) {
			if unmarked != nil && !isErrorText(response) {
				response = unmarked // what it counted is not what the client wrote
			}
			p.waited(w, all, conn, response)
			return nil, false
		}
		start := conn.appended
		m.sendCopy(conn)
		conn.enqueue(part, int(conn.appended-start))
		conn.bePatient(part, patience)
	}
}

func isErrorText(response []byte) bool {
	_, is := resp.ErrorText(response)
	return is
}

// waited takes the answer of one server. The last one, or the first error, is the client's.
func (p *redisProtocol) waited(w *worker, all *waiting, conn *serverConn, response []byte) {
	all.left--
	if all.over {
		return
	}
	counts, ok := countsOf(response)
	switch {
	case !ok:
		text := p.blame(nil, conn.server, response)
		all.end() // before others are closed, which answers for them, too
		all.session.endWaits(conn)
		w.answer(all.request, text)
		return
	case all.counts == nil:
		all.counts = counts
	default:
		for i := range min(len(counts), len(all.counts)) {
			all.counts[i] = min(all.counts[i], counts[i])
		}
	}
	if all.left > 0 {
		return
	}
	all.end()
	if len(all.counts) > 1 {
		w.scratch = resp.AppendArray(w.scratch[:0], len(all.counts))
	} else {
		w.scratch = w.scratch[:0]
	}
	for _, n := range all.counts {
		w.scratch = resp.AppendInteger(w.scratch, n)
	}
	w.answer(all.request, w.scratch)
}

func (all *waiting) end() { all.over, all.session.blocked = true, false }

// blame appends an error that says which server's it is, if there are several.
func (p *redisProtocol) blame(dst []byte, sv *server, response []byte) []byte {
	text, isError := resp.ErrorText(response)
	switch {
	case !isError:
		text = []byte("ERR the server gave no number of replicas")
	case len(sv.pool.servers) == 1, bytes.HasPrefix(text, []byte("UNBLOCKED ")), bytes.HasPrefix(text, []byte("ERR unknown command")):
		return append(dst, response...)
	}
	return resp.AppendError(dst, string(text)+" (server "+printable([]byte(sv.conf.Name))+")")
}

// countsOf returns the integer, or those of the list, that a response is.
func countsOf(response []byte) (counts []int64, ok bool) {
	if n, is := integerOf(response); is {
		return []int64{n}, true
	}
	r := resp.NewReader(response)
	list, ok := r.Next()
	if !ok || list.Kind != resp.Array || list.Count < 1 || list.Count > 16 {
		return nil, false
	}
	for range list.Count {
		element, whole := r.Element()
		n, is := integerOf(element)
		if !whole || !is {
			return nil, false
		}
		counts = append(counts, n)
	}
	return counts, true
}

// endWaits ends what the other servers are asked: nobody wants to know any more. Their connections block, so they are closed.
func (s *session) endWaits(but *serverConn) {
	for _, conn := range slices.Clone(s.waits) {
		if conn != but {
			s.forgetWait(conn)
			conn.release()
		}
	}
}

// giveUpWaits gives back connections on which nothing has been asked.
func (s *session) giveUpWaits() {
	for len(s.waits) > 0 {
		s.waits[len(s.waits)-1].giveBack()
	}
}

// forgetWait takes a connection out of those that the client waits on.
func (s *session) forgetWait(conn *serverConn) {
	if i := slices.Index(s.waits, conn); i >= 0 {
		s.waits = slices.Delete(s.waits, i, i+1)
	}
}
