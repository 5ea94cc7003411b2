package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/resp"
)

func TestRedisRequestKeys(t *testing.T) {
	const refused = "-ERR too many keys in request (request_keys)\r\n"
	const limit = 100
	command := func(name string, keys, step int) string {
		args := []string{name}
		for i := range keys {
			args = append(args, fmt.Sprintf("key-%d", i))
			for range step - 1 {
				args = append(args, "v")
			}
		}
		return string(resp.AppendCommand(nil, args...))
	}
	for _, tt := range []struct{ name, request, want string }{
		{"MGET at the limit", command("MGET", limit, 1), "*100\r\n" + strings.Repeat("$-1\r\n", limit)},
		{"MGET", command("MGET", limit+1, 1), refused},
		{"MGET in pieces", command("MGET", 300_000, 1), refused},
		{"DEL in pieces", command("DEL", 300_000, 1), refused},
		{"MSET at the limit", command("MSET", limit, 2), "+OK\r\n"},
		{"MSET", command("MSET", limit+1, 2), refused},
		{"MSET in pieces", command("MSET", 300_000, 2), refused},
		{"SINTER", command("SINTER", limit+1, 1), refused},
		{"ECHO of many words is not one of many keys", command("ECHO", limit+5, 1), "-ERR wrong number of arguments for 'echo' command\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newArena(t, 1, redisLanguage{}, 2, 1, "")
			a.limits().RequestKeys = limit
			c := a.talk()
			before := a.used()
			c.SendString(tt.request)
			if most := a.most(10*time.Second, func() int { return a.used() - before }); most > 300_000 {
				t.Errorf("%d bytes of the request were held", most)
			}
			c.wants(tt.want)
			c.asks("PING\r\n", "+PONG\r\n")
			want := int64(0)
			if tt.want == refused {
				want = 1
			}
			if n := a.counters().RequestExcessKeys; n != want {
				t.Errorf("%d requests are counted, want %d", n, want)
			}
			c.Close()
			a.finish()
		})
	}
}

func TestMemcacheRequestKeys(t *testing.T) {
	a := newArena(t, 1, memcacheLanguage{}, 2, 1, "")
	a.limits().RequestKeys = 100
	c := a.talk()
	c.asks("get"+strings.Repeat(" k", 100)+"\r\n", "END\r\n")
	c.asks("get"+strings.Repeat(" k", 101)+"\r\n", "CLIENT_ERROR too many keys in request (request_keys)\r\n")
	c.asks("get"+strings.Repeat(" k", 200_000)+"\r\n", "CLIENT_ERROR too many keys in request (request_keys)\r\n")
	c.asks("get k\r\n", "END\r\n")
	if n := a.counters().RequestExcessKeys; n != 2 {
		t.Errorf("%d requests are counted", n)
	}
}

func TestRequestTimeout(t *testing.T) {
	for _, tt := range []struct {
		name          string
		language      language
		begin, rest   string
		response, end string
	}{
		{
			"redis",
			redisLanguage{},
			"*2\r\n$4\r\nECHO\r\n$5\r\nhe", "llo\r\n", "$5\r\nhello\r\n",
			"-ERR Protocol error: request not complete in time (request_timeout)\r\n",
		},
		{
			"memcached",
			memcacheLanguage{},
			"set k 0 0 5\r\nhe", "llo\r\n", "STORED\r\n",
			"CLIENT_ERROR request not complete in time (request_timeout)\r\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newArena(t, 1, tt.language, 1, 1, "")
			a.limits().RequestTimeout = 10 * time.Second
			c := a.talk()
			for range 3 { // each has its time
				c.SendString(tt.begin)
				a.wait(9 * time.Second)
				c.asks(tt.rest, tt.response)
			}
			idle := a.talk() // sends nothing: that is no request
			dripping := a.talk()
			c.SendString(tt.begin)
			start := a.Now()
			for _, b := range []byte(tt.begin[:8]) {
				dripping.Send([]byte{b})
				a.wait(time.Second)
			}
			c.wants(tt.end)
			if took := a.Now() - start; took < 10*time.Second || took > 11*time.Second {
				t.Errorf("it took %v", took)
			}
			c.wantsClosed()
			dripping.wants(tt.end)
			dripping.wantsClosed()
			a.wait(time.Minute)
			if idle.closed || a.counters().RequestTimedOut != 2 {
				t.Errorf("idle client closed: %v; %d are counted", idle.closed, a.counters().RequestTimedOut)
			}
			if a.proxy.workers[0].sweep.timer.Armed() {
				t.Error("the timer is armed and nothing can expire")
			}
		})
	}
}

// TestStalledClientIsNotTooSlow: while the proxy does not read, the client cannot send.
func TestStalledClientIsNotTooSlow(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	a.limits().RequestTimeout, a.limits().ClientIdle = 10*time.Second, 10*time.Second
	a.servers[0].Freeze()
	c := a.talk()
	c.SendString("GET k\r\n*2\r\n$3\r\nGET\r\n$1\r\n") // the second is cut
	a.wait(time.Second)
	a.limits().ClientRequests = 1
	c.SendString("k\r\nGET k\r\nGET k\r\n*2\r\n$4")
	a.wait(5 * time.Minute)
	a.servers[0].Thaw()
	c.wants(strings.Repeat("$-1\r\n", 4))
	c.asks("\r\nECHO\r\n$1\r\nx\r\n", "$1\r\nx\r\n")
	c.Close()
	a.finish()
}

func TestIdleClientIsClosed(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	a.limits().ClientIdle = 10 * time.Second
	a.limits().RequestTimeout = 0
	silent, busy, waiting, halfway := a.talk(), a.talk(), a.talk(), a.talk()
	halfway.SendString("*2\r\n") // a request has a limit of its own
	waiting.SendString("GET k\r\n")
	a.servers[0].Freeze()
	a.wait(9 * time.Second)
	if silent.closed {
		t.Fatal("closed too early")
	}
	busy.asks("PING\r\n", "+PONG\r\n")
	a.wait(2 * time.Second)
	silent.wantsClosed()
	a.wait(5 * time.Second)
	if busy.closed || waiting.closed || halfway.closed {
		t.Fatal("a client was closed that was not idle")
	}
	a.servers[0].Thaw()
	waiting.wants("$-1\r\n")
	at := a.Now()
	busy.wantsClosed()
	waiting.wantsClosed()
	if took := a.Now() - at; took < 9*time.Second || took > 11*time.Second {
		t.Errorf("closed %v after its response", took)
	}
	if n := a.counters().ClientIdle; n != 3 {
		t.Errorf("%d clients are counted", n)
	}
	halfway.Close()
	a.finish()
}

// TestIdleAfterSlowRequest: who was looked at in the middle of a request is looked at again.
func TestIdleAfterSlowRequest(t *testing.T) {
	for _, timeout := range []time.Duration{0, time.Hour} {
		a := newArena(t, 1, redisLanguage{}, 1, 1, "")
		a.limits().ClientIdle, a.limits().RequestTimeout = 10*time.Second, timeout
		c := a.talk()
		c.SendString("PI")
		a.wait(15 * time.Second)
		c.asks("NG\r\n", "+PONG\r\n")
		a.wait(25 * time.Second)
		if !c.closed {
			t.Errorf("with a request_timeout of %v the idle client is not closed", timeout)
		}
	}
}

// TestNewLimitsOfTimeCountAtOnce is for a reload.
func TestNewLimitsOfTimeCountAtOnce(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	c := a.talk()
	c.asks("PING\r\n", "+PONG\r\n")
	if err := a.change(poolText("p", proxyAddress, "  client_idle_timeout: 10000\n", server0)); err != nil {
		t.Fatal(err)
	}
	a.wait(9 * time.Second)
	if c.closed {
		t.Fatal("closed too early")
	}
	a.wait(2 * time.Second)
	c.wantsClosed()
}
