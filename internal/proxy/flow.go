package proxy

// A large response flows: it goes to its client while it is coming, in the memory that it is read into, instead of being
// collected first. That is for a response that its client gets as it is, next, and is ready to read. All others are
// collected, and one that turns out to be next while it is coming begins to flow then.
//
//	server connection ──► request.response ──► its client's output     until it flows
//	                  └────────────────────►                           from then on
//
// Once a part of a response may have left there is no way back: should the rest not come, an error in its place would be
// taken for bytes of the value. So the client is closed then. A client that reads slower than the response comes has it
// in its output, where the limits count it as they count what is collected; its server connection is never waited with.

// flowBytes is how much of a response has to be there for it to flow. Below, to be able to answer with an error is worth more.
const flowBytes = 64 << 10

// arrived takes a piece of the response to the oldest request, which goes on behind it.
func (s *serverConn) arrived(piece []byte, source input) {
	r, w := s.queue.oldest, s.worker
	if r.flowed > 0 {
		r.flow(piece, source)
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
	return c != nil && r.errand == nil && c.queue.oldest == r && !c.gone && !c.overflowed && c.conn.Unsent() < flowBytes
}

// beginFlow hands the client what has come so far.
func (r *request) beginFlow() {
	c, n := r.client, r.response.Len()
	r.collect(-n)
	c.conn.SendBuffer(&r.response)
	r.flowed = n
	c.noteLarge(n)
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
