package test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"nutmeg/internal/testkit"
)

// toldByServers is what a server with a module says of its commands, by the name that it is asked for.
var toldByServers = map[string]string{
	"x.get":   "*10\r\n+x.get\r\n:2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n*0\r\n*0\r\n" + keysAt(1, 0) + "*0\r\n",
	"x.copy":  "*10\r\n+x.copy\r\n:3\r\n*1\r\n+write\r\n:1\r\n:2\r\n:1\r\n*0\r\n*0\r\n" + keysAt(1, 1) + "*0\r\n",
	"x.count": "*10\r\n+x.count\r\n:1\r\n*1\r\n+readonly\r\n:0\r\n:0\r\n:0\r\n*0\r\n*2\r\n+request_policy:all_shards\r\n+response_policy:agg_sum\r\n*0\r\n*0\r\n",
	"x.time":  "*6\r\n+x.time\r\n:-1\r\n*0\r\n:0\r\n:0\r\n:0\r\n",
	"x.some":  "*6\r\n+x.some\r\n:-2\r\n*1\r\n+movablekeys\r\n:1\r\n:1\r\n:1\r\n",
	"x.wait":  "*6\r\n+x.wait\r\n:2\r\n*1\r\n+blocking\r\n:1\r\n:1\r\n:1\r\n",
	"x.box": "*10\r\n+x.box\r\n:-2\r\n*0\r\n:0\r\n:0\r\n:0\r\n*0\r\n*0\r\n*0\r\n*1\r\n" +
		"*10\r\n+x.box|get\r\n:3\r\n*0\r\n:2\r\n:2\r\n:1\r\n*0\r\n*0\r\n" + keysAt(2, 0) + "*0\r\n",
	"x.lie":      "*6\r\n+client|id\r\n:2\r\n*0\r\n:0\r\n:0\r\n:0\r\n",
	"client|id":  "*6\r\n+client|id\r\n:2\r\n*0\r\n:0\r\n:0\r\n:0\r\n",
	"config|new": "*10\r\n+config|new\r\n:2\r\n*0\r\n:0\r\n:0\r\n:0\r\n*0\r\n*0\r\n*0\r\n*0\r\n",
}

// keysAt is the key specifications for keys from an argument on to so many behind it.
func keysAt(first, more int) string {
	return "*1\r\n*6\r\n+flags\r\n*1\r\n+RW\r\n+begin_search\r\n*4\r\n+type\r\n+index\r\n+spec\r\n*2\r\n+index\r\n" + integer(first) +
		"+find_keys\r\n*4\r\n+type\r\n+range\r\n+spec\r\n*6\r\n+lastkey\r\n" + integer(more) + "+keystep\r\n:1\r\n+limit\r\n:0\r\n"
}

// moduleServer says its name and what it was sent, and what it knows of commands. It counts how often it is asked for that.
func moduleServer(name string, asked *atomic.Int32) script {
	return func(c *scriptedConn) {
		for {
			words := c.request()
			switch {
			case words == nil:
				return
			case strings.EqualFold(words[0], "command"):
				asked.Add(1)
				told := toldByServers[strings.ToLower(words[2])]
				if told == "" {
					told = "*-1\r\n"
				}
				c.say("*1\r\n" + told)
			case strings.EqualFold(words[0], "x.count"):
				c.say(integer(20))
			default:
				c.say(bulk(name + ": " + strings.Join(words, " ")))
			}
		}
	}
}

// startModuleBed starts the daemon before scripted servers with a module.
func startModuleBed(t *testing.T, servers int, lines ...string) (n *Nutmeg, asked *atomic.Int32) {
	asked = &atomic.Int32{}
	var list []string
	for i := range servers {
		name := string(rune('a' + i))
		list = append(list, serveScript(t, moduleServer(name, asked)).addr+":1 "+name)
	}
	yaml := "nutmeg: {workers: 1}\nalpha:\n  listen: {listen}\n  redis: true\n  hash: murmur\n  distribution: modula\n"
	for _, line := range lines {
		yaml += "  " + line + "\n"
	}
	return startNutmeg(t, yaml+`  servers: ["`+strings.Join(list, `", "`)+"\"]\n"), asked
}

// keyOf is a key that belongs to a server.
func keyOf(servers, server int) string {
	for i := 0; ; i++ {
		if key := "k" + strings.Repeat("x", i); ownerAmong(servers, key) == server {
			return key
		}
	}
}

func TestCommandsOfModulesAreLearned(t *testing.T) {
	t.Parallel()
	n, asked := startModuleBed(t, 2)
	c := dial(t, n.Addr())
	one, two := keyOf(2, 0), keyOf(2, 1)
	c.wantAsk(bulk("a: X.GET "+one), "X.GET", one)
	c.wantAsk(bulk("b: x.get "+two), "x.get", two)
	if got := asked.Load(); got != 1 {
		t.Errorf("the servers were asked %d times; want once", got)
	}
	c.wantAsk("-ERR wrong number of arguments for 'x.get' command\r\n", "X.GET")
	c.wantAsk(integer(40), "X.COUNT")
	c.wantAsk(bulk("a: x.box get "+one), "x.box", "get", one)
	c.wantAsk("-ERR unknown subcommand 'no'. Try X.BOX HELP.\r\n", "x.box", "no", one)
	c.wantAsk("-ERR nutmeg does not run 'x.time': it has no key that tells its server (NUTMEG ON <server> <command> asks one server)\r\n", "X.TIME")
	c.wantAsk(bulk("b: X.TIME now"), "NUTMEG", "ON", "b", "X.TIME", "now")
	c.wantAsk(bulk("a: x.copy "+one+" "+one), "NUTMEG", "ON", "a", "x.copy", one, one)
	c.wantAsk("-ERR nutmeg does not run 'x.some': its keys cannot be told from its arguments (NUTMEG ON <server> <command> asks one server)\r\n", "X.SOME", one)
	c.wantAsk("-ERR nutmeg does not run 'x.wait': it needs a connection of its own, and nutmeg does not know the command\r\n", "X.WAIT", one)
	if got := c.ask("X.COPY", one, two); !strings.HasPrefix(got, "-CROSSSLOT") {
		t.Errorf("two keys of two servers: %s", got)
	}
	c.wantAsk("-ERR nutmeg does not run 'config|new': it has no key that tells its server (NUTMEG ON <server> <command> asks one server)\r\n", "CONFIG", "new")

	before := asked.Load()
	c.wantAsk(unknown("x.none", "a"), "x.none", "a")
	c.wantAsk(unknown("X.None"), "X.None")
	c.wantAsk("-ERR unknown subcommand 'none'. Try CONFIG HELP.\r\n", "config", "none")
	c.wantAsk("-ERR unknown subcommand 'NONE'. Try CONFIG HELP.\r\n", "config", "NONE")
	if got := asked.Load() - before; got != 2 {
		t.Errorf("the servers were asked %d times about two names that they do not know; want once each", got)
	}
	// Names that nobody can have, and what concerns the connection, are not asked for.
	c.wantAsk(unknown("a b"), "a b")
	c.wantAsk(unknown(strings.Repeat("n", 129)), strings.Repeat("n", 129))
	c.wantAsk("-ERR unknown subcommand 'new'. Try CLIENT HELP.\r\n", "CLIENT", "new")
	if got := asked.Load() - before; got != 2 {
		t.Errorf("the servers were asked %d times; want 2", got)
	}
}

// Servers tell of subcommands by a name that no client can send, and a server may tell of anything under any name.
func TestWhatServersTellCannotPassForTheProxysOwnCommands(t *testing.T) {
	t.Parallel()
	n, asked := startModuleBed(t, 2)
	c := dial(t, n.Addr())
	c.wantAsk(unknown("CLIENT|ID", "x"), "CLIENT|ID", "x")
	c.wantAsk(unknown("config|new"), "config|new")
	if got := c.ask("NUTMEG", "ON", "a", "config|new"); !strings.HasPrefix(got, "-ERR 'config|new' cannot be sent to one server") {
		t.Errorf("a subcommand's full name for one server: %s", got)
	}
	if got := asked.Load(); got != 0 {
		t.Errorf("the servers were asked %d times for what no client can send; want never", got)
	}
	if got := c.ask("x.lie", "x"); !strings.HasPrefix(got, "-ERR nutmeg does not run 'client|id'") {
		t.Errorf("a command whose server calls it CLIENT ID: %s", got)
	}
	c.wantAsk("+PONG\r\n", "PING")
}

// Requests of one client keep their order, whatever is asked in between, in pipelines cut anywhere and in transactions.
func TestLearningKeepsTheOrder(t *testing.T) {
	t.Parallel()
	one, two := keyOf(2, 0), keyOf(2, 1)
	send := request("GET", one) + request("x.get", two) + request("GET", two) + request("x.none") + request("x.get", one) +
		request("PING") + request("config", "none") + request("GET", one)
	want := bulk("a: GET "+one) + bulk("b: x.get "+two) + bulk("b: GET "+two) + unknown("x.none") + bulk("a: x.get "+one) +
		pongReply + "-ERR unknown subcommand 'none'. Try CONFIG HELP.\r\n" + bulk("a: GET "+one)
	for _, size := range []int{len(send), 1, 7, 50} {
		n, _ := startModuleBed(t, 2)
		c := dial(t, n.Addr())
		sendInPieces(c, send, size)
		c.want(want)
	}
}

func TestLearningIsForThoseWhoMay(t *testing.T) {
	t.Parallel()
	n, asked := startModuleBed(t, 1, `commands: {deny: [x.get, "@dangerous"]}`)
	c := dial(t, n.Addr())
	c.wantAsk(denied("x.get"), "X.GET", "k")
	c.wantAsk(bulk("a: X.TIME"), "X.TIME")
	c.wantAsk(bulk("a: x.some k"), "x.some", "k")
	if got := asked.Load(); got != 3 {
		t.Errorf("the server was asked %d times; want 3", got)
	}

	n, asked = startModuleBed(t, 1, "redis_auth: secret")
	c = dial(t, n.Addr())
	c.wantAsk(unknown("x.get", "k"), "x.get", "k")
	if got := asked.Load(); got != 0 {
		t.Errorf("the server was asked %d times for a client without a password", got)
	}
}

// Who cannot be asked is not taken to know nothing.
func TestLearningFromServersThatAreDown(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := serveScript(t, moduleServer("a", &asked))
	n := startNutmeg(t, "alpha:\n  listen: {listen}\n  redis: true\n  servers: [\""+server.addr+":1\"]\n")
	server.down()
	c := dial(t, n.Addr())
	if got := c.ask("x.get", "k"); !strings.HasPrefix(got, "-ERR Connection refused") {
		t.Errorf("nobody to ask: %s", got)
	}
	server.up()
	eventually(t, "the server is asked again", func() error {
		if got := c.ask("x.get", "k"); got != bulk("a: x.get k") {
			return fmt.Errorf("got %s", got)
		}
		return nil
	})
}

// A command that servers call something else is the one that they say it is.
func TestRenamedCommandsAreRecognised(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{serverArgs: []string{"--rename-command", "MGET", "many", "--rename-command", "CONFIG", "C_b840fc"}})
	c := b.dial(t)
	one, two := b.key(0, "k"), b.key(1, "k")
	c.wantAsk(okReply, "MSET", one, "1", two, "2")
	c.wantAsk(bulks("1", "2"), "MANY", one, two)
	c.wantAsk(bulks("databases", "16"), "c_B840FC", "get", "databases")
	c.wantAsk("-ERR unknown subcommand 'none'. Try C_B840FC HELP.\r\n", "c_B840FC", "none")
	c.wantAsk(unknown("nonsense", "x"), "nonsense", "x")
	direct := dial(t, testkit.Redis(t).Addr())
	direct.wantAsk(c.ask("nonsense", "x"), "nonsense", "x")
}
