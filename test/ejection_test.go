package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/testkit"
)

// ejecting is the configuration of a pool that ejects a server at its second failure. Its servers are "a" and "b".
func ejecting(workers int, retry time.Duration, options string, a, b string) string {
	options += fmt.Sprintf("\nredis: true\nauto_eject_hosts: true\nserver_failure_limit: 2\nserver_retry_timeout: %d", retry.Milliseconds())
	return workersConf(workers, options, a+" a", b+" b")
}

// aKeyOf finds a key that belongs to the server which says its name.
func aKeyOf(c *rawConn, name string) string {
	c.t.Helper()
	return keysByReply(c, 1, func(reply string) bool { return reply == bulk(name) })[true][0]
}

// wantAll asks for a key so many times and compares each reply.
func (c *rawConn) wantAll(key string, times int, want string) {
	c.t.Helper()
	for i := range times {
		if got := c.ask("GET", key); got != want {
			c.t.Fatalf("reply %d for %s is %q, want %q", i, key, got, want)
		}
	}
}

// goDown ends a server and waits until the daemon has noticed that its idle connection was closed.
func goDown(n *Nutmeg, s *scriptedServer, name string) {
	n.t.Helper()
	s.down()
	n.waitPool("alpha", "the idle connection to "+name+" to be closed", func(p PoolStats) error {
		if open := p.Servers[name]["server_connections"]; open != 0 {
			return fmt.Errorf("%d connections", open)
		}
		return nil
	})
}

const refusedReply = "-ERR Connection refused\r\n"

func TestEjectionMovesKeys(t *testing.T) {
	t.Parallel()
	for _, distribution := range []string{"ketama", "modula", "random"} {
		t.Run(distribution, func(t *testing.T) {
			t.Parallel()
			a, b := serveScript(t, sayName("a")), serveScript(t, sayName("b"))
			n := startNutmeg(t, ejecting(1, time.Hour, "distribution: "+distribution, a.addr, b.addr))
			c := dial(t, n.Addr())
			key := aKeyOf(c, "a")
			goDown(n, a, "a")
			before := time.Now().UnixMicro()
			failures := 0
			for range 200 { // random asks either
				switch got := c.ask("GET", key); got {
				case refusedReply:
					failures++
				case bulk("b"):
				default:
					t.Fatalf("got %q", got)
				}
			}
			after := time.Now().UnixMicro()
			if failures != 2 {
				t.Errorf("%d requests failed, want 2: the limit", failures)
			}
			p := n.Pool("alpha")
			if err := p.want(map[string]int64{"server_ejects": 1, "forward_error": 2, "server_err": 2, "server_eof": 1, "server_timedout": 0}); err != nil {
				t.Error(err)
			}
			if at := p.Servers["a"]["server_ejected_at"]; at < before || at > after {
				t.Errorf("server_ejected_at is %d, want a time from %d to %d", at, before, after)
			}
			if at := p.Servers["b"]["server_ejected_at"]; at != 0 {
				t.Errorf("server_ejected_at of the other server is %d", at)
			}
			if p.Servers["a"]["server_err"] != 2 || p.Servers["b"]["server_connections"] != 1 {
				t.Errorf("servers: %v", p.Servers)
			}
		})
	}
}

func TestAllServersEjected(t *testing.T) {
	t.Parallel()
	a, b := serveScript(t, sayName("a")), serveScript(t, sayName("b"))
	n := startNutmeg(t, ejecting(1, time.Hour, "", a.addr, b.addr))
	c := dial(t, n.Addr())
	key := aKeyOf(c, "a")
	other := aKeyOf(c, "b")
	goDown(n, a, "a")
	goDown(n, b, "b")
	c.wantAll(key, 4, refusedReply) // two failures of each server

	// They are back, but nobody asks them before their time.
	a.up()
	b.up()
	before := a.connections() + b.connections()
	for _, key := range []string{key, other, ""} {
		c.wantAll(key, 20, refusedReply)
	}
	for _, args := range [][]string{{"MGET", key, other}, {"MSET", key, "1", other, "2"}, {"DEL", key, other}} {
		if got := c.ask(args...); got != refusedReply {
			t.Errorf("%q: got %q", args, got)
		}
	}
	if now := a.connections() + b.connections(); now != before {
		t.Errorf("%d connections were made to ejected servers", now-before)
	}
	if err := n.Pool("alpha").want(map[string]int64{"server_ejects": 2, "server_err": 4, "forward_error": 67, "fragments": 0}); err != nil {
		t.Error(err)
	}
}

func TestEjectedServerReturns(t *testing.T) {
	t.Parallel()
	const retry = 700 * time.Millisecond
	a, b := serveScript(t, sayName("a")), serveScript(t, sayName("b"))
	n := startNutmeg(t, ejecting(1, retry, "", a.addr, b.addr))
	c := dial(t, n.Addr())
	key := aKeyOf(c, "a")
	goDown(n, a, "a")
	c.wantAll(key, 1, refusedReply)
	start := time.Now()
	c.wantAll(key, 1, refusedReply)

	// Down at its retry time: again the full limit of failures, no more.
	errors := 0
	eventually(t, "the server to be tried again and ejected again", func() error {
		if c.ask("GET", key) == refusedReply {
			errors++
		}
		if errors < 2 {
			return fmt.Errorf("%d errors", errors)
		}
		return nil
	})
	if took := time.Since(start); took < retry {
		t.Errorf("tried again after %v, before its time of %v", took, retry)
	}
	c.wantAll(key, 3, bulk("b"))

	a.up()
	eventually(t, "the server to be back", func() error {
		if got := c.ask("GET", key); got != bulk("a") {
			return fmt.Errorf("got %q", got)
		}
		return nil
	})
	c.wantAll(key, 20, bulk("a"))
	if err := n.Pool("alpha").want(map[string]int64{"server_ejects": 2, "forward_error": 4, "server_err": 4}); err != nil {
		t.Error(err)
	}
}

// A reply in between makes the server's failures forgotten.
func TestSuccessResetsTheFailureCount(t *testing.T) {
	t.Parallel()
	flaky := func(c *scriptedConn) { // dies at every second request
		c.request()
		c.say(bulk("a"))
		c.request()
	}
	a, b := serveScript(t, flaky), serveScript(t, sayName("b"))
	n := startNutmeg(t, ejecting(1, time.Hour, "", a.addr, b.addr))
	c := dial(t, n.Addr())
	key := ""
	for i := 0; key == ""; i++ {
		if try := fmt.Sprint("key", i); c.ask("GET", try) == bulk("a") {
			key = try
		}
	}
	for range 10 {
		c.wantAll(key, 1, "-ERR Connection closed by server\r\n")
		c.wantAll(key, 1, bulk("a"))
	}
	if err := n.Pool("alpha").want(map[string]int64{"server_ejects": 0, "forward_error": 10, "server_eof": 10}); err != nil {
		t.Error(err)
	}
}

// What ejects: each closed connection once, whatever was on it, and replies that say the server is not well.
func TestWhatCountsAsAFailure(t *testing.T) {
	t.Parallel()
	say := func(text string) script {
		return func(c *scriptedConn) {
			for c.request() != nil {
				c.say(text)
			}
		}
	}
	const timedOut = "-ERR Connection timed out\r\n"
	for _, test := range []struct {
		rule     string
		run      script
		want     string // of each request to the server
		pipeline int    // requests at a time
		ejects   int64  // after two rounds
		counters map[string]int64
	}{
		{"a time-out", hang, timedOut, 1, 1, map[string]int64{"server_timedout": 2, "forward_error": 2, "server_err": 0, "server_eof": 0}},
		{"a time-out of many requests counts once", hang, timedOut, 3, 1, map[string]int64{"server_timedout": 2, "forward_error": 6}},
		{"a reset", func(c *scriptedConn) { c.request(); c.reset() }, "-ERR Connection reset by peer\r\n", 1, 1, map[string]int64{"server_err": 2, "forward_error": 2}},
		{"a close with a request pending", func(c *scriptedConn) { c.request() }, "-ERR Connection closed by server\r\n", 1, 1, map[string]int64{"server_eof": 2, "forward_error": 2}},
		{"garbage", say("what?\r\n"), "-ERR Invalid argument\r\n", 1, 1, map[string]int64{"server_err": 2, "forward_error": 2}},
		{"LOADING", say("-LOADING data\r\n"), "-LOADING data\r\n", 1, 1, map[string]int64{"server_err": 0, "forward_error": 0, "responses": 2}},
		{"BUSY", say("-BUSY script\r\n"), "-BUSY script\r\n", 1, 1, map[string]int64{"forward_error": 0}},
		{"OOM", say("-OOM full\r\n"), "-OOM full\r\n", 1, 1, map[string]int64{"forward_error": 0}},
		{"not another error", say("-ERR no\r\n"), "-ERR no\r\n", 1, 0, map[string]int64{"forward_error": 0}},
		{"not BUSYKEY", say("-BUSYKEY Target key name already exists.\r\n"), "-BUSYKEY Target key name already exists.\r\n", 1, 0, map[string]int64{"forward_error": 0}},
	} {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			a := serveScript(t, test.run)
			n := startNutmeg(t, poolConf("redis: true\ntimeout: 300\nauto_eject_hosts: true\nserver_failure_limit: 2\nserver_retry_timeout: 3600000", a.addr+" a"))
			c := dial(t, n.Addr())
			for range 2 {
				c.send(strings.Repeat(request("GET", "k"), test.pipeline))
				c.want(strings.Repeat(test.want, test.pipeline))
			}
			test.counters["server_ejects"] = test.ejects
			if err := n.Pool("alpha").want(test.counters); err != nil {
				t.Error(err)
			}
			want := test.want
			if test.ejects > 0 {
				want = refusedReply
			}
			c.wantAll("k", 1, want)
		})
	}
}

// A server that closes an idle connection, or is restarted, has not failed.
func TestIdleCloseIsNoFailure(t *testing.T) {
	t.Parallel()
	redis := testkit.Redis(t)
	n := startNutmeg(t, poolConf("redis: true\nauto_eject_hosts: true\nserver_failure_limit: 1\nserver_retry_timeout: 3600000", redis.Addr()+" a"))
	c, direct := dial(t, n.Addr()), dial(t, redis.Addr())
	for round := range int64(5) {
		c.wantAll("k", 1, "$-1\r\n")
		if got := direct.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"); got != ":1\r\n" {
			t.Fatalf("CLIENT KILL says %q", got)
		}
		n.waitPool("alpha", "the connection to be closed", func(p PoolStats) error { return p.want(map[string]int64{"server_eof": round + 1}) })
	}
	c.wantAll("k", 1, "$-1\r\n")
	if err := redis.Restart(); err != nil {
		t.Fatal(err)
	}
	n.waitPool("alpha", "the connection to be closed", func(p PoolStats) error { return p.want(map[string]int64{"server_connections": 0}) })
	c.wantAll("k", 1, "$-1\r\n")
	if err := n.Pool("alpha").want(map[string]int64{"server_ejects": 0, "forward_error": 0, "server_connections": 1, "requests": 7}); err != nil {
		t.Error(err)
	}
}

// A server that one worker found dead is out for all of them at once.
func TestWorkersAgreeOnEjection(t *testing.T) {
	t.Parallel()
	a, b := serveScript(t, sayName("a")), serveScript(t, sayName("b"))
	n := startNutmeg(t, ejecting(3, time.Hour, "", a.addr, b.addr))
	clients := make([]*rawConn, 9)
	for i := range clients {
		clients[i] = dial(t, n.Addr())
	}
	key := aKeyOf(clients[0], "a")
	for _, c := range clients {
		c.wantAll(key, 1, bulk("a"))
	}
	if open := n.Pool("alpha").Servers["a"]["server_connections"]; open != 3 {
		t.Fatalf("%d connections to a server, want one of each worker: 3", open)
	}
	goDown(n, a, "a")
	clients[0].wantAll(key, 2, refusedReply)
	for _, c := range clients {
		c.wantAll(key, 3, bulk("b"))
	}
	if err := n.Pool("alpha").want(map[string]int64{"server_ejects": 1, "forward_error": 2, "server_err": 2, "server_eof": 3}); err != nil {
		t.Error(err)
	}
}

func TestPreconnect(t *testing.T) {
	t.Parallel()
	t.Run("one connection of each worker, before any traffic", func(t *testing.T) {
		t.Parallel()
		a := serveScript(t, sayName("a"))
		n := startNutmeg(t, workersConf(2, "redis: true\npreconnect: true\nserver_connections: 2", a.addr+" a"))
		n.waitPool("alpha", "the connections", func(p PoolStats) error { return p.want(map[string]int64{"server_connections": 2, "requests": 0}) })
		dial(t, n.Addr()).wantAll("k", 1, bulk("a"))
	})
	t.Run("not without the option", func(t *testing.T) {
		t.Parallel()
		a := serveScript(t, sayName("a"))
		n := startNutmeg(t, poolConf("redis: true", a.addr+" a"))
		dial(t, n.Addr()).ask("PING")
		if made := a.connections(); made != 0 {
			t.Errorf("%d connections were made", made)
		}
	})
	t.Run("a failure counts", func(t *testing.T) {
		t.Parallel()
		a, b := serveScript(t, sayName("a")), serveScript(t, sayName("b"))
		a.down()
		n := startNutmeg(t, poolConf("redis: true\npreconnect: true\nauto_eject_hosts: true\nserver_failure_limit: 1\nserver_retry_timeout: 3600000", a.addr+" a", b.addr+" b"))
		n.waitPool("alpha", "the ejection", func(p PoolStats) error {
			return p.want(map[string]int64{"server_ejects": 1, "server_err": 1, "forward_error": 0, "server_connections": 1})
		})
		c := dial(t, n.Addr())
		for i := range 20 {
			c.wantAll(fmt.Sprint("key", i), 1, bulk("b"))
		}
	})
	t.Run("the failure of a server that is down does not keep the daemon from starting", func(t *testing.T) {
		t.Parallel()
		a := serveScript(t, sayName("a"))
		a.down()
		n := startNutmeg(t, poolConf("redis: true\npreconnect: true", a.addr+" a"))
		c := dial(t, n.Addr())
		c.wantAll("k", 1, refusedReply)
		a.up()
		c.wantAll("k", 2, bulk("a"))
	})
}
