package test

import (
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"
)

// drainConf is a pool with one worker that drains for so many milliseconds at most.
func drainConf(ms int, server *scriptedServer) string {
	return strings.Replace(poolConf("redis: true", server.addr+" a"), "nutmeg:\n", fmt.Sprintf("nutmeg:\n  drain_timeout: %d\n", ms), 1)
}

// startDrain sends SIGTERM and returns when the daemon drains.
func (n *Nutmeg) startDrain() {
	n.t.Helper()
	n.ended = true
	n.Signal(syscall.SIGTERM)
	n.waitLog("draining: what clients have begun is finished first")
}

// wantExit waits for the daemon to end, and wants an exit code.
func (n *Nutmeg) wantExit(code int) {
	n.t.Helper()
	n.waitExit()
	if got := n.cmd.ProcessState.ExitCode(); got != code {
		n.t.Errorf("exit code %d, want %d", got, code)
	}
}

// holding starts a daemon with one request under way that its server does not answer before the gate is lifted.
func holding(t *testing.T, drainTimeout int) (n *Nutmeg, waiting *rawConn, g *gate) {
	t.Helper()
	g = newGate(t)
	n = startNutmeg(t, drainConf(drainTimeout, serveScript(t, g.serve)))
	waiting = dial(t, n.Addr())
	waiting.send(request("GET", "held"))
	n.waitPool("alpha", "the request to be under way", func(p PoolStats) error { return p.want(map[string]int64{"out_queue": 1}) })
	return n, waiting, g
}

// Requests under way are answered; idle clients are closed at once, and others refused.
func TestDrainAnswersWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	n, waiting, g := holding(t, 60000)
	idle := dial(t, n.Addr())
	idle.wantAsk("+PONG\r\n", "PING")
	halfway := dial(t, n.Addr())
	halfway.wantAsk("+PONG\r\n", "PING")
	halfway.send("*1\r\n$4\r\nPI")
	n.waitPool("alpha", "the half to be there", func(p PoolStats) error {
		return p.want(map[string]int64{"client_connections": 3})
	})
	n.startDrain()
	idle.wantClosed()
	idle.close()
	late := dial(t, n.Addr()) // waits in the backlog
	halfway.send("NG\r\n")
	halfway.want("+PONG\r\n")
	halfway.wantClosed()
	halfway.close()
	g.lift()
	waiting.want(bulk("held"))
	waiting.wantClosed()
	waiting.close()
	n.wantExit(0)
	late.wantGone()
	wantNoFile(t, n.path("pid"))
}

// Who takes too long is closed.
func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	n, waiting, _ := holding(t, 200)
	began := time.Now()
	n.startDrain()
	waiting.wantGone()
	n.wantExit(0)
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("closed after %v", took)
	}
	n.waitLog("draining takes too long")
}

// A second signal ends the daemon at once, whatever is under way.
func TestSecondSignalEndsADrain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		second syscall.Signal
		code   int
	}{{syscall.SIGTERM, 0}, {syscall.SIGINT, 1}} {
		t.Run(test.second.String(), func(t *testing.T) {
			t.Parallel()
			n, waiting, _ := holding(t, 600000)
			n.startDrain()
			n.Signal(test.second)
			waiting.wantGone()
			n.wantExit(test.code)
		})
	}
}

// A client that always has something under way is closed nevertheless, after a response and before the next.
func TestDrainOfAClientThatNeverRests(t *testing.T) {
	t.Parallel()
	server := serveScript(t, sayName("a"))
	n := startNutmeg(t, drainConf(60000, server))
	c := dial(t, n.Addr())
	go func() {
		for {
			if _, err := io.WriteString(c.conn, strings.Repeat(request("GET", "k"), 50)); err != nil {
				return
			}
		}
	}()
	for range 1000 {
		c.want(bulk("a"))
	}
	n.startDrain()
	for {
		got, err := readReply(c.r)
		if err != nil {
			if got != "" {
				t.Errorf("a response was cut: %q", got)
			}
			break
		}
		if got != bulk("a") {
			t.Fatalf("got %q", got)
		}
	}
	c.close()
	n.wantExit(0)
}
