package proxy

import "nutmeg/internal/buffer"

// requestsBelow is how many requests one client can have in flight before it reaches its mark, at most.
func requestsBelow(mark int) int { return mark/requestOverhead + 1 }

// checkHeld holds what the proxy keeps for each client to its bound. It is called whenever nothing more happens at a time.
//
// A client is read from while it is below its mark; the request that passes it, and the responses of all in flight, come on top.
func (s *simulation) checkHeld() {
	for i, w := range s.proxy.workers {
		for c := w.clients; c != nil; c = c.next {
			held := c.held + c.conn.Unsent()
			if held <= w.heldMark {
				continue
			}
			p := s.pools[c.pool.shared.index]
			bound := w.heldMark + 2*p.largestRequest + requestsBelow(w.heldMark)*(firstExpected+p.largestResponse())
			if held > bound {
				s.fail("worker %d holds %d bytes for a client of pool%d; its mark is %d, its bound %d", i, held, p.index, w.heldMark, bound)
			}
			if rest := c.unparsed.Len(); rest > buffer.LargeBytes {
				s.fail("worker %d holds %d bytes of input for a client of pool%d, more than one read brings", i, rest, p.index)
			}
		}
	}
}

// largestResponse bounds what one request of the pool's clients can be answered with: the values of all its keys.
func (p *simPool) largestResponse() int { return (p.most + 1) * (p.largestValue + 128) }

// checkIdle is for the time when every client has what it waits for, and stays.
func (s *simulation) checkIdle() {
	for i, w := range s.proxy.workers {
		for c := w.clients; c != nil; c = c.next {
			if c.queue.oldest != nil || c.conn.Unsent() > 0 || c.unparsed.Len() > 0 {
				continue // it has left, and nobody knows that yet
			}
			if c.stalled {
				s.fail("worker %d does not read from a client of pool%d that has all its responses", i, c.pool.shared.index)
			}
		}
	}
}

// checkEmpty is for the time when all clients have left: nothing of them is there.
func (s *simulation) checkEmpty() {
	for i, w := range s.proxy.workers {
		if w.clients != nil || w.load.Load() != 0 {
			s.fail("worker %d still has clients; its load is %d", i, w.load.Load())
		}
		open := 0
		for _, p := range w.pools {
			for _, v := range p.servers {
				for _, conn := range v.lane.conns {
					if conn == nil {
						continue
					}
					open++
					if conn.queue.oldest != nil || conn.waiting.Len() > 0 || conn.conn.Unsent() > 0 {
						s.fail("worker %d still has requests for %s", i, v.conf.Name)
					}
				}
			}
			if p.listener != nil {
				open++
			}
		}
		if w.loop.Open() != open || s.outsides[i].Sockets() > open {
			s.fail("worker %d has %d connections and %d sockets open, should have %d", i, w.loop.Open(), s.outsides[i].Sockets(), open)
		}
		if at, armed := w.loop.NextTimer(); armed {
			s.fail("worker %d has a timer at %d though nothing is to come", i, at)
		}
		s.checkCounters(i, w)
	}
	for _, p := range s.proxy.pools {
		if n := p.clients.Load(); n != 0 {
			s.fail("pool%d counts %d clients", p.index, n)
		}
	}
}

func (s *simulation) checkCounters(i int, w *worker) {
	for _, st := range w.snapshot().Pools {
		if st.ClientConnections != 0 {
			s.fail("worker %d counts %d clients", i, st.ClientConnections)
		}
		for _, v := range st.Servers {
			if v.InQueue != 0 || v.OutQueue != 0 {
				s.fail("worker %d counts %d requests in flight", i, v.InQueue+v.OutQueue)
			}
		}
	}
}

// checkClosed is for the time when the proxy is closed: it holds no descriptor.
func (s *simulation) checkClosed() {
	for i, o := range s.outsides {
		if o.Sockets() != 0 || s.loops[i].Open() != 0 {
			s.fail("worker %d has %d sockets and %d connections after it was closed", i, o.Sockets(), s.loops[i].Open())
		}
	}
}
