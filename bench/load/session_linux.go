package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// stallLimit is how long no connection may say anything while responses
	// are due.
	stallLimit = 15 * time.Second
	// glance is how often a waiting session looks whether it should stop.
	glance     = 200 * time.Millisecond
	readBuffer = 256 << 10
	// tries bounds what is tried again when a full queue of the listener
	// refuses a connection.
	tries = 100
)

// Session is a set of connections to one address. Its methods run on the
// goroutine that calls them, one at a time.
type Session struct {
	load   Load
	addr   string
	poller int
	conns  []conn
	events []unix.EpollEvent
	buf    []byte // what was read last
	batch  []byte // what is written next
	base   time.Time

	// Of the run that goes on.
	out      Outcome
	inFlight int               // requests without a response
	answered func(*conn) error // called when a connection has nothing in flight any more
	stop     <-chan struct{}
}

// Dial connects all clients. The caller must Close the session. ctx ends its
// runs, too.
func Dial(ctx context.Context, addr string, l Load) (*Session, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to %s: %w", addr, err)
	}
	poller, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot make a poller: %w", err)
	}
	s := &Session{
		load: l, addr: addr, poller: poller, base: time.Now(),
		conns:  make([]conn, l.Clients),
		events: make([]unix.EpollEvent, min(l.Clients, 512)),
		buf:    make([]byte, readBuffer),
	}
	for i := range s.conns {
		s.conns[i] = conn{fd: -1, number: i, next: i * len(l.Order) / l.Clients}
	}
	for i := range s.conns {
		if err := s.connect(ctx, &s.conns[i], to); err != nil {
			s.Close()
			return nil, fmt.Errorf("cannot connect client %d of %d to %s: %w", i+1, l.Clients, addr, err)
		}
	}
	return s, nil
}

// connect opens one connection and has the poller report what comes.
func (s *Session) connect(ctx context.Context, c *conn, to netip.AddrPort) (err error) {
	if c.fd, err = dialSocket(ctx, to); err != nil {
		return err
	}
	return unix.EpollCtl(s.poller, unix.EPOLL_CTL_ADD, c.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.number)})
}

// dialSocket tries again while the listener's queue is full.
func dialSocket(ctx context.Context, to netip.AddrPort) (int, error) {
	dialer := net.Dialer{Timeout: stallLimit}
	var failed error
	for range tries {
		if ctx.Err() != nil {
			return -1, context.Cause(ctx)
		}
		var c net.Conn
		if c, failed = dialer.DialContext(ctx, "tcp", to.String()); failed == nil {
			return detach(c.(*net.TCPConn))
		}
	}
	return -1, failed
}

// detach takes the socket from the Go runtime, whose poller would wake up for
// it, too.
func detach(c *net.TCPConn) (int, error) {
	defer func() { _ = c.Close() }()
	_ = c.SetNoDelay(true)
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var dupErr error
	if err := raw.Control(func(own uintptr) { fd, dupErr = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return -1, err
	}
	return fd, dupErr // it shares the flag O_NONBLOCK, which Go has set
}

// Close closes the connections.
func (s *Session) Close() {
	for _, c := range s.conns {
		if c.fd >= 0 {
			_ = unix.Close(c.fd)
		}
	}
	_ = unix.Close(s.poller)
}

// now is the time since the session began, in nanoseconds.
func (s *Session) now() int64 { return int64(time.Since(s.base)) }

// run is what all loops have in common: step is called before each wait and
// returns until when to wait at the most; a negative number means that
// nothing will be sent any more. run returns when all has been answered then.
func (s *Session) run(ctx context.Context, step func() (int64, error)) (Outcome, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s.out = Outcome{Latency: newHistogram(), Late: newHistogram()}
	s.inFlight, s.stop = 0, ctx.Done()
	began, last := s.now(), s.now()
	for {
		until, err := step()
		if err != nil {
			return s.out, s.cause(ctx, err)
		}
		if until < 0 && s.inFlight == 0 {
			s.out.Took = time.Duration(s.now() - began)
			return s.out, nil
		}
		n, err := s.wait(until)
		if err != nil {
			return s.out, s.cause(ctx, err)
		}
		switch {
		case n > 0:
			last = s.now()
		case ctx.Err() != nil:
			return s.out, context.Cause(ctx)
		case s.inFlight > 0 && s.now()-last > int64(stallLimit):
			return s.out, fmt.Errorf("%s: %d requests and no response for %v", s.addr, s.inFlight, stallLimit)
		case s.inFlight == 0:
			last = s.now()
		}
	}
}

// cause prefers the reason of ctx: err is then only a consequence.
func (s *Session) cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%s: %w", s.addr, err)
}

// wait waits for the connections once and returns how many had something.
func (s *Session) wait(until int64) (int, error) {
	timeout := glance
	if until >= 0 {
		timeout = min(timeout, time.Duration(max(0, until-s.now())))
	}
	n, err := pollFor(s.poller, s.events, timeout)
	if err != nil {
		return 0, err
	}
	for _, e := range s.events[:n] {
		c := &s.conns[e.Fd]
		if e.Events&unix.EPOLLOUT != 0 {
			if err := s.flush(c); err != nil {
				return n, fmt.Errorf("client %d: %w", e.Fd, err)
			}
		}
		if e.Events&^unix.EPOLLOUT != 0 {
			if err := s.receive(c); err != nil {
				return n, fmt.Errorf("client %d: %w", e.Fd, err)
			}
		}
	}
	select {
	case <-s.stop:
		return n, errStopped
	default:
		return n, nil
	}
}

var errStopped = errors.New("stopped")
