package sim

import (
	"fmt"
	"net/netip"
	"syscall"

	"nutmeg/internal/buffer"
	"nutmeg/internal/evloop"
)

// listening is a listening socket of a loop.
type listening struct {
	watched
	owner   *Outside
	place   *place
	backlog int
	waiting []*end
	shared  bool
	closed  bool
}

var _ acceptor = (*listening)(nil)

// Listen opens a listening socket. Several may share a TCP address if all ask for ReusePort; dials are spread at random.
func (o *Outside) Listen(addr evloop.Address, opt evloop.ListenOptions) (evloop.Socket, error) {
	w := o.world
	if addr.Host != "" && addr.Path == "" {
		if _, err := netip.ParseAddr(addr.Host); err != nil {
			ips := w.hosts[addr.Host]
			if len(ips) == 0 {
				return nil, fmt.Errorf("cannot resolve %q", addr.Host)
			}
			addr.Host = ips[0].String()
		}
	}
	s := &listening{owner: o, place: w.place(addr.String()), backlog: max(opt.Backlog, 1), shared: opt.ReusePort}
	for _, other := range s.place.acceptors {
		if have, ok := other.(*listening); addr.Path == "" && (!ok || !have.shared || !s.shared) {
			return nil, syscall.EADDRINUSE
		}
	}
	if addr.Path != "" {
		s.place.acceptors = nil // a new socket takes the path over
	}
	s.place.acceptors = append(s.place.acceptors, s)
	o.sockets++
	return s, nil
}

// Relisten gives a listening socket another backlog. Those that wait stay, also when they are more.
func (o *Outside) Relisten(socket evloop.Socket, addr evloop.Address, opt evloop.ListenOptions) error {
	s, ok := socket.(*listening)
	if !ok || s.closed {
		return syscall.EINVAL
	}
	if s.place != o.world.place(addr.String()) {
		panic("BUG: relisten at another address")
	}
	s.backlog = max(opt.Backlog, 1)
	return nil
}

func (s *listening) accept(e *end) bool {
	if len(s.waiting) >= s.backlog {
		return false
	}
	s.waiting = append(s.waiting, e)
	s.update(s)
	return true
}

func (s *listening) readiness() (evloop.Interest, bool) {
	if len(s.waiting) > 0 {
		return evloop.Readable, false
	}
	return 0, false
}

func (s *listening) Accept(evloop.SocketOptions) (evloop.Socket, error) {
	switch {
	case s.closed:
		return nil, syscall.EBADF
	case len(s.waiting) == 0:
		return nil, evloop.ErrWouldBlock
	case s.owner.FilesExhausted:
		return nil, evloop.ErrTooManyFiles
	}
	e := s.waiting[0]
	s.waiting = s.waiting[1:]
	s.update(s)
	e.owner = s.owner
	s.owner.sockets++
	e.link.world.record("accepted", e.link.id, 1, 0)
	return e, nil
}

// Close refuses those that wait.
func (s *listening) Close() error {
	switch {
	case s.closed:
		panic("BUG: listener closed twice")
	case s.outside != nil:
		panic("BUG: listener closed while it is watched")
	}
	s.closed = true
	s.place.remove(s)
	s.owner.sockets--
	for _, e := range s.waiting {
		e.abort("loses its listener")
	}
	s.waiting = nil
	return nil
}

func (s *listening) Peer() string        { return "" }
func (s *listening) PendingError() error { return syscall.ENOTCONN }
func (s *listening) CloseWrite() error   { return syscall.ENOTCONN }

func (s *listening) Read([]byte) (int, error)          { return 0, syscall.ENOTCONN }
func (s *listening) Write(*buffer.Buffer) (int, error) { return 0, syscall.ENOTCONN }
