package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/resp"
	"nutmeg/internal/testkit"
)

// clientID is the client's id, as text.
func (c *rawConn) clientID() string {
	c.t.Helper()
	id, is := strings.CutPrefix(strings.TrimSpace(c.ask("CLIENT", "ID")), ":")
	if !is {
		c.t.Fatalf("CLIENT ID: got %s", id)
	}
	return id
}

// list is the lines of CLIENT LIST by the id of the client, each as fields by name.
func (c *rawConn) list(options ...string) map[string]map[string]string {
	c.t.Helper()
	reply := c.ask(append([]string{"CLIENT", "LIST"}, options...)...)
	_, text, _ := strings.Cut(reply, "\r\n")
	all := map[string]map[string]string{}
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		fields := map[string]string{}
		for field := range strings.FieldsSeq(line) {
			name, value, _ := strings.Cut(field, "=")
			fields[name] = value
		}
		if len(fields) > 0 {
			all[fields["id"]] = fields
		}
	}
	return all
}

// waitBlocked waits until the proxy shows the client of an id as one that blocks.
func (c *rawConn) waitBlocked(id string) {
	c.t.Helper()
	eventually(c.t, "client "+id+" to block", func() error {
		if flags := c.list("ID", id)[id]["flags"]; flags != "b" {
			return fmt.Errorf("its flags are %q", flags)
		}
		return nil
	})
}

// TestRedisClientList holds that a client sees all of its pool, on whatever worker, and nobody else.
func TestRedisClientList(t *testing.T) {
	t.Parallel()
	b := startNutmeg(t, strings.ReplaceAll("nutmeg:\n  workers: 3\n  worker_busy: 0\n"+
		"alpha:\n  listen: {listen}\n  redis: true\n  servers:\n  - {server}:1 s1\n"+
		"beta:\n  listen: {listen}\n  redis: true\n  servers:\n  - {server}:1 s1\n", "{server}", testkit.Redis(t).Addr()))
	stranger := dial(t, b.AddrOf(1))
	stranger.wantAsk(okReply, "CLIENT", "SETNAME", "stranger")
	conns := map[string]*rawConn{}
	for range 9 {
		c := dial(t, b.AddrOf(0))
		id := c.clientID()
		if conns[id] != nil {
			t.Fatalf("two clients have the id %s", id)
		}
		conns[id] = c
		c.wantAsk(okReply, "CLIENT", "SETNAME", "client-"+id)
	}
	for id, c := range conns {
		all := c.list()
		if len(all) != len(conns) {
			t.Fatalf("client %s sees %d clients, want %d", id, len(all), len(conns))
		}
		for other, conn := range conns {
			if got := all[other]; got["name"] != "client-"+other || got["addr"] != conn.conn.LocalAddr().String() || got["laddr"] != b.AddrOf(0) {
				t.Errorf("client %s sees %s as %v", id, other, got)
			}
		}
		if all[id]["cmd"] != "client|list" {
			t.Errorf("client %s sees itself as %v", id, all[id])
		}
	}
	if all := stranger.list(); len(all) != 1 {
		t.Errorf("a client of another pool sees %d clients, want itself", len(all))
	}
}

func TestRedisClientState(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 2, workers: 3})
	c, other := b.dial(t), b.dial(t)
	id := c.clientID()
	want := func(fields ...string) {
		t.Helper()
		got := other.list("ID", id)[id]
		for i := 0; i < len(fields); i += 2 {
			if got[fields[i]] != fields[i+1] {
				t.Errorf("%s is %q, want %q, in %v", fields[i], got[fields[i]], fields[i+1], got)
			}
		}
	}
	want("flags", "N", "db", "0", "resp", "2", "multi", "-1", "user", "default", "name", "")
	c.wantAsk(okReply, "CLIENT", "SETINFO", "LIB-NAME", "lib")
	c.wantAsk(okReply, "CLIENT", "SETINFO", "lib-ver", "1.2")
	c.wantAsk("-ERR Unrecognized option 'lib-x'\r\n", "CLIENT", "SETINFO", "lib-x", "1.2")
	c.wantAsk("-ERR lib-ver cannot contain spaces, newlines or special characters.\r\n", "CLIENT", "SETINFO", "lib-ver", "1 2")
	want("lib-name", "lib", "lib-ver", "1.2")
	c.wantAsk("-ERR Client names cannot have more than 4096 bytes.\r\n", "CLIENT", "SETNAME", strings.Repeat("x", 5000))
	c.wantAsk(okReply, "SELECT", "3")
	c.wantAsk(okReply, "MULTI")
	c.wantAsk("+QUEUED\r\n", "SET", "a", "1")
	want("db", "3", "flags", "x", "multi", "1")
	c.wantAsk("+OK\r\n", "DISCARD")
	c.wantAsk(okReply, "CLIENT", "NO-EVICT", "ON")
	want("flags", "e")
	c.ask("SUBSCRIBE", "a")
	want("flags", "Pe", "sub", "1")
	if got := other.list("TYPE", "pubsub"); len(got) != 1 || got[id] == nil {
		t.Errorf("the subscribers are %v", got)
	}
	c.wantAsk("+RESET\r\n", "RESET")
	want("flags", "N", "db", "0", "sub", "0", "name", "", "lib-name", "")
	if again := c.clientID(); again != id {
		t.Errorf("after RESET the id is %s, was %s", again, id)
	}
}

func TestRedisClientKill(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 2, workers: 3})
	killer := b.dial(t)
	victims := make([]*rawConn, 8)
	for i := range victims {
		victims[i] = b.dial(t)
	}
	killer.wantAsk(integer(1), "CLIENT", "KILL", "ID", victims[0].clientID())
	killer.wantAsk(okReply, "CLIENT", "KILL", victims[1].conn.LocalAddr().String())
	killer.wantAsk(integer(1), "CLIENT", "KILL", "ADDR", victims[2].conn.LocalAddr().String(), "LADDR", b.Addr(), "USER", "default")
	victims[3].ask("SUBSCRIBE", "a")
	killer.wantAsk(integer(1), "CLIENT", "KILL", "TYPE", "pubsub")
	victims[4].send(request("BLPOP", "list", "0"))
	id := b.dial(t).clientID()
	killer.wantAsk(integer(1), "CLIENT", "KILL", "ID", id)
	blocked := ""
	eventually(t, "a client to block", func() error {
		for id, fields := range killer.list() {
			if fields["flags"] == "b" {
				blocked = id
				return nil
			}
		}
		return fmt.Errorf("there is none")
	})
	killer.wantAsk(integer(1), "CLIENT", "KILL", "ID", blocked)
	for i := range 5 {
		victims[i].wantGone()
	}
	// Who blocked took nothing with it.
	eventually(t, "the server to know", func() error {
		if n := b.dialServer(t, b.owner("list")).list("TYPE", "normal"); len(n) > 9 {
			return fmt.Errorf("it has %d clients", len(n))
		}
		return nil
	})
	killer.wantAsk(integer(1), "RPUSH", "list", "x")
	killer.wantAsk(bulk("x"), "LPOP", "list")

	for _, nobody := range [][]string{{""}, {"ADDR", ""}, {"USER", ""}, {"ID", "4611686018427387904"}} {
		got := killer.ask(append([]string{"CLIENT", "KILL"}, nobody...)...)
		if got == okReply || got == integer(4) {
			t.Errorf("CLIENT KILL %q: got %s", nobody, short(got))
		}
	}
	killer.wantAsk(integer(3), "CLIENT", "KILL", "USER", "default")
	for i := 5; i < 8; i++ {
		victims[i].wantGone()
	}
	killer.send(request("CLIENT", "KILL", "USER", "default", "SKIPME", "no") + request("SET", "a", "1"))
	killer.want(integer(1))
	killer.wantClosed()
	b.dial(t).wantAsk(nullReply, "GET", "a")
}

func TestRedisClientUnblock(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 2, workers: 3})
	c := b.dial(t)
	for i := range 6 {
		key := fmt.Sprintf("list%d", i)
		blocked := b.dial(t)
		id := blocked.clientID()
		c.wantAsk(integer(0), "CLIENT", "UNBLOCK", id)
		for _, reason := range []struct{ word, want string }{
			{"TIMEOUT", "*-1\r\n"}, {"ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"},
		} {
			blocked.send(request("BLPOP", key, "0") + request("PING"))
			c.waitBlocked(id)
			eventually(t, "the client to be unblocked", func() error { // its command may be on its way still
				if got := c.ask("CLIENT", "UNBLOCK", id, reason.word); got != integer(1) {
					return fmt.Errorf("got %s", short(got))
				}
				return nil
			})
			blocked.want(reason.want + pongReply)
		}
		c.wantAsk(integer(1), "RPUSH", key, "x")
		blocked.wantAsk(array(bulk(key), bulk("x")), "BLPOP", key, "0")
	}
	c.wantAsk(integer(0), "CLIENT", "UNBLOCK", "99999999")
}

// TestRedisClientReply has clients not want responses. Their requests run, in order, also those behind which they leave.
func TestRedisClientReply(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 3, workers: 2})
	other := b.dial(t)
	t.Run("skip", func(t *testing.T) {
		c := b.dial(t)
		c.send(request("CLIENT", "REPLY", "SKIP") + request("SET", "a", "1") + request("GET", "a") +
			request("CLIENT", "REPLY", "SKIP") + request("MGET", "a", "b", "c", "d", "e") + request("GET", "a") +
			request("CLIENT", "REPLY", "SKIP") + request("MGET") + request("GET", "a") +
			request("CLIENT", "REPLY", "SKIP") + request("CLIENT", "LIST") + request("GET", "a"))
		c.want(strings.Repeat(bulk("1"), 4))
	})
	t.Run("off", func(t *testing.T) {
		c := b.dial(t)
		var requests strings.Builder
		requests.WriteString(request("SET", "n", "0") + request("CLIENT", "REPLY", "OFF"))
		for range 1000 {
			requests.WriteString(request("INCR", "n") + request("MSET", "x", "1", "y", "2", "z", "3") + request("PING") + request("NOPE"))
		}
		requests.WriteString(request("SELECT", "2") + request("SET", "n", "two") + request("SELECT", "0"))
		requests.WriteString(request("CLIENT", "REPLY", "ON") + request("GET", "n") + request("MGET", "x", "y", "z"))
		c.send(requests.String())
		c.want(okReply + okReply + bulk("1000") + bulks("1", "2", "3"))
		c.wantAsk(okReply, "SELECT", "2")
		c.wantAsk(bulk("two"), "GET", "n")
	})
	t.Run("messages come", func(t *testing.T) {
		c := b.dial(t)
		c.send(request("CLIENT", "REPLY", "OFF") + request("SUBSCRIBE", "news"))
		c.want(array(bulk("subscribe"), bulk("news"), integer(1)))
		other.wantAsk(integer(1), "PUBLISH", "news", "x")
		c.want(bulks("message", "news", "x"))
		c.send(request("UNSUBSCRIBE", "nothing") + request("UNSUBSCRIBE", "news") + request("PING") + request("CLIENT", "REPLY", "ON"))
		c.want(array(bulk("unsubscribe"), bulk("nothing"), integer(1)) + array(bulk("unsubscribe"), bulk("news"), integer(0)) + okReply)
	})
	t.Run("what was sent before leaving runs", func(t *testing.T) {
		for i, end := range []string{"", request("QUIT"), request("RESET")} {
			key := fmt.Sprintf("last%d", i)
			c := b.dial(t)
			c.send(request("CLIENT", "REPLY", "OFF") + request("MULTI") + request("INCR", key) + request("INCR", key) + request("EXEC") +
				request("INCR", key) + end) // a client that ends its stream while it blocks is gone, with Redis too
			c.finish()
			if i == 2 {
				c.want("+RESET\r\n")
			}
			c.wantClosed()
			eventually(t, key+" to be 3", func() error {
				if got := other.ask("GET", key); got != bulk("3") {
					return fmt.Errorf("it is %s", short(got))
				}
				return nil
			})
		}
	})
	t.Run("a script that a server lacks", func(t *testing.T) {
		loaded := resp.NewReader([]byte(other.ask("SCRIPT", "LOAD", "return redis.call('incr',KEYS[1])")))
		sha, _ := loaded.Next()
		for _, server := range b.servers {
			dial(t, server.Addr()).wantAsk(okReply, "SCRIPT", "FLUSH")
		}
		c := b.dial(t)
		c.send(request("CLIENT", "REPLY", "SKIP") + request("EVALSHA", string(sha.Text), "1", "count"))
		eventually(t, "count to be 1", func() error {
			if got := other.ask("GET", "count"); got != bulk("1") {
				return fmt.Errorf("it is %s", short(got))
			}
			return nil
		})
		c.wantAsk(bulk("1"), "GET", "count")
	})
	t.Run("silence", func(t *testing.T) {
		c := b.dial(t)
		c.send(request("CLIENT", "REPLY", "OFF") + request("GET", "a") + request("MGET", "a", "b", "c") + request("CLIENT", "LIST") + request("KEYS", "*"))
		c.wantSilence(50 * time.Millisecond)
	})
}
