package evloop

// Release takes an accepted connection out of its loop without closing it, and returns its socket, which the caller owns
// from then on: another loop adopts it, another process gets it, or it is closed. The handler is called no more, also not
// for what else the current batch brings; to the loop the connection is closed.
//
// What the handler was given by Received stays the handler's. Input that was not read is still in the socket, and so is
// the end of the stream, seen or not: the next owner reads it again.
//
// The connection must be open, with an empty output and not being closed gracefully.
func (c *Conn) Release() Socket {
	switch {
	case !c.Open() || c.flags&flagDialed != 0:
		panic("BUG: released a connection that is not an open accepted one")
	case c.out.Len() > 0:
		panic("BUG: released a connection with output")
	}
	if _, lingering := c.handler.(*linger); lingering {
		panic("BUG: released a connection that is being closed")
	}
	socket := c.socket
	c.flags |= flagClosed
	c.loop.outside.Forget(socket)
	c.out.Reset(&c.loop.Chunks)
	c.loop.unregister(c.slot)
	c.socket = nil
	return socket
}

// Release stops accepting without closing the socket, and returns it. The caller owns it from then on. Connections wait in
// its backlog until somebody accepts them. A closed listener has no socket to return: nil.
func (n *Listener) Release() Socket {
	if n.closed {
		return nil
	}
	n.closed = true
	n.loop.Disarm(&n.rest)
	n.loop.outside.Forget(n.socket)
	n.loop.unregister(n.slot)
	return n.socket
}
