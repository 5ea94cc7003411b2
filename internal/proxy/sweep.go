package proxy

import (
	"math"
	"time"

	"nutmeg/internal/evloop"
)

// sweep looks over a worker's clients now and then for those whose time is over. One timer serves all of them: a request
// that comes in time costs nothing. It is armed only while something can expire.
//
// A client is looked at a bounded number of times in the time that it has, however many others there are; and looking at
// all of them is done in slices, a batch each, so that requests do not wait for it.
type sweep struct {
	worker *worker
	timer  evloop.Timer
	at     int64 // when the timer fires, while it is armed

	underway bool
	cursor   *client // the next to look at, while a sweep is under way
	next     int64   // likewise: when the next sweep has to happen
}

const (
	// minSweep is the least time between two sweeps, and sweepGrain the least part of a client's time: so much later than
	// configured a client may be closed.
	minSweep   = int64(100 * time.Millisecond)
	sweepGrain = 64
	// sweepSlice is how many clients are looked at in one batch.
	sweepSlice = 1024
)

// coarse is a time at or after at, with few different ones in each timeout: what is due at about the same time shares a sweep.
func coarse(at, timeout int64) int64 {
	grain := max(minSweep, timeout/sweepGrain)
	if at > math.MaxInt64-grain {
		return math.MaxInt64
	}
	return (at + grain - 1) / grain * grain
}

// by makes the next sweep happen at a time, or before it.
func (s *sweep) by(at int64) {
	switch {
	case s.underway:
		s.next = min(s.next, at)
	case !s.timer.Armed() || at < s.at:
		s.at = at
		s.worker.loop.Arm(&s.timer, at, s)
	}
}

// Expired looks at the next slice of all clients.
func (s *sweep) Expired() {
	w := s.worker
	now := w.loop.Now()
	if !s.underway {
		s.underway, s.cursor, s.next = true, w.clients, math.MaxInt64
	}
	for range sweepSlice {
		c := s.cursor
		if c == nil {
			break
		}
		s.cursor = c.next
		s.next = min(s.next, c.expire(now))
	}
	if s.cursor != nil {
		w.loop.Arm(&s.timer, now, s) // in the next batch
		return
	}
	s.underway = false
	if s.next != math.MaxInt64 {
		s.by(max(s.next, now+minSweep))
	}
}

// forget passes over a client that leaves while a sweep is under way.
func (s *sweep) forget(c *client) {
	if s.cursor == c {
		s.cursor = c.next
	}
}

// limitsChanged makes new limits count for clients that are there already. A reload calls it on each worker.
func (w *worker) limitsChanged() {
	w.sweep.by(w.loop.Now())
	for c := w.clients; c != nil; c = c.next {
		c.checkOverflow()
	}
}

// watchIdle makes sure that a new client is looked at when it may have been idle for too long.
func (c *client) watchIdle() {
	c.lastActive = c.worker.loop.Now()
	if idle := int64(c.pool.conf.Limits.ClientIdle); idle > 0 {
		c.worker.sweep.by(coarse(c.lastActive+idle, idle))
	}
}

// watchCut notes when a request began that has not come whole.
func (c *client) watchCut() {
	c.cut.since = c.worker.loop.Now()
	if timeout := int64(c.pool.conf.Limits.RequestTimeout); timeout > 0 {
		c.worker.sweep.by(coarse(c.cut.since+timeout, timeout))
	}
}

// expire ends the client if its time is over, and returns when to look again.
func (c *client) expire(now int64) (next int64) {
	limits := &c.pool.conf.Limits
	timeout, idle := int64(limits.RequestTimeout), int64(limits.ClientIdle)
	next = math.MaxInt64
	if at := c.expireHeld(now); at > 0 {
		next = at
	}
	if c.leaving {
		return next
	}
	if c.cut != nil && idle > 0 {
		next = min(next, coarse(now+idle, idle)) // it may be idle behind its request, which nothing else will tell of
	}
	switch {
	case c.cut != nil && timeout > 0:
		if c.stalled {
			c.cut.since = now // it is the proxy that does not read
		}
		next = min(next, coarse(c.cut.since+timeout, timeout))
		if c.cut.since+timeout <= now {
			c.hit(limitRequestTime)
			c.dropCut()
			c.pool.protocol.tooSlow(c)
			return math.MaxInt64
		}
	case c.cut == nil && idle > 0:
		if c.waits() {
			c.lastActive = now
		}
		if c.lastActive+idle <= now {
			c.hit(limitIdle)
			c.sayGoodbye(false)
			return math.MaxInt64
		}
		next = min(next, coarse(c.lastActive+idle, idle))
	}
	return next
}

// waits reports whether the client has something to come, or the proxy something to do for it.
func (c *client) waits() bool {
	return c.requests > 0 || c.conn.Unsent() > 0 || c.stalled || c.holding || c.subscribed() || c.monitors()
}
