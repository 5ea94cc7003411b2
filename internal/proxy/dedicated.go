package proxy

import (
	"slices"

	"nutmeg/internal/resp"
)

// dedicated is a server's connections that are lent to one client each, while it has state of its own on the server: a
// transaction, watched keys, a command that blocks, subscriptions. There are at most dedicated_connections of them; who
// comes when all are lent waits in a queue, first come first served, for at most dedicated_timeout.
type dedicated struct {
	server *server
	open   int           // lent, idle, or on their way
	idle   []*serverConn // the last used is last
	queue  []*client     // those who wait
}

// take lends a connection to a client. It returns nil if the client has to wait: it is in the queue then.
func (d *dedicated) take(c *client) *serverConn {
	if len(d.queue) > 0 && d.queue[0] != c || len(d.idle) == 0 && d.open >= d.most() {
		d.enqueue(c)
		return nil
	}
	if c.session.queued != nil {
		c.session.queued.leaveQueue(c)
	}
	conn := d.idleOf(c.identity())
	if conn == nil {
		if d.open >= d.most() {
			d.idle[0].close() // of another identity; it makes room
		}
		conn = &serverConn{server: d.server, slot: slotDedicated, identity: c.identity()}
		d.open++
		d.server.dial(conn)
	}
	conn.owner = c
	return conn
}

func (d *dedicated) most() int { return d.server.pool.conf.DedicatedConnections }

// idleOf takes the idle connection of an identity that was used last out of the set, nil if there is none.
func (d *dedicated) idleOf(id *identity) *serverConn {
	for _, conn := range slices.Backward(d.idle) {
		if conn.identity == id {
			d.forget(conn)
			return conn
		}
	}
	return nil
}

func (d *dedicated) forget(conn *serverConn) {
	if i := slices.Index(d.idle, conn); i >= 0 {
		d.idle = slices.Delete(d.idle, i, i+1)
	}
}

func (d *dedicated) enqueue(c *client) {
	if slices.Contains(d.queue, c) {
		return
	}
	if s := c.session; s.queued != nil {
		s.queued.leaveQueue(c)
	}
	d.queue = append(d.queue, c)
	s, w := c.session, c.worker
	s.queued = d
	c.watchLeaving()
	d.server.stats.DedicatedWaits++
	if limit := int64(d.server.pool.conf.DedicatedTimeout); limit > 0 && s.held.deadline == 0 {
		s.held.deadline = w.loop.Now() + limit
	}
	if s.held.deadline > 0 {
		w.sweep.by(s.held.deadline)
	}
}

func (d *dedicated) leaveQueue(c *client) {
	if i := slices.Index(d.queue, c); i >= 0 {
		d.queue = slices.Delete(d.queue, i, i+1)
		c.session.queued = nil
	}
	d.callNext()
}

// callNext has the first in the queue try again if there is a connection for it.
func (d *dedicated) callNext() {
	if len(d.queue) > 0 && (len(d.idle) > 0 || d.open < d.most()) {
		d.queue[0].callBack()
	}
}

// settingsChanged has all who wait look anew: there may be more connections now, or their keys belong to another server.
func (d *dedicated) settingsChanged() {
	for _, c := range d.queue {
		c.callBack()
	}
}

// closeIdle closes the connections that nobody has.
func (d *dedicated) closeIdle() {
	for len(d.idle) > 0 {
		d.idle[len(d.idle)-1].close()
	}
}

// lost says that a connection is gone, whoever had it.
func (d *dedicated) lost(conn *serverConn, cause *failure) {
	d.open--
	d.forget(conn)
	if c := conn.owner; c != nil {
		conn.owner = nil
		if c.holding && c.session.pinned != conn && !conn.heeded && cause.kind != failureOwn {
			c.session.held.cause = cause
		}
		c.session.lost(c, conn)
		c.goOnHolding()
	}
	d.callNext()
}

// giveBack ends the loan of a dedicated connection that has nothing in flight, unless its owner still needs it.
func (s *serverConn) giveBack() {
	c := s.owner
	if c == nil {
		return
	}
	switch {
	case s.waits:
		c.session.forgetWait(s)
		s.owner, s.waits = nil, false
		s.repose(c)
		return
	case !s.listens:
		c.session.blocked = false
	}
	if c.session.needs(s) {
		return
	}
	if s.listens {
		c.session.subscriptions.closeIdle()
		c.takeLeave()
		return
	}
	s.owner, c.session.pinned = nil, nil
	c.goOnHolding()
	s.repose(c)
}

// repose leaves a connection that c has given back to others, if they may have it.
func (s *serverConn) repose(c *client) {
	if s.spent() {
		s.close()
		c.takeLeave()
		return
	}
	w, sv := s.worker, s.server
	w.loop.Arm(&s.timer, w.loop.Now()+largeIdle, s)
	sv.dedicated.idle = append(sv.dedicated.idle, s)
	sv.dedicated.callNext()
	c.takeLeave()
}

// spent reports whether a connection is of no use to another client. That is so also after an error: nobody knows whether a transaction that it
// was about is over.
func (s *serverConn) spent() bool {
	sv := s.server
	return s.era != sv.era || sv.ended || s.suspect || s.redis.Kind() == resp.SimpleError || sv.dedicated.open > sv.dedicated.most()
}
