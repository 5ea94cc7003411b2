package proxy

// A large response flows: it goes to its client while it is coming, in the memory that it is read into, instead of being
// collected first. That is for a response that its client gets as it is, next, and is ready to read. All others are
// collected, and one that turns out to be next while it is coming begins to flow then.
//
//	server connection ──► request.response ──► its client's output     until it flows
//	                  └────────────────────►                           from then on
//
// Once a part of a response may have left there is no way back: should the rest not come, an error in its place would be
// taken for bytes of the value. So the client is closed then.
//
// A client that reads slower than the response comes is waited for: nothing more is read from the server connection, as
// long as only this client waits for that. As soon as anybody else does, the connection is read on, and what comes
// waits in the client's output, where the limits count it as they count what is collected.

const (
	// flowBytes is how much of a response has to be there for it to flow. Below, to be able to answer with an error is worth more.
	flowBytes = 64 << 10
	// flowAhead is how much more than its client reads may come of a response that flows.
	flowAhead = 512 << 10
)

// arrived takes a piece of the response to the oldest request, which goes on behind it.
func (s *serverConn) arrived(piece []byte, source input) {
	r, w := s.queue.oldest, s.worker
	if r.flowed > 0 {
		r.flow(piece, source)
		s.waitForClient(r.client)
		return
	}
	if !r.kept() {
		return
	}
	w.store(&r.response, piece, source)
	r.collect(len(piece))
	if r.response.Len() >= w.flowBytes && r.mayFlow() && s.server.pool.protocol.flows(s, r) {
		r.beginFlow()
	}
}

// mayFlow reports whether the next bytes that the client gets are those of the response, and it has read most of what it was sent.
func (r *request) mayFlow() bool {
	c := r.client
	return c != nil && r.errand == nil && c.queue.oldest == r && !c.gone && !c.overflowed && c.conn.Unsent() < flowBytes && !c.hearsMore()
}

// hearsMore reports whether the client may get something besides responses at any time: messages, or what others ask for. That
// must not come within a response. Who begins to hear has nothing in flight then.
func (c *client) hearsMore() bool {
	return c.session != nil && (c.session.monitoring || len(c.session.subscriptions.ears) > 0)
}

// beginFlow hands the client what has come so far.
func (r *request) beginFlow() {
	c, n := r.client, r.response.Len()
	r.collect(-n)
	c.conn.SendBuffer(&r.response)
	r.flowed = n
	c.noteLarge(n)
	c.checkOverflow()
}

// flow hands the client the next piece. One that has left since gets nothing.
func (r *request) flow(piece []byte, source input) {
	r.flowed += len(piece)
	c := r.client
	if c == nil {
		return
	}
	c.worker.store(c.conn.Output(), piece, source)
	c.conn.Send(nil)
	c.noteLarge(r.flowed)
	c.checkOverflow()
}

// tear ends a request whose response has begun to flow and does not come whole. Its client is closed at the end of the
// batch, behind what it was sent: nothing can follow half a response.
func (w *worker) tear(r *request) {
	c := r.client
	r.done = true // no connection knows it any more: it is free when the client has left
	c.torn, c.leaving = true, true
	c.pool.stats.ForwardError++
	c.pool.reached(eventTorn, c.conn.Peer, "bytes", r.flowed)
	c.callBack()
}

// ahead is how much unsent output has a server connection wait for the client.
func (c *client) ahead() int { return min(c.worker.flowAhead, c.mark()) }

// waitForClient stops reading while the client, which a response flows to, has much to read, if nobody else would notice.
func (s *serverConn) waitForClient(c *client) {
	if c == nil || c.conn.Unsent() <= c.ahead() || s.waitsFor != nil || !s.isOnlyFor(c) {
		return
	}
	s.waitsFor, c.needBurden().awaitedBy = c, s
	c.conn.NotifyFlushed(true)
	s.conn.Pause()
}

// isOnlyFor reports whether nobody but the client waits for anything of the connection. Whoever waits for a dedicated one,
// or for the end of one that is retired, is not known here.
func (s *serverConn) isOnlyFor(c *client) bool {
	if s.slot < 0 || s.crowd.first != nil {
		return false
	}
	for r := s.queue.oldest; r != nil; r = r.behind {
		if r.sender() != c {
			return false
		}
	}
	return true
}

// readOn ends that the connection waits for its client. The time that it did is given to the requests in its queue.
func (s *serverConn) readOn() {
	c := s.waitsFor
	if c == nil {
		return
	}
	s.waitsFor, c.burden.awaitedBy = nil, nil
	c.notifyFlushed()
	if timeout := s.server.pool.timeout; timeout > 0 {
		latest := s.worker.loop.Now() + timeout
		for r := s.queue.oldest; r != nil; r = r.behind {
			if r.deadline != 0 {
				r.deadline = max(r.deadline, latest)
			}
		}
	}
	s.conn.Resume()
}

// flowOn reads on from the server connection that waits for the client, when it has read enough.
func (c *client) flowOn() {
	if s := c.awaitedBy(); s != nil && c.conn.Unsent() <= c.ahead()/4 {
		s.readOn()
	}
}

// awaitedBy is the server connection that waits for the client; nil for nearly all.
func (c *client) awaitedBy() *serverConn {
	if c.burden == nil {
		return nil
	}
	return c.burden.awaitedBy
}

// notifyFlushed asks to be told when output has left, if anything depends on it.
func (c *client) notifyFlushed() {
	c.conn.NotifyFlushed(c.stalled || c.awaitedBy() != nil || c.deaf() || c.worker.departure != nil)
}
