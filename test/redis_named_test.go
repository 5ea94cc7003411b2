package test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestRedisRefusalsOfAdministration: what would harm others is refused, with one server, too.
func TestRedisRefusalsOfAdministration(t *testing.T) {
	t.Parallel()
	for _, servers := range []int{1, 3} {
		c := startRedisBed(t, bedOptions{servers: servers}).dial(t)
		for _, args := range [][]string{
			{"SHUTDOWN"},
			{"REPLICAOF", "NO", "ONE"},
			{"SLAVEOF", "NO", "ONE"},
			{"FAILOVER"},
			{"DEBUG", "SLEEP", "0"},
			{"SYNC"},
			{"PSYNC", "?", "-1"},
			{"REPLCONF", "ACK", "0"},
			{"SCRIPT", "DEBUG", "YES"},
		} {
			if got := c.ask(args...); !strings.HasPrefix(got, "-ERR nutmeg does not run '"+strings.ToLower(args[0])) {
				t.Errorf("%d servers: %v answers %s", servers, args, short(got))
			}
			c.wantAsk(okReply, "MULTI")
			if got := c.ask(args...); !strings.HasPrefix(got, "-ERR nutmeg does not run '"+strings.ToLower(args[0])) {
				t.Errorf("%d servers: %v inside MULTI answers %s", servers, args, short(got))
			}
			if got := c.ask("EXEC"); !strings.HasPrefix(got, "-EXECABORT") {
				t.Errorf("%d servers: EXEC behind %v answers %s", servers, args, short(got))
			}
		}
		c.wantAsk("-ERR This instance has cluster support disabled\r\n", "READONLY")
		c.wantAsk("-ERR This instance has cluster support disabled\r\n", "CLUSTER", "INFO")
		c.wantAsk(pongReply, "PING")
	}
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
		{"MULTI"},
		{"SUBSCRIBE", "a"},
		{"MONITOR"},
		{"SELECT", "1"},
		{"BLPOP", "a", "0"},
		{"SHUTDOWN"},
		{"SYNC"},
		{"NUTMEG", "HELP"},
		{"NONE"},
		{"CLIENT", "REPLY", "OFF"},
		{"CONFIG", "NONE"},
		{"XREAD", "BLOCK", "0", "STREAMS", "s", "0"},
		{"HELLO"},
		{"QUIT"},
		{"CLIENT", "TRACKING", "ON"},
		{"WAIT", "1", "0"},
		{"RESET"},
		{"AUTH", "x"},
		{"SCRIPT", "DEBUG", "YES"},
		{"READONLY"},
		{"EXEC"},
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
