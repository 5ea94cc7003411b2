package proxy

import (
	"iter"

	"nutmeg/internal/evloop"
)

// lane is the server connections of one worker to one server that share a session state.
type lane struct {
	// conns are as many as configured, and behind them one for large requests, which would keep all others waiting for
	// as long as they take to be sent. nil where none is open.
	conns []*serverConn
}

func newLane(connections int) lane { return lane{conns: make([]*serverConn, connections+1)} }

// newLanes returns so many lanes that share their memory.
func newLanes(count, connections int) []lane {
	lanes, conns := make([]lane, count), make([]*serverConn, count*(connections+1))
	for i := range lanes {
		lanes[i].conns, conns = conns[:connections+1:connections+1], conns[connections+1:]
	}
	return lanes
}

// laneOf returns the lane of an identity, which is not the pool's own.
func (s *server) laneOf(id *identity) *lane {
	for id.index >= len(s.lanes) {
		s.lanes = append(s.lanes, nil)
	}
	l := s.lanes[id.index]
	if l == nil {
		made := newLane(s.pool.conf.ServerConnections)
		l = &made
		s.lanes[id.index] = l
	}
	return l
}

// renewLanes has requests take new connections from now on. These wait until the old ones have nothing more to do, so that
// no request overtakes an earlier one of the same client.
func (s *server) renewLanes() {
	s.retire()
	s.pool.eras++
	s.era = s.pool.eras
	s.lane = newLane(s.pool.conf.ServerConnections)
	s.lanes = nil
}

// retire has all shared connections close when they have nothing more to do, and the dedicated ones when they are given back.
func (s *server) retire() {
	s.lane.retire()
	for _, l := range s.lanes {
		if l != nil {
			l.retire()
		}
	}
	s.dedicated.closeIdle()
}

// shared yields the open connections of all lanes.
func (s *server) shared() iter.Seq[*serverConn] {
	return func(yield func(*serverConn) bool) {
		for i := -1; i < len(s.lanes); i++ {
			l := &s.lane
			if i >= 0 {
				l = s.lanes[i]
			}
			if l == nil {
				continue
			}
			for _, conn := range l.conns {
				if conn != nil && !yield(conn) {
					return
				}
			}
		}
	}
}

func (l *lane) retire() {
	for _, conn := range l.conns {
		if conn != nil {
			conn.retire()
		}
	}
}

// connFor returns the connection that a client's request of a size goes to. It opens it if need be.
//
// A client's requests all take the same connection, so that they stay in order. A request above the mark of what may be
// held for the client takes the one for large requests if nothing else of the client is on its way: it is alone
// then until its response has come. A client with state of its own on the server has a connection of its own there.
func (s *server) connFor(c *client, size int) *serverConn {
	l := &s.lane
	if c.session != nil {
		if pinned := c.session.pinned; pinned != nil && pinned.server == s {
			c.alone = false
			return pinned
		}
		if id := c.session.identity; id != nil {
			l = s.laneOf(id)
		}
	}
	i, n := 0, len(l.conns)-1
	switch {
	case size > c.mark() && c.held == 0:
		i = n
	case n > 1:
		i = c.turn(n)
	}
	c.alone = i == n
	if conn := l.conns[i]; conn != nil {
		return conn
	}
	return s.open(l, i, c.identity())
}

// turn picks among n connections to a server. Serials count the clients of all workers, which may get them by turns: these shall not
// all pick the same.
func (c *client) turn(n int) int { return int(c.serial) / len(c.worker.proxy.workers) % n }

// connOf returns the connection that small requests of a client take if it has an identity.
func (s *server) connOf(c *client, id *identity) *serverConn {
	l := &s.lane
	if id != nil {
		l = s.laneOf(id)
	}
	i := c.turn(len(l.conns) - 1)
	if conn := l.conns[i]; conn != nil {
		return conn
	}
	return s.open(l, i, id)
}

// open opens connection i of a lane.
func (s *server) open(l *lane, i int, id *identity) *serverConn {
	conn := &serverConn{server: s, lane: l, slot: i, identity: id, large: i == len(l.conns)-1}
	l.conns[i] = conn
	s.dial(conn)
	return conn
}

// dial begins to connect.
func (s *server) dial(conn *serverConn) {
	w := s.pool.worker
	conn.worker, conn.era = w, s.era
	conn.pushes = conn.identity != nil && conn.identity.protocol == 3
	w.keepConn(conn)
	w.stats.TotalConnections++
	if timeout := s.pool.timeout; timeout > 0 {
		w.loop.Arm(&conn.timer, w.loop.Now()+timeout, conn)
	}
	w.loop.Dial(&conn.conn, s.address, evloop.SocketOptions{KeepAlive: s.pool.conf.TCPKeepalive}, conn)
}
