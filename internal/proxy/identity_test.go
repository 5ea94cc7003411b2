package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/resp"
)

// pause lets time pass.
func (a *arena) pause(d time.Duration) {
	a.t.Helper()
	if err := a.RunFor(a.loops, d); err != nil {
		a.t.Fatal(err)
	}
}

// gets sends a request that may be many, and waits for all that they are answered with.
func (c *caller) gets(a *arena, request, want string) { a.t.Helper(); c.says(a, request, want) }

func TestSelectKeepsItsPlaceInAPipeline(t *testing.T) {
	for connections := 1; connections <= 2; connections++ {
		a := newArena(t, 1, redisLanguage{}, 3, 1, fmt.Sprintf("  server_connections: %d\n", connections))
		c := a.call(proxyAddress)
		c.gets(a, "SET k zero\r\nSELECT 1\r\nSET k one\r\nSELECT 2\r\nGET k\r\nSELECT 1\r\nGET k\r\nSELECT 0\r\nGET k\r\n",
			"+OK\r\n+OK\r\n+OK\r\n+OK\r\n$-1\r\n+OK\r\n$3\r\none\r\n+OK\r\n$4\r\nzero\r\n")
		other := a.call(proxyAddress)
		other.gets(a, "GET k\r\n", "$4\r\nzero\r\n")
		a.end(c, other)
	}
}

func TestSelectWhileKeysAreWatched(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	c := a.call(proxyAddress)
	c.gets(a, "SET k zero\r\nWATCH k\r\nSELECT 1\r\nGET k\r\n", "+OK\r\n+OK\r\n+OK\r\n$-1\r\n")
	c.gets(a, "MULTI\r\nSET k one\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n")
	c.gets(a, "GET k\r\nSELECT 0\r\nGET k\r\n", "$3\r\none\r\n+OK\r\n$4\r\nzero\r\n")
	c.gets(a, "WATCH k\r\nSELECT 1\r\n", "+OK\r\n+OK\r\n")
	other := a.call(proxyAddress)
	other.gets(a, "SET k other\r\n", "+OK\r\n")
	c.gets(a, "MULTI\r\nSET k never\r\nEXEC\r\nGET k\r\n", "+OK\r\n+QUEUED\r\n*-1\r\n$3\r\none\r\n")
	other.gets(a, "MULTI\r\nGET k\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n$5\r\nother\r\n")
	a.end(c, other)
}

func TestAuthAndHelloWhileKeysAreWatchedAreRefused(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	c := a.call(proxyAddress)
	c.gets(a, "WATCH k\r\n", "+OK\r\n")
	for _, request := range []string{"HELLO 3\r\n", "AUTH somebody x\r\n"} {
		c.got = ""
		c.SendString(request)
		a.until("an answer", func() bool { return strings.HasSuffix(c.got, "\r\n") })
		if !strings.HasPrefix(c.got, "-ERR ") || !strings.Contains(c.got, "watched") {
			t.Errorf("%q is answered %q", request, c.got)
		}
	}
	c.gets(a, "UNWATCH\r\nMULTI\r\nPING\r\nEXEC\r\n", "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n")
	a.end(c)
}

// TestWrongPasswordsHarmNobody has a client try passwords: no server is held to be ill for that, and nothing is kept.
func TestWrongPasswordsHarmNobody(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 2, 1, "  redis_auth: sesame\n  auto_eject_hosts: true\n  server_failure_limit: 2\n  server_retry_timeout: 60000\n")
	for _, s := range a.servers {
		s.password = "sesame"
	}
	good, bad := a.call(proxyAddress), a.call(proxyAddress)
	good.gets(a, "AUTH sesame\r\n", "+OK\r\n")
	for i := range 20 {
		bad.got = ""
		bad.SendString(fmt.Sprintf("AUTH user%d wrong\r\n", i))
		a.until("an answer", func() bool { return strings.HasSuffix(bad.got, "\r\n") })
		if !strings.HasPrefix(bad.got, "-WRONGPASS") {
			t.Fatalf("a wrong password is answered %q", bad.got)
		}
	}
	w := a.proxy.workers[0]
	if n := len(w.pools[0].identities); n != 0 {
		t.Errorf("%d identities are kept of passwords that were wrong", n)
	}
	for i := range w.pools[0].servers {
		if !w.pools[0].health.In(i) {
			t.Errorf("server %d is out because of wrong passwords", i)
		}
	}
	good.gets(a, "SET k v\r\nGET k\r\n", "+OK\r\n$1\r\nv\r\n")
	a.end(good, bad)
}

func TestDatabaseThatIsNotThereHarmsNobody(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 2, 1, "  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 60000\n")
	c := a.call(proxyAddress)
	for range 5 {
		c.gets(a, "SELECT 99\r\n", "-ERR DB index is out of range\r\n")
	}
	c.gets(a, "SET k v\r\nGET k\r\n", "+OK\r\n$1\r\nv\r\n")
	for i := range a.servers {
		if !a.proxy.workers[0].pools[0].health.In(i) {
			t.Errorf("server %d is out because of SELECT 99", i)
		}
	}
	a.end(c)
}

func TestAnotherServerIsAskedIfOneIsDown(t *testing.T) {
	for down := range 3 {
		a := newArena(t, 1, redisLanguage{}, 3, 1, "")
		a.servers[down].Kill()
		c := a.call(proxyAddress)
		c.gets(a, "SELECT 3\r\n", "+OK\r\n")
		a.mendEverything()
		c.gets(a, "SET k v\r\nGET k\r\n", "+OK\r\n$1\r\nv\r\n")
		a.end(c)
	}
}

// TestNextServerIsAskedAfterReload has the server that is asked leave the configuration before it fails: those that are there now are asked.
func TestNextServerIsAskedAfterReload(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 3, 1, "  timeout: 100\n")
	for _, s := range a.servers {
		s.Freeze()
	}
	c := a.call(proxyAddress)
	c.SendString("SELECT 3\r\n")
	a.pause(20 * time.Millisecond)
	if err := a.change(poolText("p", proxyAddress, "  timeout: 100\n", server2)); err != nil {
		t.Fatal(err)
	}
	a.servers[2].Thaw()
	a.until("an answer", func() bool { return strings.HasSuffix(c.got, "\r\n") })
	if c.got != "+OK\r\n" && !strings.HasPrefix(c.got, "-ERR Connection") {
		t.Errorf("SELECT is answered %q", c.got)
	}
	a.mendEverything()
	c.gets(a, "SET k v\r\nGET k\r\n", "+OK\r\n$1\r\nv\r\n")
	a.pause(time.Second)
	for i, s := range a.servers[:2] {
		if n := len(s.Peers()); n > 0 {
			t.Errorf("server %d has %d connections, and is not in the configuration", i, n)
		}
	}
	a.end(c)
}

func TestTwoClientsTryOneIdentityAtOnce(t *testing.T) {
	for _, right := range []bool{true, false} {
		a := newArena(t, 1, redisLanguage{}, 1, 1, "  redis_auth: sesame\n")
		a.servers[0].password = "sesame"
		one, two := a.call(proxyAddress), a.call(proxyAddress)
		request, want := "AUTH user sesame\r\nSET k v\r\n", "+OK\r\n+OK\r\n"
		if !right {
			request, want = "AUTH user wrong\r\nPING\r\n", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"+resp.NoAuth
		}
		one.SendString(request)
		two.SendString(request)
		a.until("both answers", func() bool { return len(one.got) >= len(want) && len(two.got) >= len(want) })
		if one.got != want || two.got != want {
			t.Errorf("answers are %q and %q, want %q", one.got, two.got, want)
		}
		a.end(one, two)
		if n := len(a.proxy.workers[0].pools[0].identities); !right && n != 0 {
			t.Errorf("%d identities are left", n)
		}
	}
}

func TestIdentityIsForgottenWhenNobodyHasIt(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	c := a.call(proxyAddress)
	c.gets(a, "SELECT 1\r\nSET k v\r\n", "+OK\r\n+OK\r\n")
	c.gets(a, "MULTI\r\nGET k\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n$1\r\nv\r\n")
	c.Close()
	a.pause(time.Second)
	if len(a.proxy.workers[0].pools[0].identities) != 1 {
		t.Error("the lane of a client that just left is gone; the next one needs it")
	}
	a.pause(11 * time.Second)
	if n := len(a.servers[0].Peers()); n != 0 {
		t.Errorf("%d connections are left for a database that nobody uses", n)
	}
	a.finish()
}

func TestHelloChangesWhatNothingIs(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	c := a.call(proxyAddress)
	c.SendString("HELLO 3\r\nGET k\r\n")
	a.until("null", func() bool { return strings.HasSuffix(c.got, ":1\r\n_\r\n") })
	c.gets(a, "BLPOP k 0.1\r\n", "_\r\n")
	c.gets(a, "WATCH k\r\nSET k v\r\nMULTI\r\nGET k\r\nEXEC\r\n", "+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n_\r\n")
	other := a.call(proxyAddress)
	other.gets(a, "GET nothing\r\n", "$-1\r\n")
	a.end(c, other)
}

// TestLanesFollowTheConfiguration has clients with identities live through reloads of what connections begin with.
func TestLanesFollowTheConfiguration(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 2, 1, "  server_connections: 1\n")
	c, plain := a.call(proxyAddress), a.call(proxyAddress)
	c.gets(a, "SELECT 1\r\nSET k one\r\n", "+OK\r\n+OK\r\n")
	plain.gets(a, "SET k zero\r\n", "+OK\r\n")
	for i, settings := range []string{"  server_connections: 3\n", "  redis_db: 1\n", "  redis_db: 0\n", "  tcpkeepalive: true\n"} {
		if err := a.change(poolText("p", proxyAddress, settings, server0, server1)); err != nil {
			t.Fatal(err)
		}
		c.gets(a, "GET k\r\n", "$3\r\none\r\n")
		if i == 1 {
			plain.gets(a, "GET k\r\n", "$3\r\none\r\n")
		} else {
			plain.gets(a, "GET k\r\n", "$4\r\nzero\r\n")
		}
	}
	a.end(c, plain)
}

// TestPoolGoesWhileARequestIsHeld: its client is closed behind the answers to what the proxy has taken from it, though there is more input.
func TestPoolGoesWhileARequestIsHeld(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	c := a.call(proxyAddress)
	c.gets(a, "SELECT 1\r\n", "+OK\r\n")
	a.servers[0].Freeze()
	c.got = ""
	c.SendString("GET k\r\nRESET\r\nGET k\r\n")
	a.pause(10 * time.Millisecond)
	if err := a.change(poolText("other", "127.0.0.1:22122", "", server0)); err != nil {
		t.Fatal(err)
	}
	a.mendEverything()
	a.until("the client to be closed", func() bool { return c.closed != nil })
	if c.got != "$-1\r\n+RESET\r\n" {
		t.Errorf("got %q", c.got)
	}
	a.end(c)
}

// TestHelloGivesThePasswordEachTime holds that a password which has been changed lets nobody in any more, though connections
// that began with it are open.
func TestHelloGivesThePasswordEachTime(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	a.servers[0].password = "old"
	first, second := a.call(proxyAddress), a.call(proxyAddress)
	first.SendString("HELLO 2 AUTH user old\r\n")
	a.until("an answer", func() bool { return strings.Contains(first.got, "id\r\n:") && strings.HasSuffix(first.got, "\r\n") })
	a.servers[0].password = "new"
	second.SendString("HELLO 2 AUTH user old\r\n")
	a.until("an answer", func() bool { return strings.HasSuffix(second.got, "\r\n") })
	if !strings.HasPrefix(second.got, "-WRONGPASS") {
		t.Errorf("a password of before is answered %q", second.got)
	}
	a.end(first, second)
}

// TestIdentitiesOfOneClientAreNotInTheWay has a client be ever another user, which servers take: those that it was are in nobody's way.
func TestIdentitiesOfOneClientAreNotInTheWay(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	a.servers[0].password = "sesame"
	c, other := a.call(proxyAddress), a.call(proxyAddress)
	for i := range mostIdentities + 10 {
		c.gets(a, fmt.Sprintf("AUTH user%d sesame\r\n", i), "+OK\r\n")
	}
	if n := len(a.proxy.workers[0].pools[0].identities); n > mostIdentities {
		t.Errorf("%d identities are kept", n)
	}
	long := strings.Repeat("x", longestLogin)
	c.gets(a, fmt.Sprintf("*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$%d\r\n%s\r\n", len(long), long),
		"-ERR the name and the password of a user cannot have more than 16384 bytes\r\n")
	other.gets(a, "AUTH somebody sesame\r\nSET k v\r\n", "+OK\r\n+OK\r\n")
	c.gets(a, "GET k\r\n", "$1\r\nv\r\n")
	a.end(c, other)
}
