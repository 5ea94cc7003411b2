package test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/testkit"
)

// follow starts a replica of a bed's server, and waits until it is one.
func (b *redisBed) follow(t *testing.T, server int) *testkit.Process {
	t.Helper()
	primary := b.servers[server]
	replica := testkit.Redis(t, "--replicaof", "127.0.0.1 "+strconv.Itoa(primary.Port()))
	c := dial(t, replica.Addr())
	eventually(t, "the replica to be in step", func() error {
		if text := c.ask("INFO", "replication"); !strings.Contains(text, "master_link_status:up") {
			return fmt.Errorf("it is not: %s", short(text))
		}
		return nil
	})
	eventually(t, "the server to know it", func() error {
		if text := b.dialServer(t, server).ask("INFO", "replication"); !strings.Contains(text, "state=online") {
			return fmt.Errorf("it does not: %s", short(text))
		}
		return nil
	})
	return replica
}

// TestRedisWait holds that WAIT counts a replica only when it has what the client wrote before.
func TestRedisWait(t *testing.T) {
	t.Parallel()
	for _, servers := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d servers", servers), func(t *testing.T) {
			t.Parallel()
			b := startRedisBed(t, bedOptions{servers: servers, workers: 2, serverArgs: []string{"--repl-diskless-sync-delay", "0"}})
			var replicas []*testkit.Process
			for i := range servers {
				replicas = append(replicas, b.follow(t, i))
			}
			c, other := b.dial(t), b.dial(t)
			for i, replica := range replicas {
				key := b.key(i, "key")
				for n := range 5 {
					c.send(request("SET", key, strconv.Itoa(n)) + request("WAIT", "1", "0"))
					c.want(okReply + integer(1))
					dial(t, replica.Addr()).wantAsk(bulk(strconv.Itoa(n)), "GET", key)
				}
			}
			last, key := replicas[servers-1], b.key(servers-1, "late")
			if err := last.Stop(); err != nil {
				t.Fatal(err)
			}
			c.send(request("SET", key, "x") + request("WAIT", "1", "100") + request("PING"))
			c.want(okReply + integer(0) + pongReply) // the stopped one does not have it
			c.send(request("SET", key, "y") + request("WAIT", "1", "0"))
			c.want(okReply)
			c.wantSilence(50 * time.Millisecond)
			if err := last.Cont(); err != nil {
				t.Fatal(err)
			}
			c.want(integer(1))
			dial(t, last.Addr()).wantAsk(bulk("y"), "GET", key)

			// What waits for more replicas than there are can be unblocked, and goes with its client.
			id := c.clientID()
			c.send(request("WAIT", "2", "0") + request("PING"))
			other.waitBlocked(id)
			unblock := func(reason string) {
				t.Helper()
				eventually(t, "the client to be unblocked", func() error {
					if got := other.ask("CLIENT", "UNBLOCK", id, reason); got != integer(1) {
						return fmt.Errorf("got %s", short(got))
					}
					return nil
				})
			}
			unblock("TIMEOUT")
			if got := c.reply(); got != integer(1) && got != integer(0) { // the replicas may have said it by then, or not
				t.Errorf("an unblocked WAIT answers %s", short(got))
			}
			c.want(pongReply)
			c.send(request("WAIT", "2", "0") + request("PING"))
			other.waitBlocked(id)
			unblock("ERROR")
			c.want("-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n" + pongReply)
			c.wantAsk(integer(1), "WAIT", "2", "500")
			c.send(request("WAIT", "2", "0"))
			other.waitBlocked(id)
			c.close()
			eventually(t, "nobody to block on a server", func() error {
				for i := range b.servers {
					for _, fields := range b.dialServer(t, i).list("TYPE", "normal") {
						if fields["flags"] == "b" {
							return fmt.Errorf("server %d has %v", i, fields)
						}
					}
				}
				return nil
			})
		})
	}
}

func TestRedisWaitErrors(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 2, workers: 1})
	c := b.dial(t)
	c.wantAsk("-ERR value is not an integer or out of range\r\n", "WAIT", "x", "0")
	c.wantAsk("-ERR timeout is not an integer or out of range\r\n", "WAIT", "0", "x")
	c.wantAsk("-ERR timeout is negative\r\n", "WAIT", "0", "-1")
	c.wantAsk(integer(0), "WAIT", "0", "0")
	c.wantAsk(okReply, "MULTI")
	c.wantAsk("+QUEUED\r\n", "WAIT", "1", "0")
	c.wantAsk("+QUEUED\r\n", "SET", "a", "1")
	c.wantAsk(array(integer(0), okReply), "EXEC")
	c.wantAsk(okReply, "WATCH", "a")
	c.wantAsk(integer(0), "WAIT", "1", "10")
	c.wantAsk(okReply, "MULTI")
	c.wantAsk(array(), "EXEC")
	// One server that fails ends the waiting for the others.
	c.send(request("WAIT", "1", "0") + request("PING"))
	other := b.dial(t)
	for id := range other.list() {
		if id != other.clientID() {
			other.waitBlocked(id)
		}
	}
	b.servers[1].Kill()
	c.want("-ERR Connection closed by server (server s2)\r\n" + pongReply)
	c.wantAsk("-ERR Connection refused (server s2)\r\n", "WAIT", "1", "0")
	c.wantAsk(pongReply, "PING")
}
