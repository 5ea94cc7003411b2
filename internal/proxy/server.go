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
	lane    lane         // of clients with the pool's own identity
	lanes   []*lane      // of the others, by the identity's index; nil where there is none
	era     int          // of the lanes: later ones of the pool have larger ones
	ended   bool         // not in the configuration any more

	dedicated  dedicated
	unanswered unanswered // question about a dialect

	loggedAt   int64 // when a failure was last logged
	suppressed int   // failures since then that were not
}

// setUp makes s, which is empty, a server that is new.
func (s *server) setUp(p *workerPool, conf *config.Server, lane lane) {
	p.eras++
	s.pool, s.lane, s.era = p, lane, p.eras
	s.address = evloop.Address{Host: conf.Address.Host, Port: conf.Address.Port, Path: conf.Address.Path}
	s.dedicated.server = s
}

// serverNamed is the pool's server of a name, nil if there is none.
func (p *workerPool) serverNamed(name []byte) *server {
	for _, sv := range p.servers {
		if sv.conf.Name == string(name) {
			return sv
		}
	}
	return nil
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
	case failureOwn, failureAsked:
	default:
		s.stats.Err++
	}
}

// refuse answers r, which has no response, with the cause.
func (w *worker) refuse(r *request, p *workerPool, cause *failure) {
	r.failed, r.cause = true, cause
	if r.client == nil && r.parent == nil && r.errand == nil {
		w.answer(r, nil)
		return
	}
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
