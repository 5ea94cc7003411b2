package test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// with puts a command's name in front of its arguments.
func with(name string, args ...string) []string { return append([]string{name}, args...) }

// pairs is the arguments of an MSET.
func pairs(keys, values []string) []string {
	var all []string
	for i := range keys {
		all = append(all, keys[i], values[i])
	}
	return all
}

// setGetDelete sets keys, gets them in order, deletes them, and sees that they are gone.
func setGetDelete(c *rawConn, keys, values []string) {
	c.t.Helper()
	c.wantAsk(okReply, with("MSET", pairs(keys, values)...)...)
	c.wantAsk(bulks(values...), with("MGET", keys...)...)
	c.wantAsk(integer(len(keys)), with("DEL", keys...)...)
	c.wantAsk(nulls(len(keys)), with("MGET", keys...)...)
}

func named(prefix string, n int) []string {
	all := numbers(n)
	for i := range all {
		all[i] = prefix + all[i]
	}
	return all
}

func TestRedisManyKeysInOneRequest(t *testing.T) {
	t.Parallel()
	c := startRedisBed(t, bedOptions{servers: 3}).dial(t)
	for _, n := range []int{1, 2, 10, 126, 171, 342, 513, 1000, 8193, 20000} {
		setGetDelete(c, named("kkk-", n), named("vvv-", n))
	}
}

func TestRedisPresentAndAbsentKeysKeepTheirOrder(t *testing.T) {
	t.Parallel()
	c := startRedisBed(t, bedOptions{servers: 3}).dial(t)
	present, absent := named("present-", 150), named("absent-", 100)
	c.wantAsk(okReply, with("MSET", pairs(present, present)...)...)
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		keys := slices.Concat(present, absent, present[:20]) // some of them twice
		random.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		var want []string
		for _, key := range keys {
			if strings.HasPrefix(key, "present") {
				want = append(want, bulk(key))
			} else {
				want = append(want, nullReply)
			}
		}
		c.wantAsk(array(want...), with("MGET", keys...)...)
		c.wantAsk(integer(170), with("EXISTS", keys...)...)
		c.wantAsk(integer(170), with("TOUCH", keys...)...)
	}
	c.wantAsk(integer(150), with("DEL", slices.Concat(absent, present, absent)...)...)
}

func TestRedisKeysAsLongAsABuffer(t *testing.T) {
	t.Parallel()
	c := startRedisBed(t, bedOptions{}).dial(t)
	for _, size := range []int{512 - 48 - 2, 512 - 48 - 1, 512 - 48, 16<<10 - 49, 16 << 10} {
		for _, valueSize := range []int{0, 1, 500, 2000} {
			var keys, values []string
			for i := range 20 {
				keys = append(keys, fmt.Sprintf("%0*d", size, i))
				values = append(values, strings.Repeat(strconv.Itoa(i%10), valueSize))
			}
			setGetDelete(c, keys, values)
		}
	}
}

func TestRedisSplitRequestsInAPipeline(t *testing.T) {
	t.Parallel()
	c := startRedisBed(t, bedOptions{servers: 3}).dial(t)
	keys := named("pipe-", 500)
	var send, want strings.Builder
	ask := func(reply string, args ...string) { send.WriteString(request(args...)); want.WriteString(reply) }
	for _, key := range keys {
		ask(okReply, "SET", key, "first "+key)
	}
	var first []string
	for _, key := range keys {
		first = append(first, "first "+key)
	}
	ask(bulks(first...), with("MGET", keys...)...)
	for _, key := range keys {
		ask(okReply, "SET", key, "second "+key)
		ask(bulk("second "+key), "GET", key)
	}
	ask(integer(126), with("DEL", keys[:126]...)...)
	ask(nulls(126), with("MGET", keys[:126]...)...)
	ask(integer(374), with("UNLINK", keys...)...)
	c.send(send.String())
	c.want(want.String())
}

func TestRedisDeletesManyKeys(t *testing.T) {
	t.Parallel()
	c := startRedisBed(t, bedOptions{servers: 3}).dial(t)
	keys := named("del-", 100)
	for _, key := range keys {
		c.wantAsk(okReply, "SET", key, key)
	}
	c.wantAsk(integer(100), with("DEL", keys...)...)
	for _, key := range keys {
		c.wantAsk(nullReply, "GET", key)
	}
	for range 20 {
		c.send(request(with("MGET", named("key-", 126)...)...) + request(with("DEL", named("key-", 126)...)...))
		c.want(nulls(126) + integer(0))
	}
}

// TestRedisCountsOverServers is where twemproxy was wrong: it asked the first key's server for all.
func TestRedisCountsOverServers(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 3})
	c := b.dial(t)
	k0, k1, k2 := b.key(0, "k"), b.key(1, "k"), b.key(2, "k")
	c.wantAsk(integer(0), "EXISTS", k0)
	c.wantAsk(okReply, "MSET", k0, "0", k1, "1", k2, "2")
	c.wantAsk(integer(1), "EXISTS", k0)
	c.wantAsk(integer(3), "EXISTS", k0, k1, k2)
	c.wantAsk(integer(5), "EXISTS", k0, k1, k2, k2, k1, "none")
	c.wantAsk(integer(4), "TOUCH", k0, k0, k1, k2, "none")
	c.wantAsk(integer(2), "UNLINK", k2, k0, k2)
	c.wantAsk(integer(1), "EXISTS", k0, k1, k2)
}

func TestRedisHashTagsKeepKeysTogether(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 3, pool: []string{`hash_tag: "{}"`}})
	c := b.dial(t)
	for i := range 30 {
		tag := strconv.Itoa(i)
		one, two, sum := "{"+tag+"}one", "two{"+tag+"}", "{"+tag+"}"
		server := b.dialServer(t, ownerAmong(3, tag))
		c.wantAsk(integer(2), "SADD", one, "1", "2")
		c.wantAsk(integer(2), "SADD", two, "2", "3")
		c.wantAsk(bulks("1", "2", "3"), "SUNION", one, two)
		c.wantAsk(bulks("2"), "SINTER", one, two)
		c.wantAsk(integer(1), "SINTERCARD", "2", one, two)
		c.wantAsk(integer(3), "SUNIONSTORE", sum, one, two)
		server.wantAsk(integer(3), "EXISTS", one, two, sum)
		c.wantAsk(okReply, "RENAME", sum, two)
		c.wantAsk(integer(1), "COPY", two, sum)
		c.wantAsk(integer(1), "SMOVE", one, two, "1")
		c.wantAsk(integer(0), "MSETNX", one, "x", "new{"+tag+"}", "y")
		c.wantAsk(integer(3), "DEL", one, two, sum)
		c.wantAsk(integer(2), "EVAL", "redis.call('SET', KEYS[1], ARGV[1]) redis.call('SET', KEYS[2], ARGV[2]) return redis.call('EXISTS', KEYS[1], KEYS[2])",
			"2", one, two, "first", "second")
		server.wantAsk(bulks("first", "second"), "MGET", one, two)
	}
	// An incomplete or an empty tag is none.
	for _, key := range []string{"{}a", "{a", "a}", "}a{"} {
		c.wantAsk(okReply, "SET", key, key)
		b.dialServer(t, b.owner(key)).wantAsk(bulk(key), "GET", key)
	}
	// All keys on one server: nothing is split.
	if err := b.Pool("alpha").want(map[string]int64{"fragments": 0}); err != nil {
		t.Error(err)
	}
}

func TestRedisKeysOfDifferentServersAreRefused(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{})
	c := b.dial(t)
	k0, k1 := b.key(0, "k"), b.key(1, "k")
	crossed := func(a, b string) string {
		return fmt.Sprintf("-CROSSSLOT Keys in request don't belong to the same server: '%s' and '%s'; "+
			"give them a common hash tag (hash_tag in the pool's configuration)\r\n", a, b)
	}
	for _, args := range [][]string{
		{"SUNION", k0, k1},
		{"SINTER", k0, k0, k1},
		{"SDIFF", k0, k1},
		{"SDIFFSTORE", k0, k0, k1},
		{"SINTERSTORE", k0, k1},
		{"MSETNX", k0, "1", k1, "2"},
		{"RPOPLPUSH", k0, k1},
		{"LMOVE", k0, k1, "LEFT", "LEFT"},
		{"SMOVE", k0, k1, "m"},
		{"PFCOUNT", k0, k1},
		{"PFMERGE", k0, k1},
		{"COPY", k0, k1},
		{"RENAME", k0, k1},
		{"RENAMENX", k0, k1},
		{"BITOP", "AND", k0, k1},
		{"EVAL", "return 1", "2", k0, k1, "arg"},
		{"EVALSHA", "abc", "2", k0, k1},
		{"ZRANGESTORE", k0, k1, "0", "-1"},
		{"ZUNIONSTORE", k0, "1", k1},
		{"ZINTERSTORE", k0, "2", k0, k1},
		{"ZUNION", "2", k0, k1},
		{"ZDIFF", "2", k0, k1},
		{"SORT", k0, "STORE", k1},
		{"GEOSEARCHSTORE", k0, k1, "FROMLONLAT", "1", "1", "BYRADIUS", "1", "m"},
		{"GEORADIUS", k0, "1", "1", "1", "m", "STORE", k1},
		{"LCS", k0, k1},
		{"LMPOP", "2", k0, k1, "LEFT"},
		{"ZMPOP", "2", k0, k1, "MIN"},
		{"SINTERCARD", "2", k0, k1},
		{"ZINTERCARD", "2", k0, k1},
		{"ZINTER", "2", k0, k1},
		{"ZDIFFSTORE", k0, "2", k0, k1},
		{"SUNIONSTORE", k0, k0, k1},
		{"GEORADIUS", k0, "1", "1", "1", "m", "STOREDIST", k1},
		{"GEORADIUSBYMEMBER", k0, "m", "1", "m", "STORE", k1},
		{"XREAD", "STREAMS", k0, k1, "0", "0"},
		{"XREAD", "BLOCK", "10", "STREAMS", k0, k1, "0", "0"},
		{"XREADGROUP", "GROUP", "g", "c", "STREAMS", k0, k1, ">", ">"},
		{"BLPOP", k0, k1, "0"},
		{"BRPOP", k0, k1, "0"},
		{"BRPOPLPUSH", k0, k1, "0"},
		{"BLMOVE", k0, k1, "LEFT", "LEFT", "0"},
		{"BLMPOP", "0", "2", k0, k1, "LEFT"},
		{"BZPOPMIN", k0, k1, "0"},
		{"BZPOPMAX", k0, k1, "0"},
		{"BZMPOP", "0", "2", k0, k1, "MIN"},
		{"EVAL_RO", "return 1", "2", k0, k1},
		{"EVALSHA_RO", "abc", "2", k0, k1},
		{"FCALL", "f", "2", k0, k1},
		{"FCALL_RO", "f", "2", k0, k1},
		{"WATCH", k0, k1},
	} {
		c.wantAsk(crossed(k0, k1), args...)
	}
	if err := b.Pool("alpha").want(map[string]int64{"requests": 0, "forward_error": 0, "client_err": 0}); err != nil {
		t.Errorf("something was sent or counted: %v", err)
	}
}

func TestRedisScripts(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 3})
	c := b.dial(t)
	keys := b.keys(2, 3, "s")
	c.wantAsk(bulks(keys[0], keys[1], keys[2], "a1", ""), "EVAL", "return {KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2]}", "3", keys[0], keys[1], keys[2], "a1", "")
	// The arguments are no keys, wherever they would belong.
	c.wantAsk(bulk(b.key(0, "arg")), "EVAL", "return ARGV[1]", "1", keys[0], b.key(0, "arg"), b.key(1, "arg"))
	c.wantAsk("-ERR 'eval' without a key cannot be routed; name a key whose server shall run it\r\n", "EVAL", "return 1", "0")
	for _, wrong := range []string{"x", "-1", "2", "99999999999999999999"} {
		if got := c.ask("EVAL", "return 1", wrong, keys[0]); !strings.HasPrefix(got, "-ERR ") {
			t.Errorf("EVAL with numkeys %s: got %q, want an error", wrong, got)
		}
	}
	// A script so long that twemproxy's buffer ended within the number of keys.
	for size := 420; size < 470; size++ {
		script := fmt.Sprintf("return 1 --%0*d", size, 0)
		c.wantAsk(integer(1), "EVAL", script, "1", keys[0])
	}
	c.wantAsk(pongReply, "PING")
}
