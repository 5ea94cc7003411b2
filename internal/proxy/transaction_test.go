package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestTransactionInOneWrite(t *testing.T) {
	for seed := range uint64(5) {
		a := newArena(t, seed, redisLanguage{}, 3, 1, "")
		c := a.call(proxyAddress)
		c.gets(a, "SET x 1\r\nGET a\r\nMULTI\r\nPING\r\nSET a 1\r\nGET a\r\nEXEC\r\nGET a\r\nGET x\r\n",
			"+OK\r\n$-1\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+PONG\r\n+OK\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\n1\r\n")
		a.end(c)
	}
}

// TestServerDiesInsideTransaction: none of it is executed, and the client is told so.
func TestServerDiesInsideTransaction(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	c := a.call(proxyAddress)
	c.gets(a, "MULTI\r\nSET a 1\r\n", "+OK\r\n+QUEUED\r\n")
	a.servers[0].Kill()
	a.pause(10 * time.Millisecond)
	a.mendEverything()
	c.gets(a, "SET a 2\r\n", "+QUEUED\r\n")
	c.gets(a, "EXEC\r\nGET a\r\n", "-EXECABORT Transaction discarded because of previous errors.\r\n$-1\r\n")
	a.end(c)
}

// TestLostWatch: nobody knows whether a key has changed whose watch is lost, so nothing is executed, whatever happens in between.
func TestLostWatch(t *testing.T) {
	for _, between := range []string{"", "BLPOP nothing 0.01\r\n"} {
		a := newArena(t, 1, redisLanguage{}, 1, 1, "")
		c := a.call(proxyAddress)
		c.gets(a, "WATCH a\r\n", "+OK\r\n")
		a.servers[0].Kill()
		a.pause(10 * time.Millisecond)
		a.mendEverything()
		if between != "" {
			c.gets(a, between, "*-1\r\n")
			c.SendString("BLPOP nothing 0\r\n")
			a.pause(10 * time.Millisecond)
			a.servers[0].Kill() // the connection on which the client blocks has nothing watched
			a.pause(10 * time.Millisecond)
			a.mendEverything()
		}
		c.gets(a, "MULTI\r\nSET a 1\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*-1\r\n")
		c.gets(a, "MULTI\r\nSET a 1\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n")
		a.end(c)
	}
}

// TestRefusedExecLeavesNoTransactionBehind fills a connection until EXEC is refused. The next who is lent a connection must not find
// itself inside that transaction.
func TestRefusedExecLeavesNoTransactionBehind(t *testing.T) {
	for _, last := range []string{"EXEC", "DISCARD"} {
		a := newArena(t, 1, redisLanguage{}, 2, 1, "  server_buffer: 65536\n")
		c := a.call(proxyAddress)
		c.gets(a, "MULTI\r\n*2\r\n$4\r\nECHO\r\n$200000\r\n"+strings.Repeat("x", 200_000)+"\r\n", "+OK\r\n+QUEUED\r\n")
		c.got = ""
		c.SendString("GET k\r\n" + last + "\r\n")
		a.until("two answers", func() bool { return strings.Count(c.got, "\r\n") == 2 })
		a.pause(10 * time.Millisecond) // until the connection has sent what filled it
		other := a.call(proxyAddress)
		c.gets(a, "GET k\r\n", "$-1\r\n")
		other.gets(a, "MULTI\r\nGET k\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n")
		a.end(c, other)
	}
}

// TestRefusedRequestSpoilsItsTransaction: all or nothing.
func TestRefusedRequestSpoilsItsTransaction(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "  server_requests: 1\n")
	c := a.call(proxyAddress)
	c.SendString("MULTI\r\nSET a 1\r\nSET b 1\r\nSET c 1\r\nSET d 1\r\nSET e 1\r\nEXEC\r\n")
	a.pause(100 * time.Millisecond)
	n := strings.Count(c.got, "+QUEUED\r\n")
	switch {
	case n == 5 && strings.HasSuffix(c.got, "*5\r\n"+strings.Repeat("+OK\r\n", 5)):
	case n < 5 && strings.Contains(c.got, "-EXECABORT"):
		if len(a.servers[0].data) != 0 {
			t.Errorf("EXECABORT, and yet %v is written", a.servers[0].data)
		}
	default:
		t.Errorf("got %q", c.got)
	}
	a.end(c)
}

// TestWatchOfOthersIsNotInherited: whoever is lent the connection next watches nothing.
func TestWatchOfOthersIsNotInherited(t *testing.T) {
	for _, ends := range []string{"UNWATCH\r\n", "MULTI\r\nDISCARD\r\n", "MULTI\r\nEXEC\r\n", "RESET\r\n", "QUIT\r\n"} {
		a := newArena(t, 1, redisLanguage{}, 1, 1, "  dedicated_connections: 1\n")
		c, other := a.call(proxyAddress), a.call(proxyAddress)
		c.gets(a, "WATCH k\r\n", "+OK\r\n")
		c.SendString(ends)
		a.pause(10 * time.Millisecond)
		other.gets(a, "SET k v\r\nMULTI\r\nGET k\r\nEXEC\r\n", "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n$1\r\nv\r\n")
		a.end(c, other)
	}
}

// TestKeysOfTransactionApart: the second key's server is another; the error names both, and nothing is executed.
func TestKeysOfTransactionApart(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 3, 1, "")
	c := a.call(proxyAddress)
	p := a.proxy.workers[0].pools[0]
	one, two := "a", ""
	for i := 0; two == ""; i++ {
		if key := fmt.Sprintf("b%d", i); p.pick([]byte(key)) != p.pick([]byte(one)) {
			two = key
		}
	}
	c.got = ""
	c.SendString("MULTI\r\nSET " + one + " 1\r\nSET " + two + " 1\r\nEXEC\r\nGET " + one + "\r\n")
	a.pause(100 * time.Millisecond)
	if !strings.HasPrefix(c.got, "+OK\r\n+QUEUED\r\n-CROSSSLOT ") || !strings.HasSuffix(c.got, "-EXECABORT Transaction discarded because of previous errors.\r\n$-1\r\n") ||
		!strings.Contains(c.got, "'"+one+"' and '"+two+"'") {
		t.Errorf("got %q", c.got)
	}
	a.end(c)
}

// TestOwnCommandInsideMulti: the proxy's own command would go into the transaction by the back door.
func TestOwnCommandInsideMulti(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	c := a.call(proxyAddress)
	c.gets(a, "MULTI\r\nSET a 1\r\n", "+OK\r\n+QUEUED\r\n")
	c.got = ""
	c.SendString("NUTMEG ON s0 SET b 1\r\n")
	a.until("an answer", func() bool { return strings.HasSuffix(c.got, "\r\n") })
	if !strings.HasPrefix(c.got, "-ERR ") {
		t.Errorf("NUTMEG ON inside MULTI is answered %q", c.got)
	}
	c.gets(a, "EXEC\r\n", "-EXECABORT Transaction discarded because of previous errors.\r\n")
	a.end(c)
}

func TestSelectDoesNotSlowATransactionDown(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	c := a.call(proxyAddress)
	c.gets(a, "SELECT 1\r\nMULTI\r\nSET a 1\r\n", "+OK\r\n+OK\r\n+QUEUED\r\n")
	a.servers[0].Freeze()
	c.SendString("SET b 1\r\nSET c 1\r\nSET d 1\r\n")
	a.pause(10 * time.Millisecond)
	if n := a.proxy.workers[0].clients.requests; n != 3 {
		t.Errorf("%d requests of a pipeline are in flight, want 3", n)
	}
	a.mendEverything()
	a.pause(10 * time.Millisecond)
	c.gets(a, "EXEC\r\n", "*4\r\n"+strings.Repeat("+OK\r\n", 4))
	a.end(c)
}

// TestTransactionIsFinishedBeforeDrain: a client inside a transaction leaves behind EXEC.
func TestTransactionIsFinishedBeforeDrain(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 2, 1, "")
	c := a.call(proxyAddress)
	c.gets(a, "MULTI\r\nSET a 1\r\n", "+OK\r\n+QUEUED\r\n")
	a.proxy.Drain()
	a.pause(10 * time.Millisecond)
	c.gets(a, "SET b{a} 1\r\n", "+QUEUED\r\n")
	c.gets(a, "EXEC\r\n", "*2\r\n+OK\r\n+OK\r\n")
	a.until("the client to be closed", func() bool { return c.closed != nil })
	a.until("the proxy to end", a.proxy.ended)
}

// TestExecThatGetsNoConnectionEndsItsTransaction, as every EXEC does that is answered.
func TestExecThatGetsNoConnectionEndsItsTransaction(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 2, 1, "  dedicated_connections: 1\n  dedicated_timeout: 100\n")
	p := a.proxy.workers[0].pools[0]
	one, two := a.call(proxyAddress), a.call(proxyAddress)
	for i := range 20 {
		if key := fmt.Sprintf("k%d", i); p.pick([]byte(key)) == p.pick(placeholder) {
			one.gets(a, "WATCH "+key+"\r\n", "+OK\r\n")
			break
		}
	}
	for i := range 20 {
		if key := fmt.Sprintf("k%d", i); p.pick([]byte(key)) != p.pick(placeholder) {
			two.gets(a, "WATCH "+key+"\r\n", "+OK\r\n")
			break
		}
	}
	c := a.call(proxyAddress)
	c.gets(a, "MULTI\r\nTIME\r\n", "+OK\r\n+QUEUED\r\n")
	c.got = ""
	c.SendString("EXEC\r\n")
	a.until("an answer", func() bool { return strings.HasSuffix(c.got, "\r\n") })
	if !strings.Contains(c.got, "became free in time") {
		t.Errorf("EXEC is answered %q", c.got)
	}
	c.gets(a, "EXEC\r\nMULTI\r\nDISCARD\r\n", "-ERR EXEC without MULTI\r\n+OK\r\n+OK\r\n")
	a.end(one, two, c)
}

// TestServerThatRefusesMulti: what would be in the transaction must not be executed outside of one.
func TestServerThatRefusesMulti(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	a.servers[0].denied = "multi"
	c := a.call(proxyAddress)
	const refusal = "-NOPERM this user has no permissions to run the 'multi' command\r\n"
	for _, before := range []string{"", "WATCH k\r\n"} {
		want := refusal + refusal + "-EXECABORT Transaction discarded because of previous errors.\r\n$-1\r\n"
		if before != "" {
			c.gets(a, before, "+OK\r\n")
		}
		c.gets(a, "MULTI\r\nSET k v\r\nSET k w\r\nEXEC\r\nGET k\r\n", "+OK\r\n"+want)
	}
	a.servers[0].denied = ""
	c.gets(a, "MULTI\r\nSET k v\r\nEXEC\r\nGET k\r\n", "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n$1\r\nv\r\n")
	a.end(c)
}

// TestServerIsDownWhenATransactionBegins: the request that would begin it is answered, not tried for ever.
func TestServerIsDownWhenATransactionBegins(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	a.servers[0].Kill()
	c := a.call(proxyAddress)
	c.gets(a, "MULTI\r\nSET k v\r\nEXEC\r\n", "+OK\r\n-ERR Connection refused\r\n-EXECABORT Transaction discarded because of previous errors.\r\n")
	a.mendEverything()
	c.gets(a, "MULTI\r\nSET k v\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n")
	a.end(c)
}

// TestTransactionBehindADiscardedOne on another server does not wait for what nobody tells it of.
func TestTransactionBehindADiscardedOne(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 3, 1, "")
	p := a.proxy.workers[0].pools[0]
	other := ""
	for i := 0; other == ""; i++ {
		if key := fmt.Sprintf("b%d", i); p.pick([]byte(key)) != p.pick([]byte("a")) {
			other = key
		}
	}
	c := a.call(proxyAddress)
	c.gets(a, "MULTI\r\nSET a 1\r\n", "+OK\r\n+QUEUED\r\n")
	c.gets(a, "SET\r\nEXEC\r\nMULTI\r\nSET "+other+" 1\r\nEXEC\r\n", "-ERR wrong number of arguments for 'set' command\r\n"+
		"-EXECABORT Transaction discarded because of previous errors.\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n")
	a.end(c)
}

// TestWaitForMultiIsNotForAConnection: who has got a connection in time, and waits for the server's answer to MULTI, waits as long as the server may take.
func TestWaitForMultiIsNotForAConnection(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "  dedicated_connections: 1\n  dedicated_timeout: 100\n")
	holder, c := a.call(proxyAddress), a.call(proxyAddress)
	holder.gets(a, "WATCH k\r\n", "+OK\r\n")
	c.SendString("MULTI\r\nSET k v\r\nEXEC\r\n")
	a.pause(90 * time.Millisecond)
	holder.SendString("UNWATCH\r\n")
	a.until("the connection to be free", func() bool { return len(a.proxy.workers[0].pools[0].servers[0].dedicated.queue) == 0 })
	a.servers[0].Freeze()
	a.pause(500 * time.Millisecond)
	a.mendEverything()
	c.awaits(a, "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n")
	a.end(holder, c)
}
