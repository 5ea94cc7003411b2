package proxy

import (
	"time"

	"nutmeg/internal/buffer"
)

// requestsBelow is how many requests one client can have in flight before it reaches its mark, at most.
func requestsBelow(mark int) int { return mark/requestOverhead + 1 }

// checkHeld holds what the proxy keeps for each client to its bound. It is called whenever nothing more happens at a time.
//
// A client is read from while it is below its mark; the request that passes it, and the responses of all in flight, come on top.
func (s *simulation) checkHeld() {
	for _, proxy := range s.proxies {
		for i, w := range proxy.workers {
			for conn := w.conns; conn != nil; conn = conn.next {
				if conn.waitsFor != nil { // whether the server still has it shows when it is read on
					s.poolNamed(conn.server.pool.name()).upset(s.Now())
				}
			}
			for c := w.clients; c != nil; c = c.next {
				if held := c.held + c.conn.Unsent(); held > c.pool.conf.Limits.ClientBuffer {
					s.checkBound(i, c, held)
				}
				if rest := c.waitingInput(); rest > buffer.LargeBytes {
					s.fail("worker %d holds %d bytes of input for a client of %s, more than one read brings", i, rest, c.pool.name())
				}
			}
		}
	}
}

// smallReply bounds what the proxy itself answers to one request.
const smallReply = 512

// waitingInput is how much input of the client waits until less is held.
func (c *client) waitingInput() int {
	if c.unparsed == nil {
		return 0
	}
	return c.unparsed.size()
}

func (s *simulation) checkBound(i int, c *client, held int) {
	p := s.poolNamed(c.pool.name())
	mark := p.buffer
	bound := mark + 2*p.largestRequest + requestsBelow(mark)*(p.largestResponse()+requestOverhead) + firstExpected
	if held > bound {
		s.fail("worker %d holds %d bytes for a client of %s; its mark is %d, its bound %d", i, held, c.pool.name(), mark, bound)
	}
	if limit := p.bufferLimit; limit > 0 && !c.overflowed && !c.gone {
		if waiting := c.collected + c.conn.Unsent(); waiting-c.largestResponse() > limit+smallReply {
			s.fail("worker %d has %d bytes waiting for a client of %s, which shall be closed above %d; the largest response is %d", i, waiting, c.pool.name(), limit, c.largestResponse())
		}
	}
}

// largestResponse bounds what one request of the pool's clients can be answered with: the values of all its keys.
func (p *simPool) largestResponse() int { return (p.most + 1) * (p.largestValue + 128) }

// checkIdle is for the time when every client has what it waits for, and stays.
func (s *simulation) checkIdle() {
	for i, w := range s.proxy.workers {
		for c := w.clients; c != nil; c = c.next {
			if c.queue.oldest != nil || c.requests > 0 || c.conn.Unsent() > 0 || c.waitingInput() > 0 {
				continue // it has left, and nobody knows that yet
			}
			if c.held != 0 || c.collected != 0 {
				s.fail("worker %d holds %d bytes for a client of %s that has all its responses", i, c.held, c.pool.name())
			}
			if c.stalled {
				s.fail("worker %d does not read from a client of %s that has all its responses", i, c.pool.name())
			}
		}
	}
}

// checkEmpty is for the time when all clients of a proxy have left: nothing of them is there.
func checkEmpty(proxy *Proxy, fail func(format string, args ...any)) {
	for i, w := range proxy.workers {
		if w.clients != nil || w.load.Load() != 0 || w.guests != 0 {
			fail("worker %d still has clients; its load is %d, its guests are %d", i, w.load.Load(), w.guests)
		}
		open := 0
		if i == 0 {
			open = len(proxy.listeners)
		}
		for conn := w.conns; conn != nil; conn = conn.next {
			open++
			if conn.queue.oldest != nil || conn.pending != 0 || conn.waiting.Len() > 0 || conn.conn.Unsent() > 0 || conn.slot < 0 {
				fail("worker %d still has requests for %s, or a connection too many", i, conn.server.conf.Name)
			}
		}
		if w.loop.Open() != open {
			fail("worker %d has %d connections open, should have %d", i, w.loop.Open(), open)
		}
		if used := w.loop.Chunks.Used(); used > buffer.LargeBytes || w.requests != 0 {
			fail("worker %d uses %d bytes and %d requests for nobody", i, used, w.requests)
		}
		checkCounters(i, w, fail)
		checkLanes(i, w, fail)
	}
	for i, w := range proxy.workers {
		if len(w.taped) > 0 {
			fail("worker %d has a tape to play", i)
		}
		for _, p := range w.pools {
			if p.audience != nil || len(p.monitors) > 0 || len(p.tape.text) > 0 || w.tapes.Load() != 0 {
				fail("worker %d still shows requests of pool %s to somebody", i, p.name())
			}
		}
	}
	for i := range proxy.workers[0].generation.pools {
		sp := &proxy.workers[0].generation.pools[i]
		if n := sp.census.clients.Load(); n != 0 {
			fail("pool %s counts %d clients", sp.conf.Name, n)
		}
	}
}

// checkLanes: nobody has an identity, a connection of its own, or a place in a queue.
func checkLanes(i int, w *worker, fail func(format string, args ...any)) {
	for _, p := range w.pools {
		if n := len(p.identities); n > 0 {
			fail("worker %d keeps %d identities of %s for nobody", i, n, p.name())
		}
		for _, sv := range p.servers {
			for _, l := range sv.lanes {
				if l != nil {
					fail("worker %d keeps a lane to %s for nobody", i, sv.conf.Name)
				}
			}
			if d := &sv.dedicated; d.open != 0 || len(d.idle) > 0 || len(d.queue) > 0 {
				fail("worker %d has %d dedicated connections to %s, %d of them idle, and %d clients wait for one", i, d.open, sv.conf.Name, len(d.idle), len(d.queue))
			}
		}
	}
	if len(w.resuming) > 0 || w.relieved != nil {
		fail("worker %d has %d clients to look at", i, len(w.resuming))
	}
}

func checkCounters(i int, w *worker, fail func(format string, args ...any)) {
	for _, st := range w.snapshot().Pools {
		if st.ClientConnections != 0 {
			fail("worker %d counts %d clients", i, st.ClientConnections)
		}
		for _, v := range st.Servers {
			if v.InQueue != 0 || v.OutQueue != 0 {
				fail("worker %d counts %d requests in flight", i, v.InQueue+v.OutQueue)
			}
		}
	}
}

// checkTimers is for the time when nothing is to come: only what looks around from time to time has a timer.
func (s *simulation) checkTimers() {
	for _, w := range s.proxy.workers {
		w.loop.Disarm(&w.resolver.timer)
		w.loop.Disarm(&w.sweep.timer)
	}
	if err := s.RunFor(s.loops, time.Second); err != nil { // workers look around once more behind what they did last
		s.fail("%v", err)
	}
	for i, w := range s.proxy.workers {
		if at, armed := w.loop.NextTimer(); armed {
			s.fail("worker %d has a timer at %d though nothing is to come", i, at)
		}
	}
}

// checkClosed is for the time when all proxies are closed: they hold no descriptor.
func (s *simulation) checkClosed() {
	for i, o := range s.outsides {
		if o.Sockets() != 0 || s.loops[i].Open() != 0 {
			s.fail("loop %d has %d sockets and %d connections after it was closed", i, o.Sockets(), s.loops[i].Open())
		}
	}
}
