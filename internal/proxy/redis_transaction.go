package proxy

import (
	"nutmeg/internal/buffer"
	"nutmeg/internal/command"
	"nutmeg/internal/resp"
)

// transaction is what a client has between MULTI or WATCH and EXEC. It runs on one server, that of its first key, on a
// connection of the client's own.
//
// What Redis says when it queues a command is Redis's own answer, so faults come out as they do there. Commands without a key
// that come before the first key are kept, and answered with QUEUED: they go to the same server.
type transaction struct {
	open     bool     // between MULTI and EXEC
	asking   bool     // the server has been told MULTI, and has not answered
	begun    bool     // the server is inside the transaction, or has been told to be
	refusal  string   // the error with which the server has refused MULTI
	silence  *failure // why it has not answered, for the request that waits for that
	failed   bool     // a request was refused by the proxy: EXEC will be
	watching bool     // there may be watched keys
	broken   bool     // the connection with the watched keys is lost: EXEC does nothing
	key      string   // the beginning of the first key, for telling which one another disagrees with

	early buffer.Buffer // requests without a key that came before the first key
	count int           // of them

	length int // of requests that were queued
}

const (
	queued     = "+QUEUED\r\n"
	errAborted = "EXECABORT Transaction discarded because of previous errors."
)

// lost says that the connection is gone.
func (t *transaction) lost() {
	t.failed = t.open
	t.broken = t.broken || t.watching
	t.asking, t.begun, t.watching = false, false, false
}

// spoil makes an open transaction fail when it is to be executed.
func (c *client) spoil() {
	if c.session != nil && c.session.transaction.open {
		c.session.transaction.failed = true
	}
}

func (p *redisProtocol) multi(c *client, _ *message) {
	t := &c.needSession().transaction
	if t.open {
		p.refuse(c, "ERR MULTI calls can not be nested")
		return
	}
	t.open = true
	c.reply([]byte(resp.OK))
}

// watch remembers keys on their server, which is asked for them on a connection of the client's own.
func (p *redisProtocol) watch(c *client, m *message, cmd *command.Command) {
	s := c.needSession()
	if s.transaction.open {
		p.refuse(c, "ERR WATCH inside MULTI is not allowed")
		return
	}
	sv, _ := p.locate(c, m, cmd)
	if sv = c.stay(sv); sv == nil || !p.sameShard(c, sv, m.Arg(1)) || !p.pin(c, m, sv) {
		return
	}
	if !s.transaction.watching {
		s.transaction.watching, s.transaction.key = true, firstOf(m.Arg(1))
	}
	c.forward(m, sv, 0)
}

func (p *redisProtocol) unwatch(c *client, m *message) {
	t := &c.needSession().transaction
	if t.open {
		p.queue(c, m, nil, nil)
		return
	}
	t.broken = false
	if !t.watching {
		c.reply([]byte(resp.OK))
		return
	}
	t.watching = false
	p.conclude(c, m, c.session.pinned)
}

// stay is the server that a client has state on, if a request may go to any one as well as to sv; else sv.
func (c *client) stay(sv *server) *server {
	if conn := c.ownConn(); conn != nil && sv != nil && c.pool.random {
		return conn.server
	}
	return sv
}

// sameShard refuses a request for another server than that of the client's transaction.
func (p *redisProtocol) sameShard(c *client, sv *server, key []byte) bool {
	s := c.session
	if s.pinned == nil || !s.needs(s.pinned) || s.pinned.server == sv {
		return true
	}
	c.spoil()
	if s.transaction.key == firstOf(key) {
		p.refuse(c, "CROSSSLOT the server of '%s' is another than when the transaction began; begin again", printable(key))
		return false
	}
	p.refuse(c, "CROSSSLOT Keys in transaction don't belong to the same server: '%s' and '%s'; "+
		"give them a common hash tag (hash_tag in the pool's configuration)", printable([]byte(s.transaction.key)), printable(key))
	return false
}

// firstOf is as much of a key as an error shows of it, and a little more.
func firstOf(key []byte) string { return string(key[:min(len(key), 128)]) }

// pin gets the client a connection of its own to a server. If that takes a while, it holds the request and returns false.
func (p *redisProtocol) pin(c *client, m *message, sv *server) bool {
	if conn := c.pin(sv); conn == nil {
		c.hold(m)
		return false
	}
	return true
}

// queue takes a request between MULTI and EXEC. Sv is the server of its keys, nil if it has none.
func (p *redisProtocol) queue(c *client, m *message, sv *server, key []byte) {
	t := &c.session.transaction
	sv = c.stay(sv)
	switch {
	case t.silence != nil:
		c.replyFailure(t.silence)
		t.silence = nil
		return
	case t.refusal != "": // before it gets another connection: there would be nothing to end on that
		p.refuse(c, "%s", t.refusal)
		return
	case t.failed && !t.begun && c.session.pinned == nil && t.count == 0 && sv == nil:
		c.reply([]byte(queued)) // EXEC will fail, whatever it is
		return
	case sv == nil && c.session.pinned != nil && c.session.needs(c.session.pinned):
		sv = c.session.pinned.server
	case sv == nil && len(c.pool.servers) == 1:
		sv = c.pool.servers[0]
	case sv == nil:
		p.queueEarly(c, m)
		return
	}
	if !p.sameShard(c, sv, key) || !p.pin(c, m, sv) {
		return
	}
	if !p.begin(c, m) {
		return
	}
	if t.key == "" {
		t.key = firstOf(key)
	}
	t.length++
	if c.forward(m, sv, 0) == nil {
		c.spoil() // all or nothing
	}
}

func (p *redisProtocol) queueEarly(c *client, m *message) {
	t := &c.session.transaction
	switch {
	case t.early.Len()+m.size() > c.mark():
		p.reject(c, "ERR too much in a transaction before its first key (client_buffer)")
		return
	case t.count >= c.pool.conf.Limits.ServerRequests:
		p.reject(c, "ERR too much in a transaction before its first key (server_requests)")
		return
	}
	m.copyTo(c.worker, &t.early)
	t.count++
	t.length++
	c.reply([]byte(queued))
}

// begin tells the server MULTI, and what came before the first key. Nobody waits for the answers: those have been given. Only on a connection
// where MULTI was not accepted before the request is held until it is, and begin returns false: behind a MULTI that is refused,
// because the user may not use it, the server would execute each request at once.
func (p *redisProtocol) begin(c *client, m *message) bool {
	t, conn, w := &c.session.transaction, c.session.pinned, c.worker
	switch {
	case t.refusal != "":
		p.refuse(c, "%s", t.refusal)
		return false
	case t.asking:
		c.hold(m)
		return false
	case !t.begun && !conn.transacts:
		t.asking = true
		p.askMulti(c, conn)
		c.hold(m)
		return false
	case !t.begun:
		t.begun = true
		p.tell(conn, "MULTI")
	}
	if t.count == 0 {
		return true
	}
	n := t.early.Len()
	conn.appended += uint64(n)
	conn.output().Take(conn.chunks(), &t.early)
	for ; t.count > 0; t.count-- {
		conn.enqueue(w.newRequest(), n)
		n = 0
	}
	return true
}

// askMulti tells a server MULTI, and has the request that is held go on when it has answered.
func (p *redisProtocol) askMulti(c *client, conn *serverConn) {
	request := p.command(nil, "MULTI")
	r := c.worker.newRequest()
	r.errand = func(response []byte, cause *failure) ([]byte, bool) {
		if c.gone {
			return nil, false
		}
		t := &c.session.transaction
		if cause != nil {
			t.silence = cause
			c.callBack()
			return nil, false
		}
		t.asking = false
		if text, refused := resp.ErrorText(response); refused {
			t.refusal, t.failed = string(text), true
		} else {
			t.begun, conn.transacts = true, true
		}
		c.callBack()
		return nil, false
	}
	conn.append(request)
	conn.enqueue(r, len(request))
}

// tell sends a command without arguments, whose response nobody waits for.
func (p *redisProtocol) tell(conn *serverConn, command string) {
	w := conn.worker
	w.scratch = p.command(w.scratch[:0], command)
	conn.sendSilently(w.scratch)
}

// sendSilently sends a request of the proxy's own, whose response nobody waits for.
func (s *serverConn) sendSilently(request []byte) {
	s.append(request)
	s.enqueue(s.worker.newRequest(), len(request))
}

// exec ends the transaction.
func (p *redisProtocol) exec(c *client, m *message) {
	s := c.session
	if s == nil || !s.transaction.open {
		p.refuse(c, "ERR EXEC without MULTI")
		return
	}
	t := &s.transaction
	switch {
	case t.failed:
		p.abandon(c)
		p.refuse(c, errAborted)
	case t.broken:
		p.abandon(c)
		c.replyNullArray()
	case t.begun || s.pinned != nil && t.watching:
		if !p.begin(c, m) {
			return
		}
		c.endTransaction()
		p.conclude(c, m, s.pinned)
	case t.count > 0: // without a key: any server will do
		sv := c.pool.pick(placeholder)
		if sv == nil {
			p.abandon(c)
			p.refuse(c, errAborted)
			return
		}
		if !p.pin(c, m, sv) {
			s.held.ends = true
			return
		}
		if !p.begin(c, m) {
			return
		}
		c.endTransaction()
		p.conclude(c, m, s.pinned)
	default:
		c.endTransaction()
		c.reply([]byte("*0\r\n"))
	}
}

func (p *redisProtocol) discard(c *client, m *message) {
	s := c.session
	if s == nil || !s.transaction.open {
		p.refuse(c, "ERR DISCARD without MULTI")
		return
	}
	t := &s.transaction
	if t.begun && s.pinned != nil {
		c.endTransaction()
		p.conclude(c, m, s.pinned)
		return
	}
	p.abandon(c)
	c.reply([]byte(resp.OK))
}

// conclude sends the request that ends what a client has on a connection of its own. If it is refused, what it would have ended must not
// go to the next one who is lent the connection.
func (p *redisProtocol) conclude(c *client, m *message, conn *serverConn) {
	if c.forward(m, conn.server, 0) == nil {
		conn.close()
	}
}

// abandon ends a transaction without executing it.
func (p *redisProtocol) abandon(c *client) {
	s := c.session
	t := &s.transaction
	if conn := s.pinned; conn != nil {
		switch {
		case t.begun:
			p.tell(conn, "DISCARD")
		case t.watching:
			p.tell(conn, "UNWATCH")
		}
	}
	c.endTransaction()
}

// endTransaction forgets the transaction. Its connection is given back when all is answered that is in flight there.
func (c *client) endTransaction() {
	t := &c.session.transaction
	t.early.Reset(&c.worker.loop.Chunks)
	*t = transaction{}
}
