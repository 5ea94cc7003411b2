// Package sim is a simulated outside for event loops: a network in memory, with virtual time and a seed.
//
// A World holds everything. Event loops reach it through an Outside each, as they reach the kernel; the clients and
// servers around them are Peers, state machines of the test. All of it runs on the test's goroutine, and every choice
// (latencies, where a stream is cut, which loop goes first) is drawn from one generator, so that a seed is a whole run.
//
//	test ─► World.Run ─► loop.Step ─► Outside ─► stream ══ latency, cuts ══► stream ─► Peer.OnData ─► Peer.Send ...
//	            └──────► next event: the clock jumps to it
//
// Streams behave as Linux's do where it matters: bounded buffers, short writes, half close, and a reset when an end is
// closed with input unread or gets input after it was closed. Nothing here knows a protocol.
package sim

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"nutmeg/internal/evloop"
)

// Network says how the network behaves. Change it before the connections that it shall apply to are made.
type Network struct {
	// MinLatency and MaxLatency bound how long a piece of a stream, or a connection, takes to arrive.
	MinLatency, MaxLatency time.Duration
	// Tick is what times of arrival are rounded up to, so that several things are ready in one batch.
	Tick time.Duration
	// SendBytes and ReceiveBytes bound what one direction of a connection holds: on its way, and arrived but not read.
	SendBytes, ReceiveBytes int
	// CutPercent is how often a delivery brings only a part of what is on its way.
	CutPercent int
	// ShortWritePercent is how often a write takes less than there is room for.
	ShortWritePercent int
	// InstantPercent is how often the outcome of a dial is known at once.
	InstantPercent int
}

// World is one simulated network and its clock. It belongs to one goroutine.
type World struct {
	// Net may be changed at any time.
	Net Network

	seed   uint64
	random *rand.Rand
	now    int64
	queue  eventQueue
	places map[string]*place       // by address; never iterated
	hosts  map[string][]netip.Addr // by name; never iterated
	links  uint32                  // connections made so far
	port   int                     // the last one handed out to a client
	trace  trace
	joined []*evloop.Loop // since the last step of Run
}

// New returns an empty world. The same seed and the same calls give the same run.
func New(seed uint64) *World {
	return &World{
		Net: Network{
			MinLatency: 20 * time.Microsecond, MaxLatency: 300 * time.Microsecond, Tick: 20 * time.Microsecond,
			SendBytes: 64 << 10, ReceiveBytes: 64 << 10,
			CutPercent: 30, ShortWritePercent: 5, InstantPercent: 10,
		},
		seed:   seed,
		random: rand.New(rand.NewPCG(seed, 0x6e75746d6567)),
		places: map[string]*place{},
		hosts:  map[string][]netip.Addr{},
		port:   32767,
	}
}

// Seed is what New was given.
func (w *World) Seed() uint64 { return w.seed }

// Now is the virtual time since the world began.
func (w *World) Now() time.Duration { return time.Duration(w.now) }

// Random is the world's generator. What a test draws from it is part of the run.
func (w *World) Random() *rand.Rand { return w.random }

// After calls fn when d has passed.
func (w *World) After(d time.Duration, fn func()) {
	w.schedule(w.now+int64(max(d, 0)), call(fn), 0)
}

// SetHost sets the addresses of a host name; without any, the name is not known.
func (w *World) SetHost(name string, ips ...netip.Addr) { w.hosts[name] = ips }

func (w *World) chance(percent int) bool { return percent > 0 && w.random.IntN(100) < percent }

// arrival is when something that leaves now is there.
func (w *World) arrival() int64 {
	least, most := int64(w.Net.MinLatency), int64(w.Net.MaxLatency)
	at := w.now + least
	if most > least {
		at += w.random.Int64N(most - least + 1)
	}
	if tick := int64(w.Net.Tick); tick > 0 {
		at = (at + tick - 1) / tick * tick
	}
	return at
}

// place is what the world knows of one address.
type place struct {
	acceptors   []acceptor
	hanging     bool
	unreachable bool
	waiting     []*link // dials that hang
}

// acceptor is who listens at an address.
type acceptor interface {
	// accept gets the server's end of a new connection; false if it has no room for it now.
	accept(e *end) bool
}

func (w *World) place(addr string) *place {
	p := w.places[addr]
	if p == nil {
		p = &place{}
		w.places[addr] = p
	}
	return p
}

// find is the place that a dial to addr ends at: its own, or that of a listener on all interfaces.
func (w *World) find(addr string) *place {
	p := w.place(addr)
	if len(p.acceptors) > 0 || p.hanging || p.unreachable || strings.HasPrefix(addr, "/") {
		return p
	}
	if i := strings.LastIndexByte(addr, ':'); i >= 0 {
		if all := w.places[addr[i:]]; all != nil {
			return all
		}
	}
	return p
}

func (p *place) remove(a acceptor) {
	for i, have := range p.acceptors {
		if have == a {
			p.acceptors = append(p.acceptors[:i:i], p.acceptors[i+1:]...)
			return
		}
	}
}

// Hang makes dials to addr, "host:port" or a path, neither succeed nor fail until Restore.
func (w *World) Hang(addr string) { w.place(addr).hanging = true }

// Unreachable makes dials to addr fail with "no route to host" until Restore.
func (w *World) Unreachable(addr string) { w.place(addr).unreachable = true }

// Restore ends Hang and Unreachable. Dials that hang go on.
func (w *World) Restore(addr string) {
	p := w.place(addr)
	p.hanging, p.unreachable = false, false
	waiting := p.waiting
	p.waiting = nil
	for _, l := range waiting {
		w.schedule(w.arrival(), l, eventConnect)
	}
}
