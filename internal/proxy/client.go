package proxy

import (
	"log/slog"

	"nutmeg/internal/buffer"
	"nutmeg/internal/evloop"
)

// heldBytes is the mark on the bytes that one client makes the proxy hold: requests without a response, responses that
// wait for their turn, output that the client has not read. Above it nothing more is taken from the client until half is gone.
const heldBytes = 1 << 20

// client is one connection that an application opened. It implements evloop.Handler.
type client struct {
	conn   evloop.Conn
	worker *worker
	pool   *workerPool

	queue    clientQueue
	cut      *intake       // the request that has come in part, nil between requests
	unparsed buffer.Buffer // input that waits until less is held
	held     int           // bytes held for the client, apart from its output
	expected int           // bytes that a response is expected to have
	serial   uint32        // picks among several connections to a server

	authenticated bool // knows the pool's password, or needs none
	ended         bool // sends no more
	leaving       bool // shall be closed after the responses that it waits for; its input is dropped
	stalled       bool // not read from because it is above its mark
	resuming      bool // in the worker's list of clients to read from again
	broken        bool // sent what is not the protocol
	gone          bool

	nextResuming   *client
	previous, next *client // the worker's clients
}

// Opened is for connections that were dialed; clients never are.
func (c *client) Opened() {}

// Received takes what the client sent.
func (c *client) Received(data []byte) {
	c.parse(data, input{whole: data})
	if c.worker.departure != nil {
		c.takeLeave()
	}
}

// parse takes requests out of data. Each request goes on its way before the next is looked at.
func (c *client) parse(data []byte, source input) {
	for len(data) > 0 && !c.leaving {
		if c.held+c.conn.Unsent() > c.worker.heldMark {
			c.stall(data, source)
			return
		}
		data = data[c.pool.protocol.request(c, data, source):]
		if d := c.worker.departure; d != nil && d.give == nil && c.cut == nil && source.whole != nil {
			c.leave() // what else has just come is dropped
		}
	}
}

func (c *client) stall(rest []byte, source input) {
	c.worker.store(&c.unparsed, rest, source)
	c.stalled = true
	c.conn.NotifyFlushed(true)
	c.conn.Pause()
}

// relieve has the client read from again when enough of what it held is gone.
func (c *client) relieve() {
	if c.stalled && !c.resuming && c.held+c.conn.Unsent() < c.worker.heldMark/2 {
		c.resuming = true
		c.nextResuming = c.worker.resuming
		c.worker.resuming = c
	}
}

// resume parses the input that waited, and reads on if that does not stall the client again.
func (c *client) resume() {
	chunks := &c.worker.loop.Chunks
	waiting := c.unparsed
	c.unparsed = buffer.Buffer{}
	c.stalled = false
	for waiting.Len() > 0 && !c.stalled && !c.leaving && !c.gone {
		data := waiting.First().Bytes()
		c.parse(data, input{})
		waiting.Discard(chunks, len(data))
	}
	switch {
	case c.gone || c.leaving:
		waiting.Reset(chunks)
	case c.stalled:
		c.unparsed.Take(chunks, &waiting)
	default:
		c.conn.NotifyFlushed(false)
		c.conn.Resume()
		c.takeLeave()
	}
}

// Flushed says that output has left.
func (c *client) Flushed() {
	c.relieve()
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
	c.leaveIfIdle()
}

// Closed says that the connection is gone.
func (c *client) Closed(err error) {
	if c.worker.log.Enabled(c.worker.context, slog.LevelDebug) {
		c.worker.log.Debug("client connection failed", "pool", c.pool.name(), "cause", err)
	}
	c.worker.guests--
	c.depart(c.ended)
}

// leave closes the client once it has all responses that it waits for. Further input is dropped.
func (c *client) leave() {
	c.leaving = true
	c.leaveIfIdle()
}

func (c *client) leaveIfIdle() {
	if (c.leaving || c.ended) && c.queue.oldest == nil && !c.gone {
		c.conn.CloseGracefully(c.worker.lingered)
		c.depart(!c.broken)
	}
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
	for c.queue.oldest != nil {
		r := c.queue.pop()
		r.client = nil
		r.response.Reset(&w.loop.Chunks)
		if r.done {
			w.freeRequest(r)
		}
	}
	c.unparsed.Reset(&w.loop.Chunks)
	c.dropCut()
	c.pool.forget(c)
}

func (c *client) dropCut() {
	if c.cut != nil {
		c.worker.release(c, c.cut)
	}
}

// reply answers a request of the client without a server, in its turn.
func (c *client) reply(text []byte) {
	if c.queue.oldest == nil {
		c.conn.Send(text)
		return
	}
	r := c.worker.newRequest()
	r.response.Append(&c.worker.loop.Chunks, text)
	c.accept(r, len(text))
	r.done = true
}

// firstExpected is how large a response is expected to be before there was one: so large that a new client, which may read
// large values and read them slowly, does not begin with thousands of them; so small that pipelines of usual depth pass.
const firstExpected = 8 << 10

// learn takes a response's size into account. What is expected rises at once and falls slowly: a client that reads large
// values has few requests in flight, so that it cannot have the proxy collect more of them than its mark allows.
func (c *client) learn(size int) {
	if size >= c.expected {
		c.expected = size
	} else {
		c.expected -= (c.expected - size + 15) / 16
	}
}

// accept puts a request into the client's queue. Size is what it makes the proxy hold, apart from its response.
func (c *client) accept(r *request, size int) {
	r.client = c
	r.charge = size + requestOverhead + c.expected
	c.held += r.charge
	c.queue.push(r)
}

// answer hands over the complete response of r: flat, or what r has collected if that is nil. The request ends with it.
func (w *worker) answer(r *request, flat []byte) {
	if r.parent != nil {
		w.fragmentAnswered(r, flat)
		return
	}
	c := r.client
	switch {
	case c == nil:
		w.swallow(r)
		return
	case c.queue.oldest != r:
		if flat != nil {
			r.response.Append(&w.loop.Chunks, flat)
		}
		r.done = true
		r.charge += r.response.Len()
		c.held += r.response.Len()
		c.learn(r.response.Len())
		return
	case flat != nil:
		c.learn(len(flat))
		c.conn.Send(flat)
	default:
		c.learn(r.response.Len())
		c.conn.SendBuffer(&r.response)
	}
	c.settle()
	for next := c.queue.oldest; next != nil && next.done; next = c.queue.oldest {
		c.conn.SendBuffer(&next.response)
		c.settle()
	}
	c.relieve()
	c.leaveIfIdle()
}

// acceptSilent charges the client for a request whose response it does not want. It has no turn to wait for.
func (c *client) acceptSilent(r *request, size int) {
	r.silent = c
	r.charge = size + requestOverhead
	c.held += r.charge
}

// swallow ends a request whose response nobody waits for.
func (w *worker) swallow(r *request) {
	if c := r.silent; c != nil && !c.gone {
		c.held -= r.charge
		c.relieve()
		c.takeLeave()
	}
	w.freeRequest(r)
}

// settle ends the oldest request, whose response is in the output.
func (c *client) settle() {
	r := c.queue.pop()
	c.held -= r.charge
	c.worker.freeRequest(r)
}
