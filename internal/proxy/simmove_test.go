package proxy

import (
	"math/rand/v2"
	"time"
)

// Workers of a simulation are as busy as it says: now one, now another, so that they give each other clients all the time, while these
// do whatever they do. A third of all seeds has this; in the others clients are spread over the workers and stay.

// simPace is that of workers who move clients, in a hurry: the whole of a run takes less time than workers have between two looks else.
var simPace = pace{
	tick: int64(2 * time.Millisecond), settle: int64(4 * time.Millisecond), keep: int64(9 * time.Millisecond), rest: int64(80 * time.Millisecond),
	coax: int64(300 * time.Microsecond),
}

// restless reports whether clients move between workers in the run of a seed.
func restless(seed uint64) bool { return seed%3 == 0 }

// agitation makes workers busy, and idle again.
type agitation struct {
	s      *simulation
	random *rand.Rand
}

func (s *simulation) newAgitation(seed uint64) *agitation {
	return &agitation{s: s, random: rand.New(rand.NewPCG(seed, 0x6d6f7665))}
}

// begin starts it for a round.
func (a *agitation) begin() {
	if a != nil {
		a.shake()
	}
}

func (a *agitation) shake() {
	s, r := a.s, a.random
	if s.Now() >= s.until || s.mending {
		a.calm()
		return
	}
	for _, o := range s.outsides {
		if oneIn(r, 2) {
			o.SetLoad(pickOne(r, 0, 0.05, 0.2, 0.5, 0.8, 1, 1))
		}
	}
	if workers := s.proxy.workers; len(workers) > 1 && !s.draining {
		workers[r.IntN(len(workers))].coaxSome(workers[r.IntN(len(workers))])
	}
	s.After(milliseconds(r, 1, 40), a.shake)
}

// coaxSome has a worker bring some clients to rest and give them to another, though others are at rest already.
func (w *worker) coaxSome(to *worker) {
	w.loop.Post(func() {
		m := w.mover
		if w == to || m.to != nil || !w.mayGive() {
			return
		}
		m.to, m.left, m.all, m.given, m.cursor, m.looked = to, coaxesAtOnce, false, 0, nil, true
		m.until = w.loop.Now() + simPace.settle
		m.coax()
	})
}

// calm makes all workers idle.
func (a *agitation) calm() {
	for _, o := range a.s.outsides {
		o.SetLoad(0)
	}
}

// moveCount counts the parcels of clients that went from one worker to another.
func (s *simulation) moveCount() (n int) {
	for _, p := range s.proxies {
		n += int(p.moved.Load())
	}
	return n
}
