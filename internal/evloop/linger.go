package evloop

import "time"

const (
	// drainTime is how long output may make no progress. The kernel asks for more only when a good part of its buffer,
	// which may be megabytes, is free: to a peer that reads slowly but steadily, that is many seconds.
	drainTime = 60 * time.Second
	// lingerTime is how long a peer that was sent everything may take to close its side.
	lingerTime = 2 * time.Second
)

// linger is the handler of a connection that is being closed gracefully. It reads and drops what still comes: a socket
// closed with unread input sends a reset, which could take from the peer the last bytes that it was sent.
type linger struct {
	conn    *Conn
	timer   Timer
	written uint64
	half    bool // our side has been closed
	done    func()
}

// CloseGracefully sends what is in the output, then ends the connection in a way that lets the peer read all of it.
// The handler is told nothing more; done, which may be nil, is called when the connection is gone.
func (c *Conn) CloseGracefully(done func()) {
	if c.Closed() {
		if done != nil {
			c.loop.Post(done)
		}
		return
	}
	if g, ok := c.handler.(*linger); ok {
		g.join(done)
		return
	}
	g := &linger{conn: c, done: done}
	c.handler = g
	c.flags |= flagNotify
	c.flags &^= flagPaused | flagMore
	c.rewatch()
	if c.Closed() {
		return
	}
	g.wait()
	c.loop.Post(g.Flushed) // nothing may be left to send
}

func (g *linger) Opened()         {}
func (g *linger) Received([]byte) {}

func (g *linger) EOF() {
	if g.conn.out.Len() == 0 {
		g.close()
	}
}

func (g *linger) Closed(error) { g.close() }

func (g *linger) Flushed() {
	c := g.conn
	if c.Closed() || c.handler != g || c.out.Len() > 0 || g.half {
		return
	}
	if c.flags&(flagEnded|flagDialing) != 0 { // also: nothing to say on a connection that is not there yet
		g.close()
		return
	}
	g.half = true
	if c.socket.CloseWrite() != nil {
		g.close()
		return
	}
	g.wait()
}

// wait gives the peer time for its next step.
func (g *linger) wait() {
	c := g.conn
	patience := lingerTime
	if c.out.Len() > 0 {
		patience = drainTime
	}
	g.written = c.written
	c.loop.Arm(&g.timer, c.loop.now+int64(patience), g)
}

// Expired gives up on a peer that neither reads nor closes.
func (g *linger) Expired() {
	if g.conn.written == g.written {
		g.close()
		return
	}
	g.wait()
}

// join has one more function called at the end.
func (g *linger) join(done func()) {
	if first := g.done; first != nil && done != nil {
		g.done = func() { first(); done() }
	} else if done != nil {
		g.done = done
	}
}

func (g *linger) close() { g.conn.Close() }

// gone is called when the connection has been closed, whoever did it.
func (g *linger) gone() {
	g.conn.loop.Disarm(&g.timer)
	if done := g.done; done != nil {
		g.done = nil
		done()
	}
}
