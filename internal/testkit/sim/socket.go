package sim

import (
	"io"
	"syscall"

	"nutmeg/internal/buffer"
	"nutmeg/internal/evloop"
)

// end is one side of a connection. It is a socket for a loop, or belongs to a Peer.
type end struct {
	watched
	link      *link
	side      uint8
	connected bool
	closed    bool
	dead      bool          // reset, or never connected
	resetting bool          // a reset is on its way to this end
	failure   syscall.Errno // not reported yet
	owner     *Outside      // that the socket was made by
	peer      *Peer
}

var _ evloop.Socket = (*end)(nil)

// gatherChunks bounds the chunks of one write, as a writev does.
const gatherChunks = 64

func (e *end) in() *stream  { return &e.link.streams[e.side] }
func (e *end) out() *stream { return &e.link.streams[1-e.side] }

// changed tells whoever owns the end what has come to it: something to read, or room to write.
func (e *end) changed(what evloop.Interest) {
	if e.peer != nil {
		e.peer.run()
		return
	}
	e.watched.changed(e, what)
}

// readiness is what Linux reports for a TCP socket in that state.
func (e *end) readiness() (ready evloop.Interest, hangup bool) {
	if e.dead {
		return evloop.Readable | evloop.Writable, true
	}
	if !e.connected {
		return 0, false
	}
	in, out := e.in(), e.out()
	if in.unread() > 0 || in.endThere {
		ready = evloop.Readable
	}
	if out.ended || out.writable() {
		ready |= evloop.Writable
	}
	hangup = in.endThere && (out.ended || e.gone())
	return ready, hangup
}

// gone reports whether this end can know that the other one is closed for good: over a unix socket it can.
func (e *end) gone() bool { return e.link.unix && e.in().endThere && e.link.ends[1-e.side].closed }

func (e *end) Read(p []byte) (int, error) {
	if e.closed {
		return 0, syscall.EBADF
	}
	if in := e.in(); in.unread() > 0 {
		n := copy(p, in.bytes[in.head:in.arrived])
		in.consume(n)
		in.compact()
		e.update(e)
		return n, nil
	}
	switch {
	case e.failure != 0:
		return 0, e.takeFailure()
	case e.dead || e.in().endThere:
		return 0, io.EOF
	}
	return 0, evloop.ErrWouldBlock
}

func (e *end) takeFailure() error {
	err := e.failure
	e.failure = 0
	if err == 0 {
		return nil
	}
	return err
}

func (e *end) Write(out *buffer.Buffer) (int, error) {
	switch {
	case e.closed:
		return 0, syscall.EBADF
	case e.failure != 0:
		return 0, e.takeFailure()
	case e.dead || e.out().ended || e.gone():
		return 0, syscall.EPIPE
	case !e.connected:
		return 0, evloop.ErrWouldBlock
	}
	w, s := e.link.world, e.out()
	offered := 0
	for c, count := out.First(), 0; c != nil && count < gatherChunks; c = c.Next() {
		if n := len(c.Bytes()); n > 0 {
			offered += n
			count++
		}
	}
	take := min(offered, s.room())
	if take > 1 && w.chance(w.Net.ShortWritePercent) {
		take = 1 + w.random.IntN(take-1)
		s.choked = true
	}
	e.append(out, take)
	e.update(e)
	if take < offered {
		s.full = true
		return take, evloop.ErrWouldBlock
	}
	return take, nil
}

func (e *end) append(out *buffer.Buffer, n int) {
	s := e.out()
	s.compact()
	left := n
	for c := out.First(); left > 0; c = c.Next() {
		bytes := c.Bytes()
		bytes = bytes[:min(len(bytes), left)]
		s.bytes = append(s.bytes, bytes...)
		left -= len(bytes)
	}
	e.link.world.record("writes", e.link.id, e.side, n)
	s.move()
}

func (e *end) CloseWrite() error {
	if e.dead || !e.connected {
		return syscall.ENOTCONN
	}
	e.out().ended = true
	e.link.world.record("ends its stream", e.link.id, e.side, 0)
	e.out().move()
	e.update(e)
	return nil
}

func (e *end) PendingError() error { return e.takeFailure() }

func (e *end) Accept(evloop.SocketOptions) (evloop.Socket, error) { return nil, syscall.EINVAL }

func (e *end) Peer() string {
	switch {
	case e.closed:
		return "unknown"
	case e.side == 0:
		return e.link.address
	}
	return e.link.from
}

// Close frees the socket. A loop must have forgotten it before, and must not close it twice.
func (e *end) Close() error {
	switch {
	case e.closed:
		panic("BUG: socket closed twice")
	case e.outside != nil:
		panic("BUG: socket closed while it is watched")
	}
	if e.owner != nil {
		e.owner.sockets--
	}
	e.shut()
	return nil
}

// shut ends this side as close(2) does: what was written still goes out, unless input was left unread.
func (e *end) shut() {
	w, in, out := e.link.world, e.in(), e.out()
	e.closed = true
	if e.dead || !e.connected {
		w.record("closes", e.link.id, e.side, 0)
		return
	}
	if in.unread() > 0 {
		e.abort("closes with input unread")
		return
	}
	w.record("closes", e.link.id, e.side, 0)
	out.ended = true
	out.move()
	in.move()
}

// abort throws the connection away, and all that is on its way out.
func (e *end) abort(how string) {
	e.closed = true
	e.link.world.record(how, e.link.id, e.side, e.in().unread())
	e.in().drop()
	out := e.out()
	out.bytes = out.bytes[:out.arrived]
	if e.connected && !e.dead {
		e.link.reset(&e.link.ends[1-e.side])
	}
}
