package proxy

import "math"

// How a request enters and leaves its client's queue: what is charged for it meanwhile, and who gets its response.

// reply answers a request of the client without a server, in its turn.
func (c *client) reply(text []byte) {
	if c.session != nil && c.session.mutes() {
		return
	}
	c.tell(text)
}

// tell is reply for what the client gets whatever it said of responses.
func (c *client) tell(text []byte) {
	if c.queue.oldest == nil {
		c.conn.Send(text)
		return
	}
	r := c.worker.newRequest()
	c.await(r, 0)
	r.response.Append(&c.worker.loop.Chunks, text)
	r.collect(len(text))
	r.done = true
}

// firstExpected is how large a response is expected to be before there was one. A new client may read large values and
// read them slowly: with the usual mark it begins with 16 requests in flight.
const firstExpected = 64 << 10

// guessedResponses is how many responses it takes until what is expected is no guess any more.
const guessedResponses = 4

// learn takes a response's size into account. What is expected rises at once and falls slowly: a client that reads large
// values has few requests in flight, so that it cannot have the proxy collect more of them than its mark allows. The
// first guess falls fast, so that one round trip is all that a deep pipeline of small responses waits for.
func (c *client) learn(size int) {
	size = min(size, math.MaxInt32)
	excess := c.expected - int32(size)
	switch {
	case excess <= 0:
		c.expected = int32(size)
	case c.guessed > 0:
		c.expected -= excess - excess/8
	default:
		c.expected -= excess/16 + 1
	}
	if c.guessed > 0 {
		c.guessed--
	}
}

// accept puts a request into the client's queue. Size is what it makes the proxy hold, apart from its response.
func (c *client) accept(r *request, size int) {
	if c.session != nil && c.session.mutes() {
		c.acceptSilent(r, size)
		return
	}
	c.await(r, size)
}

// await is accept for what the client gets a response to whatever it said.
func (c *client) await(r *request, size int) {
	r.client = c
	r.charge = size + requestOverhead + int(c.expected)
	c.held += r.charge
	c.requests++
	c.queue.push(r)
}

// answer hands over the complete response of r: flat, or what r has collected if that is nil. The request ends with it.
func (w *worker) answer(r *request, flat []byte) {
	switch {
	case r.parent != nil:
		w.fragmentAnswered(r, flat)
		return
	case r.errand != nil:
		w.runErrand(r, flat)
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
			r.collect(len(flat))
		}
		r.done = true
		c.learn(r.response.Len())
		return
	case flat != nil:
		c.learn(len(flat))
		c.conn.Send(flat)
	case r.flowed > 0:
		c.learn(r.flowed)
	default:
		c.learn(r.response.Len())
		c.sendResponse(r)
	}
	c.lastActive = w.loop.Now()
	c.settle()
	for next := c.queue.oldest; next != nil && next.done; next = c.queue.oldest {
		c.sendResponse(next)
		c.settle()
	}
	c.conn.MoreToCome(c.queue.oldest != nil)
	c.checkOverflow()
	c.relieve()
	c.leaveIfIdle()
}

// acceptSilent charges the client for a request whose response it does not want. It has no turn to wait for.
func (c *client) acceptSilent(r *request, size int) {
	r.silent = c
	r.charge = size + requestOverhead
	c.held += r.charge
	c.requests++
}

// swallow ends a request whose response nobody waits for.
func (w *worker) swallow(r *request) {
	if c := r.silent; c != nil && !c.gone {
		c.lastActive = w.loop.Now()
		c.held -= r.charge
		c.requests--
		c.relieve()
		c.leaveIfIdle()
		c.takeLeave()
	}
	w.freeRequest(r)
}

// settle ends the oldest request, whose response is in the output.
func (c *client) settle() {
	r := c.queue.pop()
	c.held -= r.charge + r.collected
	c.collected -= r.collected
	c.requests--
	c.worker.freeRequest(r)
}
