package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/testkit/sim"
)

// flowArena is a proxy with one server connection to each server, and servers that say what the test has them say.
type flowArena struct {
	*arena
	first  *talker
	server []*sim.Peer
	keys   []string // one of each server
}

func newFlowArena(t *testing.T, l language, servers int, settings string) *flowArena {
	t.Helper()
	f := &flowArena{arena: newArena(t, 1, l, servers, 1, settings)}
	f.first = f.talk()
	for i := range servers {
		key, response := f.store(i, 10)
		if _, ok := l.(memcacheLanguage); ok {
			response = fmt.Sprintf("VALUE %s 0 10\r\n%s\r\nEND\r\n", key, strings.Repeat("x", 10))
		}
		f.first.asks(f.get(key), response)
		conns := f.servers[i].conns
		peer := conns[len(conns)-1].peer
		peer.OnData = func(*sim.Peer, []byte) {} // from now on the test speaks for it
		f.server, f.keys = append(f.server, peer), append(f.keys, key)
	}
	return f
}

func (f *flowArena) get(key string) string {
	if _, ok := f.language.(memcacheLanguage); ok {
		return "get " + key + "\r\n"
	}
	return "GET " + key + "\r\n"
}

// asksOf has a client ask a server for its key, without waiting for more than that the request is on its way.
func (f *flowArena) asksOf(c *talker, server int) {
	c.SendString(f.get(f.keys[server]))
	f.wait(time.Millisecond)
}

// half is the beginning of a response that is large enough to flow, and the rest of it.
func half(l language) (begin, rest string) {
	const size = 3 * flowBytes
	value := strings.Repeat("v", size)
	if _, ok := l.(memcacheLanguage); ok {
		return fmt.Sprintf("VALUE k 0 %d\r\n%s", size, value[:size/2]), value[size/2:] + "\r\nEND\r\n"
	}
	return fmt.Sprintf("$%d\r\n%s", size, value[:size/2]), value[size/2:] + "\r\n"
}

func small(l language) string {
	if _, ok := l.(memcacheLanguage); ok {
		return "END\r\n"
	}
	return "$-1\r\n"
}

// inBoth runs a test with either protocol.
func inBoth(t *testing.T, run func(t *testing.T, l language)) {
	t.Run("redis", func(t *testing.T) { run(t, redisLanguage{}) })
	t.Run("memcached", func(t *testing.T) { run(t, memcacheLanguage{}) })
}

func TestResponseFlowsWhileItComes(t *testing.T) {
	inBoth(t, func(t *testing.T, l language) {
		f := newFlowArena(t, l, 1, "")
		begin, rest := half(l)
		f.asksOf(f.first, 0)
		f.server[0].SendString(begin)
		f.first.wants(begin)
		c := f.engineClient()
		if c.collected != 0 || c.requests != 1 {
			t.Errorf("%d bytes are collected for %d requests", c.collected, c.requests)
		}
		f.server[0].SendString(rest[:10])
		f.first.wants(rest[:10])
		f.asksOf(f.first, 0)
		f.server[0].SendString(rest[10:] + small(l))
		f.first.wants(rest[10:] + small(l))
		if c.held != 0 || c.collected != 0 {
			t.Errorf("%d bytes are held, %d collected, for nothing", c.held, c.collected)
		}
		f.first.Close()
		f.finish()
	})
}

// TestResponseFlowsInItsTurn: what comes before its turn is collected, and goes on flowing when its turn has come.
func TestResponseFlowsInItsTurn(t *testing.T) {
	inBoth(t, func(t *testing.T, l language) {
		f := newFlowArena(t, l, 2, "")
		begin, rest := half(l)
		f.asksOf(f.first, 0)
		f.asksOf(f.first, 1)
		f.server[1].SendString(begin)
		f.wait(time.Second)
		if len(f.first.got) > 0 {
			t.Fatalf("got %.60q before its turn", f.first.got)
		}
		if c := f.engineClient(); c.collected != len(begin) {
			t.Errorf("%d bytes are collected, want %d", c.collected, len(begin))
		}
		f.server[0].SendString(small(l))
		f.first.wants(small(l))
		f.server[1].SendString(rest[:1])
		f.first.wants(begin + rest[:1])
		f.server[1].SendString(rest[1:])
		f.first.wants(rest[1:])
		f.first.Close()
		f.finish()
	})
}

// TestTornResponseClosesItsClient: behind half a response comes nothing, and others on the server connection get their error.
func TestTornResponseClosesItsClient(t *testing.T) {
	ends := map[string]func(f *flowArena){
		"the server closes":  func(f *flowArena) { f.server[0].Close() },
		"the server resets":  func(f *flowArena) { f.server[0].Reset() },
		"it says no more":    func(*flowArena) {},
		"it says what it is": func(f *flowArena) { f.server[0].SendString(strings.Repeat("v", 3*flowBytes) + "rubbish") },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			inBoth(t, func(t *testing.T, l language) {
				f := newFlowArena(t, l, 1, "  timeout: 2000\n")
				begin, _ := half(l)
				other := f.talk()
				f.asksOf(f.first, 0)
				f.asksOf(f.first, 0)
				f.asksOf(other, 0)
				f.server[0].SendString(begin)
				f.first.wants(begin)
				end(f)
				f.until("the end", func() bool { return f.first.closed })
				if got := string(f.first.got); strings.Trim(got, "v\r\n") != "" {
					t.Errorf("got %.60q behind half a response", got)
				}
				f.until("an error", func() bool { return strings.HasSuffix(string(other.got), "\r\n") })
				if !l.isFailure(other.got) || other.closed {
					t.Errorf("the other client got %.60q; it is closed: %v", other.got, other.closed)
				}
				if n := f.counters(); n.ClientTorn != 1 || n.ForwardError != 3 {
					t.Errorf("%d clients are torn, %d requests failed, want 1 and 3", n.ClientTorn, n.ForwardError)
				}
				other.Close()
				f.finish()
			})
		})
	}
}

// TestWhoLeavesWhileItFlows: the rest is swallowed, and the next response is the next client's.
func TestWhoLeavesWhileItFlows(t *testing.T) {
	inBoth(t, func(t *testing.T, l language) {
		f := newFlowArena(t, l, 1, "")
		begin, rest := half(l)
		other := f.talk()
		f.asksOf(f.first, 0)
		f.asksOf(other, 0)
		f.server[0].SendString(begin)
		f.first.wants(begin)
		f.first.Reset()
		f.wait(time.Millisecond)
		f.server[0].SendString(rest[:1000])
		f.wait(time.Millisecond)
		f.server[0].SendString(rest[1000:] + small(l))
		other.wants(small(l))
		other.Close()
		f.finish()
	})
}

// TestWhoDoesNotReadGetsNoFlow: to a client with much unsent output an error can still be given.
func TestWhoDoesNotReadGetsNoFlow(t *testing.T) {
	inBoth(t, func(t *testing.T, l language) {
		f := newFlowArena(t, l, 1, "  timeout: 1000\n")
		begin, rest := half(l)
		f.first.Pause()
		f.asksOf(f.first, 0)
		f.server[0].SendString(begin + rest)
		f.asksOf(f.first, 0)
		f.asksOf(f.first, 0)
		f.server[0].SendString(begin)
		f.wait(100 * time.Millisecond)
		if c := f.engineClient(); c.collected != len(begin) {
			t.Errorf("%d bytes are collected, want %d: the client has %d bytes to read", c.collected, len(begin), c.conn.Unsent())
		}
		f.wait(2 * time.Second)
		f.first.Resume()
		f.until("two errors", func() bool { return strings.Count(string(f.first.got), "Connection timed out\r\n") == 2 })
		if !strings.HasPrefix(string(f.first.got), begin+rest) || len(f.first.got) > len(begin+rest)+100 || f.first.closed {
			t.Errorf("got %d bytes, closed: %v", len(f.first.got), f.first.closed)
		}
		f.first.Close()
		f.finish()
	})
}

// TestWhatDoesNotFlow: errors are looked into and messages put together before anybody gets them.
func TestWhatDoesNotFlow(t *testing.T) {
	for name, begin := range map[string]string{
		"an error":        "-ERR " + strings.Repeat("e", 2*flowBytes),
		"a simple string": "+" + strings.Repeat("e", 2*flowBytes),
		"of version 3":    "%100000\r\n" + strings.Repeat(":1\r\n", flowBytes),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFlowArena(t, redisLanguage{}, 1, "  timeout: 1000\n")
			f.asksOf(f.first, 0)
			f.server[0].SendString(begin)
			f.first.wants("-ERR Connection timed out\r\n")
			f.first.Close()
			f.finish()
		})
	}
}

// TestNothingComesWithinALargeResponse: a client of version 3 may ask for values while it is subscribed. Messages come in front of a
// response or behind it.
func TestNothingComesWithinALargeResponse(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	key, response := a.store(0, 2_000_000)
	c, other := a.call(proxyAddress), a.call(proxyAddress)
	c.SendString("HELLO 3\r\nSUBSCRIBE a\r\nPING\r\n")
	a.until("an answer", func() bool { return strings.Contains(c.got, "PONG\r\n") })
	c.got = ""
	c.SendString("GET " + key + "\r\n")
	const messages = 200
	for range messages {
		other.SendString("PUBLISH a x\r\n")
		a.pause(100 * time.Microsecond)
	}
	a.until("the value", func() bool { return len(c.got) > len(response) })
	a.pause(time.Second)
	if !strings.Contains(c.got, response) {
		t.Error("something else came within the response")
	}
	if n := strings.Count(c.got, "$7\r\nmessage\r\n"); n != messages {
		t.Errorf("%d messages came, want %d", n, messages)
	}
	a.end(c, other)
}
