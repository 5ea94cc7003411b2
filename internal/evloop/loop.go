// Package evloop is nutmeg's event loop: a poller, sockets, output queues and timers, on one goroutine.
//
// The loop works in batches. One Wait returns the connections that are ready; their handlers are told of bytes that came
// and of connections that closed, and append to outputs; at the end of the batch every connection with output is written
// to once. Writability is asked for only after a short write, so a request costs one read and one write on each side.
//
//	Wait ─► ready connections ─► handler.Received ─► conn.Send ... ─► Batch ─► one write for each connection with output
//	          inbox, timers  ─┘
//
// The loop knows no protocol. Handlers never ask whether a socket is readable; everything outside is behind Outside.
// All of a loop and its connections belongs to the goroutine that runs it; only Post and Wake may be called from others.
package evloop

import (
	"sync"
	"sync/atomic"

	"nutmeg/internal/buffer"
)

const (
	eventsPerWait = 1024
	// readsPerTurn bounds how long one busy connection keeps the others of its batch waiting. Beyond one read it matters to large
	// values alone: the more of one is read before it is written, the fewer are the wake-ups on both sides.
	readsPerTurn = 4
)

// Loop is one event loop.
type Loop struct {
	outside Outside
	batch   Batch
	now     int64

	Chunks buffer.Pool   // free chunks of all buffers of the loop's goroutine
	read   *buffer.Chunk // what the next read fills

	slots     []*slotPage
	used      uint32               // slots that have ever been in use
	listeners map[uint32]*Listener // by slot
	freeSlots []uint32
	events    []Event
	dialed    dirtyList // connections with output to write in this batch: those that were dialed,
	accepted  dirtyList // and those that were accepted
	holding   holding   // of these: those whose output waits for more
	timers    timerHeap
	open      int

	posted  atomic.Bool
	stopped bool
	inboxMu sync.Mutex // guards inbox
	inbox   []func()
	running []func()
}

// Batch is told when all that one Wait returned has been handled. What it appends to outputs is still written in the same batch.
type Batch interface {
	BatchDone()
}

// slot says what a token stands for. The generation tells a late event for a closed socket from one for its successor.
type slot struct {
	conn       *Conn // nil for a listener
	generation uint32
}

// slotPage is some of the loop's slots. There are more with time, and none moves: it would take the room of both for a while.
type slotPage [256]slot

func (l *Loop) slot(index uint32) *slot {
	return &l.slots[index/uint32(len(slotPage{}))][index%uint32(len(slotPage{}))]
}

// New returns a loop over outside. Run or Step drives it.
func New(outside Outside, batch Batch) *Loop {
	l := &Loop{outside: outside, batch: batch, events: make([]Event, eventsPerWait), listeners: map[uint32]*Listener{}}
	l.read = l.Chunks.Get(buffer.LargeBytes)
	l.now = outside.Now()
	return l
}

// Now is the time of the current batch in nanoseconds since some fixed moment. It never goes back.
func (l *Loop) Now() int64 { return l.now }

// Outside is what the loop was made over.
func (l *Loop) Outside() Outside { return l.outside }

// Open is the number of sockets that the loop holds: connections, also those under way, and listeners.
func (l *Loop) Open() int { return l.open }

// Run handles batches until Stop.
func (l *Loop) Run() error {
	for !l.stopped {
		if err := l.Step(true); err != nil {
			return err
		}
	}
	return nil
}

// Stop makes Run return after the current batch. Other goroutines post it.
func (l *Loop) Stop() { l.stopped = true }

// Step handles one batch. It waits for something to happen if wait is set.
func (l *Loop) Step(wait bool) error {
	timeout := int64(0)
	if wait && !l.posted.Load() && !l.dirty() && !l.Holding() {
		timeout = l.timers.wait(l.now)
	}
	n, err := l.outside.Wait(l.events, timeout)
	if err != nil {
		return err
	}
	l.now = l.outside.Now()
	l.holding.reconsider(n, l.now, &l.accepted)
	for i := range l.events[:n] {
		l.dispatch(&l.events[i])
	}
	if l.posted.Load() {
		l.runInbox()
	}
	l.timers.expire(l.now)
	l.batch.BatchDone()
	for l.dirty() {
		l.flush()
		l.batch.BatchDone()
	}
	return nil
}

func (l *Loop) dispatch(e *Event) {
	s := l.slot(uint32(e.Token))
	if s.generation != uint32(e.Token>>32) {
		return // closed earlier in this batch
	}
	if s.conn != nil {
		s.conn.ready(e)
	} else if listener := l.listeners[uint32(e.Token)]; listener != nil {
		listener.ready()
	}
}

// dirtyList is connections with output, in the order in which they got it.
type dirtyList struct{ first, last *Conn }

func (d *dirtyList) push(c *Conn) {
	c.nextDirty = nil
	if d.first == nil {
		d.first = c
	} else {
		d.last.nextDirty = c
	}
	d.last = c
}

func (l *Loop) dirty() bool { return l.dialed.first != nil || l.accepted.first != nil }

// flush writes the outputs of all connections that have some. Failures can make more connections dirty.
//
// Dialed connections come first: what they lead to gets to work while the others, mostly many more, are written to.
func (l *Loop) flush() {
	for c := l.dialed.take(); c != nil; {
		c = c.flush()
	}
	for c := l.accepted.take(); c != nil; {
		if next := c.nextDirty; l.holding.hold(c, l.now) {
			c = next
		} else {
			c = c.flush()
		}
	}
}

// take empties the list, and returns its first connection.
func (d *dirtyList) take() *Conn {
	c := d.first
	*d = dirtyList{}
	return c
}

// Post hands fn to the loop, which calls it on its own goroutine within the next batch. Any goroutine may call Post.
// Functions of one caller run in the order in which it posted them.
func (l *Loop) Post(fn func()) {
	l.inboxMu.Lock()
	l.inbox = append(l.inbox, fn)
	l.inboxMu.Unlock()
	if !l.posted.Swap(true) {
		l.outside.Wake()
	}
}

func (l *Loop) runInbox() {
	l.posted.Store(false)
	l.inboxMu.Lock()
	l.running, l.inbox = l.inbox, l.running[:0]
	l.inboxMu.Unlock()
	for i, fn := range l.running {
		fn()
		l.running[i] = nil
	}
}

func (l *Loop) register(conn *Conn, listener *Listener) uint32 {
	var index uint32
	if n := len(l.freeSlots); n > 0 {
		index = l.freeSlots[n-1]
		l.freeSlots = l.freeSlots[:n-1]
	} else {
		index = l.used
		if l.used++; int(index) == len(l.slots)*len(slotPage{}) {
			l.slots = append(l.slots, new(slotPage))
		}
	}
	s := l.slot(index)
	if s.conn = conn; listener != nil {
		l.listeners[index] = listener
	}
	l.open++
	return index
}

func (l *Loop) unregister(index uint32) {
	s := l.slot(index)
	if s.conn == nil {
		delete(l.listeners, index)
	}
	s.conn = nil
	s.generation++
	l.freeSlots = append(l.freeSlots, index)
	l.open--
}

func (l *Loop) token(index uint32) uint64 {
	return uint64(l.slot(index).generation)<<32 | uint64(index)
}

// Detach takes the chunk that the current Received call was given bytes of, with bytes [start, end) of it, out of the
// loop's hands: a large value goes on in the memory that it was read into. The caller owns the chunk from then on; what is
// appended behind it in a buffer takes the rest of its room.
func (l *Loop) Detach(start, end int) *buffer.Chunk {
	c := l.read
	c.SetRange(start, end)
	l.read = l.Chunks.Get(buffer.LargeBytes)
	return c
}
