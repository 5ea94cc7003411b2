package proxy

import (
	"time"

	"nutmeg/internal/buffer"
	"nutmeg/internal/config"
	"nutmeg/internal/evloop"
	"nutmeg/internal/memcache"
	"nutmeg/internal/resp"
	"nutmeg/internal/stats"
)

// server is one server of a pool as one worker sees it.
type server struct {
	pool    *workerPool
	index   int // in the pool
	conf    *config.Server
	address evloop.Address
	stats   *stats.Server
	lane    lane

	loggedAt   int64 // when a failure was last logged
	suppressed int   // failures since then that were not
}

// lane is the server connections of one worker to one server that share a session state. There is one state yet: the
// pool's database and password.
type lane struct {
	// conns are as many as configured, and behind them one for large requests, which would keep all others waiting for
	// as long as they take to be sent. nil where none is open.
	conns []*serverConn
}

func newLane(connections int) lane { return lane{conns: make([]*serverConn, connections+1)} }

// connFor returns the connection that a client's request of a size goes to. It opens it if need be.
//
// A client's requests all take the same connection, so that they stay in order. A request above the mark of what may be
// held for the client takes the one for large requests if nothing else of the client is on its way: it is alone
// then until its response has come, because above its mark nothing more is taken from a client.
func (s *server) connFor(c *client, size int) *serverConn {
	i, n := 0, len(s.lane.conns)-1
	switch {
	case size > c.worker.heldMark && c.held == 0:
		i = n
	case n > 1:
		i = int(c.serial) % n
	}
	if conn := s.lane.conns[i]; conn != nil {
		return conn
	}
	return s.open(i)
}

// spare reports whether the connection is its lane's for large requests, which is closed when there are none.
func (s *serverConn) spare() bool { return s.slot == len(s.server.lane.conns)-1 }

// spareIdle is how long a connection for large requests is kept for the next one, in nanoseconds.
const spareIdle = int64(10 * time.Second)

func (s *server) open(slot int) *serverConn {
	w := s.pool.worker
	conn := &serverConn{worker: w, server: s, slot: slot}
	s.lane.conns[slot] = conn
	w.stats.TotalConnections++
	w.loop.Dial(&conn.conn, s.address, evloop.SocketOptions{KeepAlive: s.pool.conf.TCPKeepalive}, conn)
	return conn
}

// serverConn is one connection to a server. It implements evloop.Handler.
type serverConn struct {
	conn   evloop.Conn
	worker *worker
	server *server
	slot   int // in its lane

	queue    connQueue
	waiting  buffer.Buffer // requests that came before the connection was ready
	appended uint64        // bytes ever put into the output, or into waiting
	timer    evloop.Timer

	redis    resp.ResponseParser
	memcache struct {
		parser   memcache.ResponseParser
		response memcache.Response
	}

	greeting     []greeting // what the server has still to answer before requests may be sent
	greetingText []byte     // the answer that is coming
	connected    bool
	ready        bool
	dead         bool
}

// greeting is a step of the conversation that opens a connection.
type greeting struct {
	name string
	// essential: an error as the answer means that the connection must not be used.
	essential bool
}

// output is where requests go: held back until the connection is ready.
func (s *serverConn) output() *buffer.Buffer {
	if s.ready {
		return s.conn.Output()
	}
	return &s.waiting
}

func (s *serverConn) chunks() *buffer.Pool { return &s.worker.loop.Chunks }

// append adds bytes of a request to the output. When the request is complete, enqueue follows.
func (s *serverConn) append(data []byte) {
	s.appended += uint64(len(data))
	s.output().Append(s.chunks(), data)
}

// enqueue makes r, whose n bytes have been appended last, wait for the next response but those before it.
func (s *serverConn) enqueue(r *request, n int) {
	r.sent = n
	r.end = s.appended
	if timeout := s.server.pool.timeout; timeout > 0 {
		r.deadline = s.worker.loop.Now() + timeout
		if !s.timer.Armed() || s.spare() && s.queue.oldest == nil {
			s.worker.loop.Arm(&s.timer, r.deadline, s)
		}
	}
	s.queue.push(r)
	st := s.server.stats
	st.Requests++
	st.RequestBytes += int64(n)
	if s.ready {
		s.conn.Send(nil)
	}
}

// Expired looks whether the oldest request is overdue. The timer runs on its own time: a request that is answered in
// time costs it nothing.
func (s *serverConn) Expired() {
	oldest := s.queue.oldest
	if oldest == nil {
		s.retire()
		return
	}
	if oldest.deadline == 0 {
		return
	}
	if oldest.deadline > s.worker.loop.Now() {
		s.worker.loop.Arm(&s.timer, oldest.deadline, s)
		return
	}
	s.conn.Close()
	s.fail(failTimedOut)
}

// retire closes a connection for large requests that has had none for a while.
func (s *serverConn) retire() {
	if s.spare() && s.ready {
		s.conn.Close()
		s.fail(failRetired)
	}
}

// Opened begins the conversation.
func (s *serverConn) Opened() {
	s.connected = true
	s.server.stats.Connections++
	var hello []byte
	hello, s.greeting = s.server.pool.protocol.greeting()
	if len(s.greeting) == 0 {
		s.begin()
		return
	}
	s.conn.Send(hello)
	s.appended += uint64(len(hello))
	for r := s.queue.oldest; r != nil; r = r.behind {
		r.end += uint64(len(hello))
	}
}

// begin lets requests through.
func (s *serverConn) begin() {
	s.ready = true
	s.conn.SendBuffer(&s.waiting)
}

// Received takes responses: each belongs to the oldest request.
func (s *serverConn) Received(data []byte) {
	whole := data
	for len(data) > 0 && !s.dead {
		n, done, err := s.server.pool.protocol.response(s, data)
		if err != nil {
			s.conn.Close()
			s.worker.logServer(s.server, "server sent what is not the protocol", "cause", err)
			s.fail(failProtocol)
			return
		}
		piece := data[:n]
		data = data[n:]
		switch {
		case len(s.greeting) > 0:
			s.greeted(piece, done)
		case s.queue.oldest == nil:
			s.conn.Close()
			s.worker.logServer(s.server, "server sent a response that nobody asked for")
			s.fail(failProtocol)
		case done:
			s.responded(piece)
		default:
			if r := s.queue.oldest; r.wanted() {
				s.worker.store(&r.response, piece, input{whole: whole})
			}
		}
	}
}

// responded ends the oldest request with the last piece of its response.
func (s *serverConn) responded(piece []byte) {
	r := s.queue.pop()
	w := s.worker
	size := len(piece)
	if r.response.Len() > 0 {
		r.response.Append(&w.loop.Chunks, piece)
		size = r.response.Len()
		piece = nil
	}
	if s.server.pool.protocol.inspect(s, r, piece) {
		s.server.pool.health.Succeeded(s.server.index)
	} else {
		s.server.failed()
	}
	if r.wanted() {
		s.server.stats.Responses++
		s.server.stats.ResponseBytes += int64(size)
	}
	w.answer(r, piece)
	if s.queue.oldest == nil && s.spare() && !s.dead {
		w.loop.Arm(&s.timer, w.loop.Now()+spareIdle, s)
	}
}

// greeted takes a piece of an answer of the greeting.
func (s *serverConn) greeted(piece []byte, done bool) {
	s.greetingText = append(s.greetingText, piece...)
	if !done {
		return
	}
	text := s.greetingText
	s.greetingText = s.greetingText[:0]
	step := s.greeting[0]
	s.greeting = s.greeting[1:]
	if refusal, isError := resp.ErrorText(text); isError {
		s.worker.logServer(s.server, "server refused "+step.name, "response", string(refusal))
		if step.essential {
			s.conn.Close()
			s.fail(&failure{text: string(refusal), verbatim: true})
			return
		}
	}
	if len(s.greeting) == 0 {
		s.begin()
	}
}

// EOF says that the server closed the connection.
func (s *serverConn) EOF() {
	s.conn.Close()
	s.fail(failClosed)
}

// Closed says that the connection failed, or could not be made.
func (s *serverConn) Closed(err error) { s.fail(failureOf(err)) }

// Flushed is of no interest: clients are held back, connections to servers are not.
func (s *serverConn) Flushed() {}

// fail ends the closed connection: every request in its queue is answered with the cause.
func (s *serverConn) fail(cause *failure) {
	if s.dead {
		return
	}
	s.dead = true
	w, sv := s.worker, s.server
	w.loop.Disarm(&s.timer)
	s.waiting.Reset(s.chunks())
	if sv.lane.conns[s.slot] == s {
		sv.lane.conns[s.slot] = nil
	}
	sv.count(cause, s.connected)

	pending := 0
	for s.queue.oldest != nil {
		r := s.queue.pop()
		pending++
		r.response.Reset(s.chunks())
		w.refuse(r, sv.pool, cause)
	}
	if cause == failShutdown || cause == failRetired {
		return
	}
	if pending == 0 && s.connected && cause.kind != failureTimeout {
		w.log.Info("idle server connection closed", "pool", sv.pool.name(), "server", sv.conf.Name, "cause", cause)
		return // a server may close what nobody uses: it restarts, or has an idle time-out of its own
	}
	w.logServer(sv, "server connection failed", "cause", cause, "requests", pending)
	sv.failed()
}

func (s *server) count(cause *failure, connected bool) {
	if connected {
		s.stats.Connections--
	}
	switch cause.kind {
	case failureEOF:
		s.stats.EOF++
	case failureTimeout:
		s.stats.TimedOut++
	case failureOwn:
	default:
		s.stats.Err++
	}
}

// failed counts a failure of the server towards its ejection.
func (s *server) failed() {
	w := s.pool.worker
	if !s.pool.health.Failed(s.index, w.loop.Now()) {
		return
	}
	s.stats.EjectedAt = w.loop.Outside().Wall().UnixMicro()
	s.pool.stats.ServerEjects++
	w.log.Warn("server ejected", "pool", s.pool.name(), "server", s.conf.Name, "for", s.pool.conf.Health.RetryTimeout)
}

// refuse answers r, which has no response, with the cause.
func (w *worker) refuse(r *request, p *workerPool, cause *failure) {
	if r.client == nil && r.parent == nil {
		w.answer(r, nil)
		return
	}
	r.failed = true
	if r.parent == nil {
		p.stats.ForwardError++
	}
	w.scratch = p.protocol.appendFailure(w.scratch[:0], cause)
	w.answer(r, w.scratch)
}

// failureLogInterval is how often failures of one server are logged at most, by one worker.
const failureLogInterval = int64(time.Second)

// logServer logs an event of a server, unless one was logged a moment ago: a dead server under load fails with every request.
func (w *worker) logServer(s *server, message string, args ...any) {
	now := w.loop.Now()
	if s.loggedAt != 0 && now-s.loggedAt < failureLogInterval {
		s.suppressed++
		return
	}
	s.loggedAt = now
	args = append([]any{"pool", s.pool.name(), "server", s.conf.Name, "address", s.address.String()}, args...)
	if s.suppressed > 0 {
		args = append(args, "more_since_last", s.suppressed)
		s.suppressed = 0
	}
	w.log.Warn(message, args...)
}
