package evloop_test

import (
	"fmt"
	"testing"
	"time"

	"nutmeg/internal/evloop"
	"nutmeg/internal/testkit/sim"
)

// sipper reads one piece, then rests.
type sipper struct {
	node  *node
	loop  *evloop.Loop
	timer evloop.Timer
	rest  time.Duration
}

func (s *sipper) sip([]byte) {
	s.node.Pause()
	s.loop.Arm(&s.timer, s.loop.Now()+int64(s.rest), s)
}

func (s *sipper) Expired() { s.node.Resume() }

func TestCloseGracefullyDeliversEverythingToASlowPeer(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		client, server := a.pair(a.tcp())
		s := &sipper{node: client, loop: a.loop, rest: time.Millisecond}
		client.onReceived = s.sip
		sent := pattern(2 << 20)
		if a.world != nil {
			sent = sent[:500000]
		}
		client.Send(pattern(100000)) // the server leaves input behind, which a plain close would answer with a reset
		server.Send(sent)
		done := 0
		server.CloseGracefully(func() { done++ })
		server.CloseGracefully(func() { done++ }) // who calls it again is told as well
		client.onEOF = client.Close
		a.run(func() bool { return client.ended || client.failure != nil })
		if client.failure != nil {
			t.Fatalf("the peer was reset: %v", client.failure)
		}
		wantBytes(t, "received", client.got.Bytes(), sent)
		a.run(func() bool { return done > 1 })
		a.loop.Disarm(&s.timer)
		if done != 2 || !server.Conn.Closed() || server.failure != nil || a.loop.Open() != 0 {
			t.Errorf("done %d times, closed %v, failure %v, open %d", done, server.Conn.Closed(), server.failure, a.loop.Open())
		}
	})
}

func TestCloseGracefullyWaitsForAPeerThatRestsAWhile(t *testing.T) {
	a, _ := onSim(t, 1)
	client, server := a.pair(a.tcp())
	s := &sipper{node: client, loop: a.loop, rest: 10 * time.Second} // a slow reader seems to rest: the kernel's buffer hides it
	client.onReceived = func(data []byte) {
		s.sip(data)
		s.rest = time.Millisecond
	}
	sent := pattern(1 << 20)
	server.Send(sent)
	done := false
	server.CloseGracefully(func() { done = true })
	client.onEOF = client.Close
	a.run(func() bool { return done })
	a.loop.Disarm(&s.timer)
	wantBytes(t, "received", client.got.Bytes(), sent)
}

func TestCloseGracefullyWithoutOutputEndsAtOnce(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		client, server := a.pair(a.unix())
		done := false
		server.Pause()
		server.CloseGracefully(func() { done = true })
		client.onEOF = client.Close
		a.run(func() bool { return done })
		if !client.ended {
			t.Error("the peer was not told of the end")
		}
	})
}

func TestCloseGracefullyAfterTheConnectionFailed(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		client, server := a.pair(a.tcp())
		client.Pause()
		sent := pattern(8 << 20)
		if a.world != nil {
			sent = sent[:500000]
		}
		server.Send(sent)
		done := false
		server.CloseGracefully(func() { done = true })
		a.runFor(20 * time.Millisecond)
		client.Close() // input is unread: resets
		a.run(func() bool { return done })
		if server.failure != nil {
			t.Errorf("the handler was told: %v", server.failure)
		}
	})
}

// onSim is a loop over a simulated world, for rules about time.
func onSim(t *testing.T, seed uint64) (*arena, *sim.World) {
	t.Helper()
	w := sim.New(seed)
	a := &arena{t: t, world: w, outside: w.Outside("loop")}
	a.loop = evloop.New(a.outside, a)
	return a, w
}

func TestCloseGracefullyGivesUpOnAPeerThatDoesNotRead(t *testing.T) {
	for _, size := range []int{0, 1, 1 << 20} {
		t.Run(fmt.Sprintf("%d bytes", size), func(t *testing.T) {
			a, w := onSim(t, 1)
			client, server := a.pair(a.tcp())
			client.Pause()
			server.Send(pattern(size))
			a.runFor(time.Second)
			begin := w.Now()
			left := server.Unsent() > 0
			done := false
			server.CloseGracefully(func() { done = true })
			a.run(func() bool { return done })
			want := 2 * time.Second // for a peer that has everything
			if left {
				want = time.Minute
			}
			if took := w.Now() - begin; took < want || took > want+100*time.Millisecond {
				t.Errorf("gave up after %v without progress, want %v", took, want)
			}
		})
	}
}

func TestCloseGracefullyBeforeTheConnectionIsThere(t *testing.T) {
	tests := []struct {
		name string
		addr evloop.Address
		send string
		want string
	}{
		{"address, nothing to send", evloop.Address{Host: "127.0.0.1", Port: 1000}, "", ""},
		{"address, output", evloop.Address{Host: "127.0.0.1", Port: 1000}, "hello", "hello"},
		{"name, nothing to send", evloop.Address{Host: "nutmeg.test", Port: 1000}, "", ""},
		{"name, output", evloop.Address{Host: "nutmeg.test", Port: 1000}, "hello", "hello"},
		{"refused", evloop.Address{Host: "127.0.0.1", Port: 1001}, "hello", ""},
		{"unknown name", evloop.Address{Host: "nowhere.test", Port: 1000}, "hello", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("panic: %v", r)
				}
			}()
			a, w := onSim(t, 1)
			w.Net.InstantPercent = 0
			w.SetHost("nutmeg.test", ip(t, "127.0.0.1"))
			got := ""
			w.Listen("127.0.0.1:1000", func(p *sim.Peer) {
				p.OnData = func(_ *sim.Peer, data []byte) { got += string(data) }
			})
			done := false
			n := a.dial(test.addr)
			n.SendString(test.send)
			n.CloseGracefully(func() { done = true })
			a.run(func() bool { return done })
			if took := w.Now(); got != test.want || took > time.Second || n.opened || n.failure != nil {
				t.Errorf("received %q after %v, told of %v, %v; want %q at once, and nothing told", got, took, n.opened, n.failure, test.want)
			}
		})
	}
}
