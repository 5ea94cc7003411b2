package test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"nutmeg/internal/testkit"
)

// hostile is input that no well-meaning client sends, and what becomes of who sends it.
type hostile struct {
	what  string // what is sent
	send  string
	gets  string // the reply, exactly; with starts, what it begins with
	then  fate
	limit string // the configuration key that bounds it, where one does
	after func(c *rawConn)
	// starts says that the reply goes on in a way that is of no interest.
	starts bool
}

// fate is what becomes of a client.
type fate int

const (
	stays  fate = iota // the next request is served
	closed             // the daemon closes the connection
	waits              // the daemon waits for the rest of the request, and holds no more than what has come
	leaves             // the client itself goes
)

func (f fate) String() string { return [...]string{"stays", "closed", "waits", "leaves"}[f] }

// hostileSpan bounds what a case may make the daemon hold afterwards: memory in use, and memory asked for. Every announced
// length is far above it, every input that is really sent below.
const hostileSpan = 96 << 20

// wantSmall fails the test if the daemon has grown by more than hostileSpan since before.
func (n *Nutmeg) wantSmall(t *testing.T, before figures) {
	t.Helper()
	now, span := n.figures(), hostileSpan
	if raceEnabled {
		span *= 4 // the race detector keeps books of its own
	}
	if now.resident-before.resident > span || now.data-before.data > span {
		t.Errorf("the daemon has grown: %v, before %v", now, before)
	}
}

func TestHostileClients(t *testing.T) {
	t.Parallel()
	for _, protocol := range []struct {
		name   string
		cases  []hostile
		start  func(testing.TB, ...string) *testkit.Process
		option string
		ask    string
		answer string
	}{
		{"redis", hostileToRedis, testkit.Redis, "redis: true", request("SET", "w", "1") + request("GET", "w"), okReply + bulk("1")},
		{"memcached", hostileToMemcache, testkit.Memcached, "redis: false", set("w", "1") + "get w\r\n", "STORED\r\n" + value("w", "1") + "END\r\n"},
	} {
		t.Run(protocol.name, func(t *testing.T) {
			t.Parallel()
			n := startNutmeg(t, poolConf(protocol.option, protocol.start(t).Addr()+" a", protocol.start(t).Addr()+" b"))
			witness := dial(t, n.Addr())
			serves := func(c *rawConn) {
				t.Helper()
				c.send(protocol.ask)
				c.want(protocol.answer)
			}
			serves(witness)
			before := n.figures()
			for _, h := range protocol.cases {
				t.Run(h.what, func(t *testing.T) {
					c := dial(t, n.Addr())
					c.t, witness.t = t, t
					h.run(c, func() { serves(witness) })
					if h.then == stays {
						serves(c)
					}
					serves(witness)
					n.wantSmall(t, before)
					c.close()
				})
			}
			n.waitPool("alpha", "all clients but the witness to be gone", func(p PoolStats) error {
				return p.want(map[string]int64{"client_connections": 1, "in_queue": 0, "out_queue": 0})
			})
			t.Logf("before: %v, after: %v", before, n.figures())
		})
	}
}

// run sends the input and looks at the reply and what follows it; witnessed serves somebody else.
func (h *hostile) run(c *rawConn, witnessed func()) {
	c.t.Helper()
	sent := make(chan error, 1)
	go func() { // a daemon that has closed the connection does not take the rest
		_, err := io.WriteString(c.conn, h.send)
		sent <- err
	}()
	c.want(h.gets)
	rest := make(chan error, 1)
	if h.starts {
		go func() {
			_, err := io.Copy(io.Discard, c.r)
			rest <- err
		}()
	}
	err := <-sent
	if err != nil && h.then != closed {
		c.t.Fatalf("cannot send: %v", err)
	}
	switch h.then {
	case closed:
		if !h.starts {
			c.wantGone()
		} else if err := <-rest; err != nil && !errors.Is(err, syscall.ECONNRESET) {
			c.t.Fatalf("got error %v, want the end of the connection", err)
		}
	case waits:
		for range 3 { // by then the daemon has read all there is
			witnessed()
		}
		c.wantSilence(time.Millisecond)
	case leaves:
		if h.after != nil {
			h.after(c)
		}
	}
}

const protocolError = "-ERR Protocol error: "

// The first two are Redis's own words.
const (
	badCount  = protocolError + "invalid multibulk length\r\n"
	badLength = protocolError + "invalid bulk length\r\n"
)

// clientHello begins a TLS connection, as every TLS client does: record header, handshake header, version, random bytes.
var clientHello = "\x16\x03\x01\x00\x4a\x01\x00\x00\x46\x03\x03" + strings.Repeat("\x5a", 32) + "\x00\x00\x08\x13\x01\x13\x02\x13\x03\x00\xff\x01\x00\x00\x15"

// rubbish is random bytes, the same ones each time.
func rubbish(size int) string {
	random := rand.NewChaCha8([32]byte{7})
	out := make([]byte, size)
	_, _ = random.Read(out)
	return string(out)
}

var hostileToRedis = []hostile{
	// Lengths.
	{what: "a count of -2 arguments", send: "*-2\r\n", then: stays},
	{what: "a count of 2^31 arguments", send: "*2147483648\r\n", gets: badCount, then: closed},
	{what: "a count of 2^63 arguments", send: "*9223372036854775808\r\n", gets: badCount, then: closed},
	{what: "a count of 2^64 arguments", send: "*18446744073709551616\r\n", gets: badCount, then: closed},
	{what: "a count of a thousand digits", send: "*" + strings.Repeat("1", 1000) + "\r\n", gets: badCount, then: closed},
	{what: "a count of 1048577 arguments, one above the limit", send: "*1048577\r\n", gets: badCount, then: closed},
	{what: "a count of 1048576 arguments and nothing more", send: "*1048576\r\n", then: waits, limit: "request_timeout"},
	{what: "an argument of -1 bytes", send: "*1\r\n$-1\r\n", gets: badLength, then: closed},
	{what: "an argument of -2^63 bytes", send: "*1\r\n$-9223372036854775808\r\n", gets: badLength, then: closed},
	{what: "an argument of 512 MB + 1", send: "*1\r\n$536870913\r\n", gets: badLength, then: closed},
	{what: "an argument of 2^63 bytes", send: "*1\r\n$9223372036854775808\r\n", gets: badLength, then: closed},
	{what: "an argument of 2^64 bytes", send: "*1\r\n$18446744073709551616\r\n", gets: badLength, then: closed},
	{what: "an argument of 512 MB, of which one byte comes", send: "*2\r\n$3\r\nGET\r\n$536870912\r\nx", then: waits, limit: "request_size, request_timeout"},
	{what: "a script with 2^63 keys", send: request("EVAL", "return 1", "9223372036854775808", "k"), gets: "-ERR value is not an integer or out of range\r\n", then: stays},
	{what: "a script with -1 keys", send: request("EVAL", "return 1", "-1", "k"), gets: "-ERR Number of keys can't be negative\r\n", then: stays},
	{what: "a union of 2^32+1 keys", send: request("ZUNION", "4294967297", "k"), gets: "-ERR syntax error\r\n", then: stays},

	// Shapes.
	{what: "arrays in arrays, 100000 deep", send: strings.Repeat("*1\r\n", 100_000), gets: protocolError + "expected '$', got '*'\r\n", then: closed},
	{what: "an error as a request", send: "-ERR no\r\n", gets: unknown("-ERR", "no"), then: stays},
	{what: "a response as a request", send: "+OK\r\n", gets: unknown("+OK"), then: stays},
	{what: "a bulk string as a request", send: "$4\r\nPING\r\n", gets: unknown("$4") + pongReply, then: stays},
	{what: "CR without LF behind a count", send: "*1\r$4\r\nPING\r\n", gets: badCount, then: closed},
	{what: "LF without CR behind a count", send: "*1\n$4\r\nPING\r\n", gets: badCount, then: closed},
	{what: "CR without LF behind a word", send: "PING\rPING\r", then: waits, limit: "request_timeout"},
	{what: "NULs in a line", send: "\x00\x00\x00\r\n", then: stays},
	{what: "NULs without an end", send: strings.Repeat("\x00", 1<<20), gets: protocolError + "too big inline request\r\n", then: closed},
	{what: "a line of 1 MB without an end", send: strings.Repeat("x", 1<<20), gets: protocolError + "too big inline request\r\n", then: closed},
	{what: "500000 empty lines", send: strings.Repeat("\r\n", 500_000), then: stays},
	{what: "500000 empty arrays", send: strings.Repeat("*0\r\n", 500_000), then: stays},

	// Sizes.
	{what: "a key of 64 KB", send: request("SET", strings.Repeat("k", 64<<10), "v") + request("GET", strings.Repeat("k", 64<<10)), gets: okReply + bulk("v"), then: stays},
	{what: "a key of 1 MB", send: request("SET", strings.Repeat("k", 1<<20), "v") + request("GET", strings.Repeat("k", 1<<20)), gets: okReply + bulk("v"), then: stays, limit: "request_size"},
	{what: "a command name of 1 MB", send: request(strings.Repeat("n", 1<<20)), gets: "-ERR unknown command '" + strings.Repeat("n", 128) + "', with args beginning with: \r\n", then: stays},
	{what: "a request of 1048575 keys", send: "*1048576\r\n$4\r\nMGET\r\n" + strings.Repeat("$1\r\nk\r\n", 1048575), gets: nulls(1048575), then: stays, limit: "request_keys"},

	// Other protocols.
	{what: "memcached's binary protocol, a request", send: "\x80\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00k", then: waits, limit: "request_timeout"},
	{what: "memcached's text protocol", send: "set k 0 0 1\r\nv\r\n", gets: "-ERR syntax error\r\n" + unknown("v"), then: stays},
	{what: "HTTP GET", send: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", gets: "-ERR wrong number of arguments for 'get' command\r\n" + protocolError + "this is a Redis server, not HTTP\r\n", then: closed},
	{what: "HTTP POST", send: "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 24\r\n\r\nSET k v\r\nGET k\r\nFLUSHALL", gets: protocolError + "this is a Redis server, not HTTP\r\n", then: closed},
	{what: "a TLS ClientHello", send: clientHello, then: waits, limit: "request_timeout"},
	{what: "a PROXY protocol header, version 1", send: "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\nPING\r\n", gets: unknown("PROXY", "TCP4", "127.0.0.1", "127.0.0.1", "1", "2") + pongReply, then: stays},
	{what: "a PROXY protocol header, version 2", send: "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01\x00\x01\x00\x02", gets: okReply, then: closed},
	{what: "10 MB of random bytes", send: rubbish(10 << 20), gets: "-ERR ", starts: true, then: closed},

	// Manners.
	{what: "half a request, then the end", send: "*2\r\n$3\r\nGET\r\n$10\r\nhalf", then: leaves, after: func(c *rawConn) { c.finish(); c.wantClosed() }},
	{what: "half a request, then a reset", send: "*2\r\n$3\r\nGET\r\n$10\r\nhalf", then: leaves, after: (*rawConn).abort},
	{what: "requests, then a reset before the responses", send: strings.Repeat(request("GET", "k"), 10_000), then: leaves, after: (*rawConn).abort},
}

var hostileToMemcache = []hostile{
	// Lengths.
	{what: "a value of -1 bytes", send: "set k 0 0 -1\r\n", gets: "CLIENT_ERROR bad command line format\r\n", then: stays},
	{what: "a value of 2^31 bytes", send: "set k 0 0 2147483648\r\n", gets: "CLIENT_ERROR bad command line format\r\n", then: stays},
	{what: "a value of 2^63 bytes", send: "set k 0 0 9223372036854775808\r\n", gets: "CLIENT_ERROR bad command line format\r\n", then: stays},
	{what: "a value of 2^64 bytes", send: "set k 0 0 18446744073709551616\r\n", gets: "CLIENT_ERROR bad command line format\r\n", then: stays},
	{what: "a value of 1 GB, of which one byte comes", send: "set k 0 0 1073741824\r\nx", then: waits, limit: "request_size, request_timeout"},
	{what: "a meta value of 2^64 bytes", send: "ms k 18446744073709551616\r\n", gets: "CLIENT_ERROR bad command line format\r\n", then: stays},
	{what: "an incr by 2^64", send: "incr k 18446744073709551616\r\n", gets: "CLIENT_ERROR invalid numeric delta argument\r\n", then: stays},

	// Keys.
	{what: "a key of 250 bytes", send: set(strings.Repeat("k", 250), "v"), gets: "STORED\r\n", then: stays},
	{what: "a key of 251 bytes", send: set(strings.Repeat("k", 251), "v"), gets: "CLIENT_ERROR bad command line format\r\n", then: stays},
	{what: "a key of 64 KB", send: "get " + strings.Repeat("k", 64<<10) + "\r\n", gets: "CLIENT_ERROR bad command line format\r\n", then: stays},
	{what: "a key of 64 KB in a set", send: "set " + strings.Repeat("k", 64<<10) + " 0 0 1\r\nv\r\n", gets: "CLIENT_ERROR line too long\r\n", then: closed},
	{what: "a NUL in a key", send: "get a\x00b\r\n", gets: "CLIENT_ERROR control byte in command line\r\n", then: stays},
	{what: "a get of 500000 keys", send: "get" + strings.Repeat(" k", 500_000) + "\r\n", gets: "END\r\n", then: stays, limit: "request_keys"},
	{what: "a get of 2000000 keys", send: "get" + strings.Repeat(" k", 2_000_000) + "\r\n", gets: "CLIENT_ERROR line too long\r\n", then: closed},

	// Shapes.
	{what: "LF without CR", send: "get k\n", gets: "END\r\n", then: stays},
	{what: "LF without CR behind a value", send: "set k 0 0 1\nv\n\n", gets: "CLIENT_ERROR bad data chunk\r\n", then: stays},
	{what: "CR without LF", send: "get k\rget k\r", then: waits, limit: "request_timeout"},
	{what: "NULs without an end", send: strings.Repeat("\x00", 1<<20), gets: "CLIENT_ERROR line too long\r\n", then: closed},
	{what: "a line of 1 MB without an end", send: strings.Repeat("x", 1<<20), gets: "CLIENT_ERROR line too long\r\n", then: closed},
	{what: "10000 empty lines", send: strings.Repeat("\r\n", 10_000), gets: strings.Repeat("ERROR\r\n", 10_000), then: stays},
	{what: "a response as a request", send: "STORED\r\nEND\r\nVALUE k 0 1\r\nv\r\n", gets: strings.Repeat("ERROR\r\n", 4), then: stays},
	{what: "a value that is longer than announced", send: "set k 0 0 1\r\nvv\r\n", gets: "CLIENT_ERROR bad data chunk\r\nERROR\r\n", then: stays},

	// Other protocols.
	{what: "the binary protocol, a request", send: "\x80\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01", gets: "CLIENT_ERROR binary protocol not supported, use the text protocol\r\n", then: closed},
	{what: "the binary protocol, a response", send: "\x81\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01", then: waits, limit: "request_timeout"},
	{what: "Redis", send: request("GET", "k"), gets: strings.Repeat("ERROR\r\n", 5), then: stays},
	{what: "HTTP GET", send: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", gets: "ERROR\r\n", then: closed},
	{what: "HTTP POST", send: "POST / HTTP/1.1\r\nHost: x\r\n\r\nset k 0 0 1\r\nv\r\n", gets: "ERROR\r\n", then: closed},
	{what: "a TLS ClientHello", send: clientHello, then: waits, limit: "request_timeout"},
	{what: "a PROXY protocol header, version 1", send: "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n", gets: "ERROR\r\n", then: stays},
	{what: "a PROXY protocol header, version 2", send: "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01\x00\x01\x00\x02", gets: strings.Repeat("ERROR\r\n", 4), then: waits, limit: "request_timeout"},
	{what: "10 MB of random bytes", send: rubbish(10 << 20), gets: "", starts: true, then: closed},

	// Manners.
	{what: "half a value, then the end", send: "set k 0 0 10\r\nhalf", then: leaves, after: func(c *rawConn) { c.finish(); c.wantClosed() }},
	{what: "half a line, then a reset", send: "get half", then: leaves, after: (*rawConn).abort},
	{what: "requests, then a reset before the responses", send: strings.Repeat("get k\r\n", 10_000), then: leaves, after: (*rawConn).abort},
}

// TestHalfRequestsEnd: whoever begins a request and does not end it is told so and closed when request_timeout is over; who has
// sent nothing stays.
func TestHalfRequestsEnd(t *testing.T) {
	t.Parallel()
	const limit = "request_timeout: 300"
	for _, protocol := range []struct {
		name, option, told, ping, pong string
		cases                          []hostile
	}{
		{"redis", "redis: true", protocolError + "request not complete in time (request_timeout)\r\n", "PING\r\n", pongReply, hostileToRedis},
		{"memcached", "redis: false", "CLIENT_ERROR request not complete in time (request_timeout)\r\n", "unknown\r\n", "ERROR\r\n", hostileToMemcache},
	} {
		t.Run(protocol.name, func(t *testing.T) {
			t.Parallel()
			n := startNutmeg(t, poolConf(protocol.option+"\n"+limit, "127.0.0.1:1 a"))
			idle := dial(t, n.Addr())
			senders := map[*hostile]*rawConn{}
			for i := range protocol.cases {
				if h := &protocol.cases[i]; h.then == waits {
					senders[h] = dial(t, n.Addr())
					senders[h].send(h.send)
				}
			}
			if len(senders) < 4 {
				t.Fatalf("only %d cases wait", len(senders))
			}
			for h, c := range senders {
				rest, err := io.ReadAll(c.r)
				if string(rest) != h.gets+protocol.told || (err != nil && !errors.Is(err, syscall.ECONNRESET)) {
					t.Errorf("%s: got %s and error %v, want %s", h.what, short(string(rest)), err, short(h.gets+protocol.told))
				}
			}
			idle.send(protocol.ping)
			idle.want(protocol.pong)
		})
	}
}

// TestSlowSender: a request may come byte by byte, for as long as it likes, and keeps nobody waiting. request_timeout bounds it.
func TestSlowSender(t *testing.T) {
	t.Parallel()
	server := testkit.Redis(t)
	n := startNutmeg(t, poolConf("redis: true", server.Addr()+" a"))
	slow, other := dial(t, n.Addr()), dial(t, n.Addr())
	text := request("SET", "slow", "v") + request("GET", "slow")
	for _, b := range []byte(text) {
		slow.send(string(b))
		other.wantAsk(pongReply, "PING") // the daemon has seen the byte before it goes on
	}
	slow.want(okReply + bulk("v"))
}

// TestManyHalfRequests: what a crowd has begun to send costs no more than what it has sent.
func TestManyHalfRequests(t *testing.T) {
	t.Parallel()
	const clients, piece = 500, 10_000
	server := testkit.Redis(t)
	n := startNutmeg(t, poolConf("redis: true", server.Addr()+" a"))
	witness := dial(t, n.Addr())
	witness.wantAsk(okReply, "SET", "w", "1")
	before := n.figures()
	half := "*2\r\n$3\r\nGET\r\n$536870912\r\n" + string(bytes.Repeat([]byte("x"), piece))
	for range clients {
		dial(t, n.Addr()).send(half)
	}
	n.waitPool("alpha", "the clients", func(p PoolStats) error {
		witness.wantAsk(bulk("1"), "GET", "w")
		return p.want(map[string]int64{"client_connections": clients + 1})
	})
	after := n.figures()
	most := clients * piece * 4
	if raceEnabled {
		most *= 6
	}
	if grown := after.resident - before.resident; grown > most+8<<20 {
		t.Errorf("%d MB for %d clients that sent %d KB each", grown>>20, clients, piece>>10)
	}
	t.Logf("before: %v, after: %v", before, after)
}
