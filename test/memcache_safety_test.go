package test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"nutmeg/internal/testkit"
)

// A line feed in a key is one request to a careless proxy and two to memcached: all later responses on the shared
// connection would go to the wrong clients.
func TestMemcacheControlBytesInKeysReachNoServer(t *testing.T) {
	t.Parallel()
	n, caches := startCaches(t, 1, "")
	victim := dial(t, n.Addr())
	victim.askCache(set("secret", "of the victim")+set("x", "x"), "STORED\r\nSTORED\r\n")
	attack := dial(t, n.Addr())
	const secret = "VALUE secret 7 13\r\nof the victim\r\nEND\r\n"
	for _, line := range []struct{ bytes, want string }{ // two requests to the proxy as well: each has its own answer
		{"get x\nget secret\r\n", value("x", "x") + "END\r\n" + secret},
		{"set x 7 0 1\nx\r\nget secret\r\n", "STORED\r\n" + secret},
		{"delete none\n\r\n", "NOT_FOUND\r\nERROR\r\n"},
		{"get x none\nget none\r\n", value("x", "x") + "END\r\nEND\r\n"},
		{"gat 0 x\nget none\n", value("x", "x") + "END\r\nEND\r\n"},
		{"touch x\n 1\r\n", "ERROR\r\nERROR\r\n"},
		{"incr none 1\nget secret\r\n", "NOT_FOUND\r\n" + secret},
		{"set x 7 0 1 noreply\nx\r\nget secret\n", secret},
	} {
		attack.askCache(line.bytes, line.want)
		victim.askCache("get x\r\n", value("x", "x")+"END\r\n")
	}
	before := n.Pool("alpha").Sum("requests")
	gets := cacheGets(t, caches[0])

	refused := 0
	for b := range 0x80 {
		if (b > ' ' && b != 0x7f) || b == ' ' || b == '\n' {
			continue
		}
		for _, format := range []string{"get x%cy\r\n", "get a x%c b\r\n", "delete x%cy\r\n", "set x%cy 0 0 1\r\n1\r\n", "incr x%cy 1\r\n"} {
			attack.askCache(fmt.Sprintf(format, b), "CLIENT_ERROR control byte in command line\r\n")
			refused++
		}
	}
	if refused < 150 {
		t.Errorf("only %d requests were tried", refused)
	}
	if after := n.Pool("alpha").Sum("requests"); after != before {
		t.Errorf("%d of the requests went to the server", after-before)
	}
	victim.askCache("get secret\r\nget x\r\n", value("secret", "of the victim")+"END\r\n"+value("x", "x")+"END\r\n")
	attack.askCache("get x\r\n", value("x", "x")+"END\r\n")
	if now := cacheGets(t, caches[0]); now != gets+3 {
		t.Errorf("the server saw %d gets, want the three of the clients", now-gets)
	}
}

// cacheGets asks a server how many keys have been asked for.
func cacheGets(t *testing.T, cache *testkit.Process) int {
	t.Helper()
	n, err := strconv.Atoi(statOf(t, dial(t, cache.Addr()).listing("stats"), "cmd_get"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What a client sends instead of a good request, what it is told, and whether the stream can go on.
var badCacheRequests = []struct {
	rule, bytes, want string
	closes            bool
}{
	{"no words", "\r\n", "ERROR\r\n", false},
	{"unknown command", "foo\r\n", "ERROR\r\n", false},
	{"upper case", "GET k\r\n", "ERROR\r\n", false},
	{"get without a key", "get\r\n", "ERROR\r\n", false},
	{"get with blanks only", "get   \r\n", "ERROR\r\n", false},
	{"gat without a key", "gat 5\r\n", "ERROR\r\n", false},
	{"gat with a bad time", "gat x k\r\n", "CLIENT_ERROR invalid exptime argument\r\n", false},
	{"key too long", "get " + strings.Repeat("k", 251) + "\r\n", "CLIENT_ERROR bad command line format\r\n", false},
	{"one key of several too long", "get a " + strings.Repeat("k", 251) + " b\r\n", "CLIENT_ERROR bad command line format\r\n", false},
	{"key too long in set, its value is skipped", "set " + strings.Repeat("k", 251) + " 0 0 8\r\nget k1\r\n\r\n", "CLIENT_ERROR bad command line format\r\n", false},
	{"negative flags, the value is skipped", "set k -1 0 6\r\nget k1\r\n", "CLIENT_ERROR bad command line format\r\n", false},
	{"flags too large", "set k 4294967296 0 1\r\nv\r\n", "CLIENT_ERROR bad command line format\r\n", false},
	{"cas number too large, the value is skipped", "cas k 0 0 6 18446744073709551616\r\nget k1\r\n", "CLIENT_ERROR bad command line format\r\n", false},
	{"incr without a number", "incr k\r\n", "ERROR\r\n", false},
	{"incr by a word", "incr k x\r\n", "CLIENT_ERROR invalid numeric delta argument\r\n", false},
	{"incr with too much", "incr k 1 2\r\n", "ERROR\r\n", false},
	{"touch with a bad time", "touch k x\r\n", "CLIENT_ERROR invalid exptime argument\r\n", false},
	{"delete with a time", "delete k 5\r\n", "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n", false},
	{"verbosity without a level", "verbosity\r\n", "ERROR\r\n", false},
	{"statistics that nobody knows", "stats foo\r\n", "ERROR\r\n", false},
	{"unsupported: a listing without an end", "stats sizes_enable\r\n", "CLIENT_ERROR unsupported command 'stats sizes_enable', send it to the server itself\r\n", false},
	{"unsupported: shutdown", "shutdown\r\n", "CLIENT_ERROR unsupported command 'shutdown', send it to the server itself\r\n", false},
	{"unsupported: watch", "watch fetchers\r\n", "CLIENT_ERROR unsupported command 'watch', send it to the server itself\r\n", false},
	{"unsupported: metadump", "lru_crawler metadump all\r\n", "CLIENT_ERROR unsupported command 'lru_crawler metadump', send it to the server itself\r\n", false},
	{"unsupported without a reply", "watch noreply\r\n", "", false},
	{"key too long in ms, its value is skipped", "ms " + strings.Repeat("k", 251) + " 8\r\nget k1\r\n\r\n", "CLIENT_ERROR bad command line format\r\n", false},
	{"too many flags of ms, its value is skipped", "ms k 6" + strings.Repeat(" c", 17) + "\r\nget k1\r\n", "CLIENT_ERROR options flags too long\r\n", false},
	{"a bad flag of ms, its value is skipped", "ms k 6 Z\r\nget k1\r\n", "CLIENT_ERROR invalid flag\r\n", false},
	{"a bad flag of a quiet ms, which is told all the same", "ms k 6 Z q\r\nget k1\r\n", "CLIENT_ERROR invalid flag\r\n", false},
	{"an encoded key that cannot be decoded", "ms k 6 b q\r\nget k1\r\nmg k b v\r\n", "CLIENT_ERROR error decoding key\r\nCLIENT_ERROR error decoding key\r\n", false},
	{"mg without a key", "mg\r\n", "ERROR\r\n", false},

	// Where the length of a value is not known, the next line is a request; behind a value of another length the next one
	// begins where it would have ended.
	{"ms without a length", "ms k\r\nget k1\r\n", "CLIENT_ERROR bad command line format\r\nEND\r\n", false},
	{"ms with a value longer than announced", "ms k 1\r\nvv\r\n", "CLIENT_ERROR bad data chunk\r\nERROR\r\n", false},
	{"cas without a number", "cas k 0 0 1 x\r\nv\r\n", "CLIENT_ERROR bad command line format\r\nERROR\r\n", false},
	{"set without a length", "set k 0 0\r\n", "ERROR\r\n", false},
	{"set with a bad length", "set k 0 0 x\r\nv\r\n", "CLIENT_ERROR bad command line format\r\nERROR\r\n", false},
	{"set with a negative length", "set k 0 0 -1\r\nget k1\r\n", "CLIENT_ERROR bad command line format\r\nEND\r\n", false},
	{"a blank in the key of a set", "set my key 0 0 1\r\nv\r\n", "CLIENT_ERROR bad command line format\r\nERROR\r\n", false},
	{"a value longer than announced", "set k 0 0 1\r\nvv\r\n", "CLIENT_ERROR bad data chunk\r\nERROR\r\n", false},
	{"a value shorter than announced", "set k 0 0 4\r\nvv\r\nxxget k1\r\n", "CLIENT_ERROR bad data chunk\r\nEND\r\n", false},
	{"a value that ends CR CR", "set k 0 0 1\r\nv\r\r", "CLIENT_ERROR bad data chunk\r\n", false},
	{"a value of another length without a reply", "set k 0 0 1 noreply\r\nvv\r\n", "ERROR\r\n", false},
	{"a stray CR in the key of a set, its value is skipped", "set k\r 0 0 6\r\nget k1\r\n", "CLIENT_ERROR control byte in command line\r\n", false},
	{"a tab behind a length, the value is skipped", "set k 0 0 6\t\r\nget k1\r\n", "CLIENT_ERROR control byte in command line\r\n", false},
	{"a length with a sign, the value is skipped", "set k 0 0 +6\r\nget k1\r\n", "CLIENT_ERROR bad command line format\r\n", false},
	{"a line feed alone", "get k1\n", "END\r\n", false},

	{"a value behind nutmeg on", "nutmeg on a set k 0 0 6\r\nget k1\r\n", "CLIENT_ERROR a command with a value cannot be sent with 'nutmeg on'\r\n", true},
	{"a line without an end", "get " + strings.Repeat("k", 2<<20), "CLIENT_ERROR line too long\r\n", true},
	{"the binary protocol", "\x80\x00\x00\x01\x00\x00\x00\x00", "CLIENT_ERROR binary protocol not supported, use the text protocol\r\n", true},
	{"HTTP", "POST / HTTP/1.1\r\nHost: x\r\n\r\nset k 0 0 1\r\nv\r\n", "ERROR\r\n", true},
}

func TestMemcacheBadInput(t *testing.T) {
	t.Parallel()
	n, _ := startCaches(t, 2, "")
	other := dial(t, n.Addr())
	other.askCache(set("k", "v"), "STORED\r\n")
	for _, test := range badCacheRequests {
		t.Run(test.rule, func(t *testing.T) {
			c := dial(t, n.Addr())
			good := "get k\r\n"
			if test.closes {
				c.send(good + test.bytes)
				c.want(value("k", "v") + "END\r\n" + test.want)
				c.wantGone()
			} else {
				c.send(good + test.bytes + good)
				c.want(value("k", "v") + "END\r\n" + test.want + value("k", "v") + "END\r\n")
				c.send(test.bytes)
				c.want(test.want)
			}
			other.askCache(good, value("k", "v")+"END\r\n")
		})
	}
}

// No request with noreply gets a reply, also not an error that the server sends for it all the same; what follows is
// answered as if it had not been there.
func TestMemcacheNoReply(t *testing.T) {
	t.Parallel()
	n, _ := startCaches(t, 2, "")
	c, other := dial(t, n.Addr()), dial(t, n.Addr())
	other.askCache(set("mine", "mine"), "STORED\r\n")
	tooLarge := strings.Repeat("x", 2<<20)
	for _, test := range []struct{ rule, bytes, after string }{
		{"set", "set k 7 0 1 noreply\r\n1\r\n", "1"},
		{"add of a present key", "add k 7 0 1 noreply\r\n2\r\n", "1"},
		{"replace", "replace k 7 0 1 noreply\r\n3\r\n", "3"},
		{"append", "append k 7 0 1 noreply\r\n4\r\n", "34"},
		{"prepend", "prepend k 7 0 1 noreply\r\n2\r\n", "234"},
		{"incr", "incr k 1 noreply\r\n", "235"},
		{"decr", "decr k 5 noreply\r\n", "230"},
		{"touch", "touch k 0 noreply\r\n", "230"},
		{"cas of a number that is not its", "cas k 7 0 1 1 noreply\r\n9\r\n", "230"},
		{"blanks", " set   k  7 0  1   noreply  \r\n5\r\n", "5"},
		{"a key called noreply", "set noreply 7 0 1 noreply\r\n5\r\n", "5"},
		{"a time that is past", "set gone 7 -1 1 noreply\r\n5\r\n", "5"},
		{"verbosity", "verbosity 0 noreply\r\n", "5"},
		{"verbosity without a level", "verbosity noreply\r\n", "5"},
		{"flush_all of a time to come", "flush_all 10000 noreply\r\nflush_all 10000 noreply\r\n", "5"},
		{"cache_memlimit", "cache_memlimit 64 noreply\r\ncache_memlimit x noreply\r\n", "5"},
		{"lru", "lru mode segmented noreply\r\nlru foo noreply\r\n", "5"},
		{"slabs", "slabs automove 1 noreply\r\n", "5"},
		{"a command for one server", "nutmeg on a verbosity 0 noreply\r\nnutmeg on b touch k 0 noreply\r\n", "5"},
		{"incr of a word, which is an error", "set w 7 0 1 noreply\r\nw\r\nincr w 1 noreply\r\n", "5"},
		{"touch of an absent key", "touch none 0 noreply\r\n", "5"},
		{"delete of an absent key", "delete none noreply\r\n", "5"},
		{"a value that is too large, which is an error", "set large 7 0 2097152 noreply\r\n" + tooLarge + "\r\n", "5"},
		{"many", strings.Repeat("incr k 1 noreply\r\n", 1000), "1005"},
		{"a bad number, which the proxy refuses", "set k x 0 1 noreply\r\nset k 0 0 x noreply\r\n", "1005"},
		{"a value of another length, which the proxy refuses", "set k 0 0 1 noreply\r\nvvv", "1005"},
		{"a line feed alone", "set k 7 0 1 noreply\n5\r\nincr k 1 noreply\nverbosity 0 noreply\n", "6"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			c.t, other.t = t, t
			c.send(test.bytes + "get k\r\n")
			other.send("get mine\r\n")
			c.want(value("k", test.after) + "END\r\n")
			other.want(value("mine", "mine") + "END\r\n")
		})
	}
	c.t = t
	c.askCache("delete k noreply\r\nget k\r\n", "END\r\n")
	p := n.Pool("alpha")
	if err := p.want(map[string]int64{"forward_error": 0, "server_err": 0, "server_eof": 0, "in_queue": 0, "out_queue": 0}); err != nil {
		t.Error(err)
	}
}

// noreply to a server that is down is silent, and counts for nobody's turn.
func TestMemcacheNoReplyToADeadServer(t *testing.T) {
	t.Parallel()
	cache := testkit.Memcached(t, "-t", "1")
	n := startNutmeg(t, poolConf("", cache.Addr()+" a"))
	c := dial(t, n.Addr())
	c.askCache(set("k", "v"), "STORED\r\n")
	cache.Kill()
	n.waitPool("alpha", "the connection to be closed", func(p PoolStats) error { return p.want(map[string]int64{"server_connections": 0}) })
	const refused = "SERVER_ERROR Connection refused\r\n"
	quiet := "set k 0 0 1 noreply\r\nv\r\ndelete k noreply\r\n"
	c.askCache(quiet+"get k\r\n"+quiet+"get k\r\n"+quiet, refused+refused)
	if err := cache.Restart(); err != nil {
		t.Fatal(err)
	}
	c.askCache("get k\r\n", "END\r\n")
}

// What a server may send that is no answer to the request that it got. Nobody is given it, and the next request is served
// on another connection.
func TestMemcacheServerThatAnswersWrong(t *testing.T) {
	t.Parallel()
	const invalid = "SERVER_ERROR Invalid argument\r\n"
	for _, test := range []struct{ rule, request, answer, want string }{
		{"another kind", "get k\r\n", "STORED\r\n", invalid},
		{"a value for a set", set("k", "v"), value("k", "v") + "END\r\n", invalid},
		{"a word of no protocol", "get k\r\n", "HELLO\r\n", invalid},
		{"END with more", "get k\r\n", "END of it\r\n", invalid},
		{"a line feed alone", "get k\r\n", "END\n", invalid},
		{"a value with a wrong length", "get k\r\n", "VALUE k 7 1\r\nvv\r\nEND\r\n", invalid},
		{"a negative number", "incr k 1\r\n", "-1\r\n", invalid},
		{"a closing server", "get k\r\n", "VALUE k 7 100\r\nv", "SERVER_ERROR Connection closed by server\r\n"},
		{"an error is passed on", "get k\r\n", "SERVER_ERROR out of memory\r\n", "SERVER_ERROR out of memory\r\n"},
		{"an error is passed on for a set", set("k", "v"), "SERVER_ERROR out of memory storing object\r\n", "SERVER_ERROR out of memory storing object\r\n"},
		{"and bare ERROR", "get k\r\n", "ERROR\r\n", "ERROR\r\n"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			server := serveScript(t, func(c *scriptedConn) {
				for i := 0; c.line() != ""; i++ {
					if strings.HasPrefix(test.request, "set") && c.number == 1 && i == 0 {
						c.line()
					}
					if c.number > 1 || i > 0 {
						c.say(value("k", "right") + "END\r\n")
						continue
					}
					if c.say(test.answer); strings.HasSuffix(test.want, "by server\r\n") {
						return
					}
				}
			})
			n := startNutmeg(t, poolConf("timeout: 20000", server.addr+" a"))
			c, other := dial(t, n.Addr()), dial(t, n.Addr())
			c.askCache(test.request, test.want)
			c.askCache("get k\r\n", value("k", "right")+"END\r\n")
			other.askCache("get k\r\n", value("k", "right")+"END\r\n")
		})
	}
}

// A fragment's error is the whole request's, and the client's connection lives on.
func TestMemcacheFragmentErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ rule, answer, want string }{
		{"the server's own text", "SERVER_ERROR out of memory\r\n", "SERVER_ERROR out of memory\r\n"},
		{"ERROR", "ERROR\r\n", "ERROR\r\n"},
		{"CLIENT_ERROR", "CLIENT_ERROR bad\r\n", "CLIENT_ERROR bad\r\n"},
		{"another kind", "STORED\r\n", "SERVER_ERROR Invalid argument\r\n"},
		{"values of other keys are left out", "VALUE other 7 1\r\nv\r\nEND\r\n", "the good one's"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			bad := serveScript(t, func(c *scriptedConn) {
				for line := c.line(); line != ""; line = c.line() {
					c.say(test.answer)
				}
			})
			good := serveScript(t, func(c *scriptedConn) {
				for line := c.line(); line != ""; line = c.line() {
					for _, key := range strings.Fields(line)[1:] {
						c.say(value(key, "good"))
					}
					c.say("END\r\n")
				}
			})
			n := startNutmeg(t, poolConf("timeout: 20000\nhash: murmur\ndistribution: modula", bad.addr+" a", good.addr+" b"))
			c := dial(t, n.Addr())
			var ofBad, ofGood string
			for _, key := range numbered("key", 100) {
				c.send("get " + key + "\r\n")
				if strings.Contains(c.cacheReply(), "good") {
					ofGood = key
				} else {
					ofBad = key
				}
			}
			want := test.want
			if want == "the good one's" {
				want = value(ofGood, "good") + "END\r\n"
			}
			for range 3 {
				c.askCache("get "+ofBad+" "+ofGood+"\r\n", want)
				c.askCache("gets "+ofGood+" "+ofBad+"\r\n", want)
				c.askCache("get "+ofGood+"\r\n", value(ofGood, "good")+"END\r\n")
			}
		})
	}
}
