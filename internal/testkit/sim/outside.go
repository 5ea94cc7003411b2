package sim

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"nutmeg/internal/evloop"
)

// epoch is the time of day at which a world begins.
var epoch = time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)

// Outside is a world as one event loop sees it.
type Outside struct {
	// FilesExhausted makes Accept and Dial fail as they do in a process without descriptors.
	FilesExhausted bool

	world   *World
	name    string
	random  *rand.PCG
	ready   []watchable // all sockets that Wait would report, in no order
	woken   bool
	sockets int

	load      float64 // how busy the loop is said to be
	worked    int64   // until loadSince
	loadSince int64
}

var _ evloop.Outside = (*Outside)(nil)

// watchable is a socket that can be watched.
type watchable interface {
	evloop.Socket
	readiness() (ready evloop.Interest, hangup bool)
	watch() *watched
}

// watched is what an Outside knows of a socket.
type watched struct {
	outside  *Outside // nil: not watched
	token    uint64
	want     evloop.Interest
	news     bool // something has happened since it was reported last
	position int  // in outside.ready, from 1; 0 when not in it
}

func (s *watched) watch() *watched { return s }

// changed notes that bytes, an end or room came to a socket; that counts as news if somebody watches for it.
func (s *watched) changed(self watchable, what evloop.Interest) {
	if _, hangup := self.readiness(); what&s.want != 0 || hangup {
		s.news = true
	}
	s.update(self)
}

// update puts a socket into its outside's ready list, or takes it out.
func (s *watched) update(self watchable) {
	if s.outside == nil {
		return
	}
	ready, hangup := self.readiness()
	o := s.outside
	switch report := (ready&s.want != 0 || hangup) && (s.news || s.want&evloop.Changes == 0); {
	case report && s.position == 0:
		o.ready = append(o.ready, self)
		s.position = len(o.ready)
	case !report && s.position != 0:
		s.leave()
	}
}

func (s *watched) leave() {
	o, i := s.outside, s.position-1
	last := len(o.ready) - 1
	o.ready[i] = o.ready[last]
	o.ready[i].watch().position = i + 1
	o.ready[last] = nil
	o.ready = o.ready[:last]
	s.position = 0
}

// Outside returns the outside of one loop. The name is for error messages.
func (w *World) Outside(name string) *Outside {
	return &Outside{world: w, name: name, random: rand.NewPCG(w.random.Uint64(), w.random.Uint64())}
}

// Sockets is how many sockets made here were not closed yet: those of Listen, of Dial, and of its listeners' Accept.
// A socket that another outside begins to watch counts there from then on.
func (o *Outside) Sockets() int { return o.sockets }

// World is the world that o looks at.
func (o *Outside) World() *World { return o.world }

// Now is the virtual time.
func (o *Outside) Now() int64 { return o.world.now }

// Wall is the virtual time of day.
func (o *Outside) Wall() time.Time { return epoch.Add(time.Duration(o.world.now)) }

// Random draws from a generator of its own, which depends on the world's seed.
func (o *Outside) Random() uint64 { return o.random.Uint64() }

// SetLoad says which share of its time the loop works from now on, between 0 and 1: no time passes while it really does.
func (o *Outside) SetLoad(share float64) {
	o.worked, _ = o.Busy()
	o.load, o.loadSince = share, o.world.now
}

// Busy follows from what SetLoad said. Of the process nothing is known.
func (o *Outside) Busy() (worked, process int64) {
	return o.worked + int64(o.load*float64(o.world.now-o.loadSince)), 0
}

// Resolve looks the name up in the world's table when the answer is due, and calls done then, within World.Run.
func (o *Outside) Resolve(host string, done func([]netip.Addr, error)) {
	w := o.world
	w.schedule(w.arrival(), call(func() {
		ips := w.hosts[host]
		w.record("name looked up", 0, 0, len(ips))
		if len(ips) == 0 {
			done(nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true})
			return
		}
		done(slices.Clone(ips), nil)
	}), 0)
}

// Watch is evloop.Outside's. A socket can be watched by another outside than the one that made it.
func (o *Outside) Watch(s evloop.Socket, token uint64, want evloop.Interest) error {
	socket := s.(watchable)
	state := socket.watch()
	if state.outside != nil && state.outside != o {
		panic("BUG: socket watched by two loops")
	}
	if closedSocket(s) {
		return syscall.EBADF
	}
	state.outside, state.token, state.want, state.news = o, token, want, true
	o.own(s)
	state.update(socket)
	return nil
}

// own makes o the one whose socket it is.
func (o *Outside) own(s evloop.Socket) {
	var owner **Outside
	switch s := s.(type) {
	case *end:
		owner = &s.owner
	case *listening:
		owner = &s.owner
	}
	(*owner).sockets--
	*owner = o
	o.sockets++
}

// ended reports whether a poller would say that the end of the stream is there.
func ended(s watchable) bool {
	e, ok := s.(*end)
	return ok && (e.dead || e.connected && e.in().endThere)
}

func closedSocket(s evloop.Socket) bool {
	switch s := s.(type) {
	case *end:
		return s.closed
	case *listening:
		return s.closed
	}
	return false
}

// Forget is evloop.Outside's.
func (o *Outside) Forget(s evloop.Socket) {
	state := s.(watchable).watch()
	if state.position != 0 {
		state.leave()
	}
	state.outside = nil
}

// Wait reports what is ready, in random order. It never waits: time passes in World.Run only.
func (o *Outside) Wait(events []evloop.Event, _ int64) (int, error) {
	o.woken = false
	n := min(len(events), len(o.ready))
	for i := range n {
		if rest := len(o.ready) - i; rest > 1 {
			j := i + o.world.random.IntN(rest)
			o.ready[i], o.ready[j] = o.ready[j], o.ready[i]
			o.ready[j].watch().position = j + 1
		}
		s := o.ready[i]
		state := s.watch()
		state.position = i + 1
		ready, hangup := s.readiness()
		events[i] = evloop.Event{Token: state.token, Ready: ready & state.want, Hangup: hangup, Ended: ended(s)}
		state.news = false
	}
	for i := n - 1; i >= 0; i-- {
		o.ready[i].watch().update(o.ready[i])
	}
	return n, nil
}

// Wake makes World.Run step the loop.
func (o *Outside) Wake() { o.woken = true }

// Close has nothing to free.
func (o *Outside) Close() error { return nil }
