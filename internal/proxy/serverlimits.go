package proxy

import "fmt"

// A server connection with too much in its queue holds back those who send to it. They wait in a list, first come first
// served, and one after the other is let go on when half of the queue is gone.
//
// It is looked at behind a request, not before it: where the next one goes is known only when it has been parsed. So the
// mark is passed by up to one request of each client, and requests beyond twice the mark are refused.

// crowd is the clients that a server connection holds back.
type crowd struct {
	first, last *client
	next        *serverConn // in the worker's list of connections whose crowd may go on
	listed      bool        // is in that list
}

// burden is what is known of a client that weighs heavily on the proxy or a server. Few ever do, so others have no room for it.
type burden struct {
	// Where it stands in a crowd.
	conn           *serverConn // nil: in none
	previous, next *client

	// The largest response in its output, if that is large.
	largeSize int
	largeEnd  uint64 // where it ends in the connection's stream

	awaitedBy *serverConn // is not read from until the client has read more
}

// needBurden returns the client's burden, which it has from now on.
func (c *client) needBurden() *burden {
	if c.burden == nil {
		c.burden = &burden{}
	}
	return c.burden
}

// crowded reports whether the client stands in a crowd.
func (c *client) crowded() bool { return c.burden != nil && c.burden.conn != nil }

// crowded reports whether the clients that send to the connection are to be held back.
func (s *serverConn) crowded() bool {
	limits := &s.server.pool.conf.Limits
	return s.output().Len() > limits.ServerBuffer || s.pending >= limits.ServerRequests
}

// refusal is why the connection takes no request at all, nil if it does.
func (s *serverConn) refusal() *failure {
	limits := &s.server.pool.conf.Limits
	switch { // halves are compared: twice a limit may be more than an int holds
	case s.output().Len()/2 > limits.ServerBuffer:
		return s.refuse("server_buffer")
	case s.pending/2 >= limits.ServerRequests:
		return s.refuse("server_requests")
	}
	return nil
}

func (s *serverConn) refuse(key string) *failure {
	s.readOn()
	sv := s.server
	sv.stats.Refused++
	sv.pool.reached(limitServerRefuse, nil, "server", sv.conf.Name)
	if s.overload == nil || s.overloadKey != key {
		s.overloadKey = key
		s.overload = &failure{text: fmt.Sprintf("server %s has too many requests waiting (%s)", printable([]byte(sv.conf.Name)), key)}
	}
	return s.overload
}

// holdBack stops reading from a client that has sent to the crowded connection.
func (s *serverConn) holdBack(c *client) {
	if c == nil || c.gone || c.crowded() {
		return
	}
	at := c.needBurden()
	at.conn, at.previous, at.next = s, s.crowd.last, nil
	if s.crowd.last == nil {
		s.crowd.first = c
	} else {
		s.crowd.last.burden.next = c
	}
	s.crowd.last = c
	s.conn.NotifyFlushed(true)
	s.server.stats.Stalls++
	s.server.pool.reached(limitServerStall, c.conn.Peer, "server", s.server.conf.Name)
}

// letGo takes a client out of the crowd.
func (s *serverConn) letGo(c *client) {
	at := c.burden
	if at.previous == nil {
		s.crowd.first = at.next
	} else {
		at.previous.burden.next = at.next
	}
	if at.next == nil {
		s.crowd.last = at.previous
	} else {
		at.next.burden.previous = at.previous
	}
	at.conn, at.previous, at.next = nil, nil, nil
	if s.crowd.first == nil {
		s.conn.NotifyFlushed(false)
	}
}

// relieve has the crowd go on at the end of the batch if enough of the queue is gone.
func (s *serverConn) relieve() {
	if s.crowd.first == nil || s.crowd.listed {
		return
	}
	limits := &s.server.pool.conf.Limits
	if s.dead || s.output().Len() <= limits.ServerBuffer/2 && s.pending <= limits.ServerRequests/2 {
		s.crowd.listed = true
		s.crowd.next = s.worker.relieved
		s.worker.relieved = s
	}
}

// goOn reads from the clients of the crowd again, one after the other, until the connection is crowded again.
func (s *serverConn) goOn() {
	for s.crowd.first != nil && (s.dead || !s.crowded()) {
		c := s.crowd.first
		s.letGo(c)
		if c.stalled && c.drained() {
			c.resume()
		}
	}
}

// resumeClients reads again from clients that were held back, once what held them back has become less.
func (w *worker) resumeClients() {
	for len(w.resuming) > 0 || w.relieved != nil {
		if last := len(w.resuming) - 1; last >= 0 {
			c := w.resuming[last]
			w.resuming[last] = nil
			w.resuming = w.resuming[:last]
			c.resuming = false
			if !c.gone {
				c.resume()
			}
			continue
		}
		s := w.relieved
		w.relieved = s.crowd.next
		s.crowd.next, s.crowd.listed = nil, false
		s.goOn()
	}
}

// sender is the client that a request on its way came from; nil if it has left.
func (r *request) sender() *client {
	if r.parent != nil {
		r = r.parent
	}
	if r.client != nil {
		return r.client
	}
	return r.silent
}
