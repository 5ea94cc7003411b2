package proxy

import (
	"time"

	"nutmeg/internal/config"
	"nutmeg/internal/evloop"
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
// then until its response has come.
func (s *server) connFor(c *client, size int) *serverConn {
	i, n := 0, len(s.lane.conns)-1
	switch {
	case size > c.mark() && c.held == 0:
		i = n
	case n > 1:
		i = int(c.serial) % n
	}
	c.alone = i == n
	if conn := s.lane.conns[i]; conn != nil {
		return conn
	}
	return s.open(i)
}

func (s *server) open(slot int) *serverConn {
	w := s.pool.worker
	conn := &serverConn{worker: w, server: s, slot: slot}
	s.lane.conns[slot] = conn
	w.stats.TotalConnections++
	w.loop.Dial(&conn.conn, s.address, evloop.SocketOptions{KeepAlive: s.pool.conf.TCPKeepalive}, conn)
	return conn
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
