package test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"nutmeg/internal/testkit"
)

const (
	okPassword    = "foobared"
	wrongPassword = serverWrongPass
)

// TestRedisAuth is three pools over the same servers: one knows their password, one has another, one has none.
func TestRedisAuth(t *testing.T) {
	t.Parallel()
	servers := []*testkit.Process{testkit.Redis(t, "--requirepass", okPassword), testkit.Redis(t, "--requirepass", okPassword)}
	var yaml strings.Builder
	for _, pool := range []string{"right:\n  redis_auth: " + okPassword, "wrong:\n  redis_auth: other", "none:"} {
		fmt.Fprintf(&yaml, "%s\n  listen: {listen}\n  redis: true\n  servers:\n  - %s:1 s1\n  - %s:1 s2\n", pool, servers[0].Addr(), servers[1].Addr())
	}
	n := startNutmeg(t, yaml.String())
	t.Run("the right password", func(t *testing.T) {
		c := dial(t, n.AddrOf(0))
		refusesBeforeAuth(c)
		c.wantAsk(wrongPassword, "AUTH", "badpasswd")
		refusesBeforeAuth(c)
		c.wantAsk(okReply, "AUTH", okPassword)
		c.wantAsk(pongReply, "PING")
		setGetDelete(c, named("auth-", 20), named("v-", 20))
		c.wantAsk(wrongPassword, "AUTH", "badpasswd")
		c.wantAsk(nullReply, "GET", "nothing") // a wrong password does not take the right away, as with Redis
		c.wantAsk(okReply, "AUTH", "default", okPassword)
		c.wantAsk(pongReply, "PING")
		c.wantAsk(serverWrongPass, "AUTH", "somebody", okPassword)
		c.wantAsk(nullReply, "GET", "nothing")
		refusesBeforeAuth(dial(t, n.AddrOf(0))) // one client's password is not another's
		c.wantAsk(okReply, "QUIT")
		c.wantClosed()
	})
	t.Run("a pipeline that begins with AUTH", func(t *testing.T) {
		c := dial(t, n.AddrOf(0))
		c.send(request("GET", "p") + request("AUTH", okPassword) + request("SET", "p", "1") + request("AUTH", "bad") + request("GET", "p"))
		c.want(noAuth + okReply + okReply + wrongPassword + bulk("1"))
	})
	t.Run("a password that the servers refuse", func(t *testing.T) {
		c := dial(t, n.AddrOf(1))
		refusesBeforeAuth(c)
		c.wantAsk(wrongPassword, "AUTH", okPassword)
		c.wantAsk(okReply, "AUTH", "other")
		c.wantAsk(pongReply, "PING")
		for range 2 {
			c.wantAsk(serverNoAuth, "SET", "k", "v")
			c.wantAsk(serverNoAuth, "GET", "k")
			c.wantAsk(serverNoAuth, with("MGET", named("k", 8)...)...) // Redis takes no more words from a stranger
		}
	})
	t.Run("no password", func(t *testing.T) {
		c := dial(t, n.AddrOf(2))
		c.wantAsk(pongReply, "PING")
		c.wantAsk(serverNoAuth, "SET", "k", "v")
		c.wantAsk(serverNoAuth, "GET", "k")
		c.wantAsk(okReply, "AUTH", okPassword)
		c.wantAsk(nullReply, "GET", "k")
	})
}

func refusesBeforeAuth(c *rawConn) {
	c.t.Helper()
	for _, args := range [][]string{{"PING"}, {"SET", "k", "v"}, {"GET", "k"}, {"MGET", "a", "b"}, {"COMMAND"}, {"ECHO", "x"}} {
		c.wantAsk(noAuth, args...)
	}
}

// TestRedisDatabase: with twemproxy a password or a unix socket made it use database 0.
func TestRedisDatabase(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		o    bedOptions
	}{
		{"by itself", bedOptions{}},
		{"with several connections", bedOptions{pool: []string{"server_connections: 3"}}},
		{"with preconnect", bedOptions{pool: []string{"preconnect: true"}}},
		{"on unix sockets", bedOptions{unix: true}},
		{"with a password", bedOptions{serverArgs: []string{"--requirepass", okPassword}, pool: []string{"redis_auth: " + okPassword}}},
		{"with a password on unix sockets", bedOptions{unix: true, serverArgs: []string{"--requirepass", okPassword}, pool: []string{"redis_auth: " + okPassword}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.o.pool = append(tc.o.pool, "redis_db: 3")
			b := startRedisBed(t, tc.o)
			keys := append(b.keys(0, 5, "a"), b.keys(1, 5, "b")...)
			var send, want strings.Builder
			for _, key := range keys {
				send.WriteString(request("SET", key, "3:"+key))
				want.WriteString(okReply)
			}
			for range 4 { // as many clients use all connections
				c := b.dial(t)
				if len(tc.o.serverArgs) > 0 {
					c.wantAsk(okReply, "AUTH", okPassword)
				}
				c.send(send.String())
				c.want(want.String())
				setGetDelete(c, named("db-", 10), named("v-", 10))
			}
			for i := range b.servers {
				server := b.dialServer(t, i)
				if len(tc.o.serverArgs) > 0 {
					server.wantAsk(okReply, "AUTH", okPassword)
				}
				server.wantAsk(integer(0), "DBSIZE")
				server.wantAsk(okReply, "SELECT", "3")
				server.wantAsk(integer(5), "DBSIZE")
				server.wantAsk(integer(5), with("EXISTS", keys...)...)
			}
		})
	}
}

func TestRedisDatabaseThatTheServerDoesNotHave(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{pool: []string{"redis_db: 99"}})
	c := b.dial(t)
	const outOfRange = "-ERR DB index is out of range\r\n"
	for range 3 {
		c.wantAsk(outOfRange, "SET", "k", "v")
		c.wantAsk(outOfRange, "GET", "k")
		c.wantAsk(outOfRange, with("MGET", named("k", 10)...)...)
		c.wantAsk(pongReply, "PING")
	}
	for i := range b.servers {
		b.dialServer(t, i).wantAsk(integer(0), "DBSIZE")
	}
}

func TestRedisDatabaseOfAServerWhosePasswordIsUnknown(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{serverArgs: []string{"--requirepass", okPassword}, pool: []string{"redis_db: 1"}})
	c := b.dial(t)
	for range 3 {
		c.wantAsk(serverNoAuth, "GET", "k")
		c.wantAsk(pongReply, "PING")
	}
}

// TestRedisAuthOnSeveralConnections: each connection has to say the password, also after it was lost.
func TestRedisAuthOnSeveralConnections(t *testing.T) {
	t.Parallel()
	const connections = 4
	b := startRedisBed(t, bedOptions{
		workers: 1, serverArgs: []string{"--requirepass", okPassword},
		pool: []string{"redis_auth: " + okPassword, fmt.Sprintf("server_connections: %d", connections)},
	})
	clients := make([]*rawConn, 2*connections)
	for i := range clients {
		clients[i] = b.dial(t)
		clients[i].wantAsk(okReply, "AUTH", okPassword)
	}
	use := func() {
		var wait sync.WaitGroup
		for i, c := range clients {
			wait.Go(func() {
				key := fmt.Sprintf("client-%d-", i)
				for round := range 50 {
					keys := named(key, 10)
					send := request(with("MSET", pairs(keys, keys)...)...) + request(with("MGET", keys...)...) + request("GET", keys[round%10])
					want := okReply + bulks(keys...) + bulk(keys[round%10])
					if err := c.exchange(send, want); err != nil {
						t.Errorf("client %d: %v", i, err)
						return
					}
				}
			})
		}
		wait.Wait()
		if err := b.Pool("alpha").want(map[string]int64{"server_connections": 2 * connections, "forward_error": 0}); err != nil {
			t.Error(err)
		}
	}
	use()
	for i := range b.servers {
		server := b.dialServer(t, i)
		server.wantAsk(okReply, "AUTH", okPassword)
		server.wantAsk(integer(connections), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	}
	b.waitPool("alpha", "the connections to be gone", func(p PoolStats) error {
		return p.want(map[string]int64{"server_connections": 0, "server_eof": 2 * connections, "forward_error": 0})
	})
	use()
}

// A user of the servers must not learn of others by what no server is asked about.
func TestNamedUsersSeeNoOtherClients(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 1})
	b.dialServer(t, 0).wantAsk(okReply, "ACL", "SETUSER", "ann", "on", ">secret", "~*", "+@all")
	c := b.dial(t)
	c.wantAsk(okReply, "AUTH", "ann", "secret")
	for _, words := range [][]string{{"MONITOR"}, {"CLIENT", "LIST"}, {"CLIENT", "KILL", "ID", "1"}, {"CLIENT", "UNBLOCK", "1"}} {
		c.send(request(words...))
		if reply := c.reply(); !strings.HasPrefix(reply, "-NOPERM nutmeg answers '") {
			t.Errorf("%s: %s", words, short(reply))
		}
	}
	c.wantAsk(okReply, "SET", "k", "v")
	c.wantAsk(okReply, "AUTH", "default", "")
	c.send(request("CLIENT", "LIST"))
	if reply := c.reply(); !strings.Contains(reply, "user=default") {
		t.Errorf("CLIENT LIST of the default user: %s", short(reply))
	}
}
