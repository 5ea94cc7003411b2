// Package admin is the stats port: the counters of all workers, for people,
// exporters and scripts.
//
// twemproxy's port speaks no protocol: it writes one JSON object at accept and
// closes. Its users read it with nc and with exporters that do the same, so that
// has to go on working; everything newer speaks HTTP. One port serves both, told
// apart by the first bytes:
//
//	accept ─ sort, at most 100 ms ─┬─ a request line ─── net/http ─ page of the table in http.go
//	                               └─ anything else ─── JSON, close
//
// Pages that only read are for everybody who reaches the port. Pages that do
// something are for callers on this machine, and never for a web browser: see
// control.go.
//
// A connection holds one of 64 places until it closes; while all are taken new
// ones wait in the backlog. Every step has a deadline, so that a client that
// neither reads nor writes costs one place for seconds and nobody else anything.
//
// The package runs on control goroutines. It knows no workers: it gets copies of
// their counters from a [Source], live at each request, and passes what it is
// asked to do to a [Control].
package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"nutmeg/internal/config"
	"nutmeg/internal/stats"
)

// Source reads the counters of all workers.
//
// Snapshot returns the configuration in force, and the sum over all workers at
// this moment, in the order of that configuration. Neither is nil without an
// error; the configuration is only read, the counters the caller owns. It must return
// soon after ctx is done, with ctx's error, even if a worker does not answer.
// Many goroutines may call it at once.
type Source interface {
	Snapshot(ctx context.Context) (*config.Config, *stats.Worker, error)
}

// Options is what a Server is made of. Every field but Control and Log is required.
type Options struct {
	Service  string    // name of the program in the JSON
	Version  string    // its version
	Hostname string    // name of the machine, "source" in the JSON
	Start    time.Time // when the process started; uptime counts from here

	Source  Source
	Control Control // nil = the pages that need it say that they are not there

	Log *slog.Logger // nil = silent
}

// limits bounds what a connection may cost. Only tests change them.
type limits struct {
	connections int           // open at a time, idle HTTP connections included
	sort        time.Duration // wait for the first bytes; silence means no HTTP
	counters    time.Duration // wait for the Source, and for the health of servers
	control     time.Duration // wait for a reload or a plan
	write       time.Duration // to hand an answer to the kernel; for HTTP since its request was read
	drain       time.Duration // wait for the client to close after a bare answer
	request     time.Duration // to read an HTTP request
	idle        time.Duration // an HTTP connection stays open between requests
	header      int           // bytes of an HTTP request's head, roughly
	body        int64         // bytes of an HTTP request's body
}

func defaultLimits() limits {
	return limits{
		connections: 64,
		sort:        100 * time.Millisecond,
		counters:    2 * time.Second,
		control:     30 * time.Second,
		write:       5 * time.Second,
		drain:       500 * time.Millisecond,
		request:     5 * time.Second,
		idle:        5 * time.Second,
		header:      8 << 10,
		body:        4 << 20, // as a file at most has
	}
}

// Server serves the stats port. Make it with New; all methods may be called from
// any goroutine.
type Server struct {
	options Options
	limits  limits
	now     func() time.Time
	writer  jsonWriter
	pages   []page

	ctx     context.Context // done at Close; ends every wait for the Source
	cancel  context.CancelFunc
	places  chan struct{} // one element for each connection, and one for each Serve in Accept
	http    *http.Server
	handoff *handoff
	turn    chan struct{} // holds one element while a page of Control has its turn

	sorting  sync.WaitGroup // goroutines of connections not handed to http
	handlers sync.WaitGroup // HTTP handlers that run
	serving  sync.WaitGroup // the goroutine of http

	stopped chan struct{} // closed when stopping becomes true
	mutex   sync.Mutex    // guards the fields below
	// stopping: nothing more is accepted, what is connected gets its answer.
	// closed: nothing more is answered. closed implies stopping.
	stopping, closed bool
	started          bool // http has been started
	listeners        map[net.Listener]struct{}
	conns            map[*conn]struct{} // every open connection
}

// New returns a Server that serves nothing yet: see Serve.
func New(o Options) *Server {
	return newServer(o, defaultLimits())
}

func newServer(o Options, l limits) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		options:   o,
		limits:    l,
		now:       time.Now,
		writer:    newJSONWriter(o),
		places:    make(chan struct{}, l.connections),
		handoff:   newHandoff(),
		turn:      make(chan struct{}, 1),
		stopped:   make(chan struct{}),
		listeners: make(map[net.Listener]struct{}),
		conns:     make(map[*conn]struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.pages = s.pageTable()
	s.http = s.newHTTPServer()
	return s
}

// Serve accepts connections on ln until Close or Shutdown, when it returns nil.
// It closes ln in any case. Shortage of file descriptors or memory is waited out;
// any other failure to accept is returned, and what is connected goes on.
//
// Several listeners may be served at once, each by its own call. ln may be of TCP
// or a unix socket.
func (s *Server) Serve(ln net.Listener) error {
	defer ln.Close()
	if !s.addListener(ln) {
		return nil
	}
	defer s.removeListener(ln)

	var pause time.Duration
	for s.takePlace() {
		c, err := ln.Accept()
		if err == nil {
			pause = 0
			s.admit(c)
			continue
		}
		<-s.places
		switch {
		case s.isStopping():
			return nil
		case !passing(err):
			return fmt.Errorf("cannot accept on the stats port %s: %w", ln.Addr(), err)
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.options.Log.Warn("cannot accept on the stats port; trying again", "address", ln.Addr(), "error", err, "pause", pause)
		s.wait(pause)
	}
	return nil
}

// Shutdown stops accepting, lets the connections have the answers they wait for
// and then does what Close does. When ctx ends before the answers are out, they
// are cut off and ctx's error is returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop(false)
	sorted := make(chan struct{})
	go func() {
		s.sorting.Wait()
		close(sorted)
	}()

	var err error
	select {
	case <-sorted:
		err = s.http.Shutdown(ctx)
	case <-ctx.Done():
		err = ctx.Err()
	}
	_ = s.Close()
	return err
}

// Close cuts every connection and waits until no call of the Source or of Control
// is under way; none is made afterwards. It must not be called from either.
// Close always returns nil, and may be called again.
func (s *Server) Close() error {
	s.stop(true)
	s.cancel()
	_ = s.http.Close()
	_ = s.handoff.Close() // http knows it only when it was started

	s.mutex.Lock()
	var open []*conn
	for c := range s.conns {
		open = append(open, c)
	}
	s.mutex.Unlock()
	for _, c := range open {
		_ = c.Close()
	}
	s.sorting.Wait()
	s.handlers.Wait()
	s.serving.Wait()
	return nil
}

// stop ends all Serve calls; with closed set, no handler starts any more either.
func (s *Server) stop(closed bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.closed = s.closed || closed
	if s.stopping {
		return
	}
	s.stopping = true
	close(s.stopped)
	for ln := range s.listeners {
		_ = ln.Close()
	}
}

func (s *Server) isStopping() bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.stopping
}

// addListener reports whether ln may be served, and starts http for the first.
func (s *Server) addListener(ln net.Listener) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.stopping {
		return false
	}
	s.listeners[ln] = struct{}{}
	if !s.started {
		s.started = true
		s.serving.Go(func() { _ = s.http.Serve(s.handoff) })
	}
	return true
}

func (s *Server) removeListener(ln net.Listener) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.listeners, ln)
}

// takePlace waits for a place for one connection; false means it is stopping.
func (s *Server) takePlace() bool {
	select {
	case <-s.stopped:
		return false
	case s.places <- struct{}{}:
		return true
	}
}

// wait returns after d, or at once when stopping.
func (s *Server) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.stopped:
	case <-timer.C:
	}
}

// admit gives an accepted connection, for which a place is taken, its goroutine.
func (s *Server) admit(accepted net.Conn) {
	c := &conn{Conn: accepted, server: s}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.stopping {
		_ = accepted.Close()
		<-s.places
		return
	}
	s.conns[c] = struct{}{}
	s.sorting.Go(func() { s.serve(c) })
}

// passing reports whether a failure to accept goes away by itself.
func passing(err error) bool {
	for _, cause := range []error{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR,
	} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

// snapshot asks the Source, for as long as the limits allow.
func (s *Server) snapshot(ctx context.Context) (*config.Config, *stats.Worker, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limits.counters)
	defer cancel()
	conf, w, err := s.options.Source.Snapshot(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, nil, fmt.Errorf("cannot read the counters: a worker did not answer within %v; it is stuck or overloaded: %w", s.limits.counters, err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the counters: %w", err)
	}
	return conf, w, nil
}

// statsJSON returns the whole answer of the bare port and of the page /stats.
func (s *Server) statsJSON(ctx context.Context) ([]byte, error) {
	conf, w, err := s.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	var r Changes
	if s.options.Control != nil {
		r = s.options.Control.Changes()
	}
	return s.writer.append(nil, conf, w, r, s.now()), nil
}
