//go:build unix

package evloop

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"
)

// resolveTimeout bounds one look-up of a host name.
const resolveTimeout = 5 * time.Second

// system is the operating system as a loop's outside.
type system struct {
	poller poller
	wakeup wakePipe
	start  time.Time
	random *rand.PCG
	vector ioVector
	work   workMeter

	courtesy courtesy
	now      func() int64 // Now, made once
}

// poller is the kernel's readiness interface of a platform.
type poller interface {
	// watch sets what is reported for fd; had is what was asked for before, known is false the first time.
	watch(fd int, token uint64, had, want Interest, known bool) error
	// forget ends all reports for fd, which is still open.
	forget(fd int)
	// wait is Outside.Wait.
	wait(events []Event, timeout int64) (int, error)
	close() error
}

// wakeToken is the token of the pipe that Wake writes to.
const wakeToken = ^uint64(0)

// NewSystem returns the operating system as the outside of one loop.
func NewSystem() (Outside, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	return newSystem(p)
}

// NewPortableSystem is NewSystem on top of poll(2), which every unix has. Platforms without epoll or kqueue use it; tests use it everywhere.
func NewPortableSystem() (Outside, error) { return newSystem(newPollPoller()) }

func newSystem(p poller) (Outside, error) {
	s := &system{poller: p, start: time.Now(), random: rand.NewPCG(rand.Uint64(), rand.Uint64())}
	s.now = s.Now
	if err := s.wakeup.open(); err != nil {
		return nil, err
	}
	if err := p.watch(s.wakeup.readEnd, wakeToken, 0, Readable, false); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *system) Now() int64 {
	now := int64(time.Since(s.start))
	s.work.since = now
	return now
}

func (s *system) Wall() time.Time { return time.Now() }

func (s *system) Random() uint64 { return s.random.Uint64() }

func (s *system) Wake() { s.wakeup.signal() }

func (s *system) Wait(events []Event, timeout int64) (int, error) {
	if s.work.on {
		s.work.ends(s)
	}
	s.courtesy.giveWay(s.work.since, timeout, s.now, sysYield)
	n, err := s.poller.wait(events, timeout)
	for i := range n {
		if events[i].Token == wakeToken {
			s.wakeup.clear()
			events[i] = events[n-1]
			return n - 1, err
		}
	}
	return n, err
}

func (s *system) Watch(socket Socket, token uint64, want Interest) error {
	f := socket.(*fdSocket)
	f.system = s // a socket may have been accepted by another loop
	if f.local {
		want &^= Changes // a read from it may end before the bytes do, where descriptors were sent along
	}
	err := s.poller.watch(int(f.fd), token, f.watched, want, f.known)
	f.watched, f.known = want, true
	return err
}

func (s *system) Forget(socket Socket) {
	if f := socket.(*fdSocket); f.known {
		f.known, f.watched = false, 0
		s.poller.forget(int(f.fd))
	}
}

func (s *system) Resolve(host string, done func([]netip.Addr, error)) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
		defer cancel()
		ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		for i := range ips {
			ips[i] = ips[i].Unmap()
		}
		done(ips, err)
	}()
}

func (s *system) Close() error {
	s.wakeup.close()
	return s.poller.close()
}
