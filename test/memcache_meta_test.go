package test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/testkit"
)

// metaScript is requests in their order, whose answers must be those of one server. None of them tells a time or a counter of
// the server.
var metaScript = []string{
	"mg a\r\n", "mg a v\r\n", "mg a v q\r\nmn\r\n", "mg a k O9 v\r\n", "ms a 2\r\nhi\r\n", "mg a\r\n", "mg a v\r\n", "mg a q\r\nmn\r\n", "mg a v k O123 s f q\r\n",
	"mg YQ== b v k\r\n", "ms YmI= 3 b k\r\nbin\r\n", "get bb\r\n", "mg bb v\r\n", "ms AP8K 3 b k O1\r\nbin\r\n", "mg AP8K b k v\r\n", "md AP8K b q\r\nmg AP8K b k v\r\n",
	"ms a 2 q\r\nok\r\nmg a v\r\n", "ms a 0\r\n\r\nmg a v\r\n", "ms a 4 O1\r\nmn\r\n\r\nmg a v\r\n", "ms a 1 ME\r\nx\r\n", "ms none 1 MA q\r\nx\r\n", "ms none 1 MR O7 k\r\nx\r\n", "ms none 1 C5 q\r\nx\r\n",
	"ms a 1 C5 O2\r\nx\r\n", "ms a 1 C5 q k\r\nx\r\n", "ms a 2 F5\r\nhi\r\nget a\r\n", "ms a 2 MA\r\n!!\r\nmg a v f\r\n", "ms a 2 MP q\r\n??\r\nmg a v\r\n",
	"mg a Z\r\n", "mg a v v\r\n", "mg a q q v\r\n", "mg a T\r\n", "mg a O1234567890123456789012345678901234567890\r\n", "mg\r\n", "md\r\n", "ma\r\n", "mg a !\r\n", "mg a noreply\r\n",
	"ms a 2 Z\r\nhi\r\n", "ms a 2 Z q\r\nhi\r\n", "ms a 2 T\r\nhi\r\n", "ms a 2 Mx q\r\nhi\r\n", "ms Y 2 b q\r\nhi\r\n", "ma cnt b\r\n", "md Y b\r\n", "me a b c\r\n",
	"mg a" + strings.Repeat(" v", 30) + "\r\n", "mg " + strings.Repeat("k", 250) + " v\r\n", "mg " + strings.Repeat("k", 251) + " v q\r\n", "ms " + strings.Repeat("k", 250) + " 1\r\nv\r\n",
	"ms large 2097153\r\n" + strings.Repeat("x", 2097153) + "\r\nmg large v\r\n", "ms large 2097153 q\r\n" + strings.Repeat("x", 2097153) + "\r\nmn\r\n",
	"md a\r\nmd a\r\nmd a q\r\nmd a q O5 k\r\nmn\r\n", "ma cnt\r\nma cnt q\r\nma cnt N0 J5 O1\r\nma cnt v\r\nma cnt D10 v k q\r\nma cnt MD D3 v\r\nma cnt Mx q\r\nma cnt Dx\r\n",
	"ma auto N0 J13 v q\r\nma auto v\r\nma auto N0 q\r\nmn\r\n", "ms text 2\r\nhi\r\nma text q\r\n", "ma cnt D18446744073709551615 v\r\n", "me none\r\n", "mg vivified N30 v\r\nmg vivified v\r\nmg vivified v q\r\n",
	"ms cnt 1 I T30\r\n5\r\nmg cnt v\r\n", "mn\r\n", "mn q\r\nmn\r\n", "mg a v q\r\nmg b v q\r\nmg c v q k\r\nmg text v q k\r\nmg d v q\r\nmn\r\n",
	"bget text none\r\n", "touch text 0\r\nincr cnt 18446744073709551615\r\ndecr cnt 1\r\n", "verbosity\r\nverbosity foo bar my\r\nverbosity 1 noreply\r\n", "version foo bar\r\n",
	"flush_all x\r\n", "flush_all 1 2 3 4\r\n", "flush_all 100000 noreply\r\nflush_all 100000\r\n", "cache_memlimit 64\r\ncache_memlimit 1\r\ncache_memlimit\r\n", "slabs\r\nslabs reassign 1 1\r\nslabs automove 0\r\n",
	"lru mode flat\r\nlru mode segmented\r\nlru x\r\n", "lru_crawler sleep 100\r\nlru_crawler crawl 999\r\nlru_crawler enable x\r\n", "stats reset\r\n", "stats detail on\r\nstats detail off\r\nstats detail x\r\n",
	"stats extstore\r\n", "stats nonsense\r\n", "extstore x\r\n", "refresh_certs\r\n", "flush_all\r\nmg text v\r\n",
}

// converse sends each request and returns all that is answered.
func converse(t *testing.T, addr string, requests []string) []string {
	t.Helper()
	const sentinel = "ms sentinel 0 k Osentinel\r\n\r\n"
	c := dial(t, addr)
	answers := make([]string, len(requests))
	for i, request := range requests {
		c.send(request + sentinel)
		answers[i] = strings.TrimSuffix(c.upTo("HD ksentinel Osentinel\r\n"), "HD ksentinel Osentinel\r\n")
	}
	return answers
}

func TestMemcacheMetaAnswersAreThoseOfOneServer(t *testing.T) {
	t.Parallel()
	want := converse(t, testkit.Memcached(t, "-t", "1", "-I", "2m").Addr(), metaScript)
	for _, count := range []int{1, 3} {
		n, _ := startCaches(t, count, "")
		for i, got := range converse(t, n.Addr(), metaScript) {
			if got != want[i] {
				t.Errorf("%d servers: %s: got %s, want %s", count, short(metaScript[i]), short(got), short(want[i]))
			}
		}
	}
}

// An encoded key and the same key in plain text are one, wherever that lives.
func TestMemcacheMetaEncodedKeysMeetPlainOnes(t *testing.T) {
	t.Parallel()
	n, _ := startCaches(t, 3, "")
	c := dial(t, n.Addr())
	for i, key := range numbered("key:", 50) {
		encoded := base64.StdEncoding.EncodeToString([]byte(key))
		if i%2 == 0 {
			c.askCache(set(key, key), "STORED\r\n")
		} else {
			c.askCache(fmt.Sprintf("ms %s %d b F7\r\n%s\r\n", encoded, len(key), key), "HD\r\n")
		}
		c.askCache("get "+key+"\r\nmg "+encoded+" b v\r\n", value(key, key)+fmt.Sprintf("END\r\nVA %d\r\n%s\r\n", len(key), key))
		c.askCache("md "+encoded+" b q\r\nget "+key+"\r\n", "END\r\n")
	}
}

// Long quiet pipelines of several clients over several servers: everybody gets what the others do not, in order.
func TestMemcacheMetaQuietPipelines(t *testing.T) {
	t.Parallel()
	n, _ := startCaches(t, 3, "")
	done := make(chan error, 4)
	for g := range cap(done) {
		c := dial(t, n.Addr())
		go func() { done <- quietPipelines(c, fmt.Sprintf("c%d:", g)) }()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	n.waitPool("alpha", "nothing to be in flight", func(p PoolStats) error {
		if busy := p.Sum("in_queue") + p.Sum("out_queue"); busy != 0 {
			return fmt.Errorf("%d requests are", busy)
		}
		return nil
	})
}

func quietPipelines(c *rawConn, prefix string) error {
	for round := range 20 {
		var requests, want strings.Builder
		for i := range 300 {
			key := fmt.Sprintf("%s%d", prefix, i)
			switch (i + round) % 4 {
			case 0:
				fmt.Fprintf(&requests, "ms %s 3 q\r\nnew\r\n", key)
			case 1:
				fmt.Fprintf(&requests, "ms %s 3 q MA\r\nold\r\nmg none:%s v q\r\n", "new:"+key+fmt.Sprint(round), key)
				want.WriteString("NS\r\n")
			case 2:
				fmt.Fprintf(&requests, "ms %s 2 q\r\nhi\r\nmg %s v q O%d\r\nmd %s q\r\nmg %s v q k\r\n", key, key, i, key, key)
				fmt.Fprintf(&want, "VA 2 O%d\r\nhi\r\n", i)
			case 3:
				fmt.Fprintf(&requests, "mg %s Z q\r\nset %s 0 0 1 noreply\r\nx\r\nmg %s v O%d\r\n", key, key, key, i)
				fmt.Fprintf(&want, "CLIENT_ERROR invalid flag\r\nVA 1 O%d\r\nx\r\n", i)
			}
		}
		_ = c.conn.SetDeadline(time.Now().Add(patience))
		go func() { _, _ = io.WriteString(c.conn, requests.String()+"mn\r\n") }()
		want.WriteString("MN\r\n")
		got := make([]byte, want.Len())
		if _, err := io.ReadFull(c.r, got); err != nil || string(got) != want.String() {
			return fmt.Errorf("round %d: %w, got %s, want %s", round, err, short(string(got)), short(want.String()))
		}
	}
	return nil
}

// A dead server: an error for each request, also the quiet ones, and nothing else is disturbed.
func TestMemcacheMetaOneServerDown(t *testing.T) {
	t.Parallel()
	n, caches := startCaches(t, 2, "")
	c := dial(t, n.Addr())
	onA, onB := keysOfTwo(t, c, caches)
	caches[0].Kill()
	n.waitPool("alpha", "the dead server's connection to be closed", func(p PoolStats) error { return p.want(map[string]int64{"server_connections": 1}) })
	const refused = "SERVER_ERROR Connection refused\r\n"
	for range 3 {
		c.askCache("mg "+onA+" v\r\n", refused)
		c.askCache("mg "+onA+" v q\r\nms "+onA+" 1 q\r\nx\r\nmg "+onB+" v\r\nmn\r\n", refused+refused+"VA 1\r\nv\r\nMN\r\n")
		c.askCache("stats reset\r\nflush_all 10000\r\nnutmeg on a version\r\nnutmeg on b stats reset\r\n", refused+refused+refused+"RESET\r\n")
	}
	if err := caches[0].Restart(); err != nil {
		t.Fatal(err)
	}
	c.askCache("mg "+onA+" v\r\nms "+onA+" 1 q\r\nx\r\nmg "+onA+" v\r\n", "EN\r\nVA 1\r\nx\r\n")
}

// keysOfTwo returns a key of each of two servers; both have the value v.
func keysOfTwo(t *testing.T, c *rawConn, caches []*testkit.Process) (onA, onB string) {
	t.Helper()
	direct := dial(t, caches[0].Addr())
	for _, key := range numbered("key", 40) {
		c.askCache(set(key, "v"), "STORED\r\n")
		direct.send("get " + key + "\r\n")
		if direct.cacheReply() == "END\r\n" {
			onB = key
		} else {
			onA = key
		}
	}
	return onA, onB
}

// oldCache is memcached as it was before there were meta commands: whatever the value of ms is, it is a command.
func oldCache(c *scriptedConn) {
	for {
		line, err := c.r.ReadString('\n')
		words := strings.Fields(line)
		switch {
		case err != nil:
			return
		case len(words) > 0 && words[0] == "get":
			c.say(value(words[1], "old") + "END\r\n")
		case len(words) > 0 && words[0] == "version":
			c.say("VERSION 1.4.15\r\n")
		default:
			c.say("ERROR\r\n")
		}
	}
}

// A server that knows no meta commands is never sent one, however many clients try, and their tries harm nobody.
func TestMemcacheMetaOldServer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		run  script
	}{
		{"before meta commands", oldCache},
		{"with other ones", func(c *scriptedConn) { // as in 1.5.19: mn is known, the length of ms stands elsewhere
			for {
				line, err := c.r.ReadString('\n')
				switch words := strings.Fields(line); {
				case err != nil:
					return
				case len(words) > 0 && words[0] == "mn":
					c.say("MN\r\n")
				case len(words) > 0 && words[0] == "get":
					c.say(value(words[1], "old") + "END\r\n")
				case len(words) > 0 && words[0] == "version":
					c.say("VERSION 1.5.19\r\n")
				default:
					c.say("CLIENT_ERROR bad command line format\r\n")
				}
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serveScript(t, tt.run)
			n := startNutmeg(t, poolConf("timeout: 20000", s.addr+" a"))
			victim, other := dial(t, n.Addr()), dial(t, n.Addr())
			const needs = "CLIENT_ERROR meta commands need a newer memcached than server a\r\n"
			for range 3 {
				other.askCache("get x\r\nms k 7 q\r\nget y\r\n\r\nmg k v q\r\nmn\r\nget x\r\n", value("x", "old")+"END\r\n"+needs+needs+"MN\r\n"+value("x", "old")+"END\r\n")
				victim.askCache("get v\r\nget w\r\n", value("v", "old")+"END\r\n"+value("w", "old")+"END\r\n")
			}
			if got := s.connections(); got != 1 {
				t.Errorf("the server was connected to %d times", got)
			}
		})
	}
}

// The tests that come with libmemcached find nothing to complain about.
func TestMemccapable(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("memccapable")
	if errors.Is(err, exec.ErrNotFound) {
		program, err = exec.LookPath("memcapable")
	}
	if err != nil {
		t.Fatalf("libmemcached's tools are not installed (Debian: libmemcached-tools): %v", err)
	}
	for _, count := range []int{1, 3} {
		n, _ := startCaches(t, count, "")
		host, port, _ := strings.Cut(n.Addr(), ":")
		out, err := exec.CommandContext(t.Context(), program, "-a", "-v", "-h", host, "-p", port).CombinedOutput()
		if err != nil || bytes.Contains(out, []byte("FAIL")) || bytes.Count(out, []byte("[pass]")) < 20 {
			t.Errorf("%d servers: %v\n%s", count, err, out)
		}
	}
}
