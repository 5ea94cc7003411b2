package proxy

import (
	"slices"
	"time"

	"nutmeg/internal/evloop"
)

// mover has a worker give clients to others, and says how busy it is. It is there if the proxy has more than one worker, and of
// the worker's goroutine. Each worker decides for itself, and only about its own clients.
//
// While its worker has something to do it looks around each tick. Nothing wakes a worker that has nothing to do.
type mover struct {
	worker    *worker
	timer     evloop.Timer
	meter     meter
	standings []standing
	own       bool  // the batch is one for the timer
	restUntil int64 // until when the worker gives nobody away

	to     *worker // who gets clients now; nil: nobody
	left   int     // how many active ones
	all    bool    // or of whatever there is
	until  int64   // when it ends in any case
	given  int
	cursor *client // who is looked at next; nil: the first
	looked bool    // at all clients, once at least
	parcel []traveller

	coaxed    []*client // those that are not read from, so that they come to rest
	coaxUntil int64     // until when at most

	rest   evloop.Timer // of a worker without clients: when its server connections are closed
	rested bool         // they have been
}

// pace is how fast workers take turns. Tests are in more of a hurry.
type pace struct {
	tick   int64 // between two looks
	settle int64 // for which a worker that has got clients gets no others, and one that has given some gives no others
	keep   int64 // for which a worker gives away nobody after it has got clients: so a client does not go to and fro
	rest   int64 // after which server connections of a worker without clients are closed
	coax   int64 // for which a client is not read from to bring it to rest, at most
}

var usualPace = pace{
	tick:   int64(250 * time.Millisecond),
	settle: int64(time.Second),
	keep:   int64(3 * time.Second),
	rest:   int64(30 * time.Second),
	coax:   int64(time.Millisecond),
}

const (
	// looksPerBatch and movesPerBatch bound how much later a request is for it: far less than a millisecond.
	looksPerBatch = 64
	movesPerBatch = 16
	// giveInterval is between two batches of a worker that gives clients away and has nothing else to do.
	giveInterval = int64(10 * time.Millisecond)
	// coaxesAtOnce is how many clients at a time are not read from to bring them to rest.
	coaxesAtOnce = 4
	// activeWithin is how long ago a client that is active has said something.
	activeWithin = int64(time.Second)
	// activeSample is of how many clients it is counted how many are active.
	activeSample = 512
)

func newMover(w *worker) *mover { return &mover{worker: w} }

// batchDone is called behind what a batch brought, and again when its outputs have been written: then clients are at rest that are
// not for long.
func (b *mover) batchDone() {
	w := b.worker
	if b.to != nil {
		b.give()
	}
	own := b.own
	b.own = false
	if own || w.proxy.busyMark.Load() == 0 {
		return
	}
	if !b.timer.Armed() {
		b.meter.begin(b.sample())
		w.loop.Arm(&b.timer, w.loop.Now()+w.proxy.pace.tick, b)
	}
	switch {
	case w.guests > 0:
		b.rested = false
	case w.index > 0 && !b.rested && !b.rest.Armed():
		w.loop.Arm(&b.rest, w.loop.Now()+w.proxy.pace.rest, (*moverRest)(b))
	}
}

func (b *mover) sample() sample {
	worked, process := b.worker.loop.Outside().Busy()
	return sample{b.worker.loop.Now(), worked, process}
}

// Expired looks around.
func (b *mover) Expired() {
	w := b.worker
	b.own = true
	mark := int(w.proxy.busyMark.Load())
	now := w.loop.Now()
	switch {
	case mark == 0:
		b.endGift()
		w.share.Store(0)
		w.batches.Store(0)
		return
	case b.to != nil && now < b.meter.samples[meterWindow].at+w.proxy.pace.tick: // it is for giving that the timer has come
		w.loop.Arm(&b.timer, now+min(giveInterval, w.proxy.pace.tick), b)
		return
	}
	b.meter.add(b.sample())
	share := b.publish()
	if b.to == nil && b.meter.settled() && now >= b.restUntil {
		b.consider(mark)
	}
	switch {
	case b.to != nil:
		w.loop.Arm(&b.timer, now+min(giveInterval, w.proxy.pace.tick), b)
	case share > 0 || w.batches.Load() > 0 || w.load.Load() > 0 && b.meter.count <= settledWindow:
		w.loop.Arm(&b.timer, now+w.proxy.pace.tick, b)
	}
}

// publish tells the others how busy the worker is.
func (b *mover) publish() (share int) {
	w := b.worker
	batches, process := b.meter.measure()
	w.batches.Store(int32(batches))
	all := 0
	for _, other := range w.proxy.workers {
		all += int(other.batches.Load())
	}
	share = shareOf(batches, all, process)
	w.share.Store(int32(share))
	return share
}

// standingsNow is how the workers stand, by index.
func (p *Proxy) standingsNow(into []standing, now int64) []standing {
	into = into[:0]
	for _, w := range p.workers {
		into = append(into, standing{share: int(w.share.Load()), clients: int(w.load.Load()), waits: w.takenUntil.Load() > now})
	}
	return into
}

// consider begins to give clients away if that is good for something.
func (b *mover) consider(mark int) {
	w := b.worker
	p, now := w.proxy, w.loop.Now()
	if !w.mayGive() {
		return
	}
	b.standings = p.standingsNow(b.standings, now)
	active := 0
	if b.standings[w.index].share >= mark {
		active = b.active()
	}
	g, ok := decide(b.standings, w.index, active, mark)
	if !ok {
		return
	}
	to := p.workers[g.to]
	if !w.claim(now) || !to.claim(now) {
		return // another worker was faster
	}
	b.to, b.left, b.all, b.given, b.cursor, b.looked = to, g.count, g.all, 0, nil, false
	b.until = now + p.pace.settle
	if b.all {
		b.left = int(w.load.Load())
	}
}

// claim keeps others from giving the worker clients for a while, and reports false if somebody else does.
func (w *worker) claim(now int64) bool {
	until := w.takenUntil.Load()
	return until <= now && w.takenUntil.CompareAndSwap(until, now+w.proxy.pace.settle)
}

// active estimates how many clients have said something of late.
func (b *mover) active() int {
	w := b.worker
	seen, active := 0, 0
	for c := w.clients; c != nil && seen < activeSample; c = c.next {
		seen++
		if c.isActive() {
			active++
		}
	}
	if seen == 0 {
		return 0
	}
	return active * max(seen, int(w.load.Load())) / seen
}

func (c *client) isActive() bool { return c.worker.loop.Now()-c.lastActive < activeWithin }

// mayGive reports whether clients may be moved at all: not while the proxy takes leave of its clients or goes over to another configuration.
func (w *worker) mayGive() bool { return w.departure == nil && !w.proxy.still.Load() }

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

// received says that the worker has got clients: it keeps what it has for a while.
func (b *mover) received() {
	w := b.worker
	if b.to != nil {
		b.endGift()
	}
	b.restUntil = w.loop.Now() + w.proxy.pace.keep
	b.meter.begin(b.sample())
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
