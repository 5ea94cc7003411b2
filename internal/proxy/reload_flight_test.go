package proxy

import (
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
