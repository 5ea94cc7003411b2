package test

import (
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nutmeg/internal/resp"
)

// texts is the strings of a reply that is a list of them.
func texts(t testing.TB, reply string) (all []string) {
	t.Helper()
	r := resp.NewReader([]byte(reply))
	head, ok := r.Next()
	if !ok || !head.IsList() {
		t.Fatalf("got %s, want a list", short(reply))
	}
	for range head.Count {
		v, ok := r.Next()
		if !ok || !v.IsText() {
			t.Fatalf("got %s, want a list of strings", short(reply))
		}
		all = append(all, string(v.Text))
	}
	return all
}

// scan reads a SCAN to its end and returns what it found, sorted.
func (c *rawConn) scan(options ...string) (all []string) {
	c.t.Helper()
	for cursor, pages := "0", 0; ; pages++ {
		reply := c.ask(slices.Concat([]string{"SCAN", cursor}, options)...)
		r := resp.NewReader([]byte(reply))
		head, _ := r.Next()
		next, ok := r.Next()
		page, whole := r.Element()
		if !ok || !whole || head.Count != 2 || r.Len() > 0 {
			c.t.Fatalf("SCAN %s: got %s", cursor, short(reply))
		}
		all = append(all, texts(c.t, string(page))...)
		if cursor = string(next.Text); cursor == "0" {
			slices.Sort(all)
			return slices.Compact(all)
		}
		if pages > 100000 {
			c.t.Fatal("the scan does not end")
		}
	}
}

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

func TestRedisCLIScansAllServers(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 3})
	c := b.dial(t)
	keys := named("key-", 500)
	c.wantAsk(okReply, with("MSET", pairs(keys, keys)...)...)
	host, port, _ := strings.Cut(b.Addr(), ":")
	cli := func(args ...string) string {
		out, err := exec.Command("redis-cli", append([]string{"-h", host, "-p", port}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("redis-cli %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	found := strings.Fields(cli("--scan"))
	if slices.Sort(found); !slices.Equal(found, slices.Sorted(slices.Values(keys))) {
		t.Errorf("--scan finds %d keys, want %d", len(found), len(keys))
	}
	for _, mode := range []string{"--bigkeys", "--memkeys"} {
		if out := cli(mode); !strings.Contains(out, "Sampled 500 keys in the keyspace!") {
			t.Errorf("%s prints\n%s", mode, out)
		}
	}
}

// TestRedisScanWhoseServersChange: a scan that began with other servers is refused, not led on through some of the keys.
func TestRedisScanWhoseServersChange(t *testing.T) {
	t.Parallel()
	o := bedOptions{servers: 3}
	b := startRedisBed(t, o)
	c := b.dial(t)
	keys := named("key-", 300)
	c.wantAsk(okReply, with("MSET", pairs(keys, keys)...)...)
	r := resp.NewReader([]byte(c.ask("SCAN", "0")))
	_, _ = r.Next()
	cursor, _ := r.Next()

	o.listen = b.Addr()
	b.reload(bedYAML(o, b.servers[:2]))
	c.wantAsk("-ERR invalid cursor: it is not of the servers that this pool has now; begin again with 0\r\n", "SCAN", string(cursor.Text))
	c.wantAsk("-ERR invalid cursor: it is not of the servers that this pool has now; begin again with 0\r\n", "SCAN", "1")
	b.reload(bedYAML(o, b.servers))
	if reply := c.ask("SCAN", string(cursor.Text)); !strings.HasPrefix(reply, "*2\r\n") {
		t.Errorf("back with the old servers, the scan gets %s", short(reply))
	}
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

// TestRedisRefusalsOfAdministration: what would harm others is refused, with one server, too.
func TestRedisRefusalsOfAdministration(t *testing.T) {
	t.Parallel()
	for _, servers := range []int{1, 3} {
		c := startRedisBed(t, bedOptions{servers: servers}).dial(t)
		for _, args := range [][]string{
			{"SHUTDOWN"}, {"REPLICAOF", "NO", "ONE"}, {"SLAVEOF", "NO", "ONE"}, {"FAILOVER"}, {"DEBUG", "SLEEP", "0"}, {"SYNC"}, {"PSYNC", "?", "-1"},
			{"REPLCONF", "ACK", "0"}, {"SCRIPT", "DEBUG", "YES"},
		} {
			if got := c.ask(args...); !strings.HasPrefix(got, "-ERR nutmeg does not run '"+strings.ToLower(args[0])) {
				t.Errorf("%d servers: %v answers %s", servers, args, short(got))
			}
		}
		c.wantAsk("-ERR This instance has cluster support disabled\r\n", "READONLY")
		c.wantAsk("-ERR This instance has cluster support disabled\r\n", "CLUSTER", "INFO")
		c.wantAsk(pongReply, "PING")
	}
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

func TestRedisOneServerByName(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 3})
	c := b.dial(t)
	for i := range 3 {
		name := "s" + strconv.Itoa(i+1)
		key := b.key(i, "k")
		c.wantAsk(bulks(name), "NUTMEG", "WHERE", key)
		c.wantAsk(okReply, "NUTMEG", "ON", name, "SET", key, "a\r\nb")
		b.dialServer(t, i).wantAsk(bulk("a\r\nb"), "GET", key)
		c.wantAsk(integer(1), "nutmeg", "on", name, "dbsize")
		c.wantAsk(bulks("port", strconv.Itoa(b.servers[i].Port())), "NUTMEG", "ON", name, "CONFIG", "GET", "port")
	}
	c.wantAsk(bulks("s1", "s2", "s1"), "NUTMEG", "WHERE", b.key(0, "k"), b.key(1, "k"), b.key(0, "k"))
	c.wantAsk(array(bulks("s1", b.servers[0].Addr(), "in"), bulks("s2", b.servers[1].Addr(), "in"), bulks("s3", b.servers[2].Addr(), "in")), "NUTMEG", "SERVERS")
	c.wantAsk("-ERR this pool has no server 's4'; it has s1,s2,s3\r\n", "NUTMEG", "ON", "s4", "PING")
	c.send("NUTMEG ON s2 PING\r\n")
	c.want(pongReply)
	for _, args := range [][]string{
		{"MULTI"}, {"SUBSCRIBE", "a"}, {"MONITOR"}, {"SELECT", "1"}, {"BLPOP", "a", "0"}, {"SHUTDOWN"}, {"SYNC"}, {"NUTMEG", "HELP"}, {"NONE"},
		{"CLIENT", "REPLY", "OFF"}, {"CONFIG", "NONE"}, {"XREAD", "BLOCK", "0", "STREAMS", "s", "0"}, {"HELLO"}, {"QUIT"}, {"CLIENT", "TRACKING", "ON"},
		{"WAIT", "1", "0"}, {"RESET"}, {"AUTH", "x"}, {"SCRIPT", "DEBUG", "YES"}, {"READONLY"}, {"EXEC"},
	} {
		got := c.ask(slices.Concat([]string{"NUTMEG", "ON", "s1"}, args)...)
		if want := fmt.Sprintf("-ERR '%s' cannot be sent to one server: ", args[0]); !strings.HasPrefix(got, want) {
			t.Errorf("NUTMEG ON s1 %v answers %s", args, short(got))
		}
	}
	for _, args := range [][]string{{"NUTMEG"}, {"NUTMEG", "ON"}, {"NUTMEG", "ON", "s1"}, {"NUTMEG", "WHERE"}, {"NUTMEG", "NONE"}} {
		c.wantAsk("-ERR unknown subcommand or wrong number of arguments. Try NUTMEG HELP.\r\n", args...)
	}
	if got := c.ask("NUTMEG", "HELP"); !strings.HasPrefix(got, "*9\r\n+NUTMEG ") {
		t.Errorf("NUTMEG HELP answers %s", short(got))
	}
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

// TestRedisAllServersWithRulesForCommands: what the configuration denies and renames holds for requests to all servers, and for those to one by name.
func TestRedisAllServersWithRulesForCommands(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{
		servers: 3, serverArgs: []string{"--rename-command", "DBSIZE", "COUNTALL", "--rename-command", "SCAN", "WALK"},
		pool: []string{"commands: {deny: [flushall, config|set], rename: {dbsize: COUNTALL, scan: WALK}}"},
	})
	c := b.dial(t)
	keys := named("key-", 60)
	c.wantAsk(okReply, with("MSET", pairs(keys, keys)...)...)
	c.wantAsk(integer(60), "DBSIZE")
	if got := c.scan("COUNT", "5"); len(got) != 60 {
		t.Errorf("SCAN finds %d keys", len(got))
	}
	if got := c.ask("NUTMEG", "ON", "s1", "DBSIZE"); !strings.HasPrefix(got, ":") {
		t.Errorf("DBSIZE on one server: %s", short(got))
	}
	for _, args := range [][]string{{"FLUSHALL"}, {"CONFIG", "SET", "maxmemory", "0"}} {
		if got := c.ask(args...); !strings.HasPrefix(got, "-NOPERM ") {
			t.Errorf("%v answers %s", args, short(got))
		}
		if got := c.ask(slices.Concat([]string{"NUTMEG", "ON", "s1"}, args)...); !strings.HasPrefix(got, "-NOPERM ") {
			t.Errorf("NUTMEG ON s1 %v answers %s", args, short(got))
		}
	}
	c.wantAsk(integer(60), "DBSIZE")

	c.wantAsk(okReply, "MULTI")
	if got := c.ask("NUTMEG", "SERVERS"); !strings.HasPrefix(got, "-ERR 'nutmeg' is not for one server and cannot be part of a transaction") {
		t.Errorf("in a transaction NUTMEG answers %s", short(got))
	}
	c.wantAsk("-EXECABORT Transaction discarded because of previous errors.\r\n", "EXEC")

	b = startRedisBed(t, bedOptions{pool: []string{"commands: {deny: [nutmeg]}"}})
	if got := b.dial(t).ask("NUTMEG", "SERVERS"); !strings.HasPrefix(got, "-NOPERM ") {
		t.Errorf("denied, NUTMEG answers %s", short(got))
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

// TestRedisListsOfManyKeys: a list larger than any buffer arrives whole.
func TestRedisListsOfManyKeys(t *testing.T) {
	t.Parallel()
	const each = 100000
	b := startRedisBed(t, bedOptions{servers: 3, serverArgs: []string{"--enable-debug-command", "yes"}})
	c := b.dial(t)
	for i := range 3 {
		b.dialServer(t, i).wantAsk(okReply, "DEBUG", "POPULATE", strconv.Itoa(each), "prefix-of-server-"+strconv.Itoa(i), "1")
	}
	c.send(request("KEYS", "*") + request("DBSIZE"))
	keys := texts(t, c.reply())
	c.want(integer(3 * each))
	if slices.Sort(keys); len(slices.Compact(keys)) != 3*each {
		t.Errorf("KEYS gives %d keys, want %d", len(keys), 3*each)
	}
	if got := c.scan("COUNT", "5000"); !slices.Equal(got, slices.Compact(keys)) {
		t.Errorf("SCAN finds %d keys, want %d", len(got), 3*each)
	}
}
