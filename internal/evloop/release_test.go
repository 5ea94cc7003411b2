package evloop_test

import (
	"bytes"
	"testing"
	"time"

	"nutmeg/internal/evloop"
)

// move takes a connection out of its loop in the way that another owner does.
func (a *arena) move(n *node, to *arena) *node {
	a.t.Helper()
	open := a.loop.Open()
	socket := n.Release()
	if !n.Conn.Closed() || a.loop.Open() != open-1 {
		a.t.Errorf("after Release: closed %v, %d sockets of %d", n.Conn.Closed(), a.loop.Open(), open)
	}
	next := &node{}
	if err := to.loop.Adopt(&next.Conn, socket, next); err != nil {
		a.t.Fatal(err)
	}
	return next
}

// A connection that moves between loops while bytes are on their way loses and doubles none of them.
func TestReleasedConnectionGoesOnInAnotherLoop(t *testing.T) {
	onPairs(t, func(t *testing.T, first, second *arena) {
		for _, addr := range []evloop.Address{first.tcp(), first.unix()} {
			g := first.listen(addr, nil)
			client := first.dial(addr)
			first.run(func() bool { return client.opened && len(g.nodes) == 1 })
			g.listener.Close()
			at, there := g.nodes[0], []byte(nil)
			sent := pattern(3 << 20)
			client.Send(sent)
			owner, other := first, second
			for limit := 1 << 20; limit < 4<<20; limit += 1 << 20 {
				both(first, second, func() bool { return len(there)+at.got.Len() >= min(limit, len(sent)) })
				there = append(there, at.got.Bytes()...)
				at, owner, other = owner.move(at, other), other, owner
			}
			both(first, second, func() bool { return len(there)+at.got.Len() >= len(sent) && client.Unsent() == 0 })
			wantBytes(t, "to the client that moved", append(there, at.got.Bytes()...), sent)
			at.SendString("back")
			both(first, second, func() bool { return client.got.String() == "back" })
			client.Close()
			both(first, second, func() bool { return at.ended || at.failure != nil })
			at.Close()
		}
		if first.loop.Open() != 0 || second.loop.Open() != 0 {
			t.Errorf("%d and %d sockets left", first.loop.Open(), second.loop.Open())
		}
	})
}

func TestReleaseInTheMiddleOfReceived(t *testing.T) {
	onPairs(t, func(t *testing.T, first, second *arena) {
		addr := first.tcp()
		var kept evloop.Socket
		var head []byte
		g := first.listen(addr, func(n *node) {
			n.onReceived = func(data []byte) {
				if kept != nil {
					t.Error("received after Release")
					return
				}
				head = bytes.Clone(data)
				kept = n.Release()
			}
		})
		client := first.dial(addr)
		sent := pattern(500000) // more than one read takes
		client.Send(sent)
		first.run(func() bool { return kept != nil })
		client.CloseGracefully(nil)
		next := &node{}
		if err := second.loop.Adopt(&next.Conn, kept, next); err != nil {
			t.Fatal(err)
		}
		both(first, second, func() bool { return next.ended })
		wantBytes(t, "both parts", append(head, next.got.Bytes()...), sent)
		if old := g.nodes[0]; old.ended || old.failure != nil {
			t.Errorf("the old handler was told: ended %v, failure %v", old.ended, old.failure)
		}
		next.Close()
	})
}

// The end of the stream was seen by the old owner; the new one sees it too.
func TestReleaseAfterEOF(t *testing.T) {
	onPairs(t, func(_ *testing.T, first, second *arena) {
		client, server := first.pair(first.tcp())
		client.CloseGracefully(nil)
		first.run(func() bool { return server.ended })
		next := first.move(server, second)
		both(first, second, func() bool { return next.ended })
		next.Close()
	})
}

func TestReleaseOfTheWrongConnection(t *testing.T) {
	onSystems(t, func(t *testing.T, a *arena) {
		for name, release := range map[string]func(client, server *node){
			"dialed":         func(client, _ *node) { client.Release() },
			"with output":    func(_, server *node) { server.SendString("x"); server.Release() },
			"closed":         func(_, server *node) { server.Close(); server.Release() },
			"being closed":   func(_, server *node) { server.CloseGracefully(nil); server.Release() },
			"released twice": func(_, server *node) { _ = server.Release().Close(); server.Release() },
		} {
			client, server := a.pair(a.tcp())
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: no panic", name)
					}
				}()
				release(client, server)
			}()
			client.Close()
			server.Close()
		}
	})
}

func TestPausedListenerAcceptsNobodyAndRefusesNobody(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		for _, addr := range []evloop.Address{a.tcp(), a.unix()} {
			g := a.listen(addr, nil)
			g.listener.Pause()
			g.listener.Pause()
			client := a.dial(addr)
			a.run(func() bool { return client.opened })
			a.runFor(20 * time.Millisecond)
			if len(g.nodes) != 0 {
				t.Error("a paused listener accepted")
			}
			g.listener.Resume()
			g.listener.Resume()
			a.run(func() bool { return len(g.nodes) == 1 })
			g.listener.Pause()
			g.listener.Close()
			g.listener.Resume()
			client.Close()
			g.nodes[0].Close()
		}
		if a.loop.Open() != 0 {
			t.Errorf("%d sockets left", a.loop.Open())
		}
	})
}

// Paused by what it accepted first, the listener leaves those that came in the same batch where they are.
func TestPauseWhileAccepting(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		addr := a.tcp()
		var g *gate
		g = a.listen(addr, func(*node) { g.listener.Pause() })
		clients := []*node{a.dial(addr), a.dial(addr), a.dial(addr)}
		a.run(func() bool { return clients[0].opened && clients[1].opened && clients[2].opened })
		for i := range clients {
			a.runFor(5 * time.Millisecond)
			if len(g.nodes) != i+1 {
				t.Fatalf("%d accepted, want %d", len(g.nodes), i+1)
			}
			g.listener.Resume()
		}
		g.listener.Close()
		for i, c := range clients {
			c.Close()
			g.nodes[i].Close()
		}
	})
}

// A listener that was moved accepts in its new loop who came in between.
func TestReleasedListenerGoesOnInAnotherLoop(t *testing.T) {
	onPairs(t, func(t *testing.T, first, second *arena) {
		for _, addr := range []evloop.Address{first.tcp(), first.unix()} {
			g := first.listen(addr, nil)
			socket := g.listener.Release()
			if socket != g.listener.Socket() || g.listener.Release() != nil {
				t.Error("Release does not return the socket once")
			}
			g.listener.Close()
			client := first.dial(addr)
			first.run(func() bool { return client.opened })
			if err := second.outside.Relisten(socket, addr, evloop.ListenOptions{Backlog: 16}); err != nil {
				t.Fatal(err)
			}
			next := &gate{arena: second}
			var err error
			if next.listener, err = second.loop.Accept(socket, evloop.SocketOptions{}, next); err != nil {
				t.Fatal(err)
			}
			both(first, second, func() bool { return len(next.nodes) == 1 })
			next.nodes[0].SendString("hello")
			both(first, second, func() bool { return client.got.String() == "hello" })
			client.Close()
			next.nodes[0].Close()
			next.listener.Close()
		}
		if first.loop.Open() != 0 || second.loop.Open() != 0 {
			t.Errorf("%d and %d sockets left", first.loop.Open(), second.loop.Open())
		}
	})
}

// hungry counts what it was told, and never closes what it accepts by itself.
type hungry struct {
	sockets []evloop.Socket
	failed  int
}

func (h *hungry) Accepted(s evloop.Socket) { h.sockets = append(h.sockets, s) }
func (h *hungry) AcceptFailed(error)       { h.failed++ }

// A listener that rests for want of descriptors and is paused meanwhile stays paused when the rest is over.
func TestPauseDuringARest(t *testing.T) {
	for seed := range uint64(20) {
		a, w := onSim(t, seed)
		outside := w.Outside("server")
		loop := evloop.New(outside, a)
		loops := []*evloop.Loop{a.loop, loop}
		addr := a.tcp()
		socket, err := outside.Listen(addr, evloop.ListenOptions{Backlog: 16})
		if err != nil {
			t.Fatal(err)
		}
		h := &hungry{}
		listener, err := loop.Accept(socket, evloop.SocketOptions{}, h)
		if err != nil {
			t.Fatal(err)
		}
		outside.FilesExhausted = true
		client := a.dial(addr)
		if err := w.Run(loops, func() bool { return h.failed == 1 }, time.Minute); err != nil {
			t.Fatal(err)
		}
		listener.Pause()
		outside.FilesExhausted = false
		if err := w.RunFor(loops, time.Second); err != nil {
			t.Fatal(err)
		}
		if len(h.sockets) != 0 || h.failed != 1 {
			t.Fatalf("paused: %d accepted, %d failures", len(h.sockets), h.failed)
		}
		listener.Resume()
		if err := w.Run(loops, func() bool { return len(h.sockets) == 1 }, time.Minute); err != nil {
			t.Fatal(err)
		}
		client.Close()
		_ = h.sockets[0].Close()
		listener.Close()
		if outside.Sockets() != 0 {
			t.Errorf("%d sockets left", outside.Sockets())
		}
	}
}

// Who pauses a listener whose turn in the same batch is still to come is obeyed at once.
func TestPauseLaterInTheBatchThatAlsoAccepts(t *testing.T) {
	onSystems(t, func(t *testing.T, a *arena) {
		addr := a.tcp()
		paused := false
		g := a.listen(addr, func(*node) {
			if paused {
				t.Error("accepted after Pause")
			}
		})
		client := a.dial(addr)
		a.run(func() bool { return client.opened && len(g.nodes) == 1 })
		g.nodes[0].onReceived = func([]byte) { paused = true; g.listener.Pause() }
		client.SendString("pause")
		if err := a.loop.Step(false); err != nil { // writes
			t.Fatal(err)
		}
		late := a.dial(addr)
		a.run(func() bool { return paused && late.opened })
		a.runFor(5 * time.Millisecond)
		g.listener.Close()
		client.Close()
		late.Close()
		for _, n := range g.nodes { // the late one may have come before the pause
			n.Close()
		}
	})
}

// Who is connected when a listener is to close is no less a client than others: closing would reset it.
func TestAcceptRestBeforeClose(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		addr := a.tcp()
		g := a.listen(addr, nil)
		g.listener.Pause()
		clients := []*node{a.dial(addr), a.dial(addr), a.dial(addr)}
		a.run(func() bool { return clients[0].opened && clients[1].opened && clients[2].opened })
		g.listener.AcceptRest() // nobody, while it is paused
		if len(g.nodes) != 0 {
			t.Error("a paused listener accepted")
		}
		g.listener.Resume()
		g.listener.AcceptRest()
		g.listener.Close()
		g.listener.AcceptRest()
		if len(g.nodes) != len(clients) {
			t.Fatalf("%d accepted, want %d", len(g.nodes), len(clients))
		}
		for i, c := range clients {
			c.Close()
			g.nodes[i].Close()
		}
		if a.loop.Open() != 0 {
			t.Errorf("%d sockets left", a.loop.Open())
		}
	})
}
