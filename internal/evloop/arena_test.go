package evloop_test

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"nutmeg/internal/evloop"
	"nutmeg/internal/testkit"
	"nutmeg/internal/testkit/sim"
)

// arena is a loop over one of the outsides, with both ends of every connection on it.
type arena struct {
	t       *testing.T
	name    string
	world   *sim.World // nil on a real system
	outside evloop.Outside
	loop    *evloop.Loop
	batches int
}

func (a *arena) BatchDone() { a.batches++ }

// onAll runs a rule over every outside that this platform has, and over simulated ones.
func onAll(t *testing.T, rule func(t *testing.T, a *arena)) {
	t.Helper()
	onSystems(t, rule)
	t.Run("sim", func(t *testing.T) {
		for seed := range uint64(20) {
			w := sim.New(seed)
			w.SetHost("nutmeg.test", netip.MustParseAddr("127.0.0.9"), netip.MustParseAddr("127.0.0.1"))
			a := &arena{t: t, name: "nutmeg.test", world: w, outside: w.Outside("loop")}
			a.loop = evloop.New(a.outside, a)
			rule(t, a)
			if t.Failed() {
				t.Fatalf("seed %d; the last events:\n%s", seed, w.Trace())
			}
		}
	})
}

// testSystem is a kind of operating system to run the rules on.
type testSystem struct {
	name string
	make func() (evloop.Outside, error)
}

// otherSystems are those of this platform alone.
var otherSystems []testSystem

func onSystems(t *testing.T, rule func(t *testing.T, a *arena)) {
	t.Helper()
	systems := []testSystem{{evloop.Backend, evloop.NewSystem}, {"portable", evloop.NewPortableSystem}}
	for _, system := range append(systems, otherSystems...) {
		t.Run(system.name, func(t *testing.T) {
			outside, err := system.make()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = outside.Close() })
			a := &arena{t: t, name: "localhost", outside: outside}
			a.loop = evloop.New(outside, a)
			rule(t, a)
		})
	}
}

// alarm makes a wait end.
type alarm struct{ rung bool }

func (a *alarm) Expired() { a.rung = true }

// run handles batches until the condition holds.
func (a *arena) run(until func() bool) {
	a.t.Helper()
	if a.world != nil {
		if err := a.world.Run([]*evloop.Loop{a.loop}, until, 24*time.Hour); err != nil {
			a.t.Fatal(err)
		}
		return
	}
	var timer evloop.Timer
	limit := &alarm{}
	a.loop.Arm(&timer, a.outside.Now()+int64(20*time.Second), limit)
	defer a.loop.Disarm(&timer)
	a.step() // writes what the test appended outside of a batch
	for !until() {
		if limit.rung {
			a.t.Fatal("what the test waits for has not happened")
		}
		if err := a.loop.Step(true); err != nil {
			a.t.Fatal(err)
		}
	}
}

// step handles one batch, of what is there now.
func (a *arena) step() {
	a.t.Helper()
	if err := a.loop.Step(false); err != nil {
		a.t.Fatal(err)
	}
}

// runFor handles batches for a time.
func (a *arena) runFor(d time.Duration) {
	a.t.Helper()
	var timer evloop.Timer
	end := &alarm{}
	a.loop.Arm(&timer, a.outside.Now()+int64(d), end)
	a.run(func() bool { return end.rung })
}

func (a *arena) tcp() evloop.Address {
	if a.world != nil {
		return evloop.Address{Host: "127.0.0.1", Port: 1000}
	}
	return evloop.Address{Host: "127.0.0.1", Port: testkit.FreePort(a.t)}
}

func (a *arena) unix() evloop.Address {
	if a.world != nil {
		return evloop.Address{Path: "/tmp/s"}
	}
	dir, err := os.MkdirTemp("", "evloop") // short: the path of a unix socket has about a hundred bytes
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return evloop.Address{Path: filepath.Join(dir, "s")}
}

// node is one end of a connection, and remembers what it was told.
type node struct {
	evloop.Conn
	got     bytes.Buffer
	opened  bool
	ended   bool
	failure error
	flushes int

	onReceived func(data []byte)
	onEOF      func()
	onFlushed  func()
}

func (n *node) Opened() { n.opened = true }

func (n *node) Received(data []byte) {
	n.got.Write(data)
	if n.onReceived != nil {
		n.onReceived(data)
	}
}

func (n *node) EOF() {
	n.ended = true
	if n.onEOF != nil {
		n.onEOF()
	}
}

func (n *node) Closed(err error) { n.failure = err }

func (n *node) Flushed() {
	n.flushes++
	if n.onFlushed != nil {
		n.onFlushed()
	}
}

// gate accepts nodes.
type gate struct {
	arena    *arena
	listener *evloop.Listener
	nodes    []*node
	prepare  func(n *node)
}

func (a *arena) listen(addr evloop.Address, prepare func(n *node)) *gate {
	a.t.Helper()
	g := &gate{arena: a, prepare: prepare}
	socket, err := a.outside.Listen(addr, evloop.ListenOptions{Backlog: 128})
	if err != nil {
		a.t.Fatal(err)
	}
	if g.listener, err = a.loop.Accept(socket, evloop.SocketOptions{}, g); err != nil {
		a.t.Fatal(err)
	}
	return g
}

func (g *gate) Accepted(s evloop.Socket) {
	n := &node{}
	if g.prepare != nil {
		g.prepare(n)
	}
	if err := g.arena.loop.Adopt(&n.Conn, s, n); err != nil {
		g.arena.t.Error(err)
	}
	g.nodes = append(g.nodes, n)
}

func (g *gate) AcceptFailed(err error) { g.arena.t.Error(err) }

func (a *arena) dial(addr evloop.Address) *node {
	n := &node{}
	a.loop.Dial(&n.Conn, addr, evloop.SocketOptions{KeepAlive: true}, n)
	return n
}

// pair is a connection: the end that dialed, and the other.
func (a *arena) pair(addr evloop.Address) (client, server *node) {
	a.t.Helper()
	g := a.listen(addr, nil)
	client = a.dial(addr)
	a.run(func() bool { return client.opened && len(g.nodes) == 1 })
	g.listener.Close()
	return client, g.nodes[0]
}

// pattern is bytes in which a lost or doubled piece shows.
func pattern(size int) []byte {
	p := make([]byte, size)
	x := uint32(size)
	for i := range p {
		x = x*1664525 + 1013904223
		p[i] = byte(x >> 24)
	}
	return p
}

func wantBytes(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes that are not the %d sent", what, len(got), len(want))
	}
}

func wantError(t *testing.T, got error, want ...error) {
	t.Helper()
	for _, w := range want {
		if errors.Is(got, w) {
			return
		}
	}
	t.Errorf("got error %v, want one of %v", got, want)
}
