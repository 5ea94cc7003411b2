package sim_test

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"nutmeg/internal/evloop"
	"nutmeg/internal/testkit/sim"
)

// echo is a loop that sends back what it receives.
type echo struct {
	loop    *evloop.Loop
	outside *sim.Outside
	conns   int
	failed  int
}

type echoConn struct {
	evloop.Conn
	echo *echo
}

func newEcho(t *testing.T, w *sim.World, addr evloop.Address, opt evloop.ListenOptions) *echo {
	t.Helper()
	e := &echo{outside: w.Outside("echo")}
	e.loop = evloop.New(e.outside, e)
	opt.Backlog = 128
	socket, err := e.outside.Listen(addr, opt)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.loop.Accept(socket, evloop.SocketOptions{}, e); err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *echo) BatchDone()         {}
func (e *echo) AcceptFailed(error) { e.failed++ }
func (e *echo) Accepted(s evloop.Socket) {
	e.conns++
	c := &echoConn{echo: e}
	if err := e.loop.Adopt(&c.Conn, s, c); err != nil {
		e.failed++
	}
}

func (c *echoConn) Opened()              {}
func (c *echoConn) Received(data []byte) { c.Send(data) }
func (c *echoConn) EOF()                 { c.CloseGracefully(nil) }
func (c *echoConn) Closed(error)         { c.echo.failed++ }
func (c *echoConn) Flushed()             {}

var echoAddress = evloop.Address{Host: "10.0.0.1", Port: 7}

const echoDial = "10.0.0.1:7"

// runEcho sends payloads from several clients through an echo on as many loops, and returns the digest of the run.
func runEcho(t *testing.T, seed uint64, loops, clients, size int) uint64 {
	t.Helper()
	w := sim.New(seed)
	var all []*evloop.Loop
	var echoes []*echo
	for range loops {
		e := newEcho(t, w, echoAddress, evloop.ListenOptions{ReusePort: true})
		echoes = append(echoes, e)
		all = append(all, e.loop)
	}
	got := make([][]byte, clients)
	want := make([][]byte, clients)
	closed := 0
	for i := range clients {
		p := w.Connect(echoDial)
		for range size {
			want[i] = append(want[i], byte(w.Random().Uint32()))
		}
		p.OnData = func(_ *sim.Peer, data []byte) { got[i] = append(got[i], data...) }
		p.OnClose = func(p *sim.Peer, err error) {
			if !errors.Is(err, io.EOF) {
				t.Errorf("seed %d: client %d: %v", seed, i, err)
			}
			closed++
			p.Close()
		}
		p.Send(want[i])
		p.CloseWrite()
	}
	if err := w.Run(all, func() bool { return closed == clients }, time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := w.RunFor(all, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	for i := range clients {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("seed %d: client %d got %d bytes that differ from the %d sent", seed, i, len(got[i]), len(want[i]))
		}
	}
	for _, e := range echoes {
		if e.outside.Sockets() != 1 || e.loop.Open() != 1 || e.failed != 0 {
			t.Errorf("seed %d: %d sockets, %d slots, %d failures at the end; want 1, 1, 0", seed, e.outside.Sockets(), e.loop.Open(), e.failed)
		}
	}
	return w.Digest()
}

func TestEchoedBytesAreEqualHoweverCut(t *testing.T) {
	for seed := range uint64(50) {
		runEcho(t, seed, 1+int(seed%3), 1+int(seed%7), 1+int(seed*seed*137)%300000)
	}
}

func TestSameSeedIsTheSameRun(t *testing.T) {
	a, b, other := runEcho(t, 7, 3, 5, 100000), runEcho(t, 7, 3, 5, 100000), runEcho(t, 8, 3, 5, 100000)
	if a != b {
		t.Errorf("two runs of one seed: digests %x and %x", a, b)
	}
	if a == other {
		t.Errorf("two seeds have the same digest %x", a)
	}
}

// pair is two peers on one connection, without a loop.
func pair(t *testing.T, seed uint64) (w *sim.World, service *sim.Service, client, server *sim.Peer) {
	t.Helper()
	w = sim.New(seed)
	service = w.Listen("10.0.0.2:1", func(p *sim.Peer) { server = p })
	client = w.Connect("10.0.0.2:1")
	run(t, w, func() bool { return server != nil })
	return w, service, client, server
}

func run(t *testing.T, w *sim.World, until func() bool) {
	t.Helper()
	if err := w.Run(nil, until, time.Minute); err != nil {
		t.Fatal(err)
	}
}

func TestDialOutcomes(t *testing.T) {
	dial := func(t *testing.T, prepare func(w *sim.World)) (err error, opened bool) {
		w := sim.New(1)
		prepare(w)
		p := w.Connect("10.0.0.9:1")
		p.OnOpen = func(*sim.Peer) { opened = true }
		p.OnClose = func(_ *sim.Peer, e error) { err = e }
		if e := w.RunFor(nil, time.Minute); e != nil {
			t.Fatal(e)
		}
		return err, opened
	}
	listen := func(w *sim.World) *sim.Service { return w.Listen("10.0.0.9:1", func(*sim.Peer) {}) }
	tests := []struct {
		name    string
		prepare func(w *sim.World)
		want    error
		opened  bool
	}{
		{"somebody listens", func(w *sim.World) { listen(w) }, nil, true},
		{"a listener on all interfaces is found", func(w *sim.World) { w.Listen(":1", func(*sim.Peer) {}) }, nil, true},
		{"nobody listens", func(*sim.World) {}, syscall.ECONNREFUSED, false},
		{"killed", func(w *sim.World) { listen(w).Kill() }, syscall.ECONNREFUSED, false},
		{"revived", func(w *sim.World) { s := listen(w); s.Kill(); s.Revive() }, nil, true},
		{"unreachable", func(w *sim.World) { listen(w); w.Unreachable("10.0.0.9:1") }, syscall.EHOSTUNREACH, false},
		{"hanging", func(w *sim.World) { listen(w); w.Hang("10.0.0.9:1") }, nil, false},
		{"hanging, then restored", func(w *sim.World) {
			listen(w)
			w.Hang("10.0.0.9:1")
			w.After(time.Second, func() { w.Restore("10.0.0.9:1") })
		}, nil, true},
		{"frozen", func(w *sim.World) { listen(w).Freeze() }, nil, false},
		{"frozen, then thawed", func(w *sim.World) {
			s := listen(w)
			s.Freeze()
			w.After(time.Second, s.Thaw)
		}, nil, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err, opened := dial(t, test.prepare); !errors.Is(err, test.want) || opened != test.opened {
				t.Errorf("opened %v, error %v; want %v, %v", opened, err, test.opened, test.want)
			}
		})
	}
}

func TestHalfCloseLeavesTheOtherDirection(t *testing.T) {
	w, _, client, server := pair(t, 3)
	var got strings.Builder
	ended := false
	client.OnData = func(_ *sim.Peer, data []byte) { got.Write(data) }
	client.OnClose = func(*sim.Peer, error) { ended = true }
	server.OnClose = func(p *sim.Peer, err error) {
		if !errors.Is(err, io.EOF) {
			t.Errorf("got %v, want EOF", err)
		}
		p.SendString("after the end")
		p.Close()
	}
	client.CloseWrite()
	run(t, w, func() bool { return ended })
	if got.String() != "after the end" {
		t.Errorf("got %q", got.String())
	}
}

func TestResetReachesTheOtherSide(t *testing.T) {
	w, _, client, server := pair(t, 4)
	var got error
	client.OnClose = func(_ *sim.Peer, err error) { got = err }
	server.Reset()
	run(t, w, client.Closed)
	if !errors.Is(got, syscall.ECONNRESET) {
		t.Errorf("got %v, want ECONNRESET", got)
	}
}

func TestClosingWithUnreadInputResets(t *testing.T) {
	w, _, client, server := pair(t, 5)
	var got error
	client.OnClose = func(_ *sim.Peer, err error) { got = err }
	server.Pause()
	client.SendString("never read")
	if err := w.RunFor(nil, time.Second); err != nil {
		t.Fatal(err)
	}
	server.Close()
	run(t, w, func() bool { return got != nil })
	if !errors.Is(got, syscall.ECONNRESET) {
		t.Errorf("got %v, want ECONNRESET", got)
	}
}

func TestPausedPeerFillsTheBuffersAndNoMore(t *testing.T) {
	w, _, client, server := pair(t, 6)
	server.Pause()
	client.Send(make([]byte, 1<<20))
	if err := w.RunFor(nil, time.Second); err != nil {
		t.Fatal(err)
	}
	if held := 1<<20 - client.Unsent(); held != w.Net.SendBytes+w.Net.ReceiveBytes {
		t.Errorf("the stream holds %d bytes, want both buffers full: %d", held, w.Net.SendBytes+w.Net.ReceiveBytes)
	}
	server.Resume()
	run(t, w, func() bool { return server.ReadBytes() == 1<<20 })
}

func TestFrozenConnectionDeliversAfterThaw(t *testing.T) {
	w, _, client, server := pair(t, 7)
	server.Freeze()
	client.SendString("hello")
	if err := w.RunFor(nil, time.Hour); err != nil {
		t.Fatal(err)
	}
	if server.ReadBytes() != 0 {
		t.Fatal("bytes passed a frozen connection")
	}
	server.Thaw()
	run(t, w, func() bool { return server.ReadBytes() == 5 })
}

func TestRunErrorsNameSeedTimeAndLastEvents(t *testing.T) {
	never := func() bool { return false }
	w, _, _, _ := pair(t, 99)
	err := w.Run(nil, never, time.Minute)
	var failed *sim.RunError
	if !errors.As(err, &failed) || failed.Seed != 99 || !strings.Contains(err.Error(), "nothing is left") || !strings.Contains(err.Error(), "1>  dials") {
		t.Errorf("got %v", err)
	}
	w.After(time.Hour, func() {})
	if err := w.Run(nil, never, time.Minute); err == nil || !strings.Contains(err.Error(), "has not happened") {
		t.Errorf("got %v", err)
	}
}

func TestResolveAnswersFromTheTable(t *testing.T) {
	w := sim.New(1)
	o := w.Outside("a")
	w.SetHost("db", netip.MustParseAddr("10.0.0.3"))
	var known []netip.Addr
	var unknown error
	o.Resolve("db", func(ips []netip.Addr, _ error) { known = ips })
	o.Resolve("nowhere", func(_ []netip.Addr, err error) { unknown = err })
	run(t, w, func() bool { return known != nil && unknown != nil })
	if known[0].String() != "10.0.0.3" {
		t.Errorf("got %v", known)
	}
}

func TestAcceptWithoutDescriptorsGoesOnLater(t *testing.T) {
	w := sim.New(2)
	e := newEcho(t, w, evloop.Address{Port: 7}, evloop.ListenOptions{})
	e.outside.FilesExhausted = true
	p := w.Connect(echoDial)
	if err := w.RunFor([]*evloop.Loop{e.loop}, time.Second); err != nil {
		t.Fatal(err)
	}
	if e.conns != 0 || e.failed == 0 || e.failed > 11 {
		t.Fatalf("%d connections, %d failures; want none, and about ten", e.conns, e.failed)
	}
	e.outside.FilesExhausted = false
	p.SendString("x")
	if err := w.Run([]*evloop.Loop{e.loop}, func() bool { return p.ReadBytes() == 1 }, time.Minute); err != nil {
		t.Fatal(err)
	}
}

func TestSendNowIsThereAtOnceOrNotAtAll(t *testing.T) {
	w := sim.New(1)
	w.Net.CutPercent, w.Net.ShortWritePercent = 0, 0
	w.Net.MinLatency = w.Net.MaxLatency
	e := newEcho(t, w, echoAddress, evloop.ListenOptions{})
	loops := []*evloop.Loop{e.loop}
	p := w.Connect(echoDial)
	var got []string
	p.OnData = func(_ *sim.Peer, data []byte) { got = append(got, string(data)) }
	if p.SendNow([]byte("x")) {
		t.Error("sent on a connection that is not there")
	}
	if err := w.Run(loops, func() bool { return e.conns == 1 }, time.Minute); err != nil {
		t.Fatal(err)
	}
	if !p.SendNow([]byte("now")) {
		t.Fatal("not sent")
	}
	if err := w.Run(loops, func() bool { return len(got) == 1 }, time.Minute); err != nil {
		t.Fatal(err)
	}
	if got[0] != "now" {
		t.Errorf("got %q; what was sent at once should have come back whole", got)
	}
	p.SendString("later")
	if p.SendNow([]byte("x")) {
		t.Error("sent ahead of what is on its way")
	}
}

func TestLoopsJoinARun(t *testing.T) {
	w := sim.New(1)
	first := newEcho(t, w, echoAddress, evloop.ListenOptions{})
	p := w.Connect("10.0.0.2:7")
	var second *echo
	w.After(0, func() {
		second = newEcho(t, w, evloop.Address{Host: "10.0.0.2", Port: 7}, evloop.ListenOptions{})
		w.Join(second.loop)
	})
	p.SendString("x")
	if err := w.Run([]*evloop.Loop{first.loop}, func() bool { return p.ReadBytes() == 1 }, time.Minute); err != nil {
		t.Fatal(err)
	}
	if second.conns != 1 {
		t.Errorf("the loop that joined has %d connections", second.conns)
	}
}

func BenchmarkEchoRoundTrip(b *testing.B) {
	w := sim.New(1)
	outside := w.Outside("echo")
	e := &echo{outside: outside}
	e.loop = evloop.New(outside, e)
	socket, err := outside.Listen(echoAddress, evloop.ListenOptions{Backlog: 128})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := e.loop.Accept(socket, evloop.SocketOptions{}, e); err != nil {
		b.Fatal(err)
	}
	left := 0
	for range 50 {
		p := w.Connect(echoDial)
		p.OnData = func(p *sim.Peer, data []byte) {
			left--
			p.Send(data)
		}
		p.SendString("x")
	}
	loops := []*evloop.Loop{e.loop}
	b.ReportAllocs()
	for b.Loop() {
		left = 1000
		if err := w.Run(loops, func() bool { return left <= 0 }, time.Hour); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/roundtrip")
}
