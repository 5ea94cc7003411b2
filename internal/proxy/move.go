package proxy

import (
	"nutmeg/internal/evloop"
)

// traveller is a client on its way from one worker to another. It is nobody's but who holds it.
type traveller struct {
	client   *client // of no worker and no pool yet
	of       *census
	socket   evloop.Socket
	identity *identityKey // of its session; nil is the pool's own
	proven   bool         // a server has accepted that
}

// settled reports whether the client can go on on another worker as if nothing had been. All that was taken from it has been answered, and the
// answers have left: else requests could overtake each other. It has nothing on a server that only it has, and has not sent half a
// request. What it has sent besides is in its socket.
func (c *client) settled() bool {
	return c.requests == 0 && c.held == 0 && c.queue.oldest == nil && c.conn.Unsent() == 0 && c.portable()
}

// portable reports whether the client is settled but for what will soon be answered.
func (c *client) portable() bool {
	switch {
	case c.cut != nil || c.unparsed != nil:
		return false
	case c.holding || c.ended || c.leaving || c.stalled || c.resuming || c.overflowed || c.broken || c.gone || c.crowded():
		return false
	case c.session != nil && !c.session.portable():
		return false
	}
	return c.conn.Open()
}

// portable reports whether another worker can take over all of the session.
func (s *session) portable() bool {
	return !s.engaged() && !s.monitoring && !s.blocked && s.queued == nil && s.subscriptions.bytes == 0 && s.subscriptions.pending == 0
}

// leaveFor takes a settled client out of this worker's books, and counts it in the other's. The other's takeIn follows.
func (c *client) leaveFor(to *worker) traveller {
	w := c.worker
	t := traveller{of: c.pool.census, client: &client{
		serial: c.serial, expected: c.expected, guessed: c.guessed, authenticated: c.authenticated, lastActive: c.lastActive, session: c.session,
	}}
	if s := c.session; s != nil && s.identity != nil {
		key := s.identity.identityKey
		t.identity, t.proven = &key, s.identity.proven
		c.pool.forgo(s.identity)
		s.identity = nil
	}
	c.session = nil
	c.gone, c.leaving = true, true
	t.socket = c.conn.Release()
	to.load.Add(1)
	w.load.Add(-1)
	w.guests--
	c.pool.stats.ClientConnections--
	w.unlinkClient(c)
	return t
}

// takeIn goes on with a client that another worker has given away.
func (w *worker) takeIn(t *traveller) {
	w.expectGuest()
	w.mover.received()
	p := w.poolOf[t.of]
	if p == nil {
		w.lose(t.of, t.socket)
		return
	}
	c := t.client
	c.worker, c.pool = w, p
	link(&w.clients, c)
	w.guests++
	p.stats.ClientConnections++
	if t.identity != nil {
		if id := p.intern(*t.identity); id != nil {
			id.proven = id.proven || t.proven
			c.session.identity = id
		}
	}
	if err := w.loop.Adopt(&c.conn, t.socket, c); err != nil {
		w.log.Error("cannot serve a client", "pool", p.name(), "cause", err)
		c.depart(false)
		return
	}
	if idle := int64(p.conf.Limits.ClientIdle); idle > 0 {
		w.sweep.by(coarse(c.lastActive+idle, idle))
	}
	c.takeLeave()
}

// lose closes a client on its way here whose pool has gone in the meantime.
func (w *worker) lose(of *census, s evloop.Socket) {
	w.load.Add(-1)
	w.proxy.population.Add(-1)
	of.clients.Add(-1)
	_ = s.Close()
}

// unlinkClient takes a client out of the list of those that the worker has.
func (w *worker) unlinkClient(c *client) {
	if w.mover != nil && w.mover.cursor == c {
		w.mover.cursor = c.next
	}
	w.sweep.forget(c)
	unlink(&w.clients, c)
}
