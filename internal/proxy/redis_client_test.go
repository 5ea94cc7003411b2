package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"nutmeg/internal/resp"
	"nutmeg/internal/testkit/sim"
)

// TestClientIsSmall holds what an idle client costs. What few clients have goes into the session.
func TestClientIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(client{}); size > 224 {
		t.Errorf("a client has %d bytes, at most 240 are meant", size)
	}
}

func TestArrivals(t *testing.T) {
	var a arrivals
	const clients = 100_000
	for serial := uint32(1); serial <= clients; serial++ {
		a.note(serial, int64(serial)*int64(2*time.Second))
		if len(a.marks) > mostArrivals {
			t.Fatalf("%d marks are kept", len(a.marks))
		}
	}
	for serial := uint32(1); serial <= clients; serial++ {
		got, want := a.of(serial), int64(serial)*int64(2*time.Second)
		age := int64(clients)*int64(2*time.Second) - want
		if got > want || want-got > age/16+int64(8*time.Second) {
			t.Fatalf("client %d came at %v, says %v", serial, time.Duration(want), time.Duration(got))
		}
	}
	a.note(3, 7) // serials began anew
	if got := a.of(3); got != 7 {
		t.Errorf("a client of the next round came at %d", got)
	}
}

func TestAppendQuoted(t *testing.T) {
	for in, want := range map[string]string{
		"": `""`, "a b": `"a b"`, "\x00\x1f\x7f\xff": `"\x00\x1f\x7f\xff"`, "\"\\": `"\"\\"`, "\n\r\t\a\b\v": `"\n\r\t\a\b\x0b"`,
	} {
		if got := string(appendQuoted(nil, []byte(in))); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

// TestLeavingInEveryState has clients leave at any moment while they see others, wait, are mute, or are asked about on other workers.
// Nothing of them stays.
func TestLeavingInEveryState(t *testing.T) {
	states := []string{
		"MONITOR\r\n", "MONITOR\r\nGET a\r\nPING\r\n", "CLIENT LIST\r\nCLIENT LIST\r\n", "CLIENT KILL TYPE normal\r\n",
		"CLIENT KILL TYPE normal SKIPME no\r\n", "CLIENT REPLY OFF\r\nMGET a b c\r\nGET a\r\n", "CLIENT REPLY SKIP\r\nMONITOR\r\n",
		"WAIT 1 0\r\n", "GET a\r\nWAIT 1 1000\r\nPING\r\n", "BLPOP a 0\r\n", "CLIENT UNBLOCK 3\r\nCLIENT UNBLOCK 4\r\n",
		"CLIENT REPLY OFF\r\nMULTI\r\nSET a 1\r\nEXEC\r\nQUIT\r\n", "CLIENT SETNAME x\r\nRESET\r\nMONITOR\r\nRESET\r\n",
		"CLIENT REPLY OFF\r\nWAIT 1 0\r\n", "CLIENT TRACKING ON REDIRECT 5\r\n",
	}
	heard := uint64(0)
	for seed := range uint64(200) {
		a := newArena(t, seed+1, redisLanguage{}, 2, 3, "  timeout: 400\n")
		ends := []func(*sim.Peer){(*sim.Peer).Close, (*sim.Peer).Reset, func(*sim.Peer) {}}
		var peers []*sim.Peer
		for i := range 12 {
			peer := a.Connect(proxyAddress)
			peer.OnData = func(*sim.Peer, []byte) {}
			peer.SendString(states[(int(seed)+i*7)%len(states)])
			peers = append(peers, peer)
		}
		for i, peer := range peers {
			if err := a.RunFor(a.loops, time.Duration(a.Random().Uint64()%uint64(400*time.Microsecond))); err != nil {
				t.Fatal(err)
			}
			ends[(int(seed)+i)%len(ends)](peer)
		}
		if err := a.RunFor(a.loops, 2*time.Second); err != nil {
			t.Fatal(err)
		}
		for _, peer := range peers {
			peer.Reset()
		}
		if err := a.RunFor(a.loops, 15*time.Second); err != nil { // idle connections of their own are closed
			t.Fatal(err)
		}
		a.finish()
		for _, peer := range peers {
			heard += peer.ReadBytes()
		}
	}
	if heard == 0 {
		t.Error("no client has got anything")
	}
}

// TestWaitingGoesWithItsClient has a client leave whose servers do not answer: the connections on which it waits are closed at once.
func TestWaitingGoesWithItsClient(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 2, 1, "")
	for _, server := range a.servers {
		server.Freeze()
	}
	waiting := func() (n int) {
		for conn := a.proxy.workers[0].conns; conn != nil; conn = conn.next {
			if conn.slot == slotDedicated && conn.queue.oldest != nil {
				n++
			}
		}
		return n
	}
	client := a.Connect(proxyAddress)
	client.SendString("WAIT 1 0\r\n")
	if err := a.Run(a.loops, func() bool { return waiting() == 2 }, time.Second); err != nil {
		t.Fatal(err)
	}
	client.Close()
	if err := a.Run(a.loops, func() bool { return waiting() == 0 }, time.Second); err != nil {
		t.Fatal(err)
	}
	a.mendEverything()
	a.finish()
}

// TestSkippedRequestOfAnUnknownCommand holds that SKIP is for what the client asks, not for what the proxy asks about it.
func TestSkippedRequestOfAnUnknownCommand(t *testing.T) {
	for _, unknown := range []string{"NOSUCH x\r\n", "CONFIG NOSUCH x\r\n"} {
		a := newArena(t, 1, redisLanguage{}, 2, 1, "")
		c := a.call(proxyAddress)
		c.gets(a, "CLIENT REPLY SKIP\r\n"+unknown+"PING x\r\n", "$1\r\nx\r\n")
		a.pause(10 * time.Millisecond)
		if c.got != "$1\r\nx\r\n" {
			t.Errorf("%q is answered too: %q", unknown, c.got)
		}
		a.end(c)

		a = newArena(t, 1, redisLanguage{}, 2, 1, "")
		c = a.call(proxyAddress)
		for _, s := range a.servers {
			a.Unreachable(s.name)
		}
		c.gets(a, "CLIENT REPLY SKIP\r\n"+unknown+"PING x\r\n", "$1\r\nx\r\n")
		a.mendEverything()
		a.end(c)
	}
}

// TestHugeArgumentsOfClient holds what a client may have the proxy keep, compare or answer by a single request.
func TestHugeArgumentsOfClient(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	c := a.call(proxyAddress)
	many := func(words ...string) string {
		return string(resp.AppendCommand(nil, words...))
	}
	ids := many(append([]string{"CLIENT", "LIST", "ID"}, slices.Repeat([]string{"1"}, mostFilterIDs+1)...)...)
	c.gets(a, ids, "-ERR too many client IDs in a request: at most 4096\r\n")
	tracking := []string{"CLIENT", "TRACKING", "ON", "BCAST"}
	for i := range mostPrefixes + 1 {
		tracking = append(tracking, "PREFIX", fmt.Sprint(100_000+i))
	}
	c.gets(a, many(tracking...), "-ERR too many prefixes: at most 1024\r\n")
	long := strings.Repeat("x", longestName+1)
	c.gets(a, many("HELLO", "2", "SETNAME", long), "-ERR Client names cannot have more than 4096 bytes.\r\n")
	c.gets(a, "CLIENT GETNAME\r\n", "$-1\r\n")
	a.end(c)
}

func TestUserOfAPasswordOnlyIsShown(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	a.servers[0].password = "sesame"
	c := a.call(proxyAddress)
	c.gets(a, "AUTH sesame\r\n", "+OK\r\n")
	c.got = ""
	c.SendString("CLIENT INFO\r\n")
	a.until("an answer", func() bool { return strings.HasSuffix(c.got, "\n\r\n") })
	if !strings.Contains(c.got, " user=default ") {
		t.Errorf("got %q", c.got)
	}
	c.gets(a, "*5\r\n$6\r\nCLIENT\r\n$4\r\nKILL\r\n$4\r\nUSER\r\n$0\r\n\r\n$6\r\nSKIPME\r\n", "-ERR syntax error\r\n")
	c.gets(a, "*6\r\n$6\r\nCLIENT\r\n$4\r\nKILL\r\n$4\r\nUSER\r\n$0\r\n\r\n$6\r\nSKIPME\r\n$2\r\nno\r\n", "-ERR No such user ''\r\n")
	a.end(c)
}
