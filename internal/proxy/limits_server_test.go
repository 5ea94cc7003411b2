package proxy

import (
	"strings"
	"testing"
	"time"

	"nutmeg/internal/resp"
)

// TestCrowdedServerHoldsClientsBack: who sends to a server that does not answer waits, everybody else goes on, and a
// request beyond twice the limit is refused.
func TestCrowdedServerHoldsClientsBack(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 2, 1, "")
	a.limits().ServerRequests = 20
	key, other := a.keyOf(0), a.keyOf(1)
	a.servers[0].Freeze()
	clients := make([]*talker, 30)
	for i := range clients {
		clients[i] = a.talk()
		clients[i].SendString("GET " + key + "\r\nGET " + key + "\r\n")
	}
	late := a.talk()
	a.wait(time.Second)
	conn := a.proxy.workers[0].pools[0].servers[0].lane.conns[0]
	if conn.pending < 20 || conn.pending > 40 {
		t.Errorf("%d requests are in the queue of a server with a limit of 20", conn.pending)
	}
	for range 40 - conn.pending {
		a.talk().SendString("GET " + key + "\r\n")
	}
	a.wait(time.Second)
	late.asks("GET "+key+"\r\n", "-ERR server s0 has too many requests waiting (server_requests)\r\n")
	late.asks("MGET "+other+" "+key+"\r\n", "-ERR server s0 has too many requests waiting (server_requests)\r\n")
	late.asks("GET "+other+"\r\n", "$-1\r\n")
	st := a.counters().Servers[0]
	if st.Stalls == 0 || st.Refused != 2 {
		t.Errorf("%d stalls and %d refused requests are counted", st.Stalls, st.Refused)
	}
	a.servers[0].Thaw()
	for _, c := range clients {
		c.wants("$-1\r\n$-1\r\n")
		c.Close()
	}
	a.wait(time.Second)
	late.asks("GET "+key+"\r\n", "$-1\r\n")
	if conn.crowd.first != nil || conn.pending != 0 {
		t.Errorf("%d requests and a crowd are left", conn.pending)
	}
}

// TestServerBuffer does the same with bytes, while the connection is being made.
func TestServerBuffer(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 2, 1, "")
	a.limits().ServerBuffer = 100_000
	key, other := a.keyOf(0), a.keyOf(1)
	a.servers[0].Freeze()
	set := string(resp.AppendCommand(nil, "SET", key, strings.Repeat("x", 10_000)))
	clients := make([]*talker, 8)
	for i := range clients {
		clients[i] = a.talk()
		clients[i].SendString(strings.Repeat(set, 10))
	}
	conn := func() *serverConn { return a.proxy.workers[0].pools[0].servers[0].lane.conns[0] }
	most := a.most(time.Second, func() int {
		if conn() == nil {
			return 0
		}
		return conn().output().Len()
	})
	if most < 100_000 || most > 200_000 {
		t.Errorf("%d bytes are queued for a server with a limit of 100000", most)
	}
	for range 15 {
		a.talk().SendString(set)
	}
	quick := a.talk()
	a.wait(time.Second)
	quick.asks("GET "+key+"\r\n", "-ERR server s0 has too many requests waiting (server_buffer)\r\n")
	quick.asks("GET "+other+"\r\n", "$-1\r\n")
	a.servers[0].Thaw()
	for _, c := range clients {
		c.wants(strings.Repeat("+OK\r\n", 10))
	}
	a.wait(time.Second)
	quick.asks("GET "+other+"\r\n", "$-1\r\n")
}

// TestSilentFloodIsBounded: also requests that want no reply count, and they are refused without a word.
func TestSilentFloodIsBounded(t *testing.T) {
	a := newArena(t, 1, memcacheLanguage{}, 1, 1, "")
	a.limits().ServerRequests = 10
	a.servers[0].Freeze()
	for range 40 {
		a.talk().SendString("set k 0 0 1 noreply\r\nx\r\n")
	}
	late := a.talk()
	a.wait(time.Second)
	if conn := a.proxy.workers[0].pools[0].servers[0].lane.conns[0]; conn.pending != 20 {
		t.Errorf("%d requests are in the queue of a server with a limit of 10", conn.pending)
	}
	if n := a.counters().Servers[0].Refused; n != 20 {
		t.Errorf("%d requests were refused, want 20", n)
	}
	late.asks("get k\r\n", "SERVER_ERROR server s0 has too many requests waiting (server_requests)\r\n")
	a.servers[0].Thaw()
	a.until("room in the queue", func() bool { return a.proxy.workers[0].pools[0].servers[0].lane.conns[0].pending == 0 })
	late.asks("get k\r\n", "VALUE k 0 1\r\nx\r\nEND\r\n")
}

// TestCrowdIsServedInTurn: who waited first goes on first.
func TestCrowdIsServedInTurn(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	a.limits().ServerRequests = 2
	key := a.keyOf(0)
	a.servers[0].Freeze()
	var order []int
	clients := make([]*talker, 4)
	for i := range clients {
		clients[i] = a.talk()
		a.wait(100 * time.Millisecond) // they come one after the other
		clients[i].SendString(strings.Repeat("INCR "+key+"\r\n", 5))
		a.wait(100 * time.Millisecond)
	}
	conn := a.proxy.workers[0].pools[0].servers[0].lane.conns[0]
	for c := conn.crowd.first; c != nil; c = c.burden.next {
		order = append(order, int(c.serial))
	}
	for i := 1; i < len(order); i++ {
		if order[i] < order[i-1] {
			t.Errorf("the crowd stands in the order %v", order)
		}
	}
	if len(order) < 2 {
		t.Errorf("only %d clients wait", len(order))
	}
	a.servers[0].Thaw()
	for _, c := range clients {
		a.until("five answers", func() bool { return strings.Count(string(c.got), "\r\n") == 5 })
		c.Close()
	}
	a.finish()
}

// TestClientsLeaveTheCrowd: a crowd keeps nobody who has gone, and goes on when its connection fails.
func TestClientsLeaveTheCrowd(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "  timeout: 5000\n")
	a.limits().ServerRequests = 5
	a.servers[0].Freeze()
	clients := make([]*talker, 9)
	for i := range clients {
		clients[i] = a.talk()
		clients[i].SendString("GET k\r\n")
	}
	a.wait(time.Second)
	conn := a.proxy.workers[0].pools[0].servers[0].lane.conns[0]
	crowd := func() (n int) {
		for c := conn.crowd.first; c != nil; c = c.burden.next {
			n++
		}
		return n
	}
	if n := crowd(); n != 5 { // the fifth filled the queue
		t.Fatalf("%d clients wait", n)
	}
	for i, c := range clients {
		if i%2 == 0 {
			c.Reset()
		}
	}
	a.wait(time.Second)
	if n := crowd(); n == 0 || n >= 5 {
		t.Errorf("%d clients wait after some have left", n)
	}
	for i, c := range clients {
		if i%2 != 0 {
			c.wants("-ERR Connection timed out\r\n")
		}
	}
	if crowd() != 0 {
		t.Error("clients wait for a connection that is gone")
	}
	a.servers[0].Thaw()
	clients[1].asks("GET k\r\n", "$-1\r\n")
	for _, c := range clients {
		c.Close()
	}
	a.finish()
}

// TestTurnedAwayAtTheLimitOfTheProcess counts clients of all workers.
func TestTurnedAwayAtTheLimitOfTheProcess(t *testing.T) {
	for _, tt := range []struct {
		language                 language
		request, response, words string
	}{
		{redisLanguage{}, "PING\r\n", "+PONG\r\n", "-ERR max number of clients reached\r\n"},
		{memcacheLanguage{}, "bogus\r\n", "ERROR\r\n", "ERROR Too many open connections\r\n"},
	} {
		t.Run(tt.language.protocol(), func(t *testing.T) {
			a := newArena(t, 1, tt.language, 1, 2, "")
			a.bound(3, 0)
			clients := []*talker{a.talk(), a.talk(), a.talk()}
			for _, c := range clients {
				c.asks(tt.request, tt.response)
			}
			late := a.talk()
			late.wants(tt.words)
			late.wantsClosed()
			if n := a.counters().ClientRefused; n != 1 {
				t.Errorf("%d refused clients are counted", n)
			}
			a.bound(4, 0)
			more := a.talk()
			more.asks(tt.request, tt.response)
			clients[0].Close()
			a.wait(time.Second)
			a.talk().asks(tt.request, tt.response)
		})
	}
}

// TestEventsOfALimitAreLoggedOnceASecond holds the words, too: they are what an operator searches for.
func TestEventsOfALimitAreLoggedOnceASecond(t *testing.T) {
	var q quiet
	second := int64(time.Second)
	for _, step := range []struct {
		at         int64
		pass       bool
		suppressed int
	}{{5, true, 0}, {6, false, 0}, {5 + second - 1, false, 0}, {5 + second, true, 2}, {6 + 2*second, true, 0}} {
		if suppressed, ok := q.pass(step.at); ok != step.pass || suppressed != step.suppressed {
			t.Errorf("at %d: logged %v, %d left out; want %v, %d", step.at, ok, suppressed, step.pass, step.suppressed)
		}
	}
	for l := range limitEvents {
		if limitEvents[l].message == "" {
			t.Errorf("limit %d has no words", l)
		}
	}
}
