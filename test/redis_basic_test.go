package test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

func TestRedisBasics(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{pool: []string{"timeout: 10000", "preconnect: true"}})
	cases := []struct {
		name string
		run  func(t *testing.T, c *rawConn)
	}{
		{"a value comes back", func(_ *testing.T, c *rawConn) {
			c.wantAsk(okReply, "SET", "basic", "value")
			c.wantAsk(bulk("value"), "GET", "basic")
			c.wantAsk(nullReply, "GET", "absent")
		}},
		{"a key and a value may be empty", func(_ *testing.T, c *rawConn) {
			c.wantAsk(okReply, "SET", "", "the empty key's")
			c.wantAsk(bulk("the empty key's"), "GET", "")
			c.wantAsk(okReply, "SET", "", "")
			c.wantAsk(bulk(""), "GET", "")
			c.wantAsk(okReply, "MSET", "", "v1", b.key(1, "full"), "v2", b.key(0, "full"), "")
			c.wantAsk(bulks("v2", "v1", ""), "MGET", b.key(1, "full"), "", b.key(0, "full"))
		}},
		{"ping and quit", func(_ *testing.T, c *rawConn) {
			c.wantAsk(pongReply, "PING")
			c.wantAsk(bulk("hello"), "PING", "hello")
			c.wantAsk(bulk("\r\n\x00"), "ECHO", "\r\n\x00")
			c.send(request("SET", "quit", "1") + request("QUIT") + request("SET", "quit", "2"))
			c.want(okReply + okReply)
			c.wantClosed()
			again := b.dial(c.t)
			again.wantAsk(bulk("1"), "GET", "quit")
		}},
		{"a short script runs where its key is", func(_ *testing.T, c *rawConn) {
			for server := range 2 {
				key := b.key(server, "script")
				c.wantAsk(integer(10), "EVAL", "for i=1,10 do redis.call('INCR', KEYS[1]) end return tonumber(redis.call('GET', KEYS[1]))", "1", key)
				b.dialServer(c.t, server).wantAsk(bulk("10"), "GET", key)
			}
		}},
		{"a status inside an array", func(_ *testing.T, c *rawConn) {
			c.wantAsk(array(integer(10), okReply), "EVAL", "return {10, {ok='OK'}}", "1", "k")
			c.wantAsk(array(integer(1), "-MY error\r\n", bulk("x"), array(array())), "EVAL", "return {1, {err='MY error'}, 'x', {{}}}", "1", "k")
		}},
		{"arrays in arrays, 20 deep", func(_ *testing.T, c *rawConn) {
			want := strings.Repeat("*1\r\n", 20) + integer(7)
			c.wantAsk(want, "EVAL", "return "+strings.Repeat("{", 20)+"7"+strings.Repeat("}", 20), "1", "k")
		}},
		{"a script by its digest", func(t *testing.T, c *rawConn) {
			got := c.ask("EVALSHA", strings.Repeat("a", 40), "1", "k")
			if !strings.HasPrefix(got, "-NOSCRIPT ") {
				t.Errorf("got %q, want the server's NOSCRIPT", got)
			}
		}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) { tc.run(t, b.dial(t)) })
	}
}

func TestRedisKeysLieWhereModulaPutsThem(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 3})
	c := b.dial(t)
	servers := []*rawConn{b.dialServer(t, 0), b.dialServer(t, 1), b.dialServer(t, 2)}
	for i := range 100 {
		key := "place-" + strconv.Itoa(i)
		c.wantAsk(okReply, "SET", key, key)
		for j, server := range servers {
			want := nullReply
			if j == b.owner(key) {
				want = bulk(key)
			}
			server.wantAsk(want, "GET", key)
		}
	}
}

func TestRedisLists(t *testing.T) {
	t.Parallel()
	c := startRedisBed(t, bedOptions{}).dial(t)
	c.wantAsk(integer(1), "RPUSH", "list", "Hello")
	c.wantAsk(integer(2), "RPUSH", "list", "World")
	c.wantAsk(integer(3), "LINSERT", "list", "BEFORE", "World", "There")
	c.wantAsk(bulks("Hello", "There", "World"), "LRANGE", "list", "0", "-1")
	c.wantAsk(array(), "LRANGE", "missing", "0", "-1")
	c.wantAsk(integer(10), append([]string{"LPUSH", "ten"}, numbers(10)...)...)
	c.wantAsk(bulks("9", "8", "7", "6", "5", "4", "3", "2", "1", "0"), "LRANGE", "ten", "0", "-1")
}

func numbers(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = strconv.Itoa(i)
	}
	return all
}

func TestRedisScans(t *testing.T) {
	t.Parallel()
	c := startRedisBed(t, bedOptions{}).dial(t)
	c.wantAsk(integer(3), "HSET", "hash", "a", "1", "b", "2", "ab", "3")
	c.wantAsk(array(bulk("0"), bulks("a", "1", "b", "2", "ab", "3")), "HSCAN", "hash", "0")
	c.wantAsk(array(bulk("0"), bulks("a", "1", "ab", "3")), "HSCAN", "hash", "0", "MATCH", "a*")
	c.wantAsk(integer(3), "ZADD", "zset", "1", "a", "2", "b", "3", "ab")
	c.wantAsk(array(bulk("0"), bulks("a", "1", "b", "2", "ab", "3")), "ZSCAN", "zset", "0")
	c.wantAsk(array(bulk("0"), bulks("a", "1", "ab", "3")), "ZSCAN", "zset", "0", "MATCH", "a*")
	c.wantAsk(integer(3), "SADD", "set", "1", "2", "12") // numbers come in order
	c.wantAsk(array(bulk("0"), bulks("1", "2", "12")), "SSCAN", "set", "0")
	c.wantAsk(array(bulk("0"), bulks("1", "12")), "SSCAN", "set", "0", "MATCH", "1*")
}

func TestRedisLargeHashPageByPage(t *testing.T) {
	t.Parallel()
	c := startRedisBed(t, bedOptions{}).dial(t)
	fields := []string{"HSET", "big"}
	for i := range 1000 {
		fields = append(fields, fmt.Sprintf("%s%d", strings.Repeat("x", 100), i), strconv.Itoa(i))
	}
	c.wantAsk(integer(1000), fields...)
	seen := map[string]string{}
	cursor := "0"
	for range 1000 {
		c.send(request("HSCAN", "big", cursor, "COUNT", "10"))
		cursor = hscanPage(t, c, seen)
		if cursor == "0" {
			break
		}
	}
	if cursor != "0" || len(seen) != 1000 {
		t.Fatalf("cursor %s, %d fields seen, want 0 and 1000", cursor, len(seen))
	}
	for field, value := range seen {
		if !strings.HasSuffix(field, "x"+value) {
			t.Errorf("field %q has value %q", field, value)
		}
	}
	matched := map[string]string{}
	for cursor = ""; cursor != "0"; {
		c.send(request("HSCAN", "big", "0"+cursor, "MATCH", "*x1*", "COUNT", "2000"))
		cursor = hscanPage(t, c, matched)
	}
	if len(matched) != 111 {
		t.Errorf("%d fields match, want 111", len(matched))
	}
}

// hscanPage reads the reply of an HSCAN into seen and returns the cursor.
func hscanPage(t *testing.T, c *rawConn, seen map[string]string) (cursor string) {
	t.Helper()
	c.want("*2\r\n")
	cursor = bulkText(t, c.reply())
	n, err := strconv.Atoi(strings.TrimPrefix(c.line(), "*"))
	if err != nil {
		t.Fatal(err)
	}
	for range n / 2 {
		field := bulkText(t, c.reply())
		seen[field] = bulkText(t, c.reply())
	}
	return cursor
}

// bulkText is what a bulk string reply holds.
func bulkText(t *testing.T, reply string) string {
	t.Helper()
	_, text, ok := strings.Cut(reply, "\r\n")
	if !ok || reply[0] != '$' || len(text) < 2 {
		t.Fatalf("%s is not a bulk string", short(reply))
	}
	return text[:len(text)-2]
}
