package proxy

import (
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"nutmeg/internal/config"
	"nutmeg/internal/evloop"
	"nutmeg/internal/testkit/sim"
)

const proxyAddress = "127.0.0.1:22121"

// spread has the clients of a configuration spread over the workers, and stay there.
func spread(text string) string {
	const word = "nutmeg: {"
	if rest, ok := strings.CutPrefix(text, word); ok {
		return word + "worker_busy: 0, " + rest
	}
	return word + "worker_busy: 0}\n" + text
}

// arena is the engine on the simulated outside for tests that know what they want to see: one pool, and clients made by hand.
type arena struct {
	*sim.World
	t        *testing.T
	language language
	proxy    *Proxy
	loops    []*evloop.Loop
	servers  []*simServer
	failure  string
}

func (a *arena) fail(format string, args ...any) {
	if a.failure == "" {
		a.failure = fmt.Sprintf("seed %d, %v: %s", a.Seed(), a.Now(), fmt.Sprintf(format, args...))
	}
}

func newArena(t *testing.T, seed uint64, l language, servers, workers int, settings string) *arena {
	t.Helper()
	a := &arena{World: sim.New(seed), t: t, language: l}
	var text strings.Builder
	fmt.Fprintf(&text, spread("")+"p:\n  listen: %s\n  %s\n  hash: murmur\n%s  servers:\n", proxyAddress, l.protocol(), settings)
	for i := range servers {
		address := fmt.Sprintf("10.0.0.%d:6379", i+1)
		fmt.Fprintf(&text, "   - %s:1 s%d\n", address, i)
		a.addServer(address)
	}
	conf, err := config.Parse("sim.yml", []byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	outsides := make([]evloop.Outside, workers)
	for i := range outsides {
		outsides[i] = a.Outside(fmt.Sprintf("worker%d", i))
	}
	if a.proxy, err = New(conf, outsides, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if err := a.proxy.Listen(nil); err != nil {
		t.Fatal(err)
	}
	a.loops = a.proxy.Loops()
	return a
}

func (a *arena) addServer(address string) {
	s := newSimServer(a.World, address, address, a.language, a.fail)
	s.whole = true
	a.servers = append(a.servers, s)
}

// mendEverything ends all that was done to servers.
func (a *arena) mendEverything() {
	for _, s := range a.servers {
		s.Thaw()
		s.Revive()
		a.Restore(s.name)
	}
}

// finish waits until what has left is forgotten, and checks that nothing is left of it.
func (a *arena) finish() {
	a.t.Helper()
	if err := a.RunFor(a.loops, time.Duration(identityIdle)+2*time.Second); err != nil {
		a.t.Fatal(err)
	}
	checkEmpty(a.proxy, a.fail)
	if a.failure != "" {
		a.t.Fatalf("%s\n%s", a.failure, a.Trace())
	}
}

// TestLateResponseReachesNobody holds what a time-out is for: a response that comes after it must not meet the next request.
func TestLateResponseReachesNobody(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "  timeout: 50\n")
	var got []string
	client := a.Connect(proxyAddress)
	reader := redisLanguage{}.newReader()
	client.OnData = func(_ *sim.Peer, data []byte) {
		responses, err := readAll(reader, data)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, responses...)
	}
	a.servers[0].data["a"], a.servers[0].data["b"] = "value of a", "value of b"
	wait := func(n int) {
		t.Helper()
		if err := a.Run(a.loops, func() bool { return len(got) == n }, time.Second); err != nil {
			t.Fatal(err)
		}
	}
	client.SendString("GET b\r\n")
	wait(1)
	a.servers[0].Freeze()
	client.SendString("GET a\r\n")
	wait(2)
	a.servers[0].Thaw()
	client.SendString("GET b\r\n")
	wait(3)
	want := []string{"$10\r\nvalue of b\r\n", "-ERR Connection timed out\r\n", "$10\r\nvalue of b\r\n"}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("response %d is %q, want %q", i, got[i], want[i])
		}
	}
}

// TestErrnoTexts holds the words that clients match on.
func TestErrnoTexts(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.ECONNREFUSED: "Connection refused", syscall.ETIMEDOUT: "Connection timed out",
		syscall.ECONNRESET: "Connection reset by peer", syscall.EPIPE: "Broken pipe", syscall.ENOENT: "No such file or directory",
	} {
		if got := failureOf(errno).text; got != want {
			t.Errorf("%v: %q, want %q", errno, got, want)
		}
	}
}

// TestGreedyClientIsHeldBack has a client ask for large values and never read. What the proxy collects for it is bounded.
func TestGreedyClientIsHeldBack(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	a.servers[0].data["a"] = strings.Repeat("x", 100_000)
	client := a.Connect(proxyAddress)
	client.Pause()
	for range 5000 {
		client.SendString("GET a\r\n")
	}
	most := 0
	for range 200 {
		if err := a.RunFor(a.loops, 10*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if c := a.proxy.workers[0].clients; c != nil {
			most = max(most, c.held+c.conn.Unsent())
		}
	}
	if most < heldBytes || most > 14*heldBytes {
		t.Errorf("%d bytes are held for a client whose mark is %d", most, heldBytes)
	}
}
