package test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"nutmeg/internal/distribution"
	"nutmeg/internal/hashkit"
	"nutmeg/internal/testkit"
)

// The daemon beside the real twemproxy: the same configuration, the same bytes in, the same bytes out.

// startBoth starts nutmeg and nutcracker with one configuration, in which "{listen}" is where a pool listens and
// "{a}", "{b}", "{c}" are its servers. Each proxy has servers of its own if start makes them, and returns its pools' addresses.
func startBoth(t *testing.T, conf string, start func() (addr string)) (ours, theirs []string) {
	t.Helper()
	fill := func() string {
		text := conf
		for _, name := range cacheNames {
			if mark := "{" + name + "}"; strings.Contains(text, mark) {
				text = strings.ReplaceAll(text, mark, start())
			}
		}
		return text
	}
	n := startNutmeg(t, fill())
	text := fill()
	for strings.Contains(text, "{listen}") {
		addr := "127.0.0.1:" + strconv.Itoa(testkit.FreePort(t))
		theirs = append(theirs, addr)
		text = strings.Replace(text, "{listen}", addr, 1)
	}
	testkit.Nutcracker(t, text)
	return n.listening, theirs
}

const differentialServers = "  servers:\n  - {a}:1 a\n  - {b}:1 b\n"

// redisLikeTwemproxy are commands whose every form here both proxies serve. Each word is an argument; ” is an empty one.
var redisLikeTwemproxy = []string{
	"PING", "ping", "SET k1 v1", "GET k1", "get k1", "SET '' empty", "GET ''", "SET k2 ''", "GET k2", "GET none",
	"SET k3 v EX 100", "SET k3 v NX", "SETNX k4 1", "SETEX k5 100 v", "PSETEX k5 100000 v", "GETSET k1 v2", "GETDEL k1", "GETEX k5",
	"APPEND k1 abc", "STRLEN k1", "GETRANGE k1 0 1", "SETRANGE k1 1 x", "SETBIT k1 7 1", "GETBIT k1 7", "BITCOUNT k1", "BITCOUNT k1 0 0", "BITPOS k1 1",
	"INCR n", "INCRBY n 10", "DECR n", "DECRBY n 3", "INCRBYFLOAT n 0.5", "INCR k1", "BITFIELD bits SET u8 0 255 GET u8 0",
	"MSET k1 1 k2 2 k3 3 k4 4 k5 5 k6 6", "MGET k1 k2 k3 k4 k5 k6 none", "MGET k1", "MGET k1 k1 none k1", "DEL k1 k2 none", "DEL k3", "UNLINK k4 k5 none", "TOUCH k6 none", "MGET k1 k2 k3 k4 k5 k6",
	"EXISTS k6", "EXISTS none", "TYPE k6", "TTL k6", "EXPIRE k6 100", "PERSIST k6", "PTTL none", "EXPIREAT k6 4000000000", "PEXPIREAT k6 4000000000000", "DUMP none",
	"RPUSH l a b c", "LPUSH l z", "LPUSHX l y", "RPUSHX none y", "LRANGE l 0 -1", "LINDEX l 0", "LLEN l", "LSET l 0 x", "LSET l 9 x", "LREM l 1 a", "LINSERT l BEFORE b q", "LTRIM l 0 2", "LPOP l", "LPOP l 2", "RPOP none", "LPOS l b",
	"RPOPLPUSH {t}l1 {t}l2", "LMOVE {t}l1 {t}l2 LEFT RIGHT",
	"HSET h f1 v1 f2 v2", "HGET h f1", "HMGET h f1 none", "HGETALL h", "HKEYS h", "HVALS h", "HLEN h", "HDEL h f1", "HEXISTS h f1", "HSTRLEN h f2", "HSETNX h f2 x", "HINCRBY h n 5", "HINCRBYFLOAT h n 0.5", "HMSET h a b", "HSCAN h 0", "HRANDFIELD none",
	"SADD s 1 2 3", "SCARD s", "SISMEMBER s 1", "SMISMEMBER s 1 9", "SMEMBERS s", "SREM s 1", "SPOP none", "SRANDMEMBER none", "SSCAN s 0", "SADD {t}s1 1 2", "SADD {t}s2 2 3", "SINTER {t}s1 {t}s2", "SUNIONSTORE {t}s3 {t}s1 {t}s2", "SDIFF {t}s1 {t}s2", "SMOVE {t}s1 {t}s2 1",
	"ZADD z 1 a 2 b 3 c", "ZCARD z", "ZSCORE z a", "ZMSCORE z a none", "ZRANK z b", "ZREVRANK z b", "ZRANGE z 0 -1", "ZRANGE z 0 -1 WITHSCORES", "ZRANGEBYSCORE z 1 2", "ZREVRANGE z 0 0", "ZREVRANGEBYSCORE z 2 1", "ZCOUNT z 1 2", "ZLEXCOUNT z - +", "ZRANGEBYLEX z - +", "ZINCRBY z 5 a", "ZPOPMIN z", "ZPOPMAX z", "ZREM z b", "ZREMRANGEBYRANK z 0 0", "ZREMRANGEBYSCORE z 0 9", "ZREMRANGEBYLEX z - +", "ZSCAN z 0",
	"ZADD {t}z1 1 a", "ZUNIONSTORE {t}z2 1 {t}z1", "ZRANGESTORE {t}z3 {t}z1 0 -1", "PFADD p a b", "PFCOUNT p", "PFMERGE {t}p1 {t}p2",
	"GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", "GEODIST g Palermo Catania", "GEOPOS g Palermo", "GEOHASH g Palermo", "SORT l ALPHA", "COPY {t}s1 {t}s4",
	"EVAL 'return {1,{2,redis.status_reply([[OK]])},KEYS[1],ARGV[1]}' 1 k1 arg", "EVAL 'return redis.error_reply([[MINE oops]])' 1 k1", "EVALSHA ffffffffffffffffffffffffffffffffffffffff 1 k1",
	"GET l", "LPUSH h x", "SET k1 v BOGUS", "ZADD z x a", "SETEX k 0 v", "RESTORE k 0 junk",
}

func TestRedisAnswersLikeTwemproxy(t *testing.T) {
	t.Parallel()
	conf := "alpha:\n  listen: {listen}\n  redis: true\n  hash: murmur\n  hash_tag: \"{}\"\n  timeout: 20000\n" + differentialServers
	addrs, theirs := startBoth(t, conf, func() string { return testkit.Redis(t).Addr() })
	mine, his := dial(t, addrs[0]), dial(t, theirs[0])
	var all strings.Builder
	for _, line := range redisLikeTwemproxy {
		bytes := request(quotedWords(line)...)
		all.WriteString(bytes)
		mine.send(bytes)
		his.send(bytes)
		if got, want := mine.reply(), his.reply(); got != want {
			t.Errorf("%s: got %s, twemproxy says %s", line, short(got), short(want))
		}
	}
	// The same again in one go, on the data that is there now.
	mine.send(all.String())
	his.send(all.String())
	for _, line := range redisLikeTwemproxy {
		if got, want := mine.reply(), his.reply(); got != want {
			t.Errorf("pipelined %s: got %s, twemproxy says %s", line, short(got), short(want))
		}
	}
	for _, c := range []*rawConn{mine, his} {
		c.send(request("GET", "k6") + request("QUIT") + request("GET", "k6"))
		if got := c.reply(); got != "$1\r\n6\r\n" {
			t.Errorf("before QUIT: %q", got)
		}
		if c == mine {
			c.want(okReply) // as Redis does
		}
		c.wantGone()
	}
}

// quotedWords cuts a line at blanks, but not inside of ”.
func quotedWords(line string) []string {
	var words []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

var memcacheLikeTwemproxy = []string{
	"get k1\r\n", set("k1", "v1"), "get k1\r\n", "  get  k1  \r\n", "get k1 \r\n", "gets none\r\n", set("k2", ""), set("k3", "a\r\nb\n"), set("k4", "get k1\r\n"),
	"get k1 k2 k3 k4\r\n", "get none1 none2 none3\r\n", "get k1 k1\r\n", "get k4 k3 k2 k1\r\n",
	"add k1 1 0 1\r\nx\r\n", "add k5 1 0 1\r\nx\r\n", "replace k5 1 0 1\r\ny\r\n", "replace none 1 0 1\r\ny\r\n", "append k5 1 0 1\r\nz\r\n", "prepend k5 1 0 1\r\na\r\n", "get k5\r\n",
	"cas k5 1 0 1 99999\r\nz\r\n", "cas none 1 0 1 1\r\nz\r\n", set("n", "10"), "incr n 5\r\n", "decr n 100\r\n", "incr n 18446744073709551615\r\n", "incr n 1\r\n", "incr none 1\r\n", "incr k1 1\r\n", "incr n -1\r\n",
	"touch k1 100\r\n", "touch none 100\r\n", "delete k1\r\n", "delete k1\r\n", "get k1 k2\r\n", "version\r\n",
	"set k1 1 0 1 noreply\r\nw\r\nget k1\r\n", "delete k2 noreply\r\nget k2\r\n", "incr n 1 noreply\r\nget n\r\n", "touch n 100 noreply\r\nget n\r\n", "append k1 0 0 1 noreply\r\nx\r\nget k1\r\n",
	set(strings.Repeat("k", 250), "v"), "get " + strings.Repeat("k", 250) + "\r\n", set("large", strings.Repeat("x", 100000)), "get large k1\r\n",
	"set huge 0 0 2097152\r\n" + strings.Repeat("x", 2<<20) + "\r\n", "get k1\r\n", "set k6 4294967295 2000000000 1\r\nv\r\n", "get \x80\xff\r\n",
}

func TestMemcacheAnswersLikeTwemproxy(t *testing.T) {
	t.Parallel()
	conf := "alpha:\n  listen: {listen}\n  hash: murmur\n  timeout: 20000\n" + differentialServers
	addrs, theirs := startBoth(t, conf, func() string { return testkit.Memcached(t, "-t", "1").Addr() })
	mine, his := dial(t, addrs[0]), dial(t, theirs[0])
	for _, bytes := range memcacheLikeTwemproxy {
		mine.send(bytes)
		his.send(bytes)
		if got, want := mine.cacheReply(), his.cacheReply(); got != want {
			t.Errorf("%s: got %s, twemproxy says %s", short(bytes), short(got), short(want))
		}
	}
	for _, c := range []*rawConn{mine, his} {
		c.send("get k1\r\nquit\r\nget k1\r\n")
		c.want("VALUE k1 1 2\r\nwx\r\nEND\r\n")
		c.wantGone()
	}
}

// Errors that both proxies make themselves.
func TestErrorsLikeTwemproxy(t *testing.T) {
	t.Parallel()
	for _, protocol := range []struct{ name, option, request, rest string }{
		{"redis", "redis: true", request("GET", "k"), request("DEL", "k1", "k2", "k3", "k4")},
		{"memcached", "redis: false", "get k\r\n", "set k 0 0 1\r\nv\r\n"},
	} {
		t.Run(protocol.name, func(t *testing.T) {
			t.Parallel()
			conf := "alpha:\n  listen: {listen}\n  timeout: 300\n  " + protocol.option + "\n  servers:\n  - {a}:1 a\n"
			for _, server := range []struct {
				rule  string
				start func() string
			}{
				{"refuses", func() string { return "127.0.0.1:" + strconv.Itoa(testkit.FreePort(t)) }},
				{"hangs", func() string { return serveScript(t, hang).addr }},
				{"resets", func() string {
					return serveScript(t, func(c *scriptedConn) { _, _ = c.r.ReadByte(); c.reset() }).addr
				}},
				{"sends garbage", func() string {
					return serveScript(t, func(c *scriptedConn) { _, _ = c.r.ReadByte(); c.say("what?\r\n"); hang(c) }).addr
				}},
			} {
				addrs, theirs := startBoth(t, conf, server.start)
				mine, his := dial(t, addrs[0]), dial(t, theirs[0])
				for _, bytes := range []string{protocol.request, protocol.rest} {
					mine.send(bytes)
					his.send(bytes)
					if got, want := mine.line(), his.line(); got != want {
						t.Errorf("a server that %s, %q: got %q, twemproxy says %q", server.rule, bytes, got, want)
					}
				}
			}
		})
	}
}

// Every hash with every distribution sends every key to the same server. The servers say their names.
func TestRoutesLikeTwemproxy(t *testing.T) {
	t.Parallel()
	var conf strings.Builder
	var names []string
	for _, hash := range hashkit.Names() {
		for _, kind := range distribution.Names() {
			if kind == "random" {
				continue
			}
			name := fmt.Sprintf("%s_%s", hash, kind)
			names = append(names, name)
			fmt.Fprintf(&conf, "%s:\n  listen: {listen}\n  redis: true\n  hash: %s\n  distribution: %s\n", name, hash, kind)
			if len(names)%2 == 0 {
				conf.WriteString("  hash_tag: \"{}\"\n")
			}
			conf.WriteString("  servers:\n  - {a}:1 a\n  - {b}:3 server-b\n  - {c}:2\n")
		}
	}
	if len(names) != 24 {
		t.Errorf("%d pools, want 12 hashes in 2 distributions", len(names))
	}
	servers := map[string]string{}
	for _, name := range cacheNames {
		servers["{"+name+"}"] = serveScript(t, sayName(name)).addr
	}
	text := conf.String()
	for mark, addr := range servers {
		text = strings.ReplaceAll(text, mark, addr)
	}
	addrs, theirs := startBoth(t, text, nil)

	var gets strings.Builder
	keys := routingKeys(300)
	for _, key := range keys {
		gets.WriteString(request("GET", key))
	}
	for i, name := range names {
		mine, his := dial(t, addrs[i]), dial(t, theirs[i])
		mine.send(gets.String())
		his.send(gets.String())
		used := map[string]int{}
		for _, key := range keys {
			got, want := mine.reply(), his.reply()
			if used[got]++; got != want {
				t.Errorf("%s: %q goes to %q, twemproxy sends it to %q", name, key, got, want)
			}
		}
		if len(used) < 2 && name != "crc32_ketama" { // twemproxy's crc32 has 15 bits, all of them below the first point
			t.Errorf("%s: all keys go to %v", name, used)
		}
	}
}

// routingKeys are keys of all kinds, always the same.
func routingKeys(count int) []string {
	random := rand.New(rand.NewPCG(22, 121))
	keys := []string{"", "a", "{", "}", "{}", "{}x", "x{}y", "{a}", "user:{42}:name", "}{", "{a", "a}b{c}d", "{a}{b}"}
	for i := len(keys); i < count; i++ {
		switch i % 3 {
		case 0:
			keys = append(keys, "key:"+strconv.Itoa(i))
		case 1:
			keys = append(keys, fmt.Sprintf("user:{%d}:%d", random.IntN(1000), i))
		default:
			key := make([]byte, 1+random.IntN(40))
			for j := range key {
				key[j] = byte(random.IntN(256))
			}
			keys = append(keys, string(key))
		}
	}
	return keys
}
