package proxy

import (
	"strings"
	"testing"
	"time"
)

// What is in flight at a reload keeps its order, its end and its place.

// TestReloadKeepsTheOrderAcrossNames: to a server that got another name, or that comes back after it was removed, requests
// wait for those before them.
func TestReloadKeepsTheOrderAcrossNames(t *testing.T) {
	for name, reloads := range map[string][]string{
		"renamed":             {"10.0.0.1:6379:1 other"},
		"removed and back":    {server1, server0},
		"renamed twice":       {"10.0.0.1:6379:1 other", "10.0.0.1:6379:1 third"},
		"there and back":      {"10.0.0.1:6379:1 other", server0},
		"renamed and renewed": {"10.0.0.1:6379:1 other", "10.0.0.1:6379:1 other\n  server_connections: 2"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newArena(t, 3, redisLanguage{}, 1, 1, "")
			a.addServer("10.0.0.2:6379")
			c := a.call(proxyAddress)
			c.says(a, "SET k 0\r\n", "+OK\r\n")
			c.got = ""
			frozen := a.servers[0].Peers()[0]
			frozen.Freeze()
			c.SendString("SET k 1\r\n")
			a.wait(5 * time.Millisecond)
			for _, server := range reloads {
				if err := a.change(poolText("p", proxyAddress, "", server)); err != nil {
					t.Fatal(err)
				}
			}
			c.SendString("GET k\r\n")
			a.wait(50 * time.Millisecond)
			frozen.Thaw()
			a.until("both responses", func() bool { return len(c.got) >= len("+OK\r\n$1\r\n1\r\n") })
			if c.got != "+OK\r\n$1\r\n1\r\n" {
				t.Errorf("got %q: the second request has overtaken the first", c.got)
			}
			a.end(c)
		})
	}
}

// TestRemovedServerIsForgotten: a server that fails after it was removed is neither ejected nor asked how it is.
func TestRemovedServerIsForgotten(t *testing.T) {
	for name, next := range map[string]string{
		"server removed": poolText("p", proxyAddress, ejecting+"  server_return: probe\n", server0),
		"pool removed":   poolText("q", proxyAddress, ejecting+"  server_return: probe\n", server0),
	} {
		t.Run(name, func(t *testing.T) {
			a := newArena(t, 1, redisLanguage{}, 2, 2, ejecting+"  server_return: probe\n")
			key := a.keyOf(1)
			c := a.call(proxyAddress)
			c.says(a, "SET "+key+" v\r\n", "+OK\r\n")
			a.servers[1].Freeze()
			c.got = ""
			c.SendString("GET " + key + "\r\n")
			a.wait(5 * time.Millisecond)
			if err := a.change(next); err != nil {
				t.Fatal(err)
			}
			a.until("the time-out", func() bool { return strings.Contains(c.got, "timed out") })
			a.servers[1].Thaw()
			a.wait(10 * time.Second)
			if n := len(a.servers[1].Peers()); n != 0 {
				t.Errorf("%d connections to a server that was removed", n)
			}
			a.end(c)
		})
	}
}

// TestProbeOfRemovedServerEnds: nobody waits for its answer.
func TestProbeOfRemovedServerEnds(t *testing.T) {
	const settings = "  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 1000\n  server_return: probe\n"
	a := newArena(t, 1, redisLanguage{}, 2, 1, settings)
	key := a.keyOf(1)
	c := a.call(proxyAddress)
	c.says(a, "SET "+key+" v\r\n", "+OK\r\n")
	a.eject(c, 1, key)
	a.servers[1].Revive()
	a.servers[1].Freeze()
	a.until("the probe", func() bool { return a.statusOf(1) == "probing" })
	if err := a.change(poolText("p", proxyAddress, settings, server0)); err != nil {
		t.Fatal(err)
	}
	a.wait(10 * time.Second)
	for conn := a.proxy.workers[0].conns; conn != nil; conn = conn.next {
		if conn.server.conf.Name == "s1" {
			t.Error("a connection to the removed server is left")
		}
	}
	a.end(c)
}

// TestReloadOfTheTimeout: a new timeout holds for what is in flight as well, or requests behind it would have none.
func TestReloadOfTheTimeout(t *testing.T) {
	for name, before := range map[string]string{"from none": "", "from a long one": "  timeout: 3600000\n"} {
		t.Run(name, func(t *testing.T) {
			a := newArena(t, 1, redisLanguage{}, 1, 1, before)
			early, late := a.call(proxyAddress), a.call(proxyAddress)
			early.says(a, "SET k v\r\n", "+OK\r\n")
			a.servers[0].Freeze()
			early.got = ""
			early.SendString("GET k\r\n")
			a.wait(5 * time.Millisecond)
			if err := a.change(poolText("p", proxyAddress, "  timeout: 400\n", server0)); err != nil {
				t.Fatal(err)
			}
			late.SendString("GET k\r\n")
			a.wait(2 * time.Second)
			for _, c := range []*caller{early, late} {
				if c.got != "-ERR Connection timed out\r\n" {
					t.Errorf("got %q", c.got)
				}
			}
			a.servers[0].Thaw()
			a.end(early, late)
		})
	}
}

// TestReloadWithoutPassword: who has not given a password that is not asked for any more is served.
func TestReloadWithoutPassword(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "  redis_auth: sesame\n")
	c := a.call(proxyAddress)
	c.says(a, "GET k\r\n", "-NOAUTH Authentication required.\r\n")
	if err := a.change(poolText("p", proxyAddress, "", server0)); err != nil {
		t.Fatal(err)
	}
	c.says(a, "GET k\r\n", "$-1\r\n")
	if err := a.change(poolText("p", proxyAddress, "  redis_auth: sesame\n", server0)); err != nil {
		t.Fatal(err)
	}
	c.says(a, "GET k\r\n", "-NOAUTH Authentication required.\r\n")
	a.end(c)
}
