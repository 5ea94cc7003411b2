package test

import (
	"strings"
	"testing"
)

const notAllowed = "-NOPERM the configuration of this proxy does not allow '%s' (commands in pool alpha)\r\n"

func denied(name string) string { return strings.Replace(notAllowed, "%s", name, 1) }

func TestDeniedCommands(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{pool: []string{`commands: {deny: [del, object|freq, "@hash", command]}`}})
	c := b.dial(t)
	c.wantAsk(okReply, "SET", "a", "1")
	c.wantAsk(denied("del"), "DEL", "a")
	c.wantAsk(denied("del"), "dEl", "a", "b")
	c.wantAsk(denied("hset"), "HSET", "h", "f", "v")
	c.wantAsk(denied("object|freq"), "OBJECT", "FREQ", "a")
	c.wantAsk(bulk("int"), "OBJECT", "ENCODING", "a")
	c.wantAsk(denied("command"), "COMMAND")
	c.wantAsk(denied("command|count"), "COMMAND", "COUNT")
	// What Redis looks at before permissions.
	c.wantAsk("-ERR wrong number of arguments for 'del' command\r\n", "DEL")
	c.wantAsk("-ERR unknown subcommand 'nosuch'. Try OBJECT HELP.\r\n", "OBJECT", "nosuch")
	c.wantAsk(bulk("1"), "GET", "a")
}

func TestAllowedCommands(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{
		serverArgs: []string{"--requirepass", "secret"},
		pool:       []string{"redis_auth: secret", `commands: {allow: [get, object|encoding, "@hash"], deny: [hgetall]}`},
	})
	c := b.dial(t)
	c.wantAsk(noAuth, "SET", "a", "1") // before it has logged in, a client learns nothing
	c.wantAsk(okReply, "AUTH", "secret")
	c.wantAsk(denied("set"), "SET", "a", "1")
	c.wantAsk(denied("ping"), "PING")
	c.wantAsk(nullReply, "GET", "a")
	c.wantAsk(integer(1), "HSET", "h", "f", "v")
	c.wantAsk(denied("hgetall"), "HGETALL", "h")
	c.wantAsk(bulk("listpack"), "OBJECT", "ENCODING", "h")
	c.wantAsk(denied("object|refcount"), "OBJECT", "REFCOUNT", "h")
}

// Servers that call commands something else get those names, and clients use the usual ones.
func TestRenamedCommands(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{
		serverArgs: []string{
			"--requirepass", "secret", "--databases", "4",
			"--rename-command", "AUTH", "x_auth", "--rename-command", "SELECT", "x_select", "--rename-command", "PING", "x_ping",
			"--rename-command", "SET", "x_set", "--rename-command", "MGET", "X_MGET", "--rename-command", "DEL", "x_del",
			"--rename-command", "MSET", "x_mset", "--rename-command", "OBJECT", "x_object",
		},
		pool: []string{
			"redis_auth: secret", "redis_db: 2", "auto_eject_hosts: true", "server_return: probe",
			"commands: {rename: {auth: x_auth, select: x_select, ping: x_ping, SET: x_set, mget: X_MGET, del: x_del, mset: x_mset, object: x_object}}",
		},
	})
	c := b.dial(t)
	c.wantAsk(okReply, "AUTH", "secret")
	one, two := b.key(0, "k"), b.key(1, "k")
	c.wantAsk(okReply, "SET", one, "1")
	c.wantAsk(okReply, "x_set", two, "2") // the servers' name means the same
	c.wantAsk(bulks("1", "2"), "MGET", one, two)
	c.wantAsk(bulks("1"), "mget", one)
	c.wantAsk(okReply, "MSET", one, "3", two, "4")
	c.wantAsk(bulks("4", "3"), "x_mget", two, one)
	c.wantAsk(bulk("int"), "OBJECT", "encoding", one)
	c.wantAsk("-ERR unknown subcommand 'nosuch'. Try OBJECT HELP.\r\n", "OBJECT", "nosuch", one)
	c.wantAsk(integer(2), "DEL", one, two)

	// A value that comes in many pieces, and requests in a row.
	large := strings.Repeat("v", 3<<20)
	sendInPieces(c, request("SET", one, large)+request("GET", one)+request("DEL", one, two), 70_001)
	c.want(okReply + bulk(large) + integer(1))
}

func TestDeclaredCommands(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{
		serverArgs: []string{"--rename-command", "GET", "x.get", "--rename-command", "RENAME", "x.move", "--rename-command", "SET", "hidden"},
		pool: []string{
			"commands:",
			"  declare:",
			"    - {name: X.Get, arity: 2, first_key: 1, flags: [readonly]}",
			"    - {name: x.move, arity: 3, first_key: 1, last_key: 2}",
			"    - {name: x.set, arity: -3, first_key: 1}",
			"    - {name: x.gone, arity: 2, first_key: 1}",
			"  rename: {x.set: hidden}",
			"  deny: [x.gone]",
		},
	})
	c := b.dial(t)
	one, other := b.keys(0, 2, "k"), b.key(1, "k")
	c.wantAsk(okReply, "X.SET", one[0], "1")
	c.wantAsk(bulk("1"), "x.get", one[0])
	c.wantAsk(okReply, "X.MOVE", one[0], one[1])
	c.wantAsk(bulk("1"), "X.get", one[1])
	c.wantAsk("-ERR wrong number of arguments for 'x.get' command\r\n", "X.GET")
	c.wantAsk(denied("x.gone"), "X.GONE", "k")
	if got := c.ask("X.MOVE", one[1], other); !strings.HasPrefix(got, "-CROSSSLOT") {
		t.Errorf("two keys on two servers: %s", got)
	}
}

// A reload changes the rules for clients that are connected.
func TestReloadOfCommands(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{pool: []string{"commands: {deny: [del]}"}})
	c := b.dial(t)
	c.wantAsk(denied("del"), "DEL", "a")
	b.reload(bedYAML(bedOptions{listen: b.Addr()}, b.servers))
	c.wantAsk(integer(0), "DEL", "a")
}

// What Redis puts together of several commands knows the servers' names, too: logging in, transactions, commands to all
// servers, cursors, and what is asked of one server.
func TestRenamedCommandsEverywhere(t *testing.T) {
	t.Parallel()
	rename, renamed := []string{}, []string{}
	for _, name := range []string{"hello", "select", "multi", "exec", "discard", "watch", "unwatch", "dbsize", "scan", "get", "subscribe", "unsubscribe", "publish", "config", "eval", "evalsha", "script"} {
		renamed = append(renamed, "--rename-command", name, "x_"+name)
		rename = append(rename, name+": x_"+name)
	}
	b := startRedisBed(t, bedOptions{
		servers: 2, serverArgs: renamed,
		pool: []string{"commands: {deny: [config|set], rename: {" + strings.Join(rename, ", ") + "}}"},
	})
	c := b.dial(t)
	key, other := b.key(0, "k"), b.key(1, "k")
	c.wantAsk(okReply, "SELECT", "3")
	c.wantAsk(okReply, "SET", key, "1")
	c.wantAsk(okReply, "SET", other, "2")
	c.wantAsk(integer(2), "DBSIZE")
	c.wantAsk(okReply, "WATCH", key)
	c.wantAsk(okReply, "MULTI")
	c.wantAsk("+QUEUED\r\n", "PING")
	c.wantAsk("+QUEUED\r\n", "GET", key)
	c.wantAsk(array("+PONG\r\n", bulk("1")), "EXEC")
	c.wantAsk(okReply, "MULTI")
	c.wantAsk("+QUEUED\r\n", "x_get", key)
	c.wantAsk(okReply, "DISCARD")
	c.wantAsk(okReply, "MULTI")
	c.wantAsk(denied("config|set"), "CONFIG", "SET", "x", "y")
	c.wantAsk("-EXECABORT Transaction discarded because of previous errors.\r\n", "EXEC")
	c.wantAsk(okReply, "MULTI")
	c.wantAsk("-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n", "EXEC", "x")
	c.wantAsk("-ERR EXEC without MULTI\r\n", "EXEC")

	c.wantAsk(bulk("1"), "NUTMEG", "ON", "s1", "GET", key)
	c.wantAsk(integer(1), "NUTMEG", "ON", "s2", "x_dbsize")
	c.wantAsk(denied("config|set"), "NUTMEG", "ON", "s1", "CONFIG", "SET", "x", "y")
	c.wantAsk(bulks("databases", "16"), "CONFIG", "GET", "databases")
	found := 0
	for cursor := "0"; ; {
		reply := strings.Split(c.ask("SCAN", cursor), "\r\n")
		cursor = reply[2]
		found += (len(reply) - 5) / 2
		if cursor == "0" {
			break
		}
	}
	if found != 2 {
		t.Errorf("SCAN found %d keys; want 2", found)
	}

	const script, sha = "return KEYS[1]", "4a2267357833227dd98abdedb8cf24b15a986445"
	c.wantAsk(bulk(sha), "SCRIPT", "LOAD", script)
	c.wantAsk(bulk(key), "EVALSHA", sha, "1", key)
	for i := range b.servers {
		b.dialServer(t, i).wantAsk(okReply, "x_script", "FLUSH")
	}
	c.wantAsk(bulk(other), "EVALSHA", sha, "1", other) // which is told the script again
	c.wantAsk(okReply, "MULTI")
	c.wantAsk("+QUEUED\r\n", "EVALSHA", sha, "1", other)
	c.wantAsk(array(bulk(other)), "EXEC")

	c.wantAsk("*3\r\n"+bulk("subscribe")+bulk("ch")+integer(1), "SUBSCRIBE", "ch")
	sender := b.dial(t)
	sender.wantAsk(integer(1), "PUBLISH", "ch", "hi")
	c.want(bulks("message", "ch", "hi"))
	three := b.dial(t)
	three.send(request("HELLO", "3"))
	if got := string(wholeReply(t, three)); !strings.HasPrefix(got, "%") {
		t.Errorf("HELLO 3: %s", short(got))
	}
}

func TestOwnCommandIsDenied(t *testing.T) {
	t.Parallel()
	for _, list := range []string{"deny: [nutmeg]", `deny: ["@admin"]`, "allow: [get]"} {
		b := startRedisBed(t, bedOptions{pool: []string{"commands: {" + list + "}"}})
		b.dial(t).wantAsk(denied("nutmeg"), "NUTMEG", "ON", "s1", "GET", "a")
	}
}

// A declared command without a key, or one that takes a connection for itself, is for a pool of one server at most.
func TestDeclaredCommandsWithoutKeys(t *testing.T) {
	t.Parallel()
	rules := []string{"commands:", "  declare:", "    - {name: x.time, arity: 1}", "    - {name: x.wait, arity: -2, first_key: 1, flags: [blocking]}"}
	servers := []string{"--rename-command", "TIME", "x.time"}
	one := startRedisBed(t, bedOptions{servers: 1, serverArgs: servers, pool: rules}).dial(t)
	if got := one.ask("X.TIME"); !strings.HasPrefix(got, "*2\r\n") {
		t.Errorf("one server: %s", got)
	}
	one.wantAsk(okReply, "MULTI")
	one.wantAsk("+QUEUED\r\n", "X.TIME")
	one.wantAsk(okReply, "DISCARD")
	one.wantAsk("-ERR nutmeg does not run 'x.wait': it needs a connection of its own, and nutmeg does not know the command\r\n", "X.WAIT", "a")

	two := startRedisBed(t, bedOptions{servers: 2, serverArgs: servers, pool: rules}).dial(t)
	two.wantAsk("-ERR nutmeg does not run 'x.time': it has no key that tells its server (NUTMEG ON <server> <command> asks one server)\r\n", "X.TIME")
	if got := two.ask("NUTMEG", "ON", "s2", "X.TIME"); !strings.HasPrefix(got, "*2\r\n") {
		t.Errorf("one of two servers: %s", got)
	}
}
