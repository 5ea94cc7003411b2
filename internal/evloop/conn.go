package evloop

import (
	"errors"
	"io"
	"syscall"

	"nutmeg/internal/buffer"
)

// Handler is told what happens to one connection. All calls come from the loop's goroutine.
type Handler interface {
	// Opened says that a dialed connection is there. Accepted ones are open from the start.
	Opened()
	// Received brings bytes that came. They alias the loop's read buffer: valid until Received returns.
	Received(data []byte)
	// EOF says that the peer sends no more. Output may still be sent; the connection stays open until closed.
	EOF()
	// Closed says that the connection failed, and is closed, with the cause. It is not called for a Close of the loop's own side.
	Closed(err error)
	// Flushed says that some output has left, if that was asked for by NotifyFlushed.
	Flushed()
}

type flags uint16

const (
	flagDirty   flags = 1 << iota // in the loop's list of outputs to write
	flagDialed                    // the loop's side began the connection
	flagDialing                   // not connected yet
	flagClosed                    // the socket is gone
	flagPaused                    // not read from, for back-pressure
	flagEnded                     // the peer has sent its last byte
	flagBlocked                   // waiting for writability
	flagNotify                    // handler wants Flushed
	flagMore                      // more output is to come
)

// Conn is one connection. It is made to be embedded in the handler's own struct; its zero value becomes live by Adopt or Dial.
// It has one life: after it was closed it must not be used for another connection. A Conn must not be copied.
type Conn struct {
	loop      *Loop
	socket    Socket
	handler   Handler
	dialing   *dialing
	nextDirty *Conn
	out       buffer.Buffer
	written   uint64
	slot      uint32
	flags     flags
	watched   Interest
}

// Adopt takes over an accepted socket, or one that Release returned, and begins to read from it. On an error the socket is closed.
func (l *Loop) Adopt(c *Conn, s Socket, handler Handler) error {
	*c = Conn{loop: l, socket: s, handler: handler}
	c.slot = l.register(c, nil)
	if err := c.watch(); err != nil {
		c.Close()
		return err
	}
	return nil
}

// Open reports whether bytes can be sent now: connected, and not closed.
func (c *Conn) Open() bool { return c.loop != nil && c.flags&(flagDialing|flagClosed) == 0 }

// Closed reports whether the connection is gone, or was never there.
func (c *Conn) Closed() bool { return c.loop == nil || c.flags&flagClosed != 0 }

// Peer is the other side's address, for people.
func (c *Conn) Peer() string {
	if c.socket == nil {
		return ""
	}
	return c.socket.Peer()
}

// Send appends data to the output, which is written at the end of the batch. The data is copied. On a closed connection
// nothing happens, with this and the two below.
func (c *Conn) Send(data []byte) {
	if c.flags&flagClosed != 0 {
		return
	}
	c.out.Append(&c.loop.Chunks, data)
	c.markDirty()
}

// SendString is Send for a string.
func (c *Conn) SendString(data string) {
	if c.flags&flagClosed != 0 {
		return
	}
	c.out.AppendString(&c.loop.Chunks, data)
	c.markDirty()
}

// SendBuffer moves all of b to the end of the output; b is empty afterwards.
func (c *Conn) SendBuffer(b *buffer.Buffer) {
	if c.flags&flagClosed != 0 {
		b.Reset(&c.loop.Chunks)
		return
	}
	c.out.Take(&c.loop.Chunks, b)
	c.markDirty()
}

// Output is the connection's output. Who appends to it directly calls Send (also with nothing) afterwards.
func (c *Conn) Output() *buffer.Buffer { return &c.out }

// Unsent is how many bytes of output have not been taken by the socket.
func (c *Conn) Unsent() int { return c.out.Len() }

// Written is how many bytes the socket has taken since the connection began.
func (c *Conn) Written() uint64 { return c.written }

// NotifyFlushed makes the handler's Flushed be called each time output has left, or ends that.
func (c *Conn) NotifyFlushed(on bool) { c.set(flagNotify, on) }

// Pause stops reading. Bytes then wait in the kernel, and at last in the peer.
func (c *Conn) Pause() {
	c.set(flagPaused, true)
	c.rewatch()
}

// Resume begins to read again after Pause.
func (c *Conn) Resume() {
	c.set(flagPaused, false)
	c.rewatch()
}

func (c *Conn) set(f flags, on bool) {
	if on {
		c.flags |= f
	} else {
		c.flags &^= f
	}
}

func (c *Conn) markDirty() {
	if c.flags&(flagDirty|flagClosed) == 0 {
		c.flags |= flagDirty
		if c.flags&flagDialed != 0 {
			c.loop.dialed.push(c)
		} else {
			c.loop.accepted.push(c)
		}
	}
}

// Close frees the connection at once; output that was not written is lost. The handler is not told. It also cuts a graceful
// closing short.
func (c *Conn) Close() {
	if c.Closed() {
		return
	}
	c.flags |= flagClosed
	c.dialing = nil
	c.out.Reset(&c.loop.Chunks)
	if c.socket != nil {
		c.loop.outside.Forget(c.socket)
		_ = c.socket.Close() // nothing is left to be done about an error
	}
	c.loop.unregister(c.slot)
	if g, ok := c.handler.(*linger); ok {
		g.gone()
	}
}

func (c *Conn) fail(err error) {
	c.Close()
	c.handler.Closed(err)
}

// watch makes what is watched what is wanted.
func (c *Conn) watch() error {
	var want Interest
	switch {
	case c.flags&flagDialing != 0:
		want = Writable
	default:
		if c.flags&(flagPaused|flagEnded) == 0 {
			want = Readable
		}
		if c.flags&flagBlocked != 0 {
			want |= Writable
		}
	}
	if want != 0 {
		want |= Changes
	}
	if want == c.watched {
		return nil
	}
	c.watched = want
	return c.loop.outside.Watch(c.socket, c.loop.token(c.slot), want)
}

// watchAgain has the socket reported once more, if it is ready: nothing may change until somebody acts on that.
func (c *Conn) watchAgain() {
	c.watched = 0
	c.rewatch()
}

func (c *Conn) rewatch() {
	if c.flags&(flagClosed|flagDialing) != 0 {
		return
	}
	if err := c.watch(); err != nil {
		c.fail(err)
	}
}

func (c *Conn) ready(e *Event) {
	if c.flags&flagDialing != 0 {
		c.connected(c.socket.PendingError())
		return
	}
	// Reading comes first: what a peer that is gone said last may still be there, and a write would find the error.
	if (e.Ready&Readable != 0 || e.Hangup) && c.flags&(flagPaused|flagEnded) == 0 {
		c.readSome(e.Ended || e.Hangup)
	} else if e.Hangup {
		c.hungUp()
	}
	if (e.Ready&Writable != 0 || e.Hangup) && c.flags&(flagBlocked|flagClosed) == flagBlocked {
		c.flags &^= flagBlocked
		c.write()
	}
}

// hungUp acts on a peer that is gone in both directions while nothing is read from it.
func (c *Conn) hungUp() {
	err := c.socket.PendingError()
	switch {
	case err != nil:
		c.fail(err)
	case c.flags&flagEnded != 0:
		c.fail(syscall.ECONNRESET)
	case c.flags&flagBlocked == 0:
		// It may have left input behind, which is read after Resume. Until then the poller would tell of the hang-up
		// again and again, so it must not look.
		c.loop.outside.Forget(c.socket)
		c.watched = 0
	}
}

// readSome reads what has come, or a good part of it. Ended says that an end comes behind that, which is read as well: of what
// comes later the poller tells.
func (c *Conn) readSome(ended bool) {
	for range readsPerTurn {
		room := c.loop.read.Room()
		n, err := c.socket.Read(room)
		if n > 0 {
			c.handler.Received(room[:n])
		}
		switch {
		case c.flags&(flagClosed|flagPaused) != 0:
			return
		case err == nil:
		case errors.Is(err, ErrWouldBlock):
			return
		case errors.Is(err, io.EOF):
			c.flags |= flagEnded
			c.rewatch()
			if c.flags&flagClosed == 0 {
				c.handler.EOF()
			}
			return
		default:
			c.fail(err)
			return
		}
		if n < len(room) && !ended {
			return
		}
	}
	c.watchAgain()
}

// flush writes at the end of a batch. It returns the connection that was behind c in its list.
func (c *Conn) flush() (next *Conn) {
	next = c.nextDirty
	c.nextDirty = nil
	c.flags &^= flagDirty
	if c.flags&(flagClosed|flagDialing|flagBlocked) == 0 {
		c.write()
	}
	return next
}

// write sends what the socket takes, at most about writeBytesPerTurn, and asks for writability if there is more.
func (c *Conn) write() {
	before := c.written
	for c.out.Len() > 0 {
		n, err := c.socket.Write(&c.out)
		c.out.Discard(&c.loop.Chunks, n)
		c.written += uint64(n)
		if err == nil && c.written-before < writeBytesPerTurn {
			continue
		}
		if err != nil && !errors.Is(err, ErrWouldBlock) {
			c.fail(err)
			return
		}
		if c.out.Len() > 0 {
			c.flags |= flagBlocked
			if err == nil {
				c.watched = 0 // it would take more: that is no change
			}
		}
		break
	}
	if c.rewatch(); c.flags&flagNotify != 0 && c.written != before && !c.Closed() {
		c.handler.Flushed()
	}
}

// writeBytesPerTurn bounds how long one large output keeps the rest of the batch waiting.
const writeBytesPerTurn = 1 << 20
