package proxy

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"nutmeg/internal/buffer"
	"nutmeg/internal/evloop"
	"nutmeg/internal/stats"
)

// worker is one event loop with everything it owns. Only its own goroutine touches it, but for what is atomic.
type worker struct {
	proxy   *Proxy
	index   int
	loop    *evloop.Loop
	log     *slog.Logger
	context context.Context // for asking the log whether a level is on
	stats   *stats.Worker

	generation *generation
	pools      []*workerPool           // of the generation, in its order
	poolOf     map[*census]*workerPool // the same
	conns      *serverConn             // all that are open, also of servers and pools that are no more

	clients    *client       // all of them, likewise
	leavers    *client       // those that are being closed gracefully
	turnedAway int           // others that are, and never were clients
	sawOff     func()        // one of these is gone
	guests     int           // how many all of them are
	departure  *departure    // set while all clients are to leave
	deserted   bool          // and the last one has
	resuming   []*client     // those to read from again at the end of the batch
	load       atomic.Int64  // how many clients and leavers, and clients on their way here; others read it, and add to it
	batches    atomic.Int32  // for which part of its time it works on batches, in thousandths; others read this and the next
	share      atomic.Int32  // likewise, of its processor time
	takenUntil atomic.Int64  // until then it gets no clients but from who has set this; others set it
	mover      *mover        // nil if there is no other worker
	taped      []*workerPool // with a tape to play at the end of the batch
	tapes      atomic.Int64  // bytes of those on their way here; other workers add
	wall       int64         // the time of day at wallOf, in microseconds
	wallOf     int64
	flowBytes  int // how much of a response has to be there for it to flow,
	flowAhead  int // and by how much it may be ahead of its client then
	heldMark   int // stands in for client_buffer where that is more: while memory is short

	relieved     *serverConn // those whose crowd goes on at the end of the batch
	sweep        sweep
	quiet        [numLimits]quiet
	requests     int   // in use
	familyBytes  int   // of what families know of their keys
	nameBytes    int   // of what clients are subscribed to
	published    int64 // of the sum of what all workers hold, the worker's part
	pressure     pressure
	starvedSince int64

	intake       *intake // parses requests that come whole
	freeIntakes  *intake
	freeBacklogs *backlog
	freeRequests *request
	freeCount    int
	freeLow      int // the least that there were since the last trimRequests: so many were not needed
	freeFamilies *family
	freeEncores  *encore

	// Scratch: each is used within one function and what it calls, never across batches.
	message     message
	flat        []byte
	withCR      buffer.Buffer // a memcached request that gets a CR; empty between requests
	inline      []byte
	scratch     []byte
	errandText  []byte
	positions   []int
	tally       []int32  // by server: keys of the request at hand; all zero between requests
	childOf     []int32  // by server: its child in the family at hand
	sources     []source // in the order of childOf: what their responses are merged from
	childConns  []*serverConn
	childStarts []uint64

	resolver resolver
	trim     evloop.Timer
	released int // bytes that Trim let go since memory was given back
}

func newWorker(p *Proxy, index int, outside evloop.Outside) *worker {
	w := &worker{proxy: p, index: index, log: p.log, context: context.Background(), heldMark: pressureMarks[pressureNone], flowBytes: flowBytes, flowAhead: flowAhead}
	w.sweep.worker = w
	w.loop = evloop.New(outside, w)
	w.intake = w.newIntake()
	w.stats = &stats.Worker{}
	w.sawOff = func() { w.guests, w.turnedAway = w.guests-1, w.turnedAway-1 }
	w.resolver.worker = w
	return w
}

const (
	// trimInterval is how often memory that a burst took is looked at.
	trimInterval = int64(time.Second)
	// keptBytes is how much free memory a worker keeps without asking whether it needs it.
	keptBytes = 512 << 10
	// returnBytes is from how much released memory on the operating system gets it back at once.
	returnBytes = 8 << 20
)

// BatchDone does what is done once for all that a batch brought.
func (w *worker) BatchDone() {
	w.resumeClients()
	if len(w.taped) > 0 {
		w.playTapes()
		w.resumeClients() // those that are closed for it
	}
	if w.mover != nil {
		w.mover.batchDone()
	}
	w.checkDeserted()
	w.weigh()
	w.trimScratch()
	if (w.loop.Chunks.Idle() > keptBytes || w.freeCount > calmRequests) && !w.trim.Armed() {
		w.loop.Arm(&w.trim, w.loop.Now()+trimInterval, w)
	}
}

// keptScratch bounds the scratch that is kept for later: one request may have an argument of half a gigabyte.
const keptScratch = 256 << 10

// trimScratch lets go of scratch that one large request needed.
func (w *worker) trimScratch() {
	for _, scratch := range [...]*[]byte{&w.flat, &w.inline, &w.scratch, &w.errandText, &w.message.scratch} {
		if cap(*scratch) > keptScratch {
			w.released += cap(*scratch)
			*scratch = nil
		}
	}
	if cap(w.positions) > keptArgs {
		w.positions = nil
	}
	if cap(w.message.args) > keptArgs {
		w.message.args = nil // also the intake has let go of them
	}
}

// Expired gives back memory that nobody needed for a while.
func (w *worker) Expired() {
	w.released += w.loop.Chunks.Trim() + w.trimRequests()
	if w.released >= returnBytes && w.loop.Chunks.Idle() <= keptBytes {
		w.released = 0
		go debug.FreeOSMemory() // a collection; the loop goes on meanwhile
	}
}

// preconnect opens the first connection to every server of the pools that want it.
func (w *worker) preconnect() {
	for _, p := range w.pools {
		if !p.conf.Preconnect {
			continue
		}
		for _, s := range p.servers {
			if s.lane.conns[0] == nil {
				s.open(&s.lane, 0, nil)
			}
		}
	}
}

// snapshot copies the counters and fills in what is counted only when somebody asks.
func (w *worker) snapshot() *stats.Worker {
	w.stats.CurrConnections = int64(w.loop.Open())
	w.stats.Workers, w.stats.WorkersInUse, w.stats.Busy = 1, min(int64(w.guests), 1), int64(w.share.Load())
	w.countQueues()
	return w.stats.Clone()
}

func (w *worker) countQueues() {
	for _, p := range w.pools {
		for _, s := range p.servers {
			st := s.stats
			st.InQueue, st.InQueueBytes, st.OutQueue, st.OutQueueBytes = 0, 0, 0, 0
			st.Dedicated = int64(s.dedicated.open)
		}
	}
	for conn := w.conns; conn != nil; conn = conn.next {
		if conn.slot == slotRetired {
			continue
		}
		st := conn.server.stats
		for r := conn.queue.oldest; r != nil; r = r.behind {
			if r.end > conn.conn.Written() {
				st.InQueue++
				st.InQueueBytes += int64(r.sent)
			} else {
				st.OutQueue++
				st.OutQueueBytes += int64(r.sent)
			}
		}
	}
}

// shutdown closes everything. Clients' requests under way get no response.
func (w *worker) shutdown() {
	for c := w.clients; c != nil; {
		next := c.next
		c.conn.Close()
		c.depart(true)
		c = next
	}
	if w.index == 0 {
		for _, l := range w.proxy.listeners {
			l.close()
		}
	}
	for w.conns != nil {
		conn := w.conns
		conn.conn.Close()
		conn.fail(failShutdown)
	}
	for _, p := range w.pools {
		for _, s := range p.servers {
			w.loop.Disarm(&s.retry) // a probe that failed just now has armed it
		}
		p.endIdentities()
	}
	w.loop.Disarm(&w.trim)
	if w.mover != nil {
		w.loop.Disarm(&w.mover.timer)
		w.loop.Disarm(&w.mover.rest)
	}
	w.loop.Disarm(&w.resolver.timer)
	w.loop.Stop()
}

// admit begins to serve a client that the first worker has accepted for this one.
func (w *worker) admit(of *census, s evloop.Socket, serial uint32, state *clientState) {
	w.expectGuest()
	p := w.poolOf[of]
	if p == nil {
		w.lose(of, s)
		return
	}
	c := p.admit(s, serial)
	if state != nil && !c.gone {
		c.restore(state)
	}
	c.takeLeave()
}
