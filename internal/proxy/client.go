package proxy

import (
	"log/slog"

	"nutmeg/internal/evloop"
)

// client is one connection that an application opened. It implements evloop.Handler.
type client struct {
	conn   evloop.Conn
	worker *worker
	pool   *workerPool

	queue    clientQueue
	cut      *intake  // the request that has come in part, nil between requests
	unparsed *backlog // input that waits until less is held, nil unless stalled

	held      int    // bytes held for the client, apart from its output
	collected int    // of these: bytes of responses that are coming, or wait for their turn
	expected  int32  // bytes that a response is expected to have
	serial    uint32 // counts the clients of the proxy: its id, and picks among several connections to a server
	requests  int32  // in flight, also those that want no response
	guessed   uint8  // how many responses what is expected is still a guess for

	alone         bool // the next request waits until what is in flight is answered: it takes another connection than those before it
	holding       bool // session has a request that waits to be dispatched
	authenticated bool // knows the pool's password, or needs none
	ended         bool // sends no more
	leaving       bool // shall be closed after the responses that it waits for; its input is dropped
	stalled       bool // not read from because it is above its mark, or a server connection is
	resuming      bool // in the worker's list of clients to read from again
	overflowed    bool // shall be closed: too much waits for it, or it would miss messages
	torn          bool // shall be closed: a part is all that comes of the response that it gets
	broken        bool // sent what is not the protocol
	gone          bool

	lastActive int64    // when it last sent something, or something of it was answered
	burden     *burden  // of a client that weighs heavily on others; nil for most
	session    *session // what Redis keeps for a connection; nil until that differs from a new one's

	previous, next *client // the worker's clients
}

// Opened is for connections that were dialed; clients never are.
func (c *client) Opened() {}

// Received takes what the client sent.
func (c *client) Received(data []byte) {
	c.lastActive = c.worker.loop.Now()
	if c.stalled {
		c.hoard(data, input{whole: data})
	} else {
		c.parse(data, input{whole: data})
	}
	if c.worker.departure != nil {
		c.takeLeave()
	}
}

// parse takes requests out of data. Each request goes on its way before the next is looked at.
func (c *client) parse(data []byte, source input) {
	for len(data) > 0 && !c.leaving {
		if c.full() {
			c.stall(data, source)
			return
		}
		data = data[c.pool.protocol.request(c, data, source):]
		if d := c.worker.departure; d != nil && d.give == nil && c.cut == nil && source.whole != nil && !c.holding && !c.session.engaged() {
			c.leave() // what else has just come is dropped
		}
	}
}

func (c *client) stall(rest []byte, source input) {
	if !c.crowded() && !c.waitsInTurn() { // else its server counts it, or it is no limit
		c.hit(limitClientStall)
	}
	c.unparsed = c.worker.newBacklog()
	c.worker.store(&c.unparsed.Buffer, rest, source)
	c.stalled = true
	c.conn.NotifyFlushed(true)
	if c.mayWait() {
		c.conn.Resume() // it may have been stalled before it began to wait
	} else {
		c.conn.Pause()
	}
}

// blocked reports whether the client waits for a command that may take as long as it wants.
func (c *client) blocked() bool { return c.session != nil && c.session.blocked }

// hoard keeps more input of a client that is stalled and read from.
func (c *client) hoard(data []byte, source input) {
	c.worker.store(&c.unparsed.Buffer, data, source)
	if c.unparsed.Len() > c.mark() || !c.mayWait() {
		c.conn.Pause()
	}
}

// mayWait reports whether the client waits for what may take long: a command that blocks, or a connection of its own. It is read from
// meanwhile, as far as its input can be kept, so that the proxy knows when it leaves.
func (c *client) mayWait() bool { return c.blocked() || c.session != nil && c.session.queued != nil }

// watchLeaving reads from the client again, if it began to wait after it had been stalled.
func (c *client) watchLeaving() {
	if c.stalled && c.unparsed != nil && c.unparsed.Len() <= c.mark() {
		c.conn.Resume()
	}
}

// relieve has the client read from again when enough of what it held is gone.
func (c *client) relieve() {
	if c.stalled && c.drained() || c.holding && c.requests == 0 {
		c.callBack()
	}
}

// callBack puts the client into the list of those to look at when the batch has been handled.
func (c *client) callBack() {
	if !c.resuming {
		c.resuming = true
		c.worker.resuming = append(c.worker.resuming, c)
	}
}

// resume parses the input that waited, and reads on if that does not stall the client again.
func (c *client) resume() {
	switch {
	case c.overflowed:
		c.cutOff()
		return
	case c.torn:
		c.sayGoodbye(false)
		return
	}
	if c.holding {
		c.retry()
	}
	if !c.stalled || c.gone {
		c.leaveIfIdle()
		c.takeLeave()
		return
	}
	chunks := &c.worker.loop.Chunks
	waiting := c.unparsed
	c.unparsed = nil
	c.stalled = false
	for waiting.Len() > 0 && !c.stalled && !c.leaving && !c.gone {
		data := waiting.First().Bytes()
		c.parse(data, input{})
		waiting.Discard(chunks, len(data))
	}
	switch {
	case c.gone:
	case c.leaving:
		c.leaveIfIdle() // a request that was held may have been the last
	case c.stalled:
		c.unparsed.Take(chunks, &waiting.Buffer)
	default:
		c.notifyFlushed()
		c.conn.Resume()
		c.takeLeave()
	}
	c.worker.freeBacklog(waiting)
}

// Flushed says that output has left.
func (c *client) Flushed() {
	c.relieve()
	c.flowOn()
	c.listenAgain()
	c.takeLeave()
}

// EOF says that the client sends no more. It still gets its responses.
func (c *client) EOF() {
	if c.cut != nil {
		c.worker.log.Info("client closed inside a request, which is dropped", "pool", c.pool.name(), "client", c.conn.Peer(),
			"bytes", c.cut.rope.Len())
		c.dropCut()
	}
	c.ended = true
	if c.blocked() {
		c.sayGoodbye(true) // as Redis does; what the command would take is for others
		return
	}
	if c.holding {
		c.callBack() // which may be a command that would block
	}
	c.leaveIfIdle()
}

// Closed says that the connection is gone.
func (c *client) Closed(err error) {
	if c.worker.log.Enabled(c.worker.context, slog.LevelDebug) {
		c.worker.log.Debug("client connection failed", "pool", c.pool.name(), "cause", err)
	}
	c.depart(c.ended)
}

// leave closes the client once it has all responses that it waits for. Further input is dropped.
func (c *client) leave() {
	c.leaving = true
	c.leaveIfIdle()
}

func (c *client) leaveIfIdle() {
	if (c.leaving || c.ended) && c.queue.oldest == nil && !c.gone && !c.holding && !c.runsMuted() {
		c.sayGoodbye(!c.broken)
	}
}

// sayGoodbye closes the connection behind what is in its output. Until that has left, the client has its place among the
// worker's guests, and what it holds can be taken from it: it may never read.
func (c *client) sayGoodbye(orderly bool) {
	c.depart(orderly)
	w := c.worker
	link(&w.leavers, c)
	w.count(c, 1)
	c.conn.CloseGracefully(func() {
		unlink(&w.leavers, c)
		w.count(c, -1)
	})
}

// depart forgets the client. Requests of it that are on their way are answered to nobody.
func (c *client) depart(orderly bool) {
	if c.gone {
		return
	}
	if orderly {
		c.pool.stats.ClientEOF++
	} else {
		c.pool.stats.ClientErr++
	}
	c.vanish()
}

// vanish takes the client out of the books.
func (c *client) vanish() {
	c.gone = true
	c.leaving = true
	w := c.worker
	if c.crowded() {
		c.burden.conn.letGo(c)
	}
	if s := c.awaitedBy(); s != nil {
		s.readOn()
	}
	for c.queue.oldest != nil {
		r := c.queue.pop()
		r.client = nil
		r.response.Reset(&w.loop.Chunks)
		if r.done {
			w.freeRequest(r)
		} else if r.family != nil {
			r.family.dropResponses(w)
		}
	}
	if c.unparsed != nil {
		w.freeBacklog(c.unparsed)
		c.unparsed = nil
	}
	if c.session != nil {
		c.session.end(c)
	}
	c.dropCut()
	c.pool.forget(c)
}

func (c *client) dropCut() {
	if c.cut != nil {
		c.worker.release(c, c.cut)
	}
}
