package test

import (
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// hostileAnswer is what a server says that is no Redis and no memcached, or not a well one, and what its client gets.
type hostileAnswer struct {
	what  string
	says  string
	then  func(c *scriptedConn) // nil: it says no more and keeps the connection
	gets  string                // empty: what it says, as it is
	torn  bool                  // its client gets what it says, as far as it comes, and is closed
	keeps bool                  // the server connection goes on; else a new one is made
	limit string                // the configuration key that bounds it, where one does
}

// hostileTurn is what is said on which of a server's connections.
type hostileTurn struct {
	hostileAnswer
	connection int
}

const (
	invalid  = "-ERR Invalid argument\r\n"
	overdue  = "-ERR Connection timed out\r\n"
	cInvalid = "SERVER_ERROR Invalid argument\r\n"
	cOverdue = "SERVER_ERROR Connection timed out\r\n"
)

var hostileRedis = []hostileAnswer{
	{what: "a bulk string of -2 bytes", says: "$-2\r\n", gets: invalid},
	{what: "a bulk string of 2^63 bytes", says: "$9223372036854775808\r\n", gets: invalid},
	{what: "a bulk string of 2^64 bytes", says: "$18446744073709551616\r\n", gets: invalid},
	{what: "a bulk string of 2^63-1 bytes, of which one comes", says: "$9223372036854775807\r\nx", gets: overdue, limit: "timeout"},
	{what: "a bulk string of 1 TB, of which 20 MB come", says: "$1099511627776\r\n" + strings.Repeat("x", 20<<20), torn: true, limit: "timeout, max_memory"},
	{what: "an array of -2 elements", says: "*-2\r\n", gets: invalid},
	{what: "an array of 2^63-1 elements", says: "*9223372036854775807\r\n", gets: invalid},
	{what: "an array of 2^40 - 1 elements, of which none comes", says: "*1099511627775\r\n", gets: overdue, limit: "timeout"},
	{what: "arrays in arrays, 100000 deep", says: strings.Repeat("*1\r\n", 100_000) + ":1\r\n", keeps: true},
	{what: "arrays in arrays without an end", says: strings.Repeat("*1\r\n", 100_000), torn: true, limit: "timeout"},
	{what: "an array of 100000 elements", says: "*100000\r\n" + strings.Repeat(":1\r\n", 100_000), keeps: true, limit: "max_memory"},
	{what: "an integer of 2^63", says: ":9223372036854775808\r\n", gets: invalid},
	{what: "a number of a thousand digits", says: ":" + strings.Repeat("1", 1000) + "\r\n", gets: invalid},
	{what: "an error of 1 MB", says: "-ERR " + strings.Repeat("e", 1<<20) + "\r\n", keeps: true},
	{what: "a line of 1 MB without an end", says: "+" + strings.Repeat("x", 1<<20), gets: overdue, limit: "timeout, max_memory"},
	{what: "an empty line", says: "\r\n", gets: invalid},
	{what: "LF without CR", says: "+OK\n", gets: overdue, limit: "timeout"},
	{what: "CR without LF", says: "+OK\rX", gets: invalid},
	{what: "NULs", says: "\x00\x00\x00\x00", gets: invalid},
	{what: "a NUL in a line", says: "+a\x00b\r\n", keeps: true},
	{what: "a null of version 3", says: "_\r\n", gets: invalid},
	{what: "a map of version 3", says: "%1\r\n+a\r\n+b\r\n", gets: invalid},
	{what: "a push of version 3", says: ">2\r\n+invalidate\r\n*0\r\n", gets: invalid},
	{what: "a request", says: "PING\r\n", gets: invalid},
	{what: "memcached's words", says: "VALUE k 0 1\r\nv\r\nEND\r\n", gets: invalid},
	{what: "memcached's binary protocol", says: "\x81\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", gets: invalid},
	{what: "a TLS alert", says: "\x15\x03\x01\x00\x02\x02\x46", gets: invalid},
	{what: "10 MB of random bytes", says: rubbish(10 << 20), gets: invalid},
	{what: "half an answer, then the end", says: "$10\r\nhalf", then: func(*scriptedConn) {}, gets: "-ERR Connection closed by server\r\n"},
	{what: "half an answer, then a reset", says: "$10\r\nhalf", then: (*scriptedConn).reset, gets: "-ERR Connection reset by peer\r\n"},
}

var hostileMemcached = []hostileAnswer{
	{what: "a value of -1 bytes", says: "VALUE k 0 -1\r\n", gets: cInvalid},
	{what: "a value of 2^31 bytes", says: "VALUE k 0 2147483648\r\n", gets: cInvalid},
	{what: "a value of 2^63 bytes", says: "VALUE k 0 9223372036854775808\r\n", gets: cInvalid},
	{what: "a value of 2^64 bytes", says: "VALUE k 0 18446744073709551616\r\n", gets: cInvalid},
	{what: "a value of 2^31 - 3 bytes, of which one comes", says: "VALUE k 0 2147483645\r\nx", gets: cOverdue, limit: "timeout"},
	{what: "a value of 2^31 - 3 bytes, of which 20 MB come", says: "VALUE k 0 2147483645\r\n" + strings.Repeat("x", 20<<20), torn: true, limit: "timeout, max_memory"},
	{what: "a value that is longer than announced", says: "VALUE k 0 1\r\nvv\r\nEND\r\n", gets: cInvalid},
	{what: "a key of 251 bytes", says: "VALUE " + strings.Repeat("k", 251) + " 0 1\r\nv\r\nEND\r\n", gets: cInvalid},
	{what: "flags of 2^64", says: "VALUE k 18446744073709551616 1\r\nv\r\nEND\r\n", gets: cInvalid},
	{what: "a value without an END", says: "VALUE k 0 1\r\nv\r\n", gets: cOverdue, limit: "timeout"},
	{what: "100000 values", says: strings.Repeat("VALUE k 0 1\r\nv\r\n", 100_000) + "END\r\n", keeps: true, limit: "max_memory"},
	{what: "another answer's word", says: "STORED\r\n", gets: cInvalid},
	{what: "a number of 23 digits", says: strings.Repeat("9", 23) + "\r\n", gets: cInvalid},
	{what: "a line of 1 MB without an end", says: "SERVER_ERROR " + strings.Repeat("x", 1<<20), gets: cInvalid},
	{what: "an error of 2000 bytes", says: "SERVER_ERROR " + strings.Repeat("x", 2000) + "\r\n", keeps: true},
	{what: "an empty line", says: "\r\n", gets: cInvalid},
	{what: "LF without CR", says: "END\n", gets: cInvalid},
	{what: "CR without LF", says: "END\rX", gets: cInvalid},
	{what: "NULs", says: "\x00\x00\x00\x00", gets: cInvalid},
	{what: "a meta answer", says: "HD\r\n", gets: cInvalid},
	{what: "a request", says: "get k\r\n", gets: cInvalid},
	{what: "Redis's words", says: "$1\r\nv\r\n", gets: cInvalid},
	{what: "the binary protocol", says: "\x81\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", gets: cInvalid},
	{what: "a TLS alert", says: "\x15\x03\x01\x00\x02\x02\x46", gets: cInvalid},
	{what: "10 MB of random bytes", says: rubbish(10 << 20), gets: cInvalid},
	{what: "half an answer, then the end", says: "VALUE k 0 10\r\nhalf", then: func(*scriptedConn) {}, gets: "SERVER_ERROR Connection closed by server\r\n"},
	{what: "half an answer, then a reset", says: "VALUE k 0 10\r\nhalf", then: (*scriptedConn).reset, gets: "SERVER_ERROR Connection reset by peer\r\n"},
}

// TestHostileServers: whatever a server says in place of an answer, its client gets one response and nothing of the rest, or the
// beginning of a large one and the end of its connection; the next request is answered by a connection that is well, and the other server's clients notice nothing.
func TestHostileServers(t *testing.T) {
	t.Parallel()
	for _, protocol := range []struct {
		name, option string
		cases        []hostileAnswer
		ask          func(key string) string
		well         script
		right        string
	}{
		{"redis", "redis: true", hostileRedis, func(key string) string { return request("GET", key) }, sayName("right"), bulk("right")},
		{"memcached", "redis: false", hostileMemcached, func(key string) string { return "get " + key + "\r\n" }, sayMiss, "END\r\n"},
	} {
		t.Run(protocol.name, func(t *testing.T) {
			t.Parallel()
			var turn atomic.Pointer[hostileTurn]
			bad := serveScript(t, func(c *scriptedConn) {
				if now := turn.Load(); now != nil && c.number == now.connection {
					c.awaitRequest()
					c.say(now.says)
					switch {
					case now.then != nil:
						now.then(c)
						return
					case !now.keeps:
						hang(c)
						return
					}
				}
				protocol.well(c)
			})
			good := serveScript(t, protocol.well)
			n := startNutmeg(t, poolConf(protocol.option+"\nhash: murmur\ndistribution: modula\ntimeout: 400", bad.addr+" a", good.addr+" b"))
			ofBad, ofGood := protocol.ask(keysOf(0, "k")[0]), protocol.ask(keysOf(1, "k")[0])
			witness := dial(t, n.Addr())
			exchange := func(c *rawConn, ask, want string) {
				t.Helper()
				c.send(ask)
				c.want(want)
			}
			exchange(witness, ofGood, protocol.right)
			before := n.figures()
			for _, h := range protocol.cases {
				t.Run(h.what, func(t *testing.T) {
					goDown(n, bad, "a")
					first := bad.connections() + 1
					turn.Store(&hostileTurn{h, first})
					bad.up()
					c := dial(t, n.Addr())
					c.t, witness.t = t, t
					if h.gets == "" {
						h.gets = h.says
					}
					c.send(ofBad)
					exchange(witness, ofGood, protocol.right)
					c.want(h.gets)
					if h.torn {
						c.wantClosed()
						c = dial(t, n.Addr())
					}
					exchange(c, ofBad, protocol.right)
					exchange(c, ofBad+ofGood+ofBad, strings.Repeat(protocol.right, 3))
					exchange(witness, ofGood+ofBad, strings.Repeat(protocol.right, 2))
					n.wantSmall(t, before)
					if made := bad.connections() - first + 1; (made == 1) != h.keeps {
						t.Errorf("%d connections were made; keeps is %v", made, h.keeps)
					}
					c.close()
				})
			}
			t.Logf("before: %v, after: %v", before, n.figures())
		})
	}
}

// sayMiss answers each line with a miss.
func sayMiss(c *scriptedConn) {
	for c.line() != "" {
		c.say("END\r\n")
	}
}

// awaitRequest waits for the first byte of a request and leaves no more of it than there is.
func (c *scriptedConn) awaitRequest() {
	_, _ = c.r.Peek(1)
	_, _ = c.r.Discard(c.r.Buffered())
}

// A server's part of a request over several servers that is well-formed and still no answer.
func TestHostileFragments(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ what, says, command, gets string }{
		{"fewer elements than keys", "*0\r\n", "MGET", invalid},
		{"more elements than keys", "*2\r\n$1\r\na\r\n$1\r\nb\r\n", "MGET", invalid},
		{"a null array", "*-1\r\n", "MGET", invalid},
		{"no array", ":1\r\n", "MGET", invalid},
		{"an array as an element", "*1\r\n*1\r\n:1\r\n", "MGET", array(array(integer(1)), bulk("v"))},
		{"an error", "-ERR no\r\n", "MGET", "-ERR no\r\n"},
		{"no number", "+OK\r\n", "DEL", invalid},
		{"a negative number", ":-5\r\n", "DEL", invalid},
		{"a count that makes the sum overflow", ":9223372036854775807\r\n", "DEL", invalid},
		{"another line than OK", "+QUEUED\r\n", "MSET", invalid},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			bad := serveScript(t, func(c *scriptedConn) {
				for c.request() != nil {
					c.say(test.says)
				}
			})
			good := serveScript(t, func(c *scriptedConn) {
				for words := c.request(); words != nil; words = c.request() {
					c.say(map[string]string{"MGET": array(bulk("v")), "DEL": integer(1), "MSET": okReply, "GET": bulk("v")}[strings.ToUpper(words[0])])
				}
			})
			n := startNutmeg(t, poolConf("redis: true\nhash: murmur\ndistribution: modula\ntimeout: 5000", bad.addr+" a", good.addr+" b"))
			c := dial(t, n.Addr())
			ofBad, ofGood := keysOf(0, "k")[0], keysOf(1, "k")[0]
			args := []string{test.command, ofBad, ofGood}
			if test.command == "MSET" {
				args = []string{test.command, ofBad, "1", ofGood, "1"}
			}
			for range 3 {
				c.wantAsk(test.gets, args...)
				c.wantAsk(bulk("v"), "GET", ofGood)
			}
		})
	}
}

// TestGreetingWithoutAnEnd: a server that never finishes its answer to AUTH cannot make the daemon hold what it says, nor
// keep its clients waiting beyond the time-out.
func TestGreetingWithoutAnEnd(t *testing.T) {
	t.Parallel()
	const sent = 64 << 20
	said := make(chan int, 100)
	server := serveScript(t, func(c *scriptedConn) {
		if c.number > 1 {
			c.request()
			c.say(okReply)
			sayName("right")(c)
			return
		}
		c.request()
		c.say("$" + strconv.Itoa(1<<40) + "\r\n")
		piece := strings.Repeat("x", 1<<20)
		total := 0
		for total < sent {
			n, err := c.Write([]byte(piece))
			total += n
			if err != nil {
				break
			}
		}
		said <- total
	})
	n := startNutmeg(t, poolConf("redis: true\nredis_auth: secret\ntimeout: 20000", server.addr+" a"))
	c := dial(t, n.Addr())
	c.wantAsk(okReply, "AUTH", "secret")
	start := time.Now()
	c.wantAsk(invalid, "GET", "k")
	if total := <-said; total >= sent {
		t.Errorf("the daemon took all %d MB", total>>20)
	}
	c.wantAsk(bulk("right"), "GET", "k")
	t.Logf("refused after %v", time.Since(start))
}
