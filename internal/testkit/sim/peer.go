package sim

import (
	"io"
	"syscall"

	"nutmeg/internal/evloop"
)

// Peer is a simulated client or server: one end of a connection, and callbacks of the test. All run within World.Run.
type Peer struct {
	// OnOpen says that a connection made by World.Connect is there.
	OnOpen func(p *Peer)
	// OnData brings bytes that arrived; data is valid until OnData returns. Without it they are dropped.
	OnData func(p *Peer, data []byte)
	// OnClose is called once. io.EOF: the other side sends no more; p can still send, and is to be closed. Any other
	// error: the connection is gone, or never came. It is not called after Close and Reset. Without it p closes itself.
	OnClose func(p *Peer, err error)

	end     *end
	world   *World
	pending []byte // sent by the test, not yet taken by the stream
	cut     bool   // pending is the end of a larger piece of memory
	paused  bool
	running bool
	opened  bool
	told    bool // OnClose was called
	ending  bool // the stream ends after pending
	closing bool // so does the connection
	read    uint64
}

// Connect begins a connection of a simulated client. Its callbacks are to be set before World.Run goes on.
func (w *World) Connect(addr string) *Peer {
	l := w.dial(addr)
	p := &Peer{world: w, end: &l.ends[0]}
	l.ends[0].peer = p
	w.schedule(w.arrival(), l, eventConnect)
	return p
}

// ID is the number of the connection in the trace.
func (p *Peer) ID() int { return int(p.end.link.id) }

// Closed reports whether p can do nothing any more.
func (p *Peer) Closed() bool { return p.end.closed || p.end.dead }

// ReadBytes is how many bytes have been handed to OnData.
func (p *Peer) ReadBytes() uint64 { return p.read }

// Unsent is how many bytes of Send wait for room in the stream.
func (p *Peer) Unsent() int { return len(p.pending) }

// Send sends data, which is copied; it waits in p for as long as the stream has no room for it.
func (p *Peer) Send(data []byte) {
	if p.Closed() || p.ending {
		return
	}
	p.pending = append(p.pending, data...)
	p.pump()
}

// SendString is Send for a string.
func (p *Peer) SendString(data string) {
	if p.Closed() || p.ending {
		return
	}
	p.pending = append(p.pending, data...)
	p.pump()
}

// CloseWrite ends p's stream after all that was sent; p still receives.
func (p *Peer) CloseWrite() {
	p.ending = true
	p.pump()
}

// Close ends the connection after all that was sent. No callback comes after it. A paused peer that has input leaves it
// unread, so that the other side gets a reset, as from a program that exits.
func (p *Peer) Close() {
	p.ending, p.closing, p.told = true, true, true
	p.pump()
}

// Reset throws the connection away at once.
func (p *Peer) Reset() {
	if p.Closed() {
		return
	}
	p.told, p.pending = true, nil
	p.end.abort("resets")
}

// Pause stops reading: what comes stays in the receive buffer, and at last in the other side.
func (p *Peer) Pause() { p.paused = true }

// Resume reads again.
func (p *Peer) Resume() {
	p.paused = false
	p.run()
}

// Freeze cuts the connection off: nothing arrives on either side, and neither learns why, until Thaw.
func (p *Peer) Freeze() {
	p.end.link.frozen = true
	p.world.record("frozen", p.end.link.id, p.end.side, 0)
}

// Thaw ends Freeze; what was held arrives.
func (p *Peer) Thaw() {
	l := p.end.link
	held := l.held
	l.frozen, l.held = false, nil
	p.world.record("thawed", l.id, p.end.side, 0)
	p.world.release(held)
}

// pump moves what is pending into the stream, then ends it if that was asked for.
func (p *Peer) pump() {
	e := p.end
	if !e.connected || e.closed || e.dead {
		if p.Closed() {
			p.pending = nil
		}
		if p.closing && !e.closed {
			e.shut()
		}
		return
	}
	s := e.out()
	if n := min(len(p.pending), s.room()); n > 0 {
		s.compact()
		s.bytes = append(s.bytes, p.pending[:n]...)
		if rest := len(p.pending) - n; rest <= 4<<10 {
			p.pending = p.pending[:copy(p.pending, p.pending[n:])]
		} else { // to copy megabytes for each piece would take longer than all else
			p.pending, p.cut = p.pending[n:], true
		}
		if len(p.pending) == 0 && (p.cut || cap(p.pending) > 64<<10) {
			p.pending, p.cut = nil, false
		}
		p.world.record("writes", e.link.id, e.side, n)
		s.move()
	}
	if len(p.pending) > 0 || !p.ending {
		return
	}
	if p.closing {
		e.shut()
	} else if !s.ended {
		_ = e.CloseWrite() // it is connected
	}
}

// run looks at what has changed and calls back.
func (p *Peer) run() {
	if p.running {
		return // within a callback; the loop below goes on behind it
	}
	p.running = true
	e := p.end
	if e.connected && !p.opened {
		p.opened = true
		if p.OnOpen != nil && !p.told {
			p.OnOpen(p)
		}
	}
	p.pump()
	p.readAll()
	p.running = false
	if p.told || p.paused && !e.dead {
		return
	}
	switch {
	case e.closed:
	case e.dead:
		err := e.failure
		if err == 0 {
			err = syscall.ECONNRESET
		}
		p.tell(err)
	case e.in().endThere && e.in().unread() == 0:
		p.tell(io.EOF)
	}
}

func (p *Peer) readAll() {
	in := p.end.in()
	for !p.end.closed && in.unread() > 0 && !p.paused {
		data := in.bytes[in.head:in.arrived:in.arrived]
		in.consume(len(data))
		p.read += uint64(len(data))
		if p.OnData != nil && !p.closing {
			p.OnData(p, data)
		}
	}
	in.compact()
}

func (p *Peer) tell(err error) {
	p.told = true
	if p.OnClose != nil {
		p.OnClose(p, err)
	} else {
		p.Close()
	}
}

// SendNow has data arrive at this moment, whole, ahead of nothing: it reports false, and does nothing, while other bytes
// of p are on their way, and when the connection is not there or is frozen.
func (p *Peer) SendNow(data []byte) bool {
	e := p.end
	s := e.out()
	l := e.link
	frozen := l.frozen || l.service != nil && l.service.frozen
	if !e.connected || p.Closed() || p.ending || frozen || len(p.pending) > 0 || s.onWay() > 0 || s.to().closed {
		return false
	}
	s.compact()
	s.bytes = append(s.bytes, data...)
	s.arrived += len(data)
	p.world.record("sends at once", l.id, e.side, len(data))
	s.to().changed(evloop.Readable)
	return true
}
