package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// confirmed is what Redis says of a subscription.
func confirmed(word, name string, count int) string {
	return fmt.Sprintf("*3\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n:%d\r\n", len(word), word, len(name), name, count)
}

// message is a message to a subscriber.
func messageOf(channel, text string) string {
	return fmt.Sprintf("*3\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(channel), channel, len(text), text)
}

// awaits waits until the caller has all of it.
func (c *caller) awaits(a *arena, want string) {
	a.t.Helper()
	a.until(fmt.Sprintf("%.60q", want), func() bool { return len(c.got) >= len(want) || c.closed != nil })
	if c.got != want {
		a.t.Fatalf("got %.200q, want %.200q (closed: %v)", c.got, want, c.closed)
	}
	c.got = ""
}

func TestSubscribeInAPipeline(t *testing.T) {
	for seed := range uint64(10) {
		a := newArena(t, seed, redisLanguage{}, 3, 1, "")
		c, publisher := a.call(proxyAddress), a.call(proxyAddress)
		c.SendString("GET k\r\nSUBSCRIBE a b c\r\nPING x\r\n")
		c.awaits(a, "$-1\r\n"+confirmed("subscribe", "a", 1)+confirmed("subscribe", "b", 2)+confirmed("subscribe", "c", 3)+"*2\r\n$4\r\npong\r\n$1\r\nx\r\n")
		for i, channel := range []string{"a", "b", "c", "a"} {
			publisher.gets(a, fmt.Sprintf("PUBLISH %s %d\r\n", channel, i), ":1\r\n")
			c.awaits(a, messageOf(channel, fmt.Sprint(i)))
		}
		c.SendString("UNSUBSCRIBE a\r\nUNSUBSCRIBE\r\nGET k\r\n")
		a.until("an answer", func() bool { return strings.HasSuffix(c.got, "$-1\r\n") })
		publisher.gets(a, "PUBLISH a x\r\nPUBLISH b x\r\nPUBLISH c x\r\n", ":0\r\n:0\r\n:0\r\n")
		c.got = ""
		a.pause(10 * time.Millisecond)
		if s := a.proxy.workers[0].clients; s.session.engaged() || s.next.session.engaged() {
			t.Error("a client that is subscribed to nothing still has connections of its own")
		}
		if c.got != "" {
			t.Errorf("got %q after UNSUBSCRIBE", c.got)
		}
		a.end(c, publisher)
	}
}

// TestPatternIsConfirmedBeforeItsMessages though servers confirm it one after the other.
func TestPatternIsConfirmedBeforeItsMessages(t *testing.T) {
	for seed := range uint64(20) {
		a := newArena(t, seed, redisLanguage{}, 3, 1, "")
		c, publisher := a.call(proxyAddress), a.call(proxyAddress)
		publisher.gets(a, "GET k\r\n", "$-1\r\n")
		a.servers[seed%3].late = 20 * time.Millisecond
		c.SendString("PSUBSCRIBE n*\r\n")
		for i := range 200 {
			publisher.SendString(fmt.Sprintf("PUBLISH n%d x\r\n", i))
			a.pause(100 * time.Microsecond)
		}
		a.pause(50 * time.Millisecond)
		if want := confirmed("psubscribe", "n*", 1); !strings.HasPrefix(c.got, want) {
			t.Errorf("seed %d: got %.100q, want %q first", seed, c.got, want)
		}
		a.end(c, publisher)
	}
}

// TestSubscribeWhenAServerIsDown: the client is told, and lives on; servers that have agreed are told that nobody listens.
func TestSubscribeWhenAServerIsDown(t *testing.T) {
	for down := range 3 {
		a := newArena(t, 1, redisLanguage{}, 3, 1, "")
		a.servers[down].Kill()
		c := a.call(proxyAddress)
		c.gets(a, "PSUBSCRIBE n*\r\nPING\r\n", "-ERR Connection refused\r\n+PONG\r\n")
		a.pause(10 * time.Millisecond)
		for i, s := range a.servers {
			if n := len(s.Peers()); n > 0 {
				t.Errorf("server %d has %d connections for nobody", i, n)
			}
		}
		a.mendEverything()
		c.gets(a, "PSUBSCRIBE n*\r\n", confirmed("psubscribe", "n*", 1))
		a.servers[down].Kill()
		a.until("the client to be closed, because it misses messages", func() bool { return c.closed != nil })
		a.mendEverything()
		a.end(c)
	}
}

// TestReloadMovesSubscribers: who would miss messages is closed, all others stay.
func TestReloadMovesSubscribers(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 3, 2, "")
	var callers []*caller
	for i := range 12 {
		c := a.call(proxyAddress)
		name := fmt.Sprintf("channel%d", i)
		c.gets(a, "SUBSCRIBE "+name+"\r\n", confirmed("subscribe", name, 1))
		callers = append(callers, c)
	}
	if err := a.change(poolText("p", proxyAddress, "  timeout: 300\n", server0, server1, server2)); err != nil {
		t.Fatal(err)
	}
	a.pause(10 * time.Millisecond)
	for i, c := range callers {
		if c.closed != nil {
			t.Fatalf("client %d was closed by a reload that does not move its channel", i)
		}
	}
	if err := a.change(poolText("p", proxyAddress, "", server1, server2)); err != nil {
		t.Fatal(err)
	}
	a.pause(10 * time.Millisecond)
	publisher := a.call(proxyAddress)
	stayed := 0
	for i, c := range callers {
		c.got = ""
		name := fmt.Sprintf("channel%d", i)
		publisher.got = ""
		publisher.SendString("PUBLISH " + name + " x\r\n")
		a.until("an answer", func() bool { return publisher.got != "" })
		a.pause(5 * time.Millisecond)
		switch {
		case c.closed == nil && c.got == messageOf(name, "x"):
			stayed++
			c.gets(a, "UNSUBSCRIBE\r\n", confirmed("unsubscribe", name, 0))
		case c.closed == nil:
			t.Errorf("client %d is not closed and has missed a message", i)
		}
	}
	if stayed == 0 || stayed == len(callers) {
		t.Errorf("%d of %d clients stayed", stayed, len(callers))
	}
	a.end(append(callers, publisher)...)
}

// TestSlowSubscriberIsBounded: no more is read for it than it may have waiting, its slowness is not held against the server, and it gets all
// messages in the end.
func TestSlowSubscriberIsBounded(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "  client_buffer: 16384\n  timeout: 50\n  auto_eject_hosts: true\n  server_failure_limit: 1\n")
	c, publisher := a.call(proxyAddress), a.call(proxyAddress)
	c.gets(a, "SUBSCRIBE a\r\n", confirmed("subscribe", "a", 1))
	c.Pause()
	text := strings.Repeat("x", 1000)
	const messages = 1000
	for i := range messages {
		publisher.SendString("PUBLISH a " + text + "\r\n")
		if i == messages/2 {
			c.SendString("PING\r\nSUBSCRIBE b\r\n") // which are answered behind the messages
		}
	}
	most := 0
	for range 1000 {
		a.pause(time.Millisecond)
		for x := a.proxy.workers[0].clients; x != nil; x = x.next {
			most = max(most, x.held+x.conn.Unsent())
		}
	}
	if most < 16384 || most > 16384+256<<10 {
		t.Errorf("%d bytes wait for a subscriber that does not read", most)
	}
	c.Resume()
	a.pause(5 * time.Second)
	if n := strings.Count(c.got, messageOf("a", text)); n != messages && c.closed == nil {
		t.Errorf("the subscriber has got %d messages of %d", n, messages)
	}
	if !a.proxy.workers[0].pools[0].health.In(0) {
		t.Error("the server is out because a client does not read")
	}
	if c.closed != nil {
		t.Errorf("the subscriber was closed (%v), it has lost nothing", c.closed)
	}
	a.end(c, publisher)
}

// TestSlowSubscriberHearsAgainAfterResume: a hand-over that is called off must not leave it deaf.
func TestSlowSubscriberHearsAgainAfterResume(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "  client_buffer: 16384\n")
	c, publisher := a.call(proxyAddress), a.call(proxyAddress)
	c.gets(a, "SUBSCRIBE a\r\n", confirmed("subscribe", "a", 1))
	c.Pause()
	text := strings.Repeat("x", 1000)
	publisher.SendString(strings.Repeat("PUBLISH a "+text+"\r\n", 1000))
	a.pause(100 * time.Millisecond)
	publisher.Close()
	a.pause(10 * time.Millisecond)
	a.proxy.HandOver(func(h Handed) { _ = h.Socket.Close() }, func() {})
	a.pause(10 * time.Millisecond)
	a.proxy.Resume()
	a.pause(10 * time.Millisecond)
	c.Resume()
	a.until("all messages", func() bool { return strings.Count(c.got, messageOf("a", text)) == 1000 })
	a.end(c)
}

func TestIdleSubscriberIsNotClosed(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "  client_idle_timeout: 100\n  timeout: 50\n")
	c := a.call(proxyAddress)
	c.gets(a, "SUBSCRIBE a\r\n", confirmed("subscribe", "a", 1))
	a.pause(5 * time.Second)
	publisher := a.call(proxyAddress)
	publisher.gets(a, "PUBLISH a x\r\n", ":1\r\n")
	a.until("the message", func() bool { return strings.HasSuffix(c.got, messageOf("a", "x")) })
	a.end(c, publisher)
}

// TestSubscriberOfVersion3 goes on with other commands, and may not change to version 2.
func TestSubscriberOfVersion3(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 2, 1, "")
	c := a.call(proxyAddress)
	c.SendString("HELLO 3\r\nSUBSCRIBE a\r\nSET k v\r\nGET k\r\nPUBLISH a x\r\n")
	a.until("all", func() bool {
		return strings.Contains(c.got, "\r\nx\r\n") && strings.Contains(c.got, "v\r\n:1\r\n") && strings.HasSuffix(c.got, "\r\n")
	})
	if !strings.Contains(c.got, ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n+OK\r\n$1\r\nv\r\n") || !strings.Contains(c.got, ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n") {
		t.Errorf("got %q", c.got)
	}
	c.got = ""
	c.SendString("HELLO 2\r\n")
	a.until("an answer", func() bool { return strings.HasSuffix(c.got, "\r\n") })
	if !strings.HasPrefix(c.got, "-ERR ") {
		t.Errorf("HELLO 2 is answered %q", c.got)
	}
	c.gets(a, "UNSUBSCRIBE\r\n", ">3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n")
	a.end(c)
}

// TestSubscribeWaitsForOneServerWhileAnotherIsDown: the client is told at once, and nothing is tried for ever.
func TestSubscribeWaitsForOneServerWhileAnotherIsDown(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 3, 1, "  dedicated_connections: 1\n  dedicated_timeout: 0\n")
	a.Net.InstantPercent = 100
	a.servers[0].Kill()
	p := a.proxy.workers[0].pools[0]
	holder, c := a.call(proxyAddress), a.call(proxyAddress)
	for i := 0; ; i++ {
		if key := fmt.Sprintf("k%d", i); p.pick([]byte(key)).index == 2 {
			holder.gets(a, "WATCH "+key+"\r\n", "+OK\r\n")
			break
		}
	}
	c.gets(a, "PSUBSCRIBE n*\r\nPING\r\n", "-ERR Connection refused\r\n+PONG\r\n")
	a.mendEverything()
	a.end(holder, c)
}

// TestSubscriptionsOfAClientAreBounded has a client subscribe to ever more. What it has stays, and what it gives up makes room.
func TestSubscriptionsOfAClientAreBounded(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	c := a.call(proxyAddress)
	c.gets(a, "SUBSCRIBE a b\r\nPSUBSCRIBE c\r\n", confirmed("subscribe", "a", 1)+confirmed("subscribe", "b", 2)+confirmed("psubscribe", "c", 3))
	s := &a.engineClient().session.subscriptions
	if want := 3 * (1 + subscriptionOverhead); s.bytes != want {
		t.Errorf("three subscriptions are counted as %d bytes, want %d", s.bytes, want)
	}
	s.bytes += mostSubscribed - 4*subscriptionOverhead // as if there were others
	refusal := "-ERR too many subscriptions for one client: at most 131072, fewer with long names\r\n"
	c.gets(a, "SUBSCRIBE d e\r\n", refusal)
	c.gets(a, "UNSUBSCRIBE a no\r\n", confirmed("unsubscribe", "a", 2)+confirmed("unsubscribe", "no", 2))
	c.gets(a, "SUBSCRIBE d\r\nSSUBSCRIBE f g\r\n", confirmed("subscribe", "d", 3)+refusal)
	if w := a.proxy.workers[0]; w.nameBytes == 0 {
		t.Error("the process is not charged")
	}
	s.bytes -= mostSubscribed - 4*subscriptionOverhead
	a.end(c)
	if w := a.proxy.workers[0]; w.nameBytes != 0 {
		t.Errorf("%d bytes are charged for a client that has left", w.nameBytes)
	}
}
