package proxy

import (
	"net/netip"
	"testing"
	"time"
)

// TestServersFollowTheirNames: connections are replaced when a name means another machine, and only then.
func TestServersFollowTheirNames(t *testing.T) {
	const text = "nutmeg: {resolve_interval: 1000}\n"
	a := newArena(t, 1, redisLanguage{}, 2, 2, "")
	first, second := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	a.SetHost("redis.test", first)
	if err := a.change(text + poolText("p", proxyAddress, "", "redis.test:6379:1 s")); err != nil {
		t.Fatal(err)
	}
	for _, s := range a.servers {
		s.data["where"] = s.name
	}
	reply := func(i int) string { return "$13\r\n" + a.servers[i].name + "\r\n" }
	one, other := a.call(proxyAddress), a.call(proxyAddress)
	wait := func(d time.Duration) {
		t.Helper()
		if err := a.RunFor(a.loops, d); err != nil {
			t.Fatal(err)
		}
	}
	both := func(i int) {
		t.Helper()
		one.says(a, "GET where\r\n", reply(i))
		other.says(a, "GET where\r\n", reply(i))
	}
	both(0)
	before := a.servers[0].Peers()

	a.SetHost("redis.test", second, first) // one more address: the connection is as good as before
	wait(3 * time.Second)
	both(0)
	a.SetHost("redis.test") // nobody knows the name for a while
	wait(3 * time.Second)
	both(0)
	if now := a.servers[0].Peers(); len(now) != len(before) || now[0] != before[0] {
		t.Error("connections were replaced without need")
	}

	a.SetHost("redis.test", second)
	one.got = ""
	a.servers[0].Freeze()
	one.SendString("GET where\r\n")
	wait(3 * time.Second)
	other.says(a, "GET where\r\n", reply(1))
	if one.got != "" {
		t.Fatalf("got %q from a server that says nothing", one.got)
	}
	a.servers[0].Thaw()
	a.until("the response of the old address", func() bool { return one.got == reply(0) })
	both(1)
	wait(time.Second)
	if n := len(a.servers[0].Peers()); n != 0 {
		t.Errorf("%d connections to the old address are left", n)
	}
	a.end(one, other)
}

// TestConnectionWithoutRequestsHasATimeoutToo: what hangs from the time of an outage must not be there for the first request after it.
func TestConnectionWithoutRequestsHasATimeoutToo(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "  timeout: 100\n")
	a.Hang(a.servers[0].name)
	if err := a.change(poolText("p", proxyAddress, "  timeout: 100\n  preconnect: true\n", server0)); err != nil {
		t.Fatal(err)
	}
	w := a.proxy.workers[0]
	a.wait(50 * time.Millisecond)
	if w.conns == nil {
		t.Fatal("there is no connection to begin with")
	}
	a.wait(100 * time.Millisecond)
	if w.conns != nil {
		t.Error("the connection still hangs")
	}
	a.Restore(a.servers[0].name)
	c := a.call(proxyAddress)
	c.says(a, "SET k v\r\n", "+OK\r\n")
	a.wait(time.Second)
	if w.conns == nil {
		t.Error("a connection that is there was closed for having no requests")
	}
	a.end(c)
}
