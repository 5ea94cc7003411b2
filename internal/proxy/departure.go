package proxy

import (
	"encoding/json"
	"fmt"
	"sync/atomic"

	"nutmeg/internal/evloop"
)

// departure is that all clients of a proxy are to leave: they are closed when the process drains, and given away when
// another process takes over. Either waits until a client is at rest: all that was taken from it has been answered, and
// the answers have left.
type departure struct {
	give    func(Handed) // nil: close
	gone    func()       // called when the last client has left
	crowded atomic.Int32 // workers that have clients left
	told    atomic.Bool  // gone has been called
}

// Handed is a client on its way to another proxy.
type Handed struct {
	Socket evloop.Socket
	Pool   string
	// State is what the other proxy has to know of the client. Only this package looks into it. Proxies of different
	// versions understand each other as long as fields are only added.
	State []byte
}

// clientState is Handed.State.
type clientState struct {
	Protocol      string        `json:"protocol,omitempty"` // of the pool; "" is not known
	Authenticated bool          `json:"authenticated"`
	Session       *sessionState `json:"session,omitempty"`
	Input         []byte        `json:"input,omitempty"` // the part of a request that has come already
}

// mostInput is how much of a request that has come in part is handed over with its client. Of a larger one the rest is
// waited for, and the response.
const mostInput = 64 << 10

// Drain lets all clients finish what they have begun, then closes them. No others are accepted. Run returns when the
// last has gone. Any goroutine may call it.
func (p *Proxy) Drain() { p.depart(&departure{gone: p.Stop}) }

// HandOver is Drain, but clients are not closed: give gets each of them as soon as it is at rest, and owns it then.
// It is called on the goroutines of workers, several at a time, and must not wait. Nor must gone, which is called once when
// the last has been given: Run goes on, so that clients can come back (Resume, then Adopt) if they do not arrive.
func (p *Proxy) HandOver(give func(Handed), gone func()) {
	p.depart(&departure{give: give, gone: gone})
}

func (p *Proxy) depart(d *departure) {
	d.crowded.Store(int32(len(p.workers)))
	first := p.workers[0]
	first.loop.Post(func() {
		for _, l := range p.listeners {
			l.socket.Pause()
		}
		for _, w := range p.workers[1:] { // behind the clients that the first worker has given them
			w.loop.Post(func() { w.seeOff(d) })
		}
		first.seeOff(d)
	})
}

// Resume ends HandOver: clients that are still here stay, and others are accepted again.
func (p *Proxy) Resume() {
	first := p.workers[0]
	first.loop.Post(func() {
		for _, l := range p.listeners {
			l.socket.Resume()
		}
		for _, w := range p.workers[1:] { // before clients that come back
			w.loop.Post(w.stay)
		}
		first.stay()
	})
}

// Evict closes the clients that Drain or HandOver still wait for: of those there can be some who never read, or whose
// server never answers. Any goroutine may call it.
func (p *Proxy) Evict() {
	for _, w := range p.workers {
		w.loop.Post(w.evict)
	}
}

func (w *worker) evict() {
	if w.departure == nil {
		return // it was called too late
	}
	for w.clients != nil {
		w.clients.cutOff()
	}
	for w.leavers != nil {
		w.leavers.cutOff()
	}
}

func (w *worker) seeOff(d *departure) {
	w.departure, w.deserted = d, false
	for c := w.clients; c != nil; {
		next := c.next
		c.takeLeave()
		c = next
	}
}

func (w *worker) stay() {
	w.departure = nil
	for c := w.clients; c != nil; c = c.next {
		if !c.leaving && !c.stalled {
			c.notifyFlushed()
			c.conn.Resume()
		}
	}
}

// checkDeserted tells when the last client of the last worker has left.
func (w *worker) checkDeserted() {
	if d := w.departure; d != nil && w.guests == 0 && !w.deserted {
		w.deserted = true
		if d.crowded.Add(-1) == 0 && w.proxy.population.Load() == 0 && d.told.CompareAndSwap(false, true) {
			d.gone()
		}
	}
}

// expectGuest says that a client comes, though perhaps all have left. One can have been on its way from a worker that had not
// heard of the departure.
func (w *worker) expectGuest() {
	if w.departure != nil && w.deserted {
		w.deserted = false
		w.departure.crowded.Add(1)
	}
}

// takeLeave has the client leave as soon as it can. It is called again whenever that may be.
func (c *client) takeLeave() {
	d := c.worker.departure
	switch {
	case d == nil || c.leaving || c.ended:
		return // it stays, or leaves by itself
	case c.holding, c.session != nil && c.session.engaged():
		return // with state on a server that only it has
	case c.monitors():
		c.leave() // what it waits for has no end
		return
	case c.unparsed != nil:
		return // which has been taken from the client
	case d.give == nil && c.cut != nil, c.cut != nil && (c.cut.skips || c.cut.rope.Len() > mostInput):
		return // the rest of the request comes first
	case d.give == nil:
		c.leave()
		return
	}
	c.conn.Pause()
	c.conn.NotifyFlushed(true)
	if c.gone {
		return // its connection failed
	}
	if c.held == 0 && c.conn.Unsent() == 0 {
		c.handOver(d)
	}
}

func (c *client) handOver(d *departure) {
	state := clientState{Protocol: c.pool.conf.Protocol.String(), Authenticated: c.authenticated}
	if c.cut != nil {
		for chunk := c.cut.rope.First(); chunk != nil; chunk = chunk.Next() {
			state.Input = append(state.Input, chunk.Bytes()...)
		}
	}
	if c.session != nil {
		state.Session = c.session.state(c)
	}
	text, err := json.Marshal(state)
	if err != nil {
		panic(fmt.Sprintf("BUG: the state of a client cannot be written: %v", err))
	}
	handed := Handed{Socket: c.conn.Release(), Pool: c.pool.name(), State: text}
	c.vanish()
	d.give(handed)
}

// Adopt takes a client that another proxy has handed over. Any goroutine may call it. A client of a pool that does not
// exist, or has another protocol than before, is closed.
func (p *Proxy) Adopt(h Handed) error {
	var state clientState
	if err := json.Unmarshal(h.State, &state); err != nil {
		_ = h.Socket.Close() // nobody could serve it
		return fmt.Errorf("cannot take a client of pool %s over: its state is not understood: %w", h.Pool, err)
	}
	first := p.workers[0]
	first.loop.Post(func() {
		gone := "client closed: its pool is not in the configuration any more"
		for i := range first.generation.pools {
			sp := &first.generation.pools[i]
			if sp.conf.Name != h.Pool {
				continue
			}
			if state.Protocol == "" || state.Protocol == sp.conf.Protocol.String() {
				p.assign(sp.census, h.Socket, &state)
				return
			}
			gone = "client closed: its pool has another protocol now"
		}
		p.log.Warn(gone, "pool", h.Pool, "client", h.Socket.Peer())
		_ = h.Socket.Close()
	})
	return nil
}

// restore makes a client what it was in another proxy.
func (c *client) restore(state *clientState) {
	c.authenticated = c.authenticated || state.Authenticated
	if s := state.Session; s != nil && !c.resumeSession(s) {
		c.cutOff()
		return
	}
	if len(state.Input) > 0 {
		c.parse(state.Input, input{})
	}
}
