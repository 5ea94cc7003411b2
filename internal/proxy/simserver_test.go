package proxy

import (
	"hash/fnv"
	"slices"
	"time"

	"nutmeg/internal/testkit/sim"
)

// simServer is a simulated server. Its data outlives its process, unless somebody says Forget.
type simServer struct {
	*sim.Service
	name     string // as in the configuration: an address, or a host name and a port
	language language
	world    *sim.World
	books    books
	overtax  func() // is told that clients ask for more than goes through; may be nil
	fail     func(format string, args ...any)

	written map[names]int32   // by client and key: the unit that wrote it last
	data    map[string]string // keys that are nobody's
	conns   []*simSession

	password string        // that a connection must give first, if known
	unwell   bool          // answers that it cannot serve
	brittle  bool          // dies in the middle of what is not short
	denied   string        // a command that nobody may use
	late     time.Duration // at most so much later than usual it answers
	service  time.Duration // at most so long it takes for one request
	whole    bool          // sends what it has to say in one piece
	requests int           // that it has answered
	scratch  []byte
	store    simStore // of a Redis server
}

// books finds the ledger of a client, nil if there is none that may talk to this server.
type books func(client int) *ledger

// noBooks is for servers of clients that keep no ledger.
func noBooks(int) *ledger { return nil }

func newSimServer(w *sim.World, name, address string, l language, fail func(string, ...any)) *simServer {
	s := &simServer{
		name: name, language: l, world: w, books: noBooks, fail: fail, service: 20 * time.Microsecond,
		written: map[names]int32{}, data: map[string]string{},
	}
	s.Service = w.Listen(address, s.accepted)
	return s
}

// forget is a restart without data.
func (s *simServer) forget() {
	clear(s.written)
	clear(s.data)
	for place := range s.store.lists {
		s.touch(place)
	}
	clear(s.store.lists)
}

// simSession is the server's side of one connection.
type simSession struct {
	server  *simServer
	peer    *sim.Peer
	parser  executor
	out     []byte // responses that are not sent yet
	free    int64  // when the server is done with what came so far
	timed   bool   // deliver is going to be called
	midway  bool   // a part of a response has been sent
	stalled bool   // frozen, and to be thawed, also if it is closed
	mute    bool   // says nothing any more
	fate    fate
	tell    func() // deliver, made once
}

// fate is what becomes of a connection when its next response is due.
type fate uint8

const (
	fateNone    fate = iota
	fateSilence      // half of it, and nothing more
	fateCut          // half of it, and the end
	fateReset        // half of it, and a reset
)

// executor executes requests that came from a connection.
type executor interface {
	// feed takes bytes and appends to out the responses to what is complete.
	feed(s *simServer, data, out []byte) ([]byte, error)
}

func (s *simServer) accepted(p *sim.Peer) {
	c := &simSession{server: s, peer: p, parser: s.language.newSession()}
	c.tell = c.deliver
	p.OnData = func(_ *sim.Peer, data []byte) { c.received(data) }
	c.bind()
	kept := s.conns[:0]
	for _, other := range s.conns {
		if !other.peer.Closed() || other.stalled {
			kept = append(kept, other)
		}
	}
	s.conns = append(kept, c)
}

// keeper is an executor that keeps state for its connection.
type keeper interface {
	attach(*simSession)
	closed(*simServer)
}

// bind has the executor know its connection.
func (c *simSession) bind() {
	k, ok := c.parser.(keeper)
	if ok {
		k.attach(c)
	}
	c.peer.OnClose = func(p *sim.Peer, _ error) {
		if ok {
			k.closed(c.server)
		}
		p.Close()
	}
}

// say sends what nobody asked for at this moment.
func (c *simSession) say(text []byte) {
	if c.mute || c.peer.Closed() {
		return
	}
	c.out = append(c.out, text...)
	c.free = max(c.free, int64(c.server.world.Now()))
	c.schedule()
}

func (c *simSession) received(data []byte) {
	s := c.server
	before, requests := len(c.out), s.requests
	out, err := c.parser.feed(s, data, c.out)
	if err != nil {
		s.fail("server %s was sent rubbish: %v", s.name, err)
		return
	}
	if c.mute || len(out) == before {
		c.out = out[:before]
		return
	}
	c.out = out
	r := s.world.Random()
	now := int64(s.world.Now())
	c.free = max(c.free, now) + int64(s.requests-requests)*r.Int64N(int64(s.service))
	if s.late > 0 {
		c.free = max(c.free, now+r.Int64N(int64(s.late)))
	}
	c.schedule()
}

func (c *simSession) schedule() {
	if !c.timed {
		c.timed = true
		c.server.world.After(time.Duration(c.free)-c.server.world.Now(), c.tell)
	}
}

// overtaxed is how many bytes of responses wait for the network when it is the cause of what comes too late. The slowest
// network carries them in some 20 ms.
const overtaxed = 512 << 10

// deliver sends what is due, now and then in two parts.
func (c *simSession) deliver() {
	c.timed = false
	if len(c.out) == 0 || c.mute {
		return
	}
	r := c.server.world.Random()
	if c.server.brittle && c.fate == fateNone && len(c.out) > 60 {
		c.fate = pickOne(r, fateSilence, fateCut)
	}
	n := len(c.out)
	if n > 1 && (c.fate != fateNone || !c.server.whole && oneIn(r, 8)) {
		n = 1 + r.IntN(n-1)
	}
	c.peer.Send(c.out[:n])
	if c.peer.Unsent() > overtaxed && c.server.overtax != nil {
		c.server.overtax()
	}
	c.out = c.out[:copy(c.out, c.out[n:])]
	if c.midway = len(c.out) > 0; !c.midway && cap(c.out) > 64<<10 {
		c.out = nil // a soak measures the proxy, not this
	}
	switch c.fate {
	case fateNone:
		if c.midway {
			c.free = int64(c.server.world.Now()) + r.Int64N(int64(200*time.Microsecond))
			c.schedule()
		}
		return
	case fateCut:
		c.peer.Close()
	case fateReset:
		c.peer.Reset()
	}
	c.mute = true
	c.out = c.out[:0]
}

// write has a client's unit write its key.
func (s *simServer) write(key names, value []byte) {
	l := s.books(key.client)
	if l == nil {
		s.fail("server %s was sent a write of client %d, which is of another pool", s.name, key.client)
		return
	}
	number, err := l.checkValue(value, key.number)
	if err == nil {
		_, err = l.do(int(number), key.number)
	}
	if err != nil {
		s.fail("server %s: write: %v", s.name, err)
		return
	}
	s.written[key] = number
}

// read appends the value of a client's key; ok is false if there is none. token names the unit that reads, nil if there is none.
func (s *simServer) read(dst []byte, key names, token []byte) (out []byte, number int32, ok bool) {
	l := s.books(key.client)
	if l == nil {
		s.fail("server %s was sent a read of client %d, which is of another pool", s.name, key.client)
		return dst, 0, false
	}
	number = s.written[key]
	if token == nil {
		s.plain(l)
	} else if u := s.do(token, key.number); u != nil {
		u.found = number
	}
	if number == 0 {
		return dst, 0, false
	}
	return l.appendValue(dst, number), number, true
}

// plain counts a request that carries no unit.
func (s *simServer) plain(l *ledger) {
	if l.plainDone++; l.plainDone > l.plainSent {
		s.fail("server %s: client %d has sent %d requests without a unit, servers did %d", s.name, l.client, l.plainSent, l.plainDone)
	}
}

// cursorMark is in every cursor of a simulated server, and only by chance in one of the proxy's.
const cursorMark = 0xffff

// cursor is the one that the server gives in a scan: no other server has it.
func (s *simServer) cursor() uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(s.name))
	return h.Sum32()&^0xffff | cursorMark
}

// doEverywhere does this server's part of a unit that all servers are asked for.
func (s *simServer) doEverywhere(token []byte) {
	n, ok := parseToken(token)
	var l *ledger
	if ok {
		l = s.books(n.client)
	}
	if l == nil || n.number <= 0 || n.number >= len(l.units) {
		s.fail("server %s was sent %.60q where a token should be", s.name, token)
		return
	}
	asked := l.everywhere[int32(n.number)]
	if slices.Contains(asked, s.name) {
		s.fail("server %s was sent unit %d of client %d twice", s.name, n.number, n.client)
	}
	l.everywhere[int32(n.number)] = append(asked, s.name)
	l.units[n.number].done = true
}

// do does the unit that a token names.
func (s *simServer) do(token []byte, key int) *unit {
	n, ok := parseToken(token)
	var l *ledger
	if ok {
		l = s.books(n.client)
	}
	if l == nil {
		s.fail("server %s was sent %.60q where a token should be", s.name, token)
		return nil
	}
	u, err := l.do(n.number, key)
	if err != nil {
		s.fail("server %s: %v", s.name, err)
	}
	return u
}
