package test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// peakMemory is the most that the daemon has ever had resident, in bytes.
func (n *Nutmeg) peakMemory() int64 {
	n.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.PID()))
	if err != nil {
		n.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kilobytes int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); err == nil {
			return kilobytes << 10
		}
	}
	n.t.Fatal("no VmHWM in the daemon's status")
	return 0
}

// TestClientThatNeverReadsCostsItsBound: it pipelines a million GETs of 100 KB. The daemon's memory grows by little more
// than the client's buffer, and everybody else is served.
func TestClientThatNeverReadsCostsItsBound(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{workers: 1})
	other := b.dial(t)
	k0, k1 := b.key(0, "bound"), b.key(1, "bound")
	value := noise(100<<10, 1)
	other.wantAsk(okReply, "SET", k0, value)
	other.wantAsk(okReply, "SET", k1, "small")
	other.wantAsk(bulk(value), "GET", k0)
	before := b.peakMemory()

	greedy := b.dial(t)
	stuck := make(chan struct{})
	go func() {
		defer close(stuck)
		text := strings.Repeat(request("GET", k0), 1000)
		for range 1000 {
			_ = greedy.conn.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
			if _, err := io.WriteString(greedy.conn, text); err != nil {
				return // nothing more is taken from it
			}
		}
	}()
	for done := false; !done; {
		select {
		case <-stuck:
			done = true
		default:
			other.wantAsk(bulk("small"), "GET", k1)
		}
	}
	for range 1000 {
		other.wantAsk(bulk("small"), "GET", k1)
	}
	// The bound of one client by default is 1 MiB, beyond which it is not read from, and what was on its way then. The
	// race detector multiplies what Go's heap takes.
	if grown, bound := b.peakMemory()-before, int64(16<<20); grown > bound && !raceEnabled {
		t.Errorf("the daemon's memory grew by %d bytes, want at most %d", grown, bound)
	}
	if err := b.Pool("alpha").want(map[string]int64{"client_overflow": 0, "memory_closed": 0, "memory_refused": 0}); err != nil {
		t.Error(err)
	}
	if b.Pool("alpha").Counters["client_stalls"] == 0 {
		t.Error("the client has not been held back")
	}
	greedy.abort()
	b.waitPool("alpha", "the greedy client to be gone", func(p PoolStats) error { return p.want(map[string]int64{"client_connections": 1}) })
}

// TestServerThatHangsCostsItsBound: clients send large values to a server that does not read. The daemon stops reading
// from them; who has business with another server goes on.
func TestServerThatHangsCostsItsBound(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{workers: 1})
	k0, k1 := b.key(0, "hang"), b.key(1, "hang")
	other := b.dial(t)
	other.wantAsk(okReply, "MSET", k0, "x", k1, "small")
	before := b.peakMemory()
	if err := b.servers[0].Stop(); err != nil {
		t.Fatal(err)
	}
	const clients, each = 200, 20
	text := strings.Repeat(request("SET", k0, noise(100<<10, 2)), each) // 400 MB, all clients together
	stuck := make(chan error, clients)
	senders := make([]*rawConn, clients)
	for i := range senders {
		c := b.dial(t)
		senders[i] = c
		go func() {
			_ = c.conn.SetWriteDeadline(time.Now().Add(2 * patience))
			_, err := io.WriteString(c.conn, text)
			stuck <- err
		}()
	}
	b.waitPool("alpha", "clients to be held back", func(p PoolStats) error {
		if p.Servers["s1"]["server_stalls"] == 0 && p.Counters["client_stalls"] < clients {
			return fmt.Errorf("%d and %d stalls", p.Servers["s1"]["server_stalls"], p.Counters["client_stalls"])
		}
		return nil
	})
	for range 500 {
		other.wantAsk(bulk("small"), "GET", k1)
	}
	if grown, bound := b.peakMemory()-before, int64(256<<20); grown > bound && !raceEnabled {
		t.Errorf("the daemon's memory grew by %d bytes, want at most %d", grown, bound)
	}
	if err := b.servers[0].Cont(); err != nil {
		t.Fatal(err)
	}
	for i, c := range senders {
		c.want(strings.Repeat(okReply, each))
		if err := <-stuck; err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
	}
}
