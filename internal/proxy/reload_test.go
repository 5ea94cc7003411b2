package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/config"
	"nutmeg/internal/testkit/sim"
)

// caller is a simulated client that says what a test tells it to, and keeps what comes back.
type caller struct {
	*sim.Peer
	got    string
	closed error
}

func (a *arena) call(address string) *caller {
	c := &caller{Peer: a.Connect(address)}
	c.OnData = func(_ *sim.Peer, data []byte) { c.got += string(data) }
	c.OnClose = func(p *sim.Peer, err error) {
		c.closed = err
		p.Close()
	}
	return c
}

// end has callers leave and checks that nothing is left of them.
func (a *arena) end(callers ...*caller) {
	a.t.Helper()
	for _, c := range callers {
		c.Close()
	}
	a.finish()
}

// until lets things happen until done says so.
func (a *arena) until(what string, done func() bool) {
	a.t.Helper()
	if err := a.Run(a.loops, done, time.Minute); err != nil {
		a.t.Fatalf("%s: %v", what, err)
	}
}

// says sends a request and waits for its response.
func (c *caller) says(a *arena, request, response string) {
	a.t.Helper()
	c.got = ""
	c.SendString(request)
	a.until(fmt.Sprintf("the response to %q", request), func() bool { return len(c.got) >= len(response) || c.closed != nil })
	if c.got != response {
		a.t.Fatalf("%q was answered %q, want %q (closed: %v)", request, c.got, response, c.closed)
	}
}

// change has the proxy go over to another configuration and returns its error.
func (a *arena) change(text string) (err error) {
	a.t.Helper()
	conf, parseErr := config.Parse("sim.yml", []byte(spread(text)))
	if parseErr != nil {
		a.t.Fatal(parseErr)
	}
	done := false
	a.proxy.Change(conf, func(e error) { err, done = e, true })
	a.until("the change of the configuration", func() bool { return done })
	return err
}

// poolText is a pool over the first servers of an arena.
func poolText(name, listen, settings string, servers ...string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s:\n  listen: %s\n  redis: true\n  hash: murmur\n%s  servers:\n", name, listen, settings)
	for _, s := range servers {
		fmt.Fprintf(&text, "   - %s\n", s)
	}
	return text.String()
}

const server0, server1, server2 = "10.0.0.1:6379:1 s0", "10.0.0.2:6379:1 s1", "10.0.0.3:6379:1 s2"

func TestReloadKeepsClientsAndConnections(t *testing.T) {
	for workers := 1; workers <= 3; workers++ {
		a := newArena(t, uint64(workers), redisLanguage{}, 3, workers, "")
		var callers []*caller
		for i := range 6 {
			c := a.call(proxyAddress)
			c.says(a, fmt.Sprintf("SET k%d v\r\n", i), "+OK\r\n")
			for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
				c.says(a, "GET missing-"+key+"\r\n", "$-1\r\n")
			}
			callers = append(callers, c)
		}
		connected := func() (n int) {
			for _, s := range a.servers {
				n += len(s.Peers())
			}
			return n
		}
		before := connected()
		if err := a.change(poolText("p", proxyAddress, "  timeout: 400\n", server2, server0, server1)); err != nil {
			t.Fatal(err)
		}
		for i, c := range callers {
			c.says(a, fmt.Sprintf("GET k%d\r\n", i), "$1\r\nv\r\n")
		}
		if after := connected(); after != before || before == 0 {
			t.Errorf("%d server connections before, %d after", before, after)
		}
		var requests int64
		for _, w := range a.proxy.workers {
			if got := w.pools[0].timeout; got != int64(400*time.Millisecond) {
				t.Errorf("the timeout is %d", got)
			}
			for _, s := range w.snapshot().Pools[0].Servers {
				requests += s.Requests
			}
		}
		if want := int64(6*7 + 6); requests != want {
			t.Errorf("%d requests are counted over both configurations, want %d", requests, want)
		}
		a.end(callers...)
	}
}

func TestReloadRemovesServersGently(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 3, 1, "")
	c := a.call(proxyAddress)
	for i := range 30 {
		c.says(a, fmt.Sprintf("SET k%d v\r\n", i), "+OK\r\n")
	}
	c.got = ""
	for _, s := range a.servers {
		s.Freeze() // requests are on their way
	}
	for i := range 30 {
		c.SendString(fmt.Sprintf("GET k%d\r\n", i))
	}
	if err := a.RunFor(a.loops, 5*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := a.change(poolText("p", proxyAddress, "", server0)); err != nil {
		t.Fatal(err)
	}
	a.mendEverything()
	want := strings.Repeat("$1\r\nv\r\n", 30)
	a.until("responses of removed servers", func() bool { return len(c.got) >= len(want) })
	if c.got != want {
		t.Errorf("got %q", c.got)
	}
	if err := a.RunFor(a.loops, time.Second); err != nil {
		t.Fatal(err)
	}
	if n := len(a.servers[0].Peers()); n != 1 {
		t.Errorf("%d connections to the server that stayed, want 1", n)
	}
	for _, s := range a.servers[1:] {
		if n := len(s.Peers()); n != 0 {
			t.Errorf("%d connections to %s, which was removed", n, s.name)
		}
	}
	a.end(c)
}

// TestReloadKeepsTheOrderOfRequests: connections that are made anew, here for another database, wait for those before them.
func TestReloadKeepsTheOrderOfRequests(t *testing.T) {
	a := newArena(t, 3, redisLanguage{}, 1, 1, "")
	c := a.call(proxyAddress)
	c.says(a, "SET k 0\r\n", "+OK\r\n")
	c.got = ""
	a.servers[0].Peers()[0].Freeze()
	frozen := a.servers[0].Peers()[0]
	c.SendString("SET k 1\r\n")
	if err := a.RunFor(a.loops, 5*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := a.change(poolText("p", proxyAddress, "  server_connections: 2\n", server0)); err != nil {
		t.Fatal(err)
	}
	c.SendString("GET k\r\n")
	if err := a.RunFor(a.loops, 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	frozen.Thaw()
	a.until("both responses", func() bool { return len(c.got) >= len("+OK\r\n$1\r\n1\r\n") })
	if c.got != "+OK\r\n$1\r\n1\r\n" {
		t.Errorf("got %q: the second request has overtaken the first", c.got)
	}
	a.end(c)
}

func TestReloadMovesListeners(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 3, 2, "")
	const elsewhere = "127.0.0.1:22122"
	c := a.call(proxyAddress)
	c.says(a, "SET k v\r\n", "+OK\r\n")
	if err := a.change(poolText("p", elsewhere, "", server0, server1, server2)); err != nil {
		t.Fatal(err)
	}
	c.says(a, "GET k\r\n", "$1\r\nv\r\n")
	a.call(elsewhere).says(a, "GET k\r\n", "$1\r\nv\r\n")
	refused := a.call(proxyAddress)
	a.until("the old address to refuse", func() bool { return refused.closed != nil })

	// The same address for another pool: the clients of the old one are asked to leave.
	if err := a.change(poolText("q", elsewhere, "", server0, server1, server2)); err != nil {
		t.Fatal(err)
	}
	a.until("the client of the removed pool to be closed", func() bool { return c.closed != nil })
	a.call(elsewhere).says(a, "GET k\r\n", "$1\r\nv\r\n")
}

func TestReloadThatFailsChangesNothing(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 3, 2, "")
	taken := "127.0.0.1:22199"
	a.Listen(taken, func(*sim.Peer) {})
	c := a.call(proxyAddress)
	c.says(a, "SET k v\r\n", "+OK\r\n")
	sockets := a.proxy.workers[0].loop.Open()
	err := a.change(poolText("p", "127.0.0.1:22150", "", server0) + poolText("q", taken, "", server1))
	if err == nil || !strings.Contains(err.Error(), taken) {
		t.Fatalf("the error is %v", err)
	}
	if now := a.proxy.workers[0].loop.Open(); now != sockets {
		t.Errorf("%d sockets open, before it were %d", now, sockets)
	}
	c.says(a, "GET k\r\n", "$1\r\nv\r\n")
	other := a.call(proxyAddress)
	other.says(a, "GET k\r\n", "$1\r\nv\r\n")
	a.end(c, other)
}

func TestReloadSaysThatItIsInItsOwnWay(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	port := strings.TrimPrefix(proxyAddress, "127.0.0.1")
	a.Listen(port, func(*sim.Peer) {}) // as the kernel says when the port is taken by a single address
	err := a.change(poolText("p", `"*`+port+`"`, "", server0))
	if err == nil || !strings.Contains(err.Error(), "nutmeg itself listens on "+proxyAddress) {
		t.Errorf("the error is %v", err)
	}
	a.finish()
}
