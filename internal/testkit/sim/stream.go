package sim

import (
	"syscall"

	"nutmeg/internal/evloop"
)

// link is one connection: two ends and a stream toward each.
type link struct {
	world   *World
	id      uint32
	address string // that was dialed
	from    string // address of the dialing side, as the other one sees it
	unix    bool
	ends    [2]end // 0 dialed, 1 accepted
	streams [2]stream
	service *Service // of peers, if one accepted it
	frozen  bool
	held    []heldEvent
}

type heldEvent struct {
	target happening
	what   eventKind
}

func (w *World) newLink(address string) *link {
	w.links++
	l := &link{world: w, id: w.links, address: address, unix: address[0] == '/'}
	for i := range l.ends {
		l.ends[i] = end{link: l, side: uint8(i)}
		l.streams[i] = stream{link: l, side: uint8(i), sendBytes: w.Net.SendBytes, receiveBytes: w.Net.ReceiveBytes}
	}
	return l
}

// hold keeps an event back if the connection is frozen.
func (l *link) hold(target happening, what eventKind) bool {
	held := heldEvent{target, what}
	switch {
	case l.frozen:
		l.held = append(l.held, held)
	case l.service != nil && l.service.frozen:
		l.service.held = append(l.service.held, held)
	default:
		return false
	}
	return true
}

func (w *World) release(held []heldEvent) {
	for _, h := range held {
		w.schedule(w.arrival(), h.target, h.what)
	}
}

// stream is one direction of a connection.
type stream struct {
	link    *link
	side    uint8 // the end that it leads to
	bytes   []byte
	head    int // bytes before it were read
	arrived int // bytes before it have arrived, the others are on their way

	sendBytes, receiveBytes int

	ended    bool // its writer has said that no more follows
	endThere bool // its reader can see that
	moving   bool // a delivery is scheduled
	choked   bool // a write was short though there was room; the next delivery ends that
	full     bool // a write was short, and its writer waits for room
}

func (s *stream) onWay() int  { return len(s.bytes) - s.arrived }
func (s *stream) unread() int { return s.arrived - s.head }
func (s *stream) room() int   { return max(0, s.sendBytes-s.onWay()) }
func (s *stream) to() *end    { return &s.link.ends[s.side] }
func (s *stream) from() *end  { return &s.link.ends[1-s.side] }

// writable reports what a poller would: like Linux's, not before a third of the buffer is free.
func (s *stream) writable() bool { return !s.choked && s.room()*3 >= s.sendBytes }

// move schedules the next delivery, if there is anything that could be delivered.
func (s *stream) move() {
	w := s.link.world
	if s.moving || s.endThere || s.to().dead || !s.to().connected {
		return
	}
	if (s.onWay() > 0 && s.unread() < s.receiveBytes) || (s.onWay() == 0 && s.ended) {
		s.moving = true
		w.schedule(w.arrival(), s, eventDeliver)
	}
}

func (s *stream) happen(w *World, what eventKind) {
	if s.link.hold(s, what) {
		return
	}
	s.moving = false
	to := s.to()
	switch {
	case to.dead:
		return
	case to.closed:
		s.refuse()
		return
	}
	s.arrive(w)
	s.move()
	to.changed(evloop.Readable)
	room := evloop.Interest(0)
	if s.full && s.writable() {
		s.full, room = false, evloop.Writable
	}
	s.from().changed(room)
}

func (s *stream) arrive(w *World) {
	if n := min(s.onWay(), s.receiveBytes-s.unread()); n > 0 {
		if n > 1 && w.chance(w.Net.CutPercent) {
			n = 1 + w.random.IntN(n)
		}
		s.arrived += n
		s.choked = false
		w.record("receives", s.link.id, s.side, n)
		if !s.ended || s.onWay() > 0 || w.chance(50) {
			return // else the end comes with the last bytes
		}
	}
	if s.ended && s.onWay() == 0 {
		s.endThere = true
		s.choked = false
		w.record("sees the end", s.link.id, s.side, 0)
	}
}

// refuse answers what arrives at a closed end: bytes with a reset, the end of the stream with nothing.
func (s *stream) refuse() {
	if s.onWay() > 0 {
		s.link.reset(s.from())
	}
	s.endThere = s.ended
	s.drop()
}

// drop forgets all bytes.
func (s *stream) drop() { s.bytes, s.head, s.arrived = nil, 0, 0 }

// consume takes n arrived bytes off the front.
func (s *stream) consume(n int) {
	s.head += n
	s.move()
}

// compact makes room for appending; nobody may hold bytes of the stream then.
func (s *stream) compact() {
	switch {
	case s.head == len(s.bytes):
		s.bytes, s.head, s.arrived = s.bytes[:0], 0, 0
	case s.head > 4096 && s.head > len(s.bytes)/2:
		n := copy(s.bytes, s.bytes[s.head:])
		s.bytes = s.bytes[:n]
		s.arrived -= s.head
		s.head = 0
	}
}

// reset tells e, in time, that the other end has thrown the connection away.
func (l *link) reset(e *end) {
	if e.dead || e.resetting {
		return
	}
	e.resetting = true
	l.world.schedule(l.world.arrival(), e, eventReset)
}

// happen is the arrival of a reset.
func (e *end) happen(w *World, what eventKind) {
	if e.link.hold(e, what) {
		return
	}
	if e.dead || e.closed {
		return
	}
	e.dead = true
	e.failure = syscall.ECONNRESET
	in, out := e.in(), e.out()
	if in.endThere {
		e.failure = syscall.EPIPE
	}
	if w.chance(50) {
		in.drop() // systems differ in whether input that was not read survives
	} else {
		in.bytes = in.bytes[:in.arrived]
	}
	out.drop()
	w.record("is reset", e.link.id, e.side, 0)
	e.changed(evloop.Readable | evloop.Writable)
}
