package proxy

import (
	"math"
	"sync/atomic"
	"time"

	"nutmeg/internal/config"
)

// memory is what clients and servers make the process hold, all workers together, and how much that may be.
//
// A worker adds what has changed with it at the end of a batch, so the sum is late by at most publishBytes a worker.
// Above three quarters of the limit clients are held back earlier than usual; above the limit requests are refused,
// while what is there drains; above five quarters, or when draining takes too long, the clients that hold most are closed.
type memory struct {
	limit   atomic.Int64 // bytes; 0 = none
	held    atomic.Int64 // bytes of chunks in use, and of requests in flight with their lists of keys
	alarmed atomic.Bool  // all workers have been told that the limit is reached
}

const (
	// publishBytes is by how much a worker's part changes before the others are told.
	publishBytes = 256 << 10
	// tightMark and scarceMark stand in for client_buffer above 3/4 and above 7/8 of the limit.
	tightMark  = 64 << 10
	scarceMark = 16 << 10
	// drainPatience is how long the limit may be exceeded before clients are closed: those that hold most may never read.
	drainPatience = int64(time.Second)
	// closesPerBatch bounds how long looking for the largest clients takes.
	closesPerBatch = 16
	// smallClient is how much a client may hold and never be closed for it: nothing would be gained.
	smallClient = 4 << 10
	// starvedRequest is how much of a request that is coming may be kept while the limit is exceeded.
	starvedRequest = 16 << 10
)

// pressure is how short memory is, as a worker knows it.
type pressure uint8

const (
	pressureNone pressure = iota
	pressureTight
	pressureScarce
	pressureStarved // requests are refused
)

var pressureMarks = [...]int{pressureNone: math.MaxInt, pressureTight: tightMark, pressureScarce: scarceMark, pressureStarved: scarceMark}

func pressureOf(held, limit int64) pressure {
	switch {
	case limit == 0 || held <= limit/4*3:
		return pressureNone
	case held <= limit/8*7:
		return pressureTight
	case held <= limit:
		return pressureScarce
	}
	return pressureStarved
}

// setLimits takes over what is not the matter of one pool: how many clients the proxy serves, and how many bytes they and
// the servers may make it hold. 0 means no limit.
func (p *Proxy) setLimits(global *config.Global) {
	p.maxClients.Store(int64(global.ClientConnections))
	p.memory.limit.Store(global.MaxMemory)
}

// weigh tells the others what the worker holds, and acts on what all hold. It is called at the end of each batch.
func (w *worker) weigh() {
	w.publish(publishBytes)
	m := &w.proxy.memory
	held, limit := m.held.Load(), m.limit.Load()
	now := pressureOf(held, limit)
	if now != w.pressure {
		w.setPressure(now)
	}
	if now == pressureStarved {
		w.drain(held, limit)
	}
}

// publish adds the worker's change since the last time to the sum, if it is at least as much as step.
func (w *worker) publish(step int64) {
	held := int64(w.loop.Chunks.Used()) + int64(w.requests)*requestOverhead + int64(w.familyBytes+w.nameBytes)
	if change := held - w.published; change >= step || -change >= step {
		w.published = held
		w.proxy.memory.held.Add(change)
	}
}

func (w *worker) setPressure(now pressure) {
	m := &w.proxy.memory
	switch {
	case now == pressureStarved:
		w.starvedSince = w.loop.Now()
		if !m.alarmed.Swap(true) {
			w.wakeOthers() // those who hold most may have nothing to do
		}
	case w.pressure == pressureStarved:
		m.alarmed.Store(false)
	}
	w.pressure = now
	w.heldMark = pressureMarks[now]
}

func (w *worker) wakeOthers() {
	for _, other := range w.proxy.workers {
		if other != w {
			other.loop.Post(func() {})
		}
	}
}

// starving reports whether requests are to be refused for lack of memory. Pressure is that of the last batch, which may be long ago.
func (w *worker) starving() bool {
	return w.pressure == pressureStarved && w.proxy.memory.held.Load() > w.proxy.memory.limit.Load()
}

// drain closes clients when waiting for them to read is not enough.
func (w *worker) drain(held, limit int64) {
	patient := w.loop.Now()-w.starvedSince < drainPatience
	switch {
	case held > limit/4*5:
		w.closeLargest(limit / 4 * 5)
	case !patient:
		w.closeLargest(limit)
	}
	w.sweep.by(w.loop.Now() + drainPatience)
}

// closeLargest closes the worker's clients that hold most until all workers hold no more than a bound. A worker that has
// less than its share leaves that to the others.
func (w *worker) closeLargest(bound int64) {
	m := &w.proxy.memory
	share := m.limit.Load() / int64(len(w.proxy.workers))
	if m.held.Load() <= bound || w.published < share {
		return
	}
	for _, large := range w.largest() {
		if large.client == nil || m.held.Load() <= bound || w.published < share {
			return
		}
		if large.client.holds() <= smallClient {
			continue // closing another has let it go on
		}
		large.client.hit(limitMemoryClose, "bytes", large.holds)
		large.client.cutOff()
		w.publish(1)
	}
}

// largeClient is a client, and how much closing it would free.
type largeClient struct {
	client *client
	holds  int
}

// largest returns those that hold most, but none that holds little; it looks at each client once. The first holds most.
func (w *worker) largest() (top [closesPerBatch]largeClient) {
	for _, list := range [...]*client{w.clients, w.leavers} {
		for c := list; c != nil; c = c.next {
			n := c.holds()
			if n <= max(top[len(top)-1].holds, smallClient) {
				continue
			}
			i := len(top) - 1
			for ; i > 0 && top[i-1].holds < n; i-- {
				top[i] = top[i-1]
			}
			top[i] = largeClient{c, n}
		}
	}
	return top
}

// holds is how many bytes closing the client would free.
func (c *client) holds() int {
	n := c.collected + c.conn.Unsent() + c.unparsed.size()
	if c.cut != nil {
		n += c.cut.rope.Len()
	}
	if s := c.session; s != nil {
		n += s.held.rope.Len() + s.transaction.early.Len()
	}
	return n
}

// cutOff closes the client at once. What waits for it is lost.
func (c *client) cutOff() {
	c.conn.Close()
	c.depart(false)
}
