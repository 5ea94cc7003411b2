package evloop_test

import (
	"testing"
	"time"
)

// accepted is a connection whose accepted end holds output, and how often that end has written.
func (a *arena) accepted() (client, server *node) {
	client, server = a.pair(a.tcp())
	server.NotifyFlushed(true)
	return client, server
}

// TestOutputWaitsForMore: what comes in the next batches leaves together with what was there, as soon as nothing more is to come.
func TestOutputWaitsForMore(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		client, server := a.accepted()
		server.MoreToCome(true)
		server.SendString("one ")
		a.step()
		if server.SendString("two "); !a.loop.Holding() || server.flushes != 0 {
			t.Errorf("flushed %d times in the first batch, want none", server.flushes)
		}
		a.step()
		server.MoreToCome(false)
		server.SendString("three")
		a.run(func() bool { return client.got.Len() == len("one two three") })
		wantBytes(t, "client", client.got.Bytes(), []byte("one two three"))
		if server.flushes != 1 {
			t.Errorf("flushed %d times, want once", server.flushes)
		}
		client.Close()
		server.Close()
	})
}

// TestHeldOutputLeavesWhenNothingElseHappens: nobody waits for long for what does not come.
func TestHeldOutputLeavesWhenNothingElseHappens(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		client, server := a.accepted()
		server.MoreToCome(true)
		for range 3 {
			client.got.Reset()
			server.SendString("a part")
			a.run(func() bool { return client.got.Len() == len("a part") })
			if a.loop.Holding() {
				t.Error("the loop still holds output")
			}
		}
		client.Close()
		server.Close()
	})
}

// TestHeldOutputLeavesABusyLoop: others that always have something to say hold nobody's output for long.
func TestHeldOutputLeavesABusyLoop(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		client, server := a.accepted()
		one, other := a.pair(a.tcp())
		one.onReceived = func([]byte) { one.SendString("tick") }
		other.onReceived = func([]byte) { other.SendString("tock") }
		one.SendString("tick")
		server.MoreToCome(true)
		server.SendString("a part")
		began := a.outside.Now()
		a.run(func() bool { return client.got.Len() == len("a part") })
		if took := time.Duration(a.outside.Now() - began); a.world != nil && took > 20*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		for _, n := range []*node{client, server, one, other} {
			n.Close()
		}
	})
}

// TestMuchOutputIsNotHeld, and none of a connection that was dialed.
func TestMuchOutputIsNotHeld(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		client, server := a.accepted()
		much := pattern(20_000)
		server.MoreToCome(true)
		server.Send(much)
		client.MoreToCome(true)
		client.SendString("a request")
		a.step()
		if a.loop.Holding() || server.flushes == 0 {
			t.Errorf("it is held; flushed %d times", server.flushes)
		}
		a.run(func() bool { return client.got.Len() == len(much) && server.got.Len() == len("a request") })
		client.Close()
		server.Close()
	})
}

// TestHeldOutputOfWhoIsClosed: a close drops it, a graceful one sends it first.
func TestHeldOutputOfWhoIsClosed(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		client, server := a.accepted()
		server.MoreToCome(true)
		server.SendString("last words")
		a.step()
		server.CloseGracefully(nil)
		a.run(func() bool { return client.ended })
		wantBytes(t, "client", client.got.Bytes(), []byte("last words"))
		client.Close()

		client, server = a.accepted()
		server.MoreToCome(true)
		server.SendString("never heard")
		a.step()
		server.Close()
		a.run(func() bool { return client.ended || client.failure != nil })
		wantBytes(t, "client of the closed one", client.got.Bytes(), nil)
		client.Close()
		a.run(func() bool { return a.loop.Open() == 0 && !a.loop.Holding() })
	})
}

// TestHeldOutputLeavesWithTheLastBatch of a loop.
func TestHeldOutputLeavesWithTheLastBatch(t *testing.T) {
	onSystems(t, func(t *testing.T, a *arena) {
		client, server := a.accepted()
		server.MoreToCome(true)
		server.SendString("last words")
		a.step()
		a.loop.Post(a.loop.Stop)
		if err := a.loop.Run(); err != nil {
			t.Fatal(err)
		}
		if a.loop.Holding() || server.flushes != 1 {
			t.Errorf("flushed %d times, want once", server.flushes)
		}
		client.Close()
		server.Close()
	})
}
