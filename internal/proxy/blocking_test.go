package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// blockedOn is how many clients a server keeps waiting.
func (s *simServer) blockedOn() (n int) {
	for _, c := range s.store.blocked {
		if !c.state.session.peer.Closed() {
			n++
		}
	}
	return n
}

// TestBlockedClientLeaves: its connection is closed at once, so that what is pushed later stays in the list.
func TestBlockedClientLeaves(t *testing.T) {
	how := map[string]func(c *caller){
		"closes":                   func(c *caller) { c.Close() },
		"resets":                   func(c *caller) { c.Reset() },
		"sends no more":            func(c *caller) { c.CloseWrite() },
		"has sent more and closes": func(c *caller) { c.SendString("PING\r\nPING\r\n"); c.Close() },
	}
	for name, leave := range how {
		for _, before := range []string{"", "GET k\r\n", "WATCH k\r\n", "SET k v\r\nGET k\r\n"} {
			for _, behind := range []string{"", "PING\r\n", "GET k\r\n"} {
				a := newArena(t, 1, redisLanguage{}, 1, 1, "")
				c, other := a.call(proxyAddress), a.call(proxyAddress)
				c.SendString(before + "BLPOP q 0\r\n" + behind)
				a.until("the client to block", func() bool { return a.servers[0].blockedOn() == 1 })
				leave(c)
				a.pause(5 * time.Millisecond)
				if n := a.servers[0].blockedOn(); n != 0 {
					t.Errorf("%s behind %q and %q: the server still waits for %d", name, before, behind, n)
				}
				other.gets(a, "RPUSH q x\r\nLLEN q\r\n", ":1\r\n:1\r\n")
				a.end(c, other)
			}
		}
	}
}

// TestClientLeavesBeforeItBlocks: the command waits for an answer before it, or for a connection, when its client is gone already.
func TestClientLeavesBeforeItBlocks(t *testing.T) {
	for _, settings := range []string{"", "  client_requests: 1\n", "  dedicated_connections: 1\n"} {
		for behind, leave := range map[string]func(*caller){
			"": func(c *caller) { c.Close() }, "PING\r\n": func(c *caller) { c.Close() }, "\r\n": func(c *caller) { c.CloseWrite() }, "ECHO x\r\n": func(c *caller) { c.CloseWrite() },
		} {
			a := newArena(t, 1, redisLanguage{}, 1, 1, settings)
			c, other, holder := a.call(proxyAddress), a.call(proxyAddress), a.call(proxyAddress)
			if strings.Contains(settings, "dedicated") {
				holder.gets(a, "WATCH k\r\n", "+OK\r\n")
			}
			c.SendString("GET k\r\nBLPOP q 0\r\n" + behind)
			if strings.Contains(settings, "dedicated") {
				a.until("the client to wait", func() bool { return len(a.proxy.workers[0].pools[0].servers[0].dedicated.queue) == 1 })
			}
			leave(c)
			a.pause(5 * time.Millisecond)
			if n := len(a.proxy.workers[0].pools[0].servers[0].dedicated.queue); n != 0 {
				t.Errorf("%q: %d clients wait for a connection, and have left", behind, n)
			}
			other.gets(a, "RPUSH q x\r\n", ":1\r\n")
			holder.gets(a, "UNWATCH\r\n", "+OK\r\n")
			a.pause(5 * time.Millisecond)
			other.gets(a, "LLEN q\r\n", ":1\r\n")
			a.end(c, other, holder)
		}
	}
}

// TestInputOfBlockedClientIsBounded: it is kept for later, up to client_buffer, and executed in its turn.
func TestInputOfBlockedClientIsBounded(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "  client_buffer: 16384\n")
	c, other := a.call(proxyAddress), a.call(proxyAddress)
	c.SendString("BLPOP q 0\r\n" + strings.Repeat("PING\r\n", 50_000))
	a.pause(100 * time.Millisecond)
	most := 0
	for x := a.proxy.workers[0].clients; x != nil; x = x.next {
		most = max(most, x.waitingInput())
	}
	if most < 16384 || most > 16384+2*64<<10 {
		t.Errorf("%d bytes are kept of a client that is blocked", most)
	}
	other.gets(a, "RPUSH q x\r\n", ":1\r\n")
	want := "*2\r\n$1\r\nq\r\n$1\r\nx\r\n" + strings.Repeat("+PONG\r\n", 50_000)
	a.until("all answers", func() bool { return len(c.got) >= len(want) })
	if c.got != want {
		t.Errorf("got %.100q and %d bytes", c.got, len(c.got))
	}
	a.end(c, other)
}

// TestTimesOfBlockedClients: neither the time-out of requests nor that of idle clients is for them, but both are for others, also for
// the next who is lent the connection.
func TestTimesOfBlockedClients(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "  timeout: 100\n  client_idle_timeout: 200\n  dedicated_connections: 1\n")
	c := a.call(proxyAddress)
	c.gets(a, "BLPOP q 2\r\n", "*-1\r\n")
	c.gets(a, "WATCH k\r\n", "+OK\r\n")
	a.servers[0].Freeze()
	began := a.Now()
	c.gets(a, "GET k\r\n", "-ERR Connection timed out\r\n")
	if took := a.Now() - began; took > 150*time.Millisecond {
		t.Errorf("a request on a connection that was lent before has timed out after %v", took)
	}
	a.mendEverything()
	a.pause(time.Second)
	if c.closed == nil {
		t.Error("a client that does nothing is not closed")
	}
	a.end(c)
}

// TestServerHangsWhenAClientBlocks: that a command may take long is no reason to wait for a server that does not answer the dial.
func TestServerHangsWhenAClientBlocks(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "  timeout: 100\n")
	a.Hang(a.servers[0].name)
	c := a.call(proxyAddress)
	c.gets(a, "BLPOP q 0\r\n", "-ERR Connection timed out\r\n")
	a.Restore(a.servers[0].name)
	c.SendString("BLPOP q 0\r\n")
	a.pause(time.Second)
	a.servers[0].Kill()
	a.until("an answer", func() bool { return strings.Count(c.got, "\r\n") == 2 })
	a.mendEverything()
	a.end(c)
}

// TestBlockedClientsAtTheEnd: they do not keep a drain from ending for ever, because those who cannot wait evict them, and a pool that goes
// takes them with it.
func TestBlockedClientsAtTheEnd(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	c := a.call(proxyAddress)
	c.SendString("BLPOP q 0\r\n")
	a.until("the client to block", func() bool { return a.servers[0].blockedOn() == 1 })
	if err := a.change(poolText("other", "127.0.0.1:22122", "", server0)); err != nil {
		t.Fatal(err)
	}
	a.until("the client to be closed", func() bool { return c.closed != nil })
	a.pause(10 * time.Millisecond)
	if n := len(a.servers[0].Peers()); n != 0 {
		t.Errorf("%d connections of a pool that is gone are left", n)
	}
	c = a.call("127.0.0.1:22122")
	c.SendString("BLPOP q 1\r\n")
	a.until("the client to block", func() bool { return a.servers[0].blockedOn() == 1 })
	a.proxy.Drain()
	a.until("the proxy to end", a.proxy.ended)
	if c.got != "*-1\r\n" {
		t.Errorf("a client that was blocked when the drain began got %q", c.got)
	}
}

// TestReloadWhileClientsBlock: what they wait for goes on, wherever it is.
func TestReloadWhileClientsBlock(t *testing.T) {
	for _, settings := range []string{"  server_connections: 3\n", "  redis_db: 1\n", "  timeout: 50\n"} {
		a := newArena(t, 1, redisLanguage{}, 1, 1, "")
		c, other := a.call(proxyAddress), a.call(proxyAddress)
		c.SendString("BLPOP q 0\r\n")
		a.until("the client to block", func() bool { return a.servers[0].blockedOn() == 1 })
		if err := a.change(poolText("p", proxyAddress, settings, server0)); err != nil {
			t.Fatal(err)
		}
		a.pause(time.Second)
		other.gets(a, "SELECT 0\r\nRPUSH q x\r\n", "+OK\r\n:1\r\n")
		a.until("the element", func() bool { return strings.HasSuffix(c.got, "x\r\n") })
		c.gets(a, "RPUSH q y\r\nBLPOP q 0\r\n", ":1\r\n*2\r\n$1\r\nq\r\n$1\r\ny\r\n")
		a.end(c, other)
	}
}

func TestDedicatedConnectionsAreQueuedFor(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "  dedicated_connections: 2\n  dedicated_timeout: 1000\n")
	var callers []*caller
	for i := range 6 {
		c := a.call(proxyAddress)
		callers = append(callers, c)
		a.until("a greeting", func() bool { return !c.Closed() })
		c.SendString(fmt.Sprintf("BLPOP q%d 0\r\n", i))
		a.pause(5 * time.Millisecond)
	}
	pusher := a.call(proxyAddress)
	callers[3].Close() // it waits, and leaves
	for _, i := range []int{0, 1, 2, 4} {
		pusher.gets(a, fmt.Sprintf("RPUSH q%d x\r\n", i), ":1\r\n")
		want := fmt.Sprintf("*2\r\n$2\r\nq%d\r\n$1\r\nx\r\n", i)
		a.until("an element", func() bool { return callers[i].got == want })
	}
	pusher.gets(a, "RPUSH q5 x\r\n", ":1\r\n")
	a.until("an element", func() bool { return strings.HasSuffix(callers[5].got, "x\r\n") })
	for _, c := range callers[:2] {
		c.got = ""
		c.SendString("BLPOP q 0\r\n")
	}
	a.pause(5 * time.Millisecond)
	began := a.Now()
	callers[2].gets(a, "WATCH a\r\nPING\r\n", "-ERR no connection of its own to server s0 became free in time (dedicated_connections, dedicated_timeout)\r\n+PONG\r\n")
	if took := a.Now() - began; took < time.Second || took > 1200*time.Millisecond {
		t.Errorf("the client has waited for %v, should have for a second", took)
	}
	if n := len(a.servers[0].Peers()); n > 3 {
		t.Errorf("the server has %d connections, 2 dedicated ones and 1 are allowed", n)
	}
	a.end(append(callers, pusher)...)
}

// TestReloadOfWhatClientsQueueFor: more connections are used at once, and a server that goes keeps nobody waiting.
func TestReloadOfWhatClientsQueueFor(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "  dedicated_connections: 1\n  dedicated_timeout: 0\n")
	holder, c := a.call(proxyAddress), a.call(proxyAddress)
	holder.gets(a, "WATCH a\r\n", "+OK\r\n")
	c.SendString("WATCH b\r\n")
	a.pause(5 * time.Millisecond)
	if err := a.change(poolText("p", proxyAddress, "  dedicated_connections: 2\n  dedicated_timeout: 0\n", server0)); err != nil {
		t.Fatal(err)
	}
	a.until("an answer", func() bool { return c.got == "+OK\r\n" })
	if err := a.change(poolText("p", proxyAddress, "  dedicated_connections: 1\n  dedicated_timeout: 0\n", server0)); err != nil {
		t.Fatal(err)
	}
	c.gets(a, "UNWATCH\r\n", "+OK\r\n")
	a.pause(5 * time.Millisecond)
	c.got = ""
	c.SendString("WATCH b\r\n")
	a.pause(5 * time.Millisecond)
	if c.got != "" {
		t.Errorf("got %q with one connection allowed, which another has", c.got)
	}
	a.addServer("10.0.0.2:6379")
	if err := a.change(poolText("p", proxyAddress, "  dedicated_connections: 1\n", server1)); err != nil {
		t.Fatal(err)
	}
	a.until("an answer of the new server", func() bool { return c.got == "+OK\r\n" })
	third := a.call(proxyAddress)
	third.SendString("WATCH b\r\n")
	a.pause(5 * time.Millisecond)
	c.gets(a, "UNWATCH\r\n", "+OK\r\n")
	a.until("the next in turn", func() bool { return third.got == "+OK\r\n" })
	a.end(holder, c, third)
}

// TestWaiterWhoseServerIsEjectedLeavesTheQueue: the request goes to another server; the others in the queue must not wait behind it.
func TestWaiterWhoseServerIsEjectedLeavesTheQueue(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 2, 1, "  dedicated_connections: 1\n  dedicated_timeout: 0\n  auto_eject_hosts: true\n  server_failure_limit: 1\n"+
		"  server_retry_timeout: 100\n  timeout: 50\n")
	p := a.proxy.workers[0].pools[0]
	at := p.pick([]byte("k")).index
	holder, first, second := a.call(proxyAddress), a.call(proxyAddress), a.call(proxyAddress)
	holder.gets(a, "WATCH k\r\n", "+OK\r\n")
	first.SendString("WATCH k\r\n")
	a.pause(5 * time.Millisecond)
	second.SendString("WATCH k\r\n")
	a.pause(5 * time.Millisecond)
	a.servers[at].StopListening()
	other := a.call(proxyAddress)
	other.SendString("SET k v\r\n")
	for i := range 3 { // a dial that fails has the server ejected
		a.pause(20 * time.Millisecond)
		extra := a.call(proxyAddress)
		extra.SendString(fmt.Sprintf("SELECT %d\r\nGET k\r\n", i+1))
		a.pause(20 * time.Millisecond)
		extra.Close()
	}
	holder.Close()
	first.awaits(a, "+OK\r\n")
	first.gets(a, "UNWATCH\r\n", "+OK\r\n")
	second.awaits(a, "+OK\r\n")
	a.mendEverything()
	a.end(first, second, other)
}
