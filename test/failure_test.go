package test

import (
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"nutmeg/internal/testkit"
)

const failTimeout = 400 * time.Millisecond

// What one server does to the first request that it gets, and the error that the client then gets. The client's
// connection lives on, and the next request is served as if nothing had been.
var failures = []struct {
	rule    string
	run     script
	want    string
	slow    bool   // comes with the time-out, not before
	counter string // of the server, 1 afterwards
}{
	{"a server that closes without an answer", func(c *scriptedConn) { c.request() }, "-ERR Connection closed by server\r\n", false, "server_eof"},
	{"a server that resets", func(c *scriptedConn) { c.request(); c.reset() }, "-ERR Connection reset by peer\r\n", false, "server_err"},
	{"a server that resets before it has read", func(c *scriptedConn) { c.reset() }, "-ERR Connection reset by peer\r\n", false, "server_err"},
	{"a server that never answers", hang, "-ERR Connection timed out\r\n", true, "server_timedout"},
	{"a server that sends half of a reply and closes", afterOne("$100\r\nhalf", func(*scriptedConn) {}), "-ERR Connection closed by server\r\n", false, "server_eof"},
	{"a server that sends half of a reply and hangs", afterOne("$100\r\nhalf", hang), "-ERR Connection timed out\r\n", true, "server_timedout"},
	{"a server that sends a line without its end", afterOne("+OK\r", hang), "-ERR Connection timed out\r\n", true, "server_timedout"},
	{"a server that sends words", afterOne("hello\r\n", hang), "-ERR Invalid argument\r\n", false, "server_err"},
	{"a server that speaks HTTP", afterOne("HTTP/1.1 400 Bad Request\r\n\r\n", hang), "-ERR Invalid argument\r\n", false, "server_err"},
	{"a server that sends a wrong length", afterOne("$3\r\nabcd\r\n", hang), "-ERR Invalid argument\r\n", false, "server_err"},
	{"a server that sends a number that is none", afterOne(":12x\r\n", hang), "-ERR Invalid argument\r\n", false, "server_err"},
	{"a server that is loading", afterOne("-LOADING Redis is loading the dataset in memory\r\n", sayName("a")), "-LOADING Redis is loading the dataset in memory\r\n", false, ""},
	{"a server without memory", afterOne("-OOM command not allowed when used memory > 'maxmemory'.\r\n", sayName("a")), "-OOM command not allowed when used memory > 'maxmemory'.\r\n", false, ""},
	{"a server that moved", afterOne("-MOVED 1 127.0.0.1:1\r\n", sayName("a")), "-MOVED 1 127.0.0.1:1\r\n", false, ""},
}

func TestFailingServerErrorTexts(t *testing.T) {
	t.Parallel()
	for _, test := range failures {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			server := serveScript(t, func(c *scriptedConn) {
				if c.number == 1 {
					test.run(c)
					return
				}
				sayName("a")(c)
			})
			n := startNutmeg(t, poolConf("redis: true\ntimeout: 400", server.addr+" a"))
			c := dial(t, n.Addr())
			start := time.Now()
			if got := c.ask("GET", "k"); got != test.want {
				t.Fatalf("got %q, want %q", got, test.want)
			}
			if took := time.Since(start); test.slow && took < failTimeout {
				t.Errorf("the error came after %v, before the time-out of %v", took, failTimeout)
			}
			if got := c.ask("GET", "k"); got != bulk("a") {
				t.Errorf("the next request got %q, want %q", got, bulk("a"))
			}
			want := map[string]int64{"server_eof": 0, "server_err": 0, "server_timedout": 0, "forward_error": 0, "server_ejects": 0, "server_connections": 1}
			if test.counter != "" {
				want[test.counter], want["forward_error"] = 1, 1
			}
			n.waitPool("alpha", "the counters of the failure", func(p PoolStats) error { return p.want(want) })
		})
	}
}

// Servers that cannot be reached at all.
func TestUnreachableServerErrorTexts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rule   string
		server func(t *testing.T) string
		want   string
		slow   bool
	}{
		{"nobody listens", func(t *testing.T) string { return "127.0.0.1:" + strconv.Itoa(testkit.FreePort(t)) }, "Connection refused", false},
		{"the connection is not made in time", fullBacklog, "Connection timed out", true},
		{"the host's name does not resolve", func(*testing.T) string { return "no-such-host.invalid:6379" }, "Host is down", false},
		{"there is no unix socket", func(t *testing.T) string { return t.TempDir() + "/none" }, "No such file or directory", false},
	} {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			server := test.server(t) + " a"
			for _, protocol := range []struct{ option, bytes, prefix string }{
				{"redis: true", request("GET", "k"), "-ERR "},
				{"redis: false", "get k\r\n", "SERVER_ERROR "},
			} {
				n := startNutmeg(t, poolConf(protocol.option+"\ntimeout: 400", server))
				c := dial(t, n.Addr())
				want := protocol.prefix + test.want + "\r\n"
				for range 2 {
					start := time.Now()
					c.send(protocol.bytes)
					c.want(want)
					if took := time.Since(start); test.slow && took < failTimeout {
						t.Errorf("the error came after %v, before the time-out of %v", took, failTimeout)
					}
				}
				c.send(strings.Repeat(protocol.bytes, 3))
				c.want(strings.Repeat(want, 3))
			}
		})
	}
}

// fullBacklog is a listening address that leaves connections unanswered, as a machine does that has lost its network.
func fullBacklog(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	port := testkit.FreePort(t)
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	addr := "127.0.0.1:" + strconv.Itoa(port)
	for range 100 {
		conn, err := net.DialTimeout("tcp", addr, 100*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Fatal("the backlog takes every connection")
	return ""
}

// One deadline closes the connection: every request on it fails, of every client, and the late reply reaches nobody.
func TestTimeoutFailsTheWholeConnection(t *testing.T) {
	t.Parallel()
	late := make(chan struct{})
	server := serveScript(t, func(c *scriptedConn) {
		if c.number > 1 {
			sayName("right")(c)
			return
		}
		for range 3 {
			c.request()
		}
		<-late
		for range 3 {
			c.say(bulk("late"))
		}
	})
	n := startNutmeg(t, poolConf("redis: true\ntimeout: 400", server.addr+" a"))
	first, second := dial(t, n.Addr()), dial(t, n.Addr())
	start := time.Now()
	first.send(request("GET", "a") + request("GET", "b"))
	n.waitPool("alpha", "two requests at the server", func(p PoolStats) error { return p.want(map[string]int64{"out_queue": 2}) })
	second.send(request("GET", "c"))
	first.want(strings.Repeat("-ERR Connection timed out\r\n", 2))
	if took := time.Since(start); took < failTimeout {
		t.Errorf("timed out after %v, want %v", took, failTimeout)
	}
	second.want("-ERR Connection timed out\r\n")
	close(late)
	for range 20 {
		for _, c := range []*rawConn{first, second} {
			if got := c.ask("GET", "k"); got != bulk("right") {
				t.Fatalf("got %q, want %q", got, bulk("right"))
			}
		}
	}
	n.waitPool("alpha", "counters", func(p PoolStats) error {
		return p.want(map[string]int64{"server_timedout": 1, "server_err": 0, "server_eof": 0, "forward_error": 3, "requests": 43, "responses": 40})
	})
}

// A server that answers in time, each time, is not timed out however long the connection lives.
func TestTimeoutIsOfOneRequest(t *testing.T) {
	t.Parallel()
	server := serveScript(t, func(c *scriptedConn) {
		for tick := time.NewTicker(50 * time.Millisecond); c.request() != nil; {
			<-tick.C
			c.say("+OK\r\n")
		}
	})
	n := startNutmeg(t, poolConf("redis: true\ntimeout: 400", server.addr+" a"))
	c := dial(t, n.Addr())
	for start := time.Now(); time.Since(start) < 3*failTimeout; {
		if got := c.ask("GET", "k"); got != "+OK\r\n" {
			t.Fatalf("got %q after %v", got, time.Since(start))
		}
	}
}

// A reply that nobody asked for closes the connection; whoever comes next must not get it.
func TestStrayReplyReachesNobody(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ rule, reply string }{
		{"behind the reply", bulk("right") + bulk("stray")},
		{"half of one", bulk("right") + "$5\r\nst"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			server := serveScript(t, func(c *scriptedConn) {
				if c.number == 1 {
					afterOne(test.reply, hang)(c)
					return
				}
				sayName("right")(c)
			})
			n := startNutmeg(t, poolConf("redis: true", server.addr+" a"))
			first, second := dial(t, n.Addr()), dial(t, n.Addr())
			if got := first.ask("GET", "k"); got != bulk("right") {
				t.Fatalf("got %q", got)
			}
			n.waitPool("alpha", "the connection to be closed", func(p PoolStats) error {
				return p.want(map[string]int64{"server_err": 1, "server_connections": 0})
			})
			for range 5 {
				if got := second.ask("GET", "k"); got != bulk("right") {
					t.Fatalf("got %q", got)
				}
			}
		})
	}
}

// All that is on a failed connection fails, in its client's order, and what was answered before stays.
func TestFailureInsideAPipeline(t *testing.T) {
	t.Parallel()
	server := serveScript(t, func(c *scriptedConn) {
		if c.number == 1 {
			for range 5 {
				c.request()
			}
			c.say(bulk("one") + bulk("two"))
			return
		}
		sayName("right")(c)
	})
	n := startNutmeg(t, poolConf("redis: true", server.addr+" a"))
	c := dial(t, n.Addr())
	c.send(strings.Repeat(request("GET", "k"), 2) + request("PING") + strings.Repeat(request("GET", "k"), 3) + request("PING"))
	c.want(bulk("one") + bulk("two") + "+PONG\r\n" + strings.Repeat("-ERR Connection closed by server\r\n", 3) + "+PONG\r\n")
	if got := c.ask("GET", "k"); got != bulk("right") {
		t.Errorf("got %q", got)
	}
	n.waitPool("alpha", "counters", func(p PoolStats) error {
		return p.want(map[string]int64{"server_eof": 1, "forward_error": 3, "requests": 6, "responses": 3})
	})
}

// A client that has gone leaves its requests behind; their replies reach nobody else.
func TestRepliesOfAClientThatHasGone(t *testing.T) {
	t.Parallel()
	answer := make(chan struct{})
	server := serveScript(t, func(c *scriptedConn) {
		for i := 0; ; i++ {
			words := c.request()
			if words == nil {
				return
			}
			if i == 0 {
				<-answer
			}
			c.say(bulk(words[1]))
		}
	})
	n := startNutmeg(t, poolConf("redis: true", server.addr+" a"))
	gone, stays := dial(t, n.Addr()), dial(t, n.Addr())
	gone.send(request("GET", "of the one that goes") + request("GET", "too"))
	n.waitPool("alpha", "its requests at the server", func(p PoolStats) error { return p.want(map[string]int64{"out_queue": 2}) })
	gone.abort()
	n.waitPool("alpha", "the client to be gone", func(p PoolStats) error { return p.want(map[string]int64{"client_connections": 1, "client_err": 1}) })
	stays.send(request("GET", "mine") + request("GET", "mine too"))
	close(answer)
	stays.want(bulk("mine") + bulk("mine too"))
	n.waitPool("alpha", "counters", func(p PoolStats) error {
		return p.want(map[string]int64{"requests": 4, "responses": 2, "server_connections": 1, "forward_error": 0, "out_queue": 0})
	})
}

// A fragment's failure is the whole request's, with its own text, and the client's connection lives on.
func TestSplitRequestWithAFailingServer(t *testing.T) {
	t.Parallel()
	array := func(c *scriptedConn) {
		for words := c.request(); words != nil; words = c.request() {
			switch strings.ToLower(words[0]) {
			case "mget":
				c.say(bulks(words[1:]...))
			case "del":
				c.say(":" + strconv.Itoa(len(words)-1) + "\r\n")
			default:
				c.say("+OK\r\n")
			}
		}
	}
	good := serveScript(t, array)
	bad := "127.0.0.1:" + strconv.Itoa(testkit.FreePort(t))
	n := startNutmeg(t, poolConf("redis: true\ndistribution: modula\nhash: fnv1a_64", good.addr+" a", bad+" b"))
	c := dial(t, n.Addr())
	const refused = "-ERR Connection refused\r\n"
	keys := keysByReply(c, 2, func(reply string) bool { return reply == refused })
	dead, alive := keys[true], keys[false]
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"MGET", alive[0], dead[0]}, refused},
		{[]string{"MGET", dead[0], alive[0], dead[1]}, refused},
		{[]string{"DEL", alive[0], dead[0]}, refused},
		{[]string{"MSET", alive[0], "v", dead[0], "v"}, refused},
		{[]string{"MGET", alive[0], alive[1]}, bulks(alive[0], alive[1])},
		{[]string{"DEL", alive[0], alive[1]}, ":2\r\n"},
		{[]string{"GET", dead[0]}, refused},
	} {
		if got := c.ask(test.args...); got != test.want {
			t.Errorf("%q: got %q, want %q", test.args, got, test.want)
		}
	}
}

// keysByReply finds so many keys each whose GET does and does not get a certain reply.
func keysByReply(c *rawConn, count int, is func(reply string) bool) map[bool][]string {
	c.t.Helper()
	found := map[bool][]string{}
	for i := 0; len(found[true]) < count || len(found[false]) < count; i++ {
		if i > 1000 {
			c.t.Fatal("1000 keys belong to one server")
		}
		key := "key:" + strconv.Itoa(i)
		yes := is(c.ask("GET", key))
		found[yes] = append(found[yes], key)
	}
	return found
}

// A server's host name is looked up at each connection, and all its addresses are tried.
func TestServerByName(t *testing.T) {
	t.Parallel()
	server := serveScript(t, sayName("a")) // on 127.0.0.1 alone, whatever else the name stands for
	_, port, err := net.SplitHostPort(server.addr)
	if err != nil {
		t.Fatal(err)
	}
	n := startNutmeg(t, poolConf("redis: true", "localhost:"+port+" a"))
	c := dial(t, n.Addr())
	c.wantAll("k", 2, bulk("a"))
	goDown(n, server, "a")
	c.wantAll("k", 2, refusedReply)
	server.up()
	c.wantAll("k", 2, bulk("a"))
}
