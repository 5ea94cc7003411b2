package proxy

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/config"
	"nutmeg/internal/resp"
	"nutmeg/internal/stats"
	"nutmeg/internal/testkit/sim"
)

// heldBytes is client_buffer's default.
const heldBytes = 1 << 20

// limits are those of the arena's pool. They may be changed at any time, as by a reload.
func (a *arena) limits() *config.Limits { return &a.proxy.workers[0].pools[0].conf.Limits }

// counters are those of the arena's pool, all workers together.
func (a *arena) counters() stats.Pool {
	var sum stats.Worker
	for _, w := range a.proxy.workers {
		sum.Add(w.snapshot())
	}
	return sum.Pools[0]
}

// store puts a value of a size under a key of a server, and returns the key and the response to a GET of it.
func (a *arena) store(server, size int) (key, response string) {
	key = a.keyOf(server)
	value := strings.Repeat("x", size)
	a.servers[server].data[key] = value
	return key, fmt.Sprintf("$%d\r\n%s\r\n", size, value)
}

// talker is a client that is told what to send, and remembers what it got.
type talker struct {
	*sim.Peer
	a      *arena
	got    []byte
	closed bool
}

func (a *arena) talk() *talker {
	c := &talker{Peer: a.Connect(proxyAddress), a: a}
	c.OnData = func(_ *sim.Peer, data []byte) { c.got = append(c.got, data...) }
	c.OnClose = func(*sim.Peer, error) { c.closed = true; c.Close() }
	return c
}

// wants lets time pass until the client has got so much, and checks what it is. It forgets it then.
func (c *talker) wants(want string) {
	c.a.t.Helper()
	c.a.until(fmt.Sprintf("%.60q", want), func() bool { return len(c.got) >= len(want) || c.closed })
	if string(c.got) != want {
		c.a.t.Fatalf("got %.120q (%d bytes), want %.120q (%d bytes)", c.got, len(c.got), want, len(want))
	}
	c.got = nil
}

// asks sends a request and checks the response.
func (c *talker) asks(request, want string) {
	c.a.t.Helper()
	c.SendString(request)
	c.wants(want)
}

func (c *talker) wantsClosed() {
	c.a.t.Helper()
	c.a.until("the end", func() bool { return c.closed })
	if len(c.got) > 0 {
		c.a.t.Errorf("got %.120q before the end", c.got)
	}
}

// engineClient is the engine's side of the only client, or of the one that connected last.
func (a *arena) engineClient() *client {
	a.t.Helper()
	a.until("a client", func() bool { return a.proxy.workers[0].clients != nil })
	return a.proxy.workers[0].clients
}

// bound sets the limits of the process, as a reload does.
func (a *arena) bound(clients int, memory int64) {
	a.proxy.setLimits(&config.Global{ClientConnections: clients, MaxMemory: memory})
}

func (a *arena) used() (bytes int) {
	for _, w := range a.proxy.workers {
		bytes += w.loop.Chunks.Used()
	}
	return bytes
}

// most is the largest value that a figure has at any moment of a span of time.
func (a *arena) most(d time.Duration, figure func() int) (most int) {
	a.t.Helper()
	end := a.Now() + d
	a.After(d, func() {})
	a.until("the end of the span", func() bool {
		most = max(most, figure())
		return a.Now() >= end
	})
	return most
}

func TestNewClientStartsSlowly(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	key, value := a.store(0, 10)
	a.servers[0].Freeze()
	c := a.talk()
	const first, n = 20, 1000
	c.SendString(strings.Repeat("GET "+key+"\r\n", first))
	e := a.engineClient()
	if most := a.most(time.Second, func() int { return int(e.requests) }); most < 8 || most > 16 {
		t.Errorf("%d requests are in flight before anything is known of their responses, want up to 16", most)
	}
	a.servers[0].Thaw()
	c.wants(strings.Repeat(value, first))
	a.servers[0].Freeze()
	c.SendString(strings.Repeat("GET "+key+"\r\n", n))
	if most := a.most(time.Second, func() int { return int(e.requests) }); most != n {
		t.Errorf("%d requests of %d are in flight when responses are known to be small", most, n)
	}
	a.servers[0].Thaw()
	c.wants(strings.Repeat(value, n))
	c.Close()
	a.finish()
}

// TestGreedyClientCostsItsBound: a client asks for many large values and never reads.
func TestGreedyClientCostsItsBound(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 2, 1, "")
	key, value := a.store(0, 100_000)
	mine, small := a.store(1, 10)
	greedy, other := a.talk(), a.talk()
	greedy.Pause()
	before := a.used()
	greedy.SendString(strings.Repeat("GET "+key+"\r\n", 300))
	most := a.most(10*time.Second, func() int { return a.used() - before })
	if limit := 4 * a.limits().ClientBuffer; most > limit || most < a.limits().ClientBuffer {
		t.Errorf("%d bytes are held for a client that does not read, want at most %d", most, limit)
	}
	for range 50 {
		other.asks("GET "+mine+"\r\n", small)
	}
	if n := a.counters().ClientStalls; n == 0 {
		t.Error("no stall was counted")
	}
	greedy.Resume()
	greedy.wants(strings.Repeat(value, 300)) // it has not missed a byte
	greedy.Close()
	other.Close()
	a.finish()
}

func TestRequestsOfOneClientAreBounded(t *testing.T) {
	for _, tt := range []struct {
		name          string
		language      language
		request, last string
		answers       func(n int) string
	}{
		{"redis", redisLanguage{}, "INCR %s\r\n", "", func(n int) string {
			var all strings.Builder
			for i := range n {
				fmt.Fprintf(&all, ":%d\r\n", i+1)
			}
			return all.String()
		}},
		{"memcached without reply", memcacheLanguage{}, "set %s 0 0 1 noreply\r\nx\r\n", "get %s\r\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newArena(t, 1, tt.language, 2, 1, "")
			a.limits().ClientRequests = 10
			key := a.keyOf(0)
			a.servers[0].Freeze()
			c := a.talk()
			const n = 500
			last := ""
			if tt.last != "" {
				last = fmt.Sprintf(tt.last, key)
			}
			c.SendString(strings.Repeat(fmt.Sprintf(tt.request, key), n) + last)
			e := a.engineClient()
			if most := a.most(time.Second, func() int { return int(e.requests) }); most != 10 {
				t.Errorf("%d requests are in flight, want 10", most)
			}
			a.servers[0].Thaw()
			if tt.answers != nil {
				a.wait(10 * time.Second)
				if got := bytes.Count(c.got, []byte("\r\n")); got != n {
					t.Errorf("%d answers to %d requests", got, n)
				}
			} else {
				c.wants(fmt.Sprintf("VALUE %s 0 1\r\nx\r\nEND\r\n", key))
			}
			if e.requests != 0 || e.held != 0 || e.collected != 0 {
				t.Errorf("%d requests, %d bytes are left", e.requests, e.held)
			}
			c.Close()
			a.finish()
		})
	}
}

// TestOverflowingClientIsClosed: responses that cannot be given to a client gather until its limit.
func TestOverflowingClientIsClosed(t *testing.T) {
	for _, tt := range []struct {
		name, request string
		size          int
	}{
		{"whole responses", "GET %[1]s\r\n", 50_000},
		{"small whole responses", "GET %[1]s\r\n", 3_000},
		{"fragments", "MGET %[1]s %[2]s\r\n", 50_000},
		{"small fragments", "MGET %[1]s %[2]s\r\n", 3_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newArena(t, 1, redisLanguage{}, 2, 1, "")
			a.limits().ClientBufferLimit = 6 * tt.size
			slow, slowValue := a.store(0, 10)
			large, _ := a.store(1, tt.size)
			c, other := a.talk(), a.talk()
			other.asks("GET "+slow+"\r\n", slowValue)
			before := a.used()
			a.servers[0].Freeze()
			c.SendString("GET " + slow + "\r\n" + strings.Repeat(fmt.Sprintf(tt.request, large, slow), 15))
			most := a.most(time.Second, func() int { return a.used() - before })
			if !c.closed || len(c.got) > 0 {
				t.Fatalf("closed: %v, got %.80q; want the client closed", c.closed, c.got)
			}
			if most > 1_000_000 {
				t.Errorf("%d bytes were held", most)
			}
			if n := a.counters().ClientOverflow; n != 1 {
				t.Errorf("%d clients are counted", n)
			}
			a.servers[0].Thaw()
			other.asks("GET "+slow+"\r\n", slowValue)
			other.Close()
			a.finish()
		})
	}
}

// TestLowerLimitHoldsAtOnce: a reload can lower the limit below what waits for a client that may never get more.
func TestLowerLimitHoldsAtOnce(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 2, 1, "")
	slow, _ := a.store(0, 10)
	large, _ := a.store(1, 50_000)
	a.servers[0].Freeze()
	c := a.talk()
	c.SendString("GET " + slow + "\r\n" + strings.Repeat("GET "+large+"\r\n", 5))
	a.wait(time.Second)
	if c.closed {
		t.Fatal("the client is closed below its limit")
	}
	a.limits().ClientBufferLimit = 100_000
	w := a.proxy.workers[0]
	w.loop.Post(w.limitsChanged)
	a.wait(time.Second)
	if !c.closed {
		t.Error("the client is served above its limit")
	}
	a.servers[0].Thaw()
	a.finish()
}

// TestLargeResponseIsNoOverflow: one response may be larger than the limit.
func TestLargeResponseIsNoOverflow(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 2, 1, "")
	a.limits().ClientBufferLimit = 200_000
	slow, slowValue := a.store(0, 10)
	large, largeValue := a.store(1, 2_000_000)
	for _, tt := range []struct{ name, requests, want string }{
		{"alone", "GET " + large + "\r\n", largeValue},
		{"before small ones", "GET " + large + "\r\n" + strings.Repeat("GET "+slow+"\r\n", 5), largeValue + strings.Repeat(slowValue, 5)},
		{"behind a slow one", "GET " + slow + "\r\nGET " + large + "\r\n", slowValue + largeValue},
		{"in fragments", "MGET " + slow + " " + large + "\r\n", "*2\r\n" + slowValue + largeValue},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a.t = t
			c := a.talk()
			c.Pause()
			a.servers[0].Freeze()
			c.SendString(tt.requests)
			a.wait(5 * time.Second)
			a.servers[0].Thaw()
			a.wait(time.Second)
			c.Resume()
			c.wants(tt.want)
			c.Close()
		})
	}
	if n := a.counters().ClientOverflow; n != 0 {
		t.Errorf("%d clients are counted", n)
	}
	a.finish()
}

func TestRedisRequestSize(t *testing.T) {
	const tooLarge = "-ERR Protocol error: request too large (request_size)\r\n"
	for _, tt := range []struct {
		name, request string
		closed        bool
		want          string
	}{
		{"at the limit", string(resp.AppendCommand(nil, "ECHO", strings.Repeat("x", 19_000))), false, "$19000\r\n" + strings.Repeat("x", 19_000) + "\r\n"},
		{"in one piece", string(resp.AppendCommand(nil, "ECHO", strings.Repeat("x", 20_000))), true, tooLarge},
		{"a length that is only announced", "*2\r\n$4\r\nECHO\r\n$400000000\r\n", true, tooLarge},
		{"arguments that are only announced", "*100000\r\n", true, tooLarge},
		{"many arguments, of which some come", "*100000\r\n$4\r\nMGET\r\n$1\r\na\r\n", true, tooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newArena(t, 1, redisLanguage{}, 1, 1, "")
			a.limits().RequestBytes = 20_000
			c := a.talk()
			c.asks("PING\r\n"+tt.request, "+PONG\r\n"+tt.want)
			if tt.closed {
				c.wantsClosed()
			} else {
				c.asks("PING\r\n", "+PONG\r\n")
			}
			want := int64(0)
			if tt.closed {
				want = 1
			}
			if n := a.counters().RequestTooLarge; n != want {
				t.Errorf("%d requests are counted, want %d", n, want)
			}
			c.Close()
			a.finish()
		})
	}
}

func TestMemcacheRequestSize(t *testing.T) {
	const tooLarge = "SERVER_ERROR object too large for cache\r\n"
	for _, tt := range []struct{ name, request, want string }{
		{"at the limit", "set k 0 0 19000\r\n" + strings.Repeat("x", 19_000) + "\r\n", "STORED\r\n"},
		{"too large", "set k 0 0 20000\r\n" + strings.Repeat("x", 20_000) + "\r\n", tooLarge},
		{"far too large", "set k 0 0 5000000\r\n" + strings.Repeat("x", 5_000_000) + "\r\n", tooLarge},
		{"without reply", "set k 0 0 5000000 noreply\r\n" + strings.Repeat("x", 5_000_000) + "\r\n", ""},
		{"refused for another reason", "set " + strings.Repeat("k", 300) + " 0 0 5000000\r\n" + strings.Repeat("x", 5_000_000) + "\r\n", "CLIENT_ERROR bad command line format\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newArena(t, 1, memcacheLanguage{}, 1, 1, "")
			a.limits().RequestBytes = 20_000
			c := a.talk()
			before := a.used()
			c.SendString(tt.request)
			if most := a.most(10*time.Second, func() int { return a.used() - before }); most > 300_000 {
				t.Errorf("%d bytes of a refused request were held", most)
			}
			c.wants(tt.want)
			c.asks("get other\r\n", "END\r\n") // it goes on behind the value
			c.Close()
			a.finish()
		})
	}
}
