package proxy

import "slices"

// How a mover gives clients away: those that are at rest at the end of a batch, a few in each.

const (
	// looksPerBatch and movesPerBatch bound how much later a request is for it: far less than a millisecond.
	looksPerBatch = 64
	movesPerBatch = 16
	// coaxesAtOnce is how many clients at a time are not read from to bring them to rest.
	coaxesAtOnce = 4
)

// give gives away those clients that are at rest just now, as many as one batch may.
func (b *mover) give() {
	w := b.worker
	p, now := w.proxy, w.loop.Now()
	if !w.mayGive() || now >= b.until || b.left <= 0 || len(b.coaxed) > 0 && now >= b.coaxUntil {
		b.endGift()
		return
	}
	// Who asks all workers about their clients must find each client on one of them: see client.inquire.
	p.moving.Add(1)
	if p.asking.Load() != 0 {
		p.moving.Add(-1)
		return
	}
	b.pick()
	if len(b.parcel) == 0 {
		p.moving.Add(-1)
		b.coax()
		return
	}
	p.moved.Add(1)
	b.given += len(b.parcel)
	b.left -= len(b.parcel)
	w.stats.ClientMoves += int64(len(b.parcel))
	to, parcel := b.to, b.parcel
	b.parcel = nil
	to.loop.Post(func() {
		for i := range parcel {
			to.takeIn(&parcel[i])
		}
		p.moving.Add(-1)
	})
	if b.left <= 0 {
		b.endGift()
	}
}

// pick fills the parcel.
func (b *mover) pick() {
	w := b.worker
	for i, c := range b.coaxed {
		if c != nil && c.settled() && len(b.parcel) < b.left {
			b.coaxed[i] = nil
			b.parcel = append(b.parcel, c.leaveFor(b.to))
		}
	}
	if len(b.parcel) > 0 {
		return
	}
	for range looksPerBatch {
		c := b.cursor
		if c == nil {
			if c = w.clients; c == nil {
				return
			}
		}
		b.cursor = c.next
		if c.settled() && (b.all || c.isActive()) {
			b.parcel = append(b.parcel, c.leaveFor(b.to))
			if len(b.parcel) >= min(movesPerBatch, b.left) {
				return
			}
		}
		if b.cursor == nil {
			b.looked = true
			return // the next batch begins anew
		}
	}
}

// coax stops reading from some clients of a busy worker for a moment, if none has come to rest by itself: connections that many requests share
// always have some in flight. What is in flight is answered meanwhile, and then they go. If that takes too long, for a server is slow,
// they are read from again, and stay.
func (b *mover) coax() {
	w := b.worker
	now := w.loop.Now()
	if len(b.coaxed) > 0 || b.all || !b.looked || b.given > 0 {
		return
	}
	c := w.clients
	for skip := w.loop.Outside().Random() % looksPerBatch; skip > 0 && c != nil; skip-- {
		c = c.next
	}
	for range looksPerBatch {
		if c == nil {
			if c = w.clients; c == nil {
				return
			}
		}
		if c.portable() && c.isActive() && !slices.Contains(b.coaxed, c) {
			c.conn.Pause()
			if !c.gone {
				b.coaxed = append(b.coaxed, c)
			}
			if len(b.coaxed) == min(coaxesAtOnce, b.left) {
				break
			}
		}
		c = c.next
	}
	b.coaxUntil = now + w.proxy.pace.coax
	w.loop.Arm(&b.timer, b.coaxUntil, b)
}

// letBe reads from clients again that were to come to rest.
func (b *mover) letBe() {
	w := b.worker
	for i, c := range b.coaxed {
		b.coaxed[i] = nil
		if c == nil {
			continue
		}
		if !c.gone && !c.leaving && !c.stalled && w.departure == nil {
			c.conn.Resume()
		}
	}
	b.coaxed = b.coaxed[:0]
}

func (b *mover) endGift() {
	b.letBe()
	p := b.worker.proxy
	rest := p.pace.settle
	if b.given == 0 {
		rest = p.pace.keep * 3 // nobody could go; it will be so for a while
	}
	b.restUntil = max(b.restUntil, b.worker.loop.Now()+rest)
	b.meter.begin(b.sample()) // what was before says nothing any more
	b.to, b.cursor = nil, nil
}

// moverRest is the mover as the handler of its second timer.
type moverRest mover

// Expired closes server connections that nobody has needed for a while: servers shall not have more of them than there are workers at
// work. Those of pools that preconnect stay: they are meant to be there before clients are. So do those of the first worker, which
// clients come to first.
func (r *moverRest) Expired() {
	b := (*mover)(r)
	w := b.worker
	b.own = true
	if w.guests > 0 || w.proxy.busyMark.Load() == 0 {
		return
	}
	b.rested = true
	for conn := w.conns; conn != nil; {
		next := conn.next
		if !conn.server.pool.conf.Preconnect {
			conn.retire()
		}
		conn = next
	}
}
