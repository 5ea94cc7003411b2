package test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/testkit"
)

// flowBed is the daemon with one worker in front of one server, which has a value of 100 MB and a small one: all clients share one
// server connection.
type flowBed struct {
	*Nutmeg
	ask         func(key string) string
	big, answer string // the value, and what precedes it in the response
	small       string // the whole response
	before      int64  // the daemon's memory
}

const flowSize = 100 << 20

// inBothFlowBeds runs a test with either protocol.
func inBothFlowBeds(t *testing.T, run func(t *testing.T, b *flowBed)) {
	value := noise(flowSize, 3)
	t.Run("redis", func(t *testing.T) {
		server := testkit.Redis(t)
		direct := dial(t, server.Addr())
		direct.wantAsk(okReply, "SET", "big", value)
		direct.wantAsk(okReply, "SET", "small", "x")
		b := &flowBed{
			ask: func(key string) string { return request("GET", key) },
			big: value, answer: fmt.Sprintf("$%d\r\n", flowSize), small: bulk("x"),
		}
		b.start(t, "true", server.Addr())
		run(t, b)
	})
	t.Run("memcached", func(t *testing.T) {
		server := testkit.Memcached(t, "-I", "128m", "-m", "512")
		direct := dial(t, server.Addr())
		direct.send(fmt.Sprintf("set big 0 0 %d\r\n", flowSize) + value + "\r\nset small 0 0 1\r\nx\r\n")
		direct.want("STORED\r\nSTORED\r\n")
		b := &flowBed{
			ask: func(key string) string { return "get " + key + "\r\n" },
			big: value, answer: fmt.Sprintf("VALUE big 0 %d\r\n", flowSize), small: "VALUE small 0 1\r\nx\r\nEND\r\n",
		}
		b.start(t, "false", server.Addr())
		run(t, b)
	})
}

func (b *flowBed) start(t *testing.T, redis, server string) {
	b.Nutmeg = startNutmeg(t, "nutmeg:\n  workers: 1\nalpha:\n  listen: {listen}\n  redis: "+redis+"\n  servers:\n  - "+server+":1 s\n")
	c := dial(t, b.Addr())
	c.send(b.ask("small"))
	c.want(b.small)
	b.before = b.peakMemory()
}

// wantBig reads the response to a request for the big value. Pause is called now and then.
func (b *flowBed) wantBig(c *rawConn, pause func()) error {
	head := make([]byte, len(b.answer))
	if _, err := io.ReadFull(c.conn, head); err != nil || string(head) != b.answer {
		return fmt.Errorf("got %q and error %w, want %q", head, err, b.answer)
	}
	piece := make([]byte, 1<<20)
	for at := 0; at < flowSize; at += len(piece) {
		if _, err := io.ReadFull(c.conn, piece); err != nil {
			return fmt.Errorf("after %d bytes: %w", at, err)
		}
		if string(piece) != b.big[at:at+len(piece)] {
			return fmt.Errorf("the MiB at %d differs", at)
		}
		pause()
	}
	return nil
}

// wantGrown checks how much the daemon's memory has grown. The race detector multiplies what Go's heap takes.
func (b *flowBed) wantGrown(t *testing.T, most int64) {
	t.Helper()
	grown := b.peakMemory() - b.before
	if grown > most && !raceEnabled {
		t.Errorf("the daemon's memory grew by %d bytes, want at most %d", grown, most)
	}
	t.Logf("the daemon's memory grew by %.1f MiB", float64(grown)/(1<<20))
}

// TestLargeResponseTakesLittleMemory: 100 MB go through the daemon, to a client that reads as fast as it can, and to one that does
// not read until the server has to wait.
func TestLargeResponseTakesLittleMemory(t *testing.T) {
	t.Parallel()
	inBothFlowBeds(t, func(t *testing.T, b *flowBed) {
		for range 3 {
			c := dial(t, b.Addr())
			c.send(b.ask("big"))
			if err := b.wantBig(c, func() {}); err != nil {
				t.Fatal(err)
			}
			c.close()
		}
		slow := dial(t, b.Addr())
		slow.send(b.ask("big"))
		ticks := time.NewTicker(2 * time.Millisecond)
		defer ticks.Stop()
		if err := b.wantBig(slow, func() { <-ticks.C }); err != nil {
			t.Fatal(err)
		}
		b.wantGrown(t, 24<<20)
	})
}

// TestNobodyWaitsForWhoReadsALargeResponseSlowly: others on the same server connection get their responses while a client has 100 MB to read
// and reads nothing. It gets all of it later.
func TestNobodyWaitsForWhoReadsALargeResponseSlowly(t *testing.T) {
	t.Parallel()
	inBothFlowBeds(t, func(t *testing.T, b *flowBed) {
		slow, other := dial(t, b.Addr()), dial(t, b.Addr())
		slow.send(b.ask("big"))
		for range 200 {
			other.send(strings.Repeat(b.ask("small"), 5))
			other.want(strings.Repeat(b.small, 5))
		}
		if err := b.wantBig(slow, func() {}); err != nil {
			t.Fatal(err)
		}
		b.wantGrown(t, flowSize*3/2) // it had to be collected
	})
}

// TestServerThatDiesInALargeResponse: its client gets what came and the end, and others on the server connection an error.
func TestServerThatDiesInALargeResponse(t *testing.T) {
	t.Parallel()
	const sent = 1 << 20
	half := fmt.Sprintf("$%d\r\n", 2*sent) + noise(sent, 5)
	die := make(chan struct{})
	server := serveScript(t, func(c *scriptedConn) {
		switch {
		case c.number > 1:
			sayName("back")(c)
			return
		case c.request() == nil:
			return
		}
		c.say(half)
		_ = c.request()         // what waits behind it: the next one of the same client,
		if c.request() != nil { // and that of the other
			<-die
		}
	})
	n := startNutmeg(t, poolConf("redis: true", server.addr+" a"))
	torn, other := dial(t, n.Addr()), dial(t, n.Addr())
	torn.send(request("GET", "k") + request("GET", "next"))
	torn.want(half)
	other.send(request("GET", "o"))
	close(die)
	torn.wantClosed()
	if got := other.reply(); !strings.HasPrefix(got, "-ERR ") {
		t.Errorf("the other client got %.60q, want an error", got)
	}
	other.wantAsk(bulk("back"), "GET", "o")
	if err := n.Pool("alpha").want(map[string]int64{"client_torn": 1}); err != nil {
		t.Error(err)
	}
	eventually(t, "the log to say why", func() error { // it is written a moment later
		const line = "client closed: its server failed in the middle of a response"
		if !strings.Contains(n.Log(), line) {
			return fmt.Errorf("no %q in\n%s", line, n.Log())
		}
		return nil
	})
}
