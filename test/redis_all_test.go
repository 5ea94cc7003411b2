package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestRedisDataOfAllServers(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 3, workers: 1})
	c := b.dial(t)
	c.wantAsk(integer(0), "DBSIZE")
	c.wantAsk("*0\r\n", "KEYS", "*")
	c.wantAsk(nullReply, "RANDOMKEY")
	keys := named("key-", 3000)
	c.wantAsk(okReply, with("MSET", pairs(keys, keys)...)...)
	c.wantAsk(integer(1), "LPUSH", "list", "x")
	sorted := slices.Sorted(slices.Values(append(keys, "list")))

	c.wantAsk(integer(3001), "DBSIZE")
	if got := slices.Sorted(slices.Values(texts(t, c.ask("KEYS", "*")))); !slices.Equal(got, sorted) {
		t.Errorf("KEYS finds %d keys, want %d", len(got), len(sorted))
	}
	c.wantAsk(bulks("key-77"), "KEYS", "key-77")
	for _, options := range [][]string{nil, {"COUNT", "1000"}, {"MATCH", "*", "COUNT", "7"}} {
		if got := c.scan(options...); !slices.Equal(got, sorted) {
			t.Errorf("SCAN %v finds %d keys, want %d", options, len(got), len(sorted))
		}
	}
	if got := c.scan("TYPE", "list"); !slices.Equal(got, []string{"list"}) {
		t.Errorf("SCAN TYPE list finds %v", got)
	}
	if got := c.scan("MATCH", "key-12?"); len(got) != 10 {
		t.Errorf("SCAN MATCH finds %v", got)
	}
	owners := map[int]bool{}
	for range 100 {
		owners[b.owner(texts(t, "*1\r\n"+c.ask("RANDOMKEY"))[0])] = true
	}
	if len(owners) != 3 {
		t.Errorf("RANDOMKEY comes from servers %v, want all three", owners)
	}
	c.wantAsk(okReply, "FLUSHALL")
	for i := range 3 {
		b.dialServer(t, i).wantAsk(integer(0), "DBSIZE")
	}
	c.wantAsk("-ERR syntax error\r\n", "FLUSHALL", "NOW")
	c.wantAsk("-ERR syntax error\r\n", "SCAN", "0", "COUNT", "0")
	c.wantAsk("-ERR invalid cursor\r\n", "SCAN", "x")
	c.wantAsk("-ERR wrong number of arguments for 'dbsize' command\r\n", "DBSIZE", "x")
}

// TestRedisAllInAPipeline: the responses of requests to all servers keep their places.
func TestRedisAllInAPipeline(t *testing.T) {
	t.Parallel()
	c := startRedisBed(t, bedOptions{servers: 3}).dial(t)
	var send, want strings.Builder
	for i, key := range named("p-", 300) {
		send.WriteString(request("SET", key, key) + request("DBSIZE") + request("GET", key) + request("KEYS", key))
		want.WriteString(okReply + integer(i+1) + bulk(key) + bulks(key))
	}
	c.send(send.String() + "DBSIZE\r\n")
	c.want(want.String() + integer(300))
}

func TestRedisAdministrationOfAllServers(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 3})
	c := b.dial(t)
	all := func(want string, args ...string) {
		t.Helper()
		for i := range 3 {
			b.dialServer(t, i).wantAsk(want, args...)
		}
	}
	c.wantAsk(okReply, "CONFIG", "SET", "maxmemory-samples", "7")
	all(bulks("maxmemory-samples", "7"), "CONFIG", "GET", "maxmemory-samples")
	c.wantAsk(bulks("maxmemory-samples", "7"), "CONFIG", "GET", "maxmemory-samples")
	b.dialServer(t, 1).wantAsk(okReply, "CONFIG", "SET", "maxmemory-samples", "9")
	c.wantAsk(bulks("maxmemory-samples", "differs: s1=7 s2=9 s3=7"), "CONFIG", "GET", "maxmemory-samples")
	c.wantAsk("*0\r\n", "CONFIG", "GET", "none")

	const one = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
	c.wantAsk(bulk(one), "SCRIPT", "LOAD", "return 1")
	all(array(integer(1)), "SCRIPT", "EXISTS", one)
	c.wantAsk(array(integer(1), integer(0)), "SCRIPT", "EXISTS", one, "none")
	b.dialServer(t, 1).wantAsk(okReply, "SCRIPT", "FLUSH")
	c.wantAsk(array(integer(0), integer(0)), "SCRIPT", "EXISTS", one, "none")
	c.wantAsk("-NOTBUSY No scripts in execution right now.\r\n", "SCRIPT", "KILL")

	const library = "#!lua name=lib\nredis.register_function('f', function() return 5 end)"
	c.wantAsk(bulk("lib"), "FUNCTION", "LOAD", library)
	for _, key := range []string{b.key(0, "k"), b.key(1, "k"), b.key(2, "k")} {
		c.wantAsk(integer(5), "FCALL", "f", "1", key)
	}
	if list := c.ask("FUNCTION", "LIST"); !strings.HasPrefix(list, "*1\r\n") {
		t.Errorf("FUNCTION LIST answers %s", short(list))
	}
	c.wantAsk("-ERR Library 'lib' already exists\r\n", "FUNCTION", "LOAD", library)
	b.dialServer(t, 1).wantAsk(okReply, "FUNCTION", "FLUSH")
	c.wantAsk("-ERR Library not found (server s2; done by 2 of 3 servers)\r\n", "FUNCTION", "DELETE", "lib")
	all("*0\r\n", "FUNCTION", "LIST")

	c.wantAsk(okReply, "ACL", "SETUSER", "alice", "on")
	all(bulks("alice", "default"), "ACL", "USERS")
	c.wantAsk(bulks("alice", "default"), "ACL", "USERS")
	b.dialServer(t, 2).wantAsk(integer(1), "ACL", "DELUSER", "alice")
	c.wantAsk("-ERR the servers answer differently; NUTMEG ON <server> <command> asks one server\r\n", "ACL", "USERS")
	c.wantAsk(integer(1), "ACL", "DELUSER", "alice")

	c.wantAsk(okReply, "CONFIG", "SET", "slowlog-log-slower-than", "0")
	c.wantAsk(okReply, "SLOWLOG", "RESET")
	if got := c.ask("SLOWLOG", "GET", "2"); !strings.HasPrefix(got, "*2\r\n*6\r\n") {
		t.Errorf("SLOWLOG GET 2 answers %s", short(got))
	}
	if got := c.ask("SLOWLOG", "GET", "-1"); !strings.HasPrefix(got, "*") || strings.HasPrefix(got, "*2\r\n") {
		t.Errorf("SLOWLOG GET -1 answers %s", short(got))
	}
	for _, args := range [][]string{{"MEMORY", "STATS"}, {"LATENCY", "HISTOGRAM"}, {"TIME"}, {"COMMAND", "LIST"}, {"ROLE"}} {
		if got := c.ask(args...); !strings.HasPrefix(got, "*") {
			t.Errorf("%v answers %s", args, short(got))
		}
	}
	for _, args := range [][]string{{"MEMORY", "DOCTOR"}, {"MEMORY", "MALLOC-STATS"}, {"LATENCY", "DOCTOR"}} {
		if got := c.ask(args...); !strings.HasPrefix(got, "$") || !strings.Contains(got, "# server s3\n") {
			t.Errorf("%v answers %s", args, short(got))
		}
	}
	c.wantAsk("*0\r\n", "LATENCY", "LATEST")
	c.wantAsk("*0\r\n", "MODULE", "LIST")
	c.wantAsk("*0\r\n", "ACL", "LOG")
	c.wantAsk(okReply, "ACL", "LOG", "RESET")
	c.wantAsk(okReply, "SWAPDB", "0", "1")
}

// TestRedisOneServerAnswersAsItself: with one server behind it, the proxy says what the server says.
func TestRedisOneServerAnswersAsItself(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 1})
	c, direct := b.dial(t), b.dialServer(t, 0)
	keys := named("key-", 200)
	c.wantAsk(okReply, with("MSET", pairs(keys, keys)...)...)
	for _, line := range []string{
		"DBSIZE", "KEYS *", "SCAN 0", "SCAN 5 COUNT 50", "SCAN x", "SCAN 0 COUNT x", "CONFIG GET *", "CONFIG SET none 1", "SCRIPT EXISTS a b", "FUNCTION LIST",
		"FUNCTION STATS", "FUNCTION DUMP", "PUBSUB CHANNELS", "PUBSUB NUMSUB a b", "PUBSUB NUMPAT", "PUBLISH a b", "EVAL 'return 1' 0", "EVALSHA abc 0", "FCALL none 0",
		"ACL LIST", "ACL WHOAMI", "ACL CAT", "LASTSAVE", "ROLE", "MODULE LIST", "SWAPDB 0 1", "SWAPDB 1 0", "LATENCY LATEST", "LATENCY RESET", "MEMORY PURGE",
		"MEMORY DOCTOR", "COMMAND COUNT", "CLUSTER INFO", "CLUSTER NODES", "OBJECT HELP", "CONFIG HELP", "PUBSUB HELP", "READONLY", "ASKING", "XREAD STREAMS s 0",
		"DBSIZE x", "INFO nothing", "SLOWLOG LEN x", "MIGRATE 127.0.0.1 1 none 0 10", "LOLWUT VERSION 5 1 1 1",
	} {
		args := strings.Fields(strings.ReplaceAll(line, "'return 1'", "return@1"))
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "@", " ")
		}
		got, want := c.ask(args...), direct.ask(args...)
		if got != want {
			t.Errorf("%s: got %s, want %s", line, short(got), short(want))
		}
	}
}

func TestRedisInfoOfAllServers(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 3, pool: []string{"timeout: 10000"}})
	c := b.dial(t)
	keys := named("key-", 50)
	c.wantAsk(okReply, with("MSET", pairs(keys, keys)...)...)
	want := func(reply string, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(reply, part) {
				t.Errorf("%q is missing in\n%s", part, reply)
			}
		}
	}
	want(c.ask("INFO"), "\r\ndb0:keys=50,expires=0,avg_ttl=0\r\n\r\n# Nutmeg\r\n", "\r\nredis_version:", "\r\npool_servers_in:3\r\n")
	want(c.ask("INFO", "keyspace"), "# Keyspace\r\ndb0:keys=50,expires=0,avg_ttl=0\r\n\r\n")
	want(c.ask("INFO", "NUTMEG"), "$", "# Nutmeg\r\n", "\r\npool:alpha\r\n", "\r\npool_servers:3\r\n", "\r\nclients:1\r\n")
	want(c.ask("INFO", "keyspace", "nutmeg"), "# Keyspace\r\ndb0:keys=50,", "# Nutmeg\r\nnutmeg_version:")

	// A dead server keeps nobody from the others, and is named.
	b.servers[1].Kill()
	want(c.ask("INFO", "server"), "# Server\r\nredis_version:", "# Nutmeg\r\nservers_missing:s2\r\n")
	for i := range b.servers {
		b.servers[i].Kill()
	}
	if got := c.ask("INFO"); !strings.HasPrefix(got, "-ERR Connection ") {
		t.Errorf("without a server INFO answers %s", short(got))
	}
	want(c.ask("INFO", "nutmeg"), "\r\npool_servers:3\r\n")
}

// TestRedisAllWithADeadServer: the error names the server, and whether others did it.
func TestRedisAllWithADeadServer(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 3, pool: []string{"timeout: 10000"}})
	c := b.dial(t)
	c.wantAsk(integer(0), "DBSIZE")
	b.servers[1].Kill()
	c.ask("GET", b.key(1, "k")) // the connection is found closed
	for range 3 {
		c.wantAsk("-ERR Connection refused (server s2)\r\n", "DBSIZE")
		c.wantAsk("-ERR Connection refused (server s2)\r\n", "KEYS", "*")
		c.wantAsk("-ERR Connection refused (server s2; done by 2 of 3 servers)\r\n", "FLUSHALL")
		c.wantAsk(pongReply, "PING")
	}
	if err := b.servers[1].Restart(); err != nil {
		t.Fatal(err)
	}
	c.wantAsk(integer(0), "DBSIZE")
}

// TestRedisAllWithAServerOut: reads go to those that are in; what all must do is not begun.
func TestRedisAllWithAServerOut(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 3, workers: 1, pool: []string{
		"timeout: 10000", "auto_eject_hosts: true", "server_failure_limit: 1", "server_retry_timeout: 3600000",
	}})
	c := b.dial(t)
	keys := slices.Concat(b.keys(0, 50, "a"), b.keys(1, 50, "b"), b.keys(2, 50, "c"))
	c.wantAsk(okReply, with("MSET", pairs(keys, keys)...)...)
	b.servers[1].Kill()
	eventually(t, "server s2 to be out", func() error {
		c.ask("GET", keys[50])
		if got := c.ask("NUTMEG", "SERVERS"); !strings.Contains(got, bulk("out")) {
			return fmt.Errorf("servers are %q", got)
		}
		return nil
	})
	c.wantAsk(integer(100), "DBSIZE")
	if got, want := c.scan("COUNT", "20"), slices.Sorted(slices.Values(slices.Concat(keys[:50], keys[100:]))); !slices.Equal(got, want) {
		t.Errorf("SCAN finds %d keys, want %d", len(got), len(want))
	}
	const out = "-ERR server s2 is out, and all have to do this; nothing was sent (NUTMEG ON <server> <command> asks one)\r\n"
	c.wantAsk(out, "FLUSHALL")
	c.wantAsk(integer(100), "DBSIZE")
	if got := c.ask("INFO"); !strings.Contains(got, "\r\nservers_missing:s2\r\n") || !strings.Contains(got, "\r\npool_servers_out:s2\r\n") {
		t.Errorf("INFO does not name the server that is out:\n%s", got)
	}
	c.wantAsk(okReply, "NUTMEG", "ON", "s1", "FLUSHALL")
	c.wantAsk(integer(50), "DBSIZE")
}

// TestRedisMessagesGoToTheServerOfTheirChannel: a subscriber there gets each once.
func TestRedisMessagesGoToTheServerOfTheirChannel(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 3})
	c := b.dial(t)
	for i := range 3 {
		channel := b.key(i, "channel")
		subscriber := b.dialServer(t, i)
		subscriber.wantAsk(array(bulk("subscribe"), bulk(channel), integer(1)), "SUBSCRIBE", channel)
		c.wantAsk(integer(1), "PUBLISH", channel, "hello")
		subscriber.want(array(bulk("message"), bulk(channel), bulk("hello")))
		c.wantAsk(bulks(channel), "PUBSUB", "CHANNELS", channel)
		c.wantAsk(array(bulk(channel), integer(1), bulk("none"), integer(0)), "PUBSUB", "NUMSUB", channel, "none")
	}
	c.wantAsk(integer(0), "PUBLISH", "none", "hello")
	c.wantAsk(integer(0), "PUBSUB", "NUMPAT")
}

func TestRedisReadsStreamsThatDoNotBlock(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{})
	c := b.dial(t)
	keys := b.keys(1, 2, "stream")
	for _, key := range keys {
		c.wantAsk(bulk("1-1"), "XADD", key, "1-1", "a", "b")
	}
	entry := array(array(bulk("1-1"), bulks("a", "b")))
	c.wantAsk(array(array(bulk(keys[0]), entry), array(bulk(keys[1]), entry)), "XREAD", "COUNT", "5", "STREAMS", keys[0], keys[1], "0", "0")
	c.wantAsk(okReply, "XGROUP", "CREATE", keys[0], "g", "0")
	c.wantAsk(array(array(bulk(keys[0]), entry)), "XREADGROUP", "GROUP", "g", "block", "STREAMS", keys[0], ">")
	if got := c.ask("XREAD", "STREAMS", keys[0], b.key(0, "stream"), "0", "0"); !strings.HasPrefix(got, "-CROSSSLOT ") {
		t.Errorf("streams of two servers: %s", short(got))
	}
}

// TestRedisAllWithVersion3: what servers answer in version 3 of the protocol is merged, too, and stays of its kind.
func TestRedisAllWithVersion3(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 3})
	c, direct := b.dial(t), b.dialServer(t, 0)
	for _, one := range []*rawConn{c, direct} {
		if got := one.ask("HELLO", "3"); !strings.HasPrefix(got, "%") {
			t.Fatalf("HELLO 3 answers %s", short(got))
		}
	}
	keys := named("key-", 100)
	c.wantAsk(okReply, with("MSET", pairs(keys, keys)...)...)
	for _, line := range []string{
		"KEYS *", "DBSIZE", "CONFIG GET maxmemory", "CONFIG GET port", "INFO", "INFO nutmeg", "PUBSUB CHANNELS", "PUBSUB NUMSUB a", "MEMORY STATS", "MEMORY DOCTOR",
		"FUNCTION STATS", "FUNCTION LIST", "LATENCY HISTOGRAM", "LATENCY LATEST", "SLOWLOG GET", "ACL LOG", "ACL USERS", "ACL GETUSER default", "SCRIPT EXISTS a",
		"RANDOMKEY", "SCAN 0", "ROLE", "TIME", "LASTSAVE",
	} {
		got, want := c.ask(strings.Fields(line)...), direct.ask(strings.Fields(line)...)
		if got[0] != want[0] {
			t.Errorf("%s: got %s, want what begins like %s", line, short(got), short(want))
		}
	}
	if got := c.scan(); len(got) != 100 {
		t.Errorf("SCAN finds %d keys", len(got))
	}
}

// TestRedisAllWithAnswersThatDoNotFit: a server that answers nonsense costs an error, and neither the connection nor the next request.
func TestRedisAllWithAnswersThatDoNotFit(t *testing.T) {
	t.Parallel()
	says := func(answer string) string {
		return serveScript(t, func(c *scriptedConn) {
			for words := c.request(); words != nil; words = c.request() {
				if strings.EqualFold(words[0], "GET") {
					c.say(bulk("value"))
					continue
				}
				c.say(answer)
			}
		}).addr
	}
	const unfit = "-ERR a server's answer is not of the kind that was expected; NUTMEG ON <server> <command> asks one server\r\n"
	for _, test := range []struct{ one, other, command, want string }{
		{"*1\r\n+a\r\n", ":1\r\n", "KEYS *", unfit},
		{"*1\r\n+a\r\n", "*-1\r\n", "KEYS *", unfit},
		{":1\r\n", "$1\r\n1\r\n", "DBSIZE", unfit},
		{":9223372036854775807\r\n", ":1\r\n", "DBSIZE", "-ERR the sum of the servers' answers is too large; NUTMEG ON <server> <command> asks one server\r\n"},
		{"$-1\r\n", "*1\r\n+a\r\n", "RANDOMKEY", unfit},
		{"+OK\r\n", "$4\r\n# X\n\r\n", "INFO server", "-"},
		{"*0\r\n", "*1\r\n*1\r\n+a\r\n", "SLOWLOG GET", unfit},
		{"*3\r\n+a\r\n+b\r\n+c\r\n", "*0\r\n", "CONFIG GET x", unfit},
		{"*2\r\n$1\r\nx\r\n*0\r\n", "+OK\r\n", "SCAN 0", "-ERR Invalid argument\r\n"},
		{
			"*2\r\n$20\r\n18446744073709551615\r\n*0\r\n", "+OK\r\n", "SCAN 0",
			"-ERR the cursor of server a leaves no room to name the server beside it; scan each server by NUTMEG ON <server> SCAN\r\n",
		},
		{"-ERR one\r\n", "-ERR other\r\n", "FLUSHALL", "-ERR one (server a; done by 0 of 2 servers)\r\n"},
		{"-ERR same\r\n", "-ERR same\r\n", "FLUSHALL", "-ERR same\r\n"},
		{"+OK\r\n", "-ERR other\r\n", "FLUSHALL", "-ERR other (server b; done by 1 of 2 servers)\r\n"},
		{"-NOTBUSY idle\r\n", "+OK\r\n", "SCRIPT KILL", "+OK\r\n"},
	} {
		n := startNutmeg(t, poolConf("redis: true\ndistribution: modula", says(test.one)+" a", says(test.other)+" b"))
		c := dial(t, n.Addr())
		if got := c.ask(strings.Fields(test.command)...); got != test.want && test.want != "-" {
			t.Errorf("%s, %q and %q: got %s, want %s", test.command, test.one, test.other, short(got), short(test.want))
		}
		c.wantAsk(bulk("value"), "GET", "k")
	}
}

// TestRedisAnyServerIsOneThatIsWell: what any server can answer is not asked of a dead one for long.
func TestRedisAnyServerIsOneThatIsWell(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 3, workers: 1, pool: []string{"timeout: 10000"}})
	c := b.dial(t)
	count := b.dialServer(t, 0).ask("COMMAND", "COUNT")
	c.wantAsk(count, "COMMAND", "COUNT")
	b.servers[b.owner("placeholder")].Kill()
	eventually(t, "another server to be asked", func() error {
		if got := c.ask("COMMAND", "COUNT"); got != count {
			return fmt.Errorf("got %q", got)
		}
		return nil
	})
	for range 10 {
		c.wantAsk(count, "COMMAND", "COUNT")
	}
}

// TestRedisGraphOfOneServer: a server that has no samples does not hide those of another.
func TestRedisGraphOfOneServer(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 3, serverArgs: []string{"--enable-debug-command", "yes"}})
	c := b.dial(t)
	c.wantAsk("-ERR No samples available for event 'command'\r\n", "LATENCY", "GRAPH", "command")
	c.wantAsk(okReply, "CONFIG", "SET", "latency-monitor-threshold", "1")
	b.dialServer(t, 1).wantAsk(okReply, "DEBUG", "SLEEP", "0.01")
	got := c.ask("LATENCY", "GRAPH", "command")
	if !strings.HasPrefix(got, "$") || !strings.Contains(got, "# server s1\nERR No samples") || !strings.Contains(got, "# server s2\ncommand - high") {
		t.Errorf("got %s", short(got))
	}
}
