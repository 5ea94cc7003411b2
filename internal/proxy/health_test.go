package proxy

import (
	"fmt"
	"testing"
	"time"
)

const ejecting = "  timeout: 50\n  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 1000\n"

// statusOf is the health of a server of the only pool.
func (a *arena) statusOf(server int) string {
	w := a.proxy.workers[0]
	return w.generation.describe(w.loop.Now(), w.loop.Outside().Wall())[server].Status
}

// keyOf is a key that the first pool places on a server when all are in.
func (a *arena) keyOf(server int) string {
	p := a.proxy.workers[0].pools[0]
	for i := 0; ; i++ {
		key := fmt.Sprintf("key%d", i)
		if p.pick([]byte(key)).index == server {
			return key
		}
	}
}

// eject has the proxy find out that a server does not answer.
func (a *arena) eject(c *caller, server int, key string) {
	a.t.Helper()
	a.servers[server].Kill()
	c.got = ""
	c.SendString("GET " + key + "\r\n")
	a.until("the error", func() bool { return c.got != "" })
	if got := a.statusOf(server); got != "ejected" {
		a.t.Fatalf("the server is %q", got)
	}
}

func (a *arena) wait(d time.Duration) {
	a.t.Helper()
	if err := a.RunFor(a.loops, d); err != nil {
		a.t.Fatal(err)
	}
}

func TestProbedServerReturnsWhenItAnswers(t *testing.T) {
	for _, settings := range []string{"", "  redis_auth: sesame\n  redis_db: 3\n"} {
		a := newArena(t, 1, redisLanguage{}, 2, 2, ejecting+"  server_return: probe\n"+settings)
		key := a.keyOf(1)
		c := a.call(proxyAddress)
		if settings != "" {
			c.says(a, "AUTH sesame\r\n", "+OK\r\n")
		}
		c.says(a, "SET "+key+" v\r\n", "+OK\r\n")
		a.eject(c, 1, key)
		a.wait(5 * time.Second) // probes are refused
		c.says(a, "GET "+key+"\r\n", "$-1\r\n")
		if got := a.statusOf(1); got != "ejected" {
			t.Fatalf("without an answer the server is %q", got)
		}
		a.Hang(a.servers[1].name) // probes are not answered
		a.wait(5 * time.Second)
		c.says(a, "GET "+key+"\r\n", "$-1\r\n")
		a.servers[1].Revive()
		a.Restore(a.servers[1].name)
		a.wait(3 * time.Second)
		if got := a.statusOf(1); got != "in" {
			t.Fatalf("after its answer the server is %q", got)
		}
		c.says(a, "GET "+key+"\r\n", "$1\r\nv\r\n")
		a.end(c)
	}
}

func TestProbedMemcachedReturns(t *testing.T) {
	a := newArena(t, 1, memcacheLanguage{}, 2, 1, ejecting+"  server_return: probe\n")
	key := a.keyOf(0)
	c := a.call(proxyAddress)
	c.says(a, "set "+key+" 0 0 1\r\nv\r\n", "STORED\r\n")
	a.servers[0].Kill()
	c.got = ""
	c.SendString("get " + key + "\r\n")
	a.until("the error", func() bool { return c.got != "" })
	a.wait(3 * time.Second)
	c.says(a, "get "+key+"\r\n", "END\r\n")
	a.servers[0].Revive()
	a.wait(3 * time.Second)
	c.says(a, "get "+key+"\r\n", "VALUE "+key+" 0 1\r\nv\r\nEND\r\n")
	a.end(c)
}

// TestProbesKeepADistance: without a retry time, a server that refuses connections is not asked all the time.
func TestProbesKeepADistance(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 2, 1, "  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 0\n  server_return: probe\n")
	key := a.keyOf(1)
	c := a.call(proxyAddress)
	c.says(a, "SET "+key+" v\r\n", "+OK\r\n")
	before := a.proxy.workers[0].stats.TotalConnections
	a.servers[1].Kill()
	c.SendString("GET " + key + "\r\n")
	a.wait(time.Second)
	if n := a.proxy.workers[0].stats.TotalConnections - before; n < 5 || n > 15 {
		t.Errorf("%d connections were tried within a second", n)
	}
	a.servers[1].Revive()
	a.wait(time.Second)
	c.got = ""
	c.says(a, "GET "+key+"\r\n", "$1\r\nv\r\n")
	a.end(c)
}

// TestHungServerIsProbedWithoutATimeout: a probe has an end even if requests have none, and takes the connection with it.
func TestHungServerIsProbedWithoutATimeout(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 2, 1, "  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 1000\n  server_return: probe\n")
	key := a.keyOf(1)
	c := a.call(proxyAddress)
	c.says(a, "SET "+key+" v\r\n", "+OK\r\n")
	a.eject(c, 1, key)
	a.servers[1].Revive()
	a.servers[1].Freeze()
	a.wait(10 * time.Second)
	if got := a.statusOf(1); got != "ejected" && got != "probing" {
		t.Fatalf("the hung server is %q", got)
	}
	a.servers[1].Thaw()
	a.wait(10 * time.Second)
	c.says(a, "GET "+key+"\r\n", "$1\r\nv\r\n")
	a.end(c)
}

func TestTrialIsOneWorkers(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 2, 2, ejecting+"  server_return: trial\n")
	key := a.keyOf(1)
	one, other := a.call(proxyAddress), a.call(proxyAddress) // on a worker each
	one.says(a, "SET "+key+" v\r\n", "+OK\r\n")
	other.says(a, "GET "+key+"\r\n", "$1\r\nv\r\n")
	a.eject(one, 1, key)
	a.servers[1].Revive()
	a.servers[1].Freeze()
	a.wait(2 * time.Second)
	one.got = ""
	one.SendString("GET " + key + "\r\n") // the trial
	a.wait(10 * time.Millisecond)
	if got := a.statusOf(1); got != "trial" {
		t.Fatalf("the server is %q", got)
	}
	other.says(a, "GET "+key+"\r\n", "$-1\r\n")
	a.until("the trial to fail", func() bool { return one.got != "" })
	if got := a.statusOf(1); got != "ejected" {
		t.Fatalf("after its trial the server is %q", got)
	}
	a.servers[1].Thaw()
	a.wait(2 * time.Second)
	one.says(a, "GET "+key+"\r\n", "$1\r\nv\r\n")
	other.says(a, "GET "+key+"\r\n", "$1\r\nv\r\n")
	if got := a.statusOf(1); got != "in" {
		t.Fatalf("after an answer the server is %q", got)
	}
	a.end(one, other)
}

// TestReloadKeepsHealth: a server that is out stays out, and is probed, whatever else changes.
func TestReloadKeepsHealth(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 3, 2, ejecting)
	key := a.keyOf(2)
	c := a.call(proxyAddress)
	c.says(a, "SET "+key+" v\r\n", "+OK\r\n")
	a.eject(c, 2, key)
	if err := a.change(poolText("p", proxyAddress, ejecting+"  server_return: probe\n", server2, server1)); err != nil {
		t.Fatal(err)
	}
	if got := a.statusOf(1); got != "ejected" {
		t.Errorf("after the reload the server is %q", got)
	}
	a.wait(3 * time.Second)
	if got := a.statusOf(1); got != "ejected" {
		t.Errorf("without an answer to its probes the server is %q", got)
	}
	a.servers[2].Revive()
	a.wait(3 * time.Second)
	if got := a.statusOf(1); got != "in" {
		t.Errorf("after its answer the server is %q", got)
	}
	a.end(c)
}
