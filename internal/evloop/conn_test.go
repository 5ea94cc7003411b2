package evloop_test

import (
	"syscall"
	"testing"
	"time"

	"nutmeg/internal/buffer"
	"nutmeg/internal/evloop"
)

func echoing(n *node) {
	n.onReceived = func(data []byte) { n.Send(data) }
	n.onEOF = func() { n.CloseGracefully(nil) }
}

func TestEchoReturnsTheSameBytes(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		for _, addr := range []evloop.Address{a.tcp(), a.unix()} {
			g := a.listen(addr, echoing)
			n := a.dial(addr)
			sent := pattern(300000)
			for rest, size := sent, 1; len(rest) > 0; size = size*3 + 1 {
				size = min(size, len(rest))
				n.Send(rest[:size])
				rest = rest[size:]
			}
			a.run(func() bool { return n.got.Len() >= len(sent) })
			wantBytes(t, addr.String(), n.got.Bytes(), sent)
			if n.Written() != uint64(len(sent)) || n.Unsent() != 0 {
				t.Errorf("written %d, unsent %d", n.Written(), n.Unsent())
			}
			n.Close()
			g.listener.Close()
			a.run(func() bool { return a.loop.Open() == 0 })
		}
	})
}

func TestLargeOutputWaitsForASlowReader(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		client, server := a.pair(a.tcp())
		client.Pause()
		server.NotifyFlushed(true)
		sent := pattern(16 << 20)
		if a.world != nil {
			sent = sent[:300000]
		}
		server.Send(sent)
		a.runFor(20 * time.Millisecond)
		if server.Unsent() == 0 || client.got.Len() != 0 {
			t.Fatalf("unsent %d, received %d while the reader is paused", server.Unsent(), client.got.Len())
		}
		client.Resume()
		a.run(func() bool { return client.got.Len() >= len(sent) })
		wantBytes(t, "received", client.got.Bytes(), sent)
		if server.flushes < 2 || server.Unsent() != 0 {
			t.Errorf("flushed %d times, unsent %d; want at least two short writes, 0", server.flushes, server.Unsent())
		}
		client.Close()
		server.Close()
	})
}

// TestOutputGoesOnWithoutAChange has a socket that takes all that it is offered: nothing changes by which the poller would tell
// that it takes the rest.
func TestOutputGoesOnWithoutAChange(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		if a.world != nil {
			a.world.Net.SendBytes, a.world.Net.ReceiveBytes, a.world.Net.ShortWritePercent = 64<<20, 64<<20, 0
		}
		client, server := a.pair(a.tcp())
		sent := pattern(18 << 20) // three writes
		server.Send(sent)
		a.run(func() bool { return client.got.Len() >= len(sent) })
		wantBytes(t, "received", client.got.Bytes(), sent)
		client.Close()
		server.Close()
	})
}

func TestPausedConnectionIsNotReadFrom(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		client, server := a.pair(a.tcp())
		server.onReceived = func([]byte) { server.Pause() } // in the middle of a turn
		sent := pattern(500000)
		client.Send(sent)
		a.run(func() bool { return server.got.Len() > 0 })
		had := server.got.Len()
		a.runFor(20 * time.Millisecond)
		if server.got.Len() != had {
			t.Errorf("%d bytes came after Pause", server.got.Len()-had)
		}
		for server.got.Len() < len(sent) {
			had = server.got.Len()
			server.Resume()
			a.run(func() bool { return server.got.Len() > had })
		}
		wantBytes(t, "received", server.got.Bytes(), sent)
		client.Close()
		server.Close()
	})
}

func TestSmallMessagesOfOneBatchLeaveInOneWrite(t *testing.T) {
	onSystems(t, func(t *testing.T, a *arena) {
		client, server := a.pair(a.tcp())
		client.NotifyFlushed(true)
		for range 100 {
			client.SendString("0123456789")
		}
		a.run(func() bool { return server.got.Len() == 1000 })
		if client.flushes != 1 {
			t.Errorf("flushed %d times, want 1", client.flushes)
		}
		client.Close()
		server.Close()
	})
}

func TestPeerMayEndItsStreamAndStillReceive(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		client, server := a.pair(a.tcp())
		var gone bool
		server.onEOF = func() { server.Send(pattern(200000)) }
		client.SendString("last words")
		client.CloseGracefully(func() { gone = true }) // sends, then ends its stream, then drops what comes
		a.run(func() bool { return server.ended && server.Unsent() == 0 })
		if got := server.got.String(); got != "last words" {
			t.Errorf("got %q before the end", got)
		}
		if server.failure != nil {
			t.Errorf("the connection is gone after EOF: %v", server.failure)
		}
		server.Close()
		a.run(func() bool { return gone })
	})
}

func TestOtherSideSeesEOFAndCanAnswer(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		client, server := a.pair(a.tcp())
		client.Close()
		a.run(func() bool { return server.ended })
		if server.failure != nil || !server.Open() {
			t.Errorf("failure %v, open %v; want the connection to stay until it is closed", server.failure, server.Open())
		}
		server.Close()
	})
}

func TestCloseWithUnreadInputResetsTheOtherSide(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		client, server := a.pair(a.tcp())
		server.Pause()
		client.SendString("never read")
		a.run(func() bool { return client.Unsent() == 0 })
		a.runFor(20 * time.Millisecond)
		server.Close()
		a.run(func() bool { return client.failure != nil })
		wantError(t, client.failure, syscall.ECONNRESET)
		if !client.Conn.Closed() || client.Open() {
			t.Error("still open after it failed")
		}
	})
}

func TestResetIsSeenWhilePaused(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		client, server := a.pair(a.tcp())
		server.Pause()
		client.SendString("never read")
		client.Pause()
		a.run(func() bool { return client.Unsent() == 0 })
		a.runFor(20 * time.Millisecond)
		server.Close()
		a.run(func() bool { return client.failure != nil })
		wantError(t, client.failure, syscall.ECONNRESET)
	})
}

func TestWriteToAClosedConnectionFails(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		client, server := a.pair(a.tcp())
		client.Close()
		a.run(func() bool { return server.ended })
		server.Send(pattern(100))
		a.run(func() bool {
			if server.failure == nil {
				server.SendString("more")
			}
			return server.failure != nil
		})
		wantError(t, server.failure, syscall.ECONNRESET, syscall.EPIPE)
		if a.loop.Open() != 0 {
			t.Errorf("%d sockets left", a.loop.Open())
		}
	})
}

// A request that comes for a connection that was closed earlier in the batch must reach neither it nor its successor.
func TestEventOfAClosedConnectionIsDropped(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		addr := a.tcp()
		var servers []*node
		heir := &node{}
		g := a.listen(addr, func(n *node) {
			servers = append(servers, n)
			n.onReceived = func([]byte) {
				for _, other := range servers {
					if other != n {
						other.Close()
						a.loop.Dial(&heir.Conn, addr, evloop.SocketOptions{}, heir) // takes the slot
						servers = nil
					}
				}
			}
		})
		one, two := a.dial(addr), a.dial(addr)
		a.run(func() bool { return len(g.nodes) == 2 && one.opened && two.opened })
		one.SendString("1")
		two.SendString("2")
		a.run(func() bool { return heir.opened && len(g.nodes) == 3 })
		a.runFor(10 * time.Millisecond)
		if first, second := g.nodes[0].got.Len(), g.nodes[1].got.Len(); first+second != 1 {
			t.Errorf("received %d and %d bytes, want one connection to be closed before it receives", first, second)
		}
		if heir.got.Len() != 0 || heir.ended || heir.failure != nil {
			t.Errorf("the successor got an event: %q, ended %v, failure %v", heir.got.Bytes(), heir.ended, heir.failure)
		}
		heir.Close()
		one.Close()
		two.Close()
		for _, n := range g.nodes {
			n.Close()
		}
		g.listener.Close()
	})
}

func TestDetachedChunkKeepsItsBytes(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		client, server := a.pair(a.tcp())
		var kept buffer.Buffer
		server.onReceived = func(data []byte) {
			kept.AppendChunk(a.loop.Detach(0, len(data)))
			if kept.Len() >= 400000 {
				server.SendBuffer(&kept) // goes out of the chunks that it came in
			}
		}
		sent := pattern(400000)
		client.Send(sent)
		a.run(func() bool { return client.got.Len() >= len(sent) })
		wantBytes(t, "received", server.got.Bytes(), sent)
		wantBytes(t, "sent back", client.got.Bytes(), sent)
		client.Close()
		server.Close()
	})
}

func TestCloseTellsTheHandlerNothing(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		client, server := a.pair(a.tcp())
		client.SendString("lost")
		client.Close()
		client.Close()
		a.run(func() bool { return server.ended })
		if client.failure != nil || server.got.Len() != 0 {
			t.Errorf("failure %v, received %q; want nothing", client.failure, server.got.Bytes())
		}
		server.Close()
		if a.loop.Open() != 0 {
			t.Errorf("%d sockets left", a.loop.Open())
		}
	})
}
