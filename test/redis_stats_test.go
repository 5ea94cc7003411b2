package test

import (
	"fmt"
	"strings"
	"testing"
)

// TestRedisStatisticsAreExact reads the statistics right after the last reply: they are live.
func TestRedisStatisticsAreExact(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) {
			t.Parallel()
			b := startRedisBed(t, bedOptions{workers: workers})
			c := b.dial(t)
			exact := func(what string, want map[string]int64) {
				t.Helper()
				if err := b.Pool("alpha").want(want); err != nil {
					t.Errorf("after %s: %v", what, err)
				}
			}
			c.wantAsk(pongReply, "PING")
			exact("what the proxy answers by itself", map[string]int64{"requests": 0, "responses": 0, "fragments": 0})

			keys := append(b.keys(0, 5, "a"), b.keys(1, 5, "b")...)
			var sent, received int
			for _, key := range keys {
				c.wantAsk(okReply, "SET", key, key)
				c.wantAsk(bulk(key), "GET", key)
				sent += len(request("SET", key, key)) + len(request("GET", key))
				received += len(okReply) + len(bulk(key))
			}
			exact("10 SETs and 10 GETs", map[string]int64{
				"requests": 20, "responses": 20, "request_bytes": int64(sent), "response_bytes": int64(received), "fragments": 0,
			})

			c.wantAsk(bulks(keys...), with("MGET", keys...)...)
			sent += len(request(with("mget", keys[:5]...)...)) + len(request(with("mget", keys[5:]...)...))
			received += len(bulks(keys[:5]...)) + len(bulks(keys[5:]...))
			exact("an MGET over two servers", map[string]int64{
				"requests": 22, "responses": 22, "request_bytes": int64(sent), "response_bytes": int64(received), "fragments": 2,
			})

			c.wantAsk(bulks(keys[:5]...), with("MGET", keys[:5]...)...)
			exact("an MGET on one server", map[string]int64{"requests": 23, "responses": 23, "fragments": 2})

			c.wantAsk("-WRONGTYPE Operation against a key holding the wrong kind of value\r\n", "LPUSH", keys[0], "x")
			c.wantAsk(unknown("NONSENSE"), "NONSENSE") // a server was asked what that is, the first time
			c.wantAsk(unknown("NONSENSE"), "NONSENSE")
			c.wantAsk(integer(10), with("DEL", keys...)...)
			exact("an error, nonsense and a DEL", map[string]int64{
				"requests": 27, "responses": 27, "fragments": 4, "forward_error": 0, "client_connections": 1, "client_err": 0,
				"server_err": 0, "server_eof": 0, "server_timedout": 0, "server_ejects": 0, "server_connections": 2,
				"in_queue": 0, "in_queue_bytes": 0, "out_queue": 0, "out_queue_bytes": 0,
			})
			p := b.Pool("alpha")
			if s1, s2 := p.Servers["s1"]["requests"], p.Servers["s2"]["requests"]; s1 != 14 || s2 != 13 {
				t.Errorf("the servers got %d and %d requests, want 14 and 13", s1, s2)
			}

			c.send(strings.Repeat(request("GET", keys[0]), 1000))
			c.want(strings.Repeat(nullReply, 1000))
			exact("a pipeline of 1000", map[string]int64{"requests": 1027, "responses": 1027})
		})
	}
}

func TestRedisStatisticsCountConnections(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{workers: 1})
	b.waitPool("alpha", "the harness's connection to be over", func(p PoolStats) error { return p.want(map[string]int64{"client_connections": 0}) })
	before := b.Stats()
	if before.Curr != 1 {
		t.Errorf("curr_connections of an idle daemon is %d, want the listener", before.Curr)
	}
	clients := make([]*rawConn, 10)
	for i := range clients {
		clients[i] = b.dial(t)
		clients[i].wantAsk(nulls(2), "MGET", b.key(0, "k"), b.key(1, "k"))
	}
	after := b.Stats()
	if after.Curr != 13 || after.Total != before.Total+12 {
		t.Errorf("curr_connections is %d, want 10 clients, 2 servers and the listener; total_connections grew by %d, want 12", after.Curr, after.Total-before.Total)
	}
	if got := after.Pools["alpha"].Counters["client_connections"]; got != 10 {
		t.Errorf("client_connections is %d, want 10", got)
	}
	for _, c := range clients {
		c.close()
	}
	b.waitPool("alpha", "all clients to be gone", func(p PoolStats) error {
		return p.want(map[string]int64{"client_connections": 0, "server_connections": 2, "client_eof": before.Pools["alpha"].Counters["client_eof"] + 10})
	})
}
