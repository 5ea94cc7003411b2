package proxy

import (
	"time"

	"nutmeg/internal/config"
	"nutmeg/internal/evloop"
	"nutmeg/internal/pool"
	"nutmeg/internal/stats"
)

// server is one server of a pool as one worker sees it. It lives on over reloads for as long as its pool, its name and its
// address do.
type server struct {
	pool    *workerPool
	conf    *config.Server
	address evloop.Address
	index   int        // in the pool
	health  *pool.Pool // of which index is part
	stats   *stats.Server
	retry   evloop.Timer // of a server that is out: when to probe it, or to give the probe up
	probing *serverConn  // which has a probe to answer
	lane    lane
	era     int  // of the lane: later ones of the pool have larger ones
	ended   bool // not in the configuration any more

	loggedAt   int64 // when a failure was last logged
	suppressed int   // failures since then that were not
}

func newServer(p *workerPool, conf *config.Server) *server {
	p.eras++
	return &server{
		pool: p, lane: newLane(p.conf.ServerConnections), era: p.eras,
		address: evloop.Address{Host: conf.Address.Host, Port: conf.Address.Port, Path: conf.Address.Path},
	}
}

// findServer returns the server of a list that conf means.
func findServer(list []*server, conf *config.Server) *server {
	for _, s := range list {
		if s.conf.Name == conf.Name && s.conf.Address == conf.Address {
			return s
		}
	}
	return nil
}

// lane is the server connections of one worker to one server that share a session state. There is one state yet: the
// pool's database and password.
type lane struct {
	// conns are as many as configured, and behind them one for large requests, which would keep all others waiting for
	// as long as they take to be sent. nil where none is open.
	conns []*serverConn
}

func newLane(connections int) lane { return lane{conns: make([]*serverConn, connections+1)} }

// renewLane has requests take new connections from now on. These wait until the old ones have nothing more to do, so that
// no request overtakes an earlier one of the same client.
func (s *server) renewLane() {
	s.retire()
	s.pool.eras++
	s.era = s.pool.eras
	s.lane = newLane(s.pool.conf.ServerConnections)
}

// retire has all connections close when they have nothing more to do.
func (s *server) retire() {
	for _, conn := range s.lane.conns {
		if conn != nil {
			conn.retire()
		}
	}
}

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
	conn := &serverConn{worker: w, server: s, slot: slot, era: s.era, large: slot == len(s.lane.conns)-1}
	w.keepConn(conn)
	s.lane.conns[slot] = conn
	w.stats.TotalConnections++
	if timeout := s.pool.timeout; timeout > 0 {
		w.loop.Arm(&conn.timer, w.loop.Now()+timeout, conn)
	}
	w.loop.Dial(&conn.conn, s.address, evloop.SocketOptions{KeepAlive: s.pool.conf.TCPKeepalive}, conn)
	return conn
}

// follows reports whether a retired connection that is earlier than s leads to the same place: what it has in flight comes
// first. It may be of another server of the configuration, one that got another name since, or was removed and came back.
func (s *serverConn) follows() bool {
	p := s.server.pool
	if p.retired == 0 {
		return false
	}
	for conn := p.worker.conns; conn != nil; conn = conn.next {
		if conn.slot < 0 && conn.era < s.era && conn.server.sharesPlace(s.server) {
			return true
		}
	}
	return false
}

func (s *server) sharesPlace(other *server) bool {
	return s.pool == other.pool && s.address == other.address
}

// outlived says that a retired connection is gone. The last one of its era lets those of the next begin.
func (s *server) outlived() {
	s.pool.retired--
	for conn := s.pool.worker.conns; conn != nil; {
		next := conn.next
		if conn.server.sharesPlace(s) && conn.connected && !conn.ready && len(conn.greeting) == 0 {
			conn.begin()
		}
		conn = next
	}
}

// keepConn and dropConn keep the list of the worker's connections.
func (w *worker) keepConn(s *serverConn) {
	if s.next = w.conns; s.next != nil {
		s.next.previous = s
	}
	w.conns = s
}

func (w *worker) dropConn(s *serverConn) {
	if s.previous != nil {
		s.previous.next = s.next
	} else {
		w.conns = s.next
	}
	if s.next != nil {
		s.next.previous = s.previous
	}
}

// end lets go of a server that is not in the configuration any more. Nobody wants to know whether it is well.
func (s *server) end() {
	s.ended = true
	s.pool.worker.loop.Disarm(&s.retry)
	if conn := s.probing; conn != nil && conn.pending == 1 { // the probe
		conn.close()
	}
	s.retire()
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
