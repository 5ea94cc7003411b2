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
