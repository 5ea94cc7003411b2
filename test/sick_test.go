package test

import (
	"fmt"
	"strings"
	"testing"
)

// sickServers are servers that answer, but not with what was asked for. Their words reach the clients that asked, count as
// responses, and leave the server connection as it is.
var sickServers = []fault{
	{
		rule: "a Redis without memory refuses writes and serves reads", errors: "-OOM command not allowed when used memory > 'maxmemory'\\.",
		strike: admin("CONFIG SET maxmemory 1"), mend: admin("CONFIG SET maxmemory 0"),
	},
	{
		rule: "a Redis becomes a replica that has lost its master", errors: "-(MASTERDOWN Link with MASTER is down|READONLY You can't write).*",
		strike: admin("CONFIG SET replica-serve-stale-data no", "REPLICAOF 127.0.0.1 1"), mend: admin("REPLICAOF NO ONE"),
	},
	{
		rule: "a Redis becomes a replica and refuses writes", errors: "-READONLY You can't write against a read only replica\\.",
		strike: admin("REPLICAOF 127.0.0.1 1"), mend: admin("REPLICAOF NO ONE"),
	},
	{
		rule: "a Redis has as many clients as it takes", errors: "-ERR max number of clients reached|" + lostTexts,
		strike: admin("CONFIG SET maxclients 1", "CLIENT KILL TYPE normal SKIPME yes"), mend: admin("CONFIG SET maxclients 1000"),
	},
	{
		rule: "a Redis wants a password that the pool does not have", errors: "-NOAUTH Authentication required\\.|" + lostTexts,
		strike: admin("CONFIG SET requirepass new", "CLIENT KILL TYPE normal SKIPME yes"),
		mend:   admin("CONFIG SET requirepass ''", "CLIENT KILL TYPE normal SKIPME yes"),
	},
	{
		rule: "a Redis wants another password than the pool has", hello: request("AUTH", "old"), errors: "-NOAUTH Authentication required\\.|" + lostTexts,
		args: []string{"--requirepass", "old"}, pool: "  redis_auth: old\n",
		strike: admin("AUTH old", "CONFIG SET requirepass new", "CLIENT KILL TYPE normal SKIPME yes"),
		mend:   admin("CONFIG SET requirepass old", "CLIENT KILL TYPE normal SKIPME yes"),
	},
	{
		rule: "a Redis loads its data for a while", errors: "-LOADING Redis is loading the dataset in memory|" + lostTexts + "|" + refusedText,
		loses: true, moves: true,
		args: []string{"--key-load-delay", "300", "--loading-process-events-interval-bytes", "1024", "--rdbcompression", "no"},
		strike: func(t *testing.T, b *faultBed, n *network) {
			filler := dial(t, b.servers[0].Addr())
			filler.ask("EVAL", "for i=1,3000 do redis.call('SET', 'filler'..i, string.rep('x', 100)) end return 1", "0")
			admin("SAVE")(t, b, n)
			b.restart(t)
		},
		mend: func(t *testing.T, b *faultBed, _ *network) {
			eventually(t, "clients to be told that the server is loading", func() error {
				if all := b.victims.String(); !strings.Contains(all, "LOADING") && b.victims.fault() == nil {
					return fmt.Errorf("%s", all)
				}
				return nil
			})
		},
	},
	{
		rule: "a memcached without memory refuses writes and serves reads", cache: true, args: []string{"-m", "4", "-M", "-t", "1"},
		errors: "SERVER_ERROR out of memory storing object", loses: true, value: 4000,
		strike: func(t *testing.T, b *faultBed, _ *network) {
			filler := dial(t, b.servers[0].Addr())
			for i := range 100_000 {
				filler.send(set(fmt.Sprintf("filler%d", i), strings.Repeat("x", 4000)))
				if filler.line() != "STORED" {
					return
				}
			}
			t.Error("the server is never full")
		},
		mend: func(t *testing.T, b *faultBed, _ *network) {
			dial(t, b.servers[0].Addr()).askCache("flush_all\r\n", "OK\r\n")
		},
	},
	{
		rule: "a memcached has as many clients as it takes", cache: true, args: []string{"-c", "40", "-t", "1"},
		errors: "ERROR Too many open connections|SERVER_ERROR (Connection (closed by server|reset by peer)|Broken pipe)", proxied: true,
		strike: crowdOut, mend: func(_ *testing.T, b *faultBed, _ *network) { b.leaveCrowd() },
	},
}

// admin gives commands to the failing server itself, all on one connection, which all succeed.
func admin(commands ...string) func(*testing.T, *faultBed, *network) {
	return func(t *testing.T, b *faultBed, _ *network) {
		t.Helper()
		if b.admin == nil {
			b.admin = dial(t, b.servers[0].Addr())
		}
		for _, command := range commands {
			b.admin.send(command + "\r\n")
			if got := b.admin.reply(); strings.HasPrefix(got, "-") {
				t.Fatalf("%s: %s", command, got)
			}
		}
	}
}

// crowdOut takes all connections that a memcached has, while those of the daemon are cut again and again.
func crowdOut(t *testing.T, b *faultBed, n *network) {
	t.Helper()
	n.spoil("limit_data", false, settings{"bytes": 1})
	b.victims.moreErrors(4)
	for refused := 0; refused < 10; {
		c := dial(t, b.servers[0].Addr())
		c.send("version\r\n")
		if line, err := c.r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "VERSION") {
			refused++
			c.close()
			continue
		}
		b.crowd = append(b.crowd, c)
		refused = 0
	}
	n.heal()
	eventually(t, "clients to be told that there are too many", func() error {
		if all := b.victims.String(); !strings.Contains(all, "Too many") && b.victims.fault() == nil {
			return fmt.Errorf("%s", all)
		}
		return nil
	})
}

func (b *faultBed) leaveCrowd() {
	for _, c := range b.crowd {
		c.close()
	}
}
