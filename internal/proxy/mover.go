package proxy

import (
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
	idle      int   // ticks since the worker last did something worth counting

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
	// giveInterval is between two batches of a worker that gives clients away and has nothing else to do.
	giveInterval = int64(10 * time.Millisecond)
	// idleTicks is for how many ticks a worker that has fallen idle looks for another one to give its clients to.
	idleTicks = 40
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
	if b.idle++; share > 0 || w.batches.Load() > 0 {
		b.idle = 0
	}
	switch {
	case b.to != nil:
		w.loop.Arm(&b.timer, now+min(giveInterval, w.proxy.pace.tick), b)
	case b.idle == 0 || b.idle < idleTicks && w.index > 0 && w.load.Load() > 0:
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

// received says that the worker has got clients: it keeps what it has for a while.
func (b *mover) received() {
	w := b.worker
	if b.to != nil {
		b.endGift()
	}
	b.restUntil = w.loop.Now() + w.proxy.pace.keep
	b.meter.begin(b.sample())
}
