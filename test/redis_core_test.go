package test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"nutmeg/internal/testkit"
)

// coreScript is requests whose replies a client must not be able to tell from those of a single redis-server, byte by
// byte. A line is a request; @ is the tag that keeps keys together; what has no one answer (times, random members) is left out.
const coreScript = `
SET s hello|APPEND s world|STRLEN s|GETRANGE s 0 4|SETRANGE s 5 WORLD|GET s|SUBSTR s 1 3|GETSET s new|GETDEL s|GET s
SET n 10|INCR n|INCRBY n 5|DECR n|DECRBY n 3|INCRBYFLOAT n 0.5|INCR n|SETNX n 1|SETNX nx 1|SETEX ex 100 v|PSETEX px 100000 v|GETEX ex PERSIST|TTL ex
SET o 1 NX|SET o 2 NX|SET o 3 XX GET|SET none 1 XX|SET o 1 EX 100 KEEPTTL|SET|SET o|GET o x|PERSIST px|TTL px|EXPIRE none 1|EXPIRE px 100 NX|TYPE px|TYPE none
SETBIT b 7 1|GETBIT b 7|BITCOUNT b|BITCOUNT b 0 0|BITPOS b 1|BITFIELD b INCRBY u4 0 1 GET u8 0|BITFIELD_RO b GET u8 0|DUMP none|EXPIRETIME px2|OBJECT ENCODING n
RPUSH l a b c d|LPUSH l z|LPUSHX none x|RPUSHX l e|LLEN l|LRANGE l 0 -1|LINDEX l 1|LINDEX l 99|LSET l 0 zz|LSET l 99 x|LREM l 1 a|LTRIM l 0 3|LPOS l c|LPOS l none|LPOP l|RPOP l|LPOP l 2|LRANGE l 0 -1|LPOP none|LPOP none 3
LINSERT l AFTER none x|LINSERT l BEFORE d c|LRANGE l 0 -1|LMPOP 1 l LEFT COUNT 2|LMPOP 1 l LEFT|LPUSH s2 x|GET s2
HSET h a 1 b 2|HMSET h c 3|HGET h a|HGET h none|HMGET h a none c|HGETALL h|HKEYS h|HVALS h|HLEN h|HEXISTS h a|HSTRLEN h a|HINCRBY h a 4|HINCRBYFLOAT h b 0.5|HSETNX h a 9|HDEL h a none|HGETALL h|HGETALL none|HSCAN h 0|HINCRBY h x y|HMSET h x|HSET h x
SADD st 1 2 3|SADD st 3|SCARD st|SISMEMBER st 1|SMISMEMBER st 1 9 2|SMEMBERS st|SREM st 1 9|SMEMBERS st|SPOP none|SRANDMEMBER none|SRANDMEMBER none 3|SSCAN st 0
SADD a@ 1 2 3|SADD b@ 2 3 4|SDIFF a@ b@|SINTER a@ b@|SUNION a@ b@|SINTERCARD 2 a@ b@ LIMIT 1|SDIFFSTORE c@ a@ b@|SINTERSTORE c@ a@ b@|SUNIONSTORE c@ a@ b@|SMOVE a@ b@ 1|SMEMBERS b@
ZADD z 1 a 2 b 3 c|ZADD z XX CH 5 a|ZADD z INCR 1.5 b|ZCARD z|ZCOUNT z 2 (5|ZINCRBY z 1 c|ZSCORE z a|ZSCORE z none|ZMSCORE z a none b|ZRANK z c|ZREVRANK z c|ZRANK z none|ZRANGE z 0 -1|ZRANGE z 0 -1 WITHSCORES|ZRANGE z 1 5 BYSCORE LIMIT 0 2|ZREVRANGE z 0 0|ZRANGEBYSCORE z -inf +inf WITHSCORES|ZREVRANGEBYSCORE z 5 1|ZSCAN z 0
ZADD lex 0 a 0 b 0 c|ZLEXCOUNT lex - +|ZRANGEBYLEX lex [a (c|ZREVRANGEBYLEX lex + -|ZREMRANGEBYLEX lex [a [a|ZREMRANGEBYRANK lex 0 0|ZREMRANGEBYSCORE lex 0 0|ZCARD lex|ZPOPMIN z|ZPOPMAX z 2|ZPOPMIN none|ZMPOP 1 z MIN|ZRANDMEMBER none|ZREM z a|ZADD z x y
ZADD y@ 1 a 2 b|ZADD x@ 3 b 4 c|ZUNION 2 y@ x@ WITHSCORES|ZINTER 2 y@ x@|ZDIFF 2 y@ x@|ZUNIONSTORE w@ 2 y@ x@ WEIGHTS 2 3 AGGREGATE MAX|ZINTERSTORE w@ 2 y@ x@|ZDIFFSTORE w@ 2 y@ x@|ZRANGESTORE w@ y@ 0 -1|ZINTERCARD 2 y@ x@|ZRANGE w@ 0 -1
PFADD p@ a b c|PFADD q@ c d|PFCOUNT p@|PFCOUNT p@ q@|PFMERGE r@ p@ q@|PFCOUNT r@|PFADD p@ a
GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania|GEODIST g Palermo Catania km|GEOHASH g Palermo none|GEOPOS g Palermo none|GEORADIUS g 15 37 200 km ASC|GEORADIUSBYMEMBER g Palermo 200 km|GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC WITHDIST|GEORADIUS_RO g 15 37 100 km
RPUSH so 3 1 2|SORT so|SORT so DESC LIMIT 0 2|SORT so ALPHA|SORT_RO so|SORT none
XADD x 1-1 f v|XADD x 2-1 f v g w|XADD x 1-0 f v|XLEN x|XRANGE x - +|XREVRANGE x + - COUNT 1|XDEL x 1-1|XTRIM x MAXLEN 0|XGROUP CREATE x grp $|XACK x grp 2-1|XPENDING x grp
SET ren@1 v|RENAME ren@1 ren@2|RENAMENX ren@2 ren@3|GET ren@3|COPY ren@3 ren@4|EXISTS ren@1 ren@3 ren@4|RENAME none@ x@|RPUSH mv@1 a b|LMOVE mv@1 mv@2 LEFT RIGHT|RPOPLPUSH mv@1 mv@2|LRANGE mv@2 0 -1|SET lc@1 ohmytext|SET lc@2 mynewtext|LCS lc@1 lc@2|BITOP AND bit@ lc@1 lc@2|GET bit@
EVAL "return 1" 1 k|EVAL "return KEYS" 1 k|EVAL "return {1, {2, {3, 'x'}}, false, {ok='fine'}}" 1 k|EVAL "return redis.call('GET')" 1 k|EVAL "return {err='OWN error'}" 1 k|EVAL "nonsense" 1 k|EVALSHA ffffffffffffffffffffffffffffffffffffffff 1 k|EVAL_RO "return 1" 1 k|FCALL none 1 k
MSET m1 a m2 b m3 c|MGET m1 m2 none m3|MGET st m1|EXISTS m1 m2 m3 none m1|TOUCH m1 none|UNLINK m1 none m2|DEL m3 st|MSETNX mx@1 a mx@2 b|MGET mx@1 mx@2|SET wrong v|LPUSH wrong x|INCR wrong|HGET wrong x|MGET wrong
SET "" empty|GET ""|SET "with blank" "and \x00\r\n bytes"|GET "with blank"|PING|PING hello|ECHO hello|PING a b|NONSENSE|ECHO
`

// coreRequests is the script with a tag in place of @. Both sides get the same bytes.
func coreRequests(t *testing.T, tag string) (lines []string) {
	t.Helper()
	for line := range strings.SplitSeq(strings.TrimSpace(coreScript), "\n") {
		for one := range strings.SplitSeq(line, "|") {
			lines = append(lines, strings.ReplaceAll(one, "@", tag))
		}
	}
	return lines
}

// TestRedisCore compares the proxy with one redis-server, in all ways that the daemon can be set up.
func TestRedisCore(t *testing.T) {
	t.Parallel()
	auth := []string{"--requirepass", okPassword}
	for _, tc := range []struct {
		name string
		o    bedOptions
	}{
		{"one worker", bedOptions{workers: 1}},
		{"three workers", bedOptions{workers: 3}},
		{"as many workers as it takes", bedOptions{}},
		{"several connections to a server", bedOptions{pool: []string{"server_connections: 3"}}},
		{"preconnect and a time-out", bedOptions{pool: []string{"preconnect: true", "timeout: 20000", "tcpkeepalive: true"}}},
		{"ejection", bedOptions{pool: []string{"auto_eject_hosts: true"}}},
		{"unix sockets", bedOptions{unix: true, listen: filepath.Join(shortDir(t), "core.sock")}},
		{"a password and a database", bedOptions{serverArgs: auth, pool: []string{"redis_auth: " + okPassword, "redis_db: 2"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.o.servers = 3
			tc.o.pool = append(tc.o.pool, `hash_tag: "{}"`)
			b := startRedisBed(t, tc.o)
			reference := dial(t, testkit.Redis(t).Addr())
			c := b.dial(t)
			if len(tc.o.serverArgs) > 0 {
				c.wantAsk(okReply, "AUTH", okPassword)
			}
			lines := coreRequests(t, "{tag}")
			t.Run("one by one", func(*testing.T) { compareOneByOne(c, reference, lines) })
			for _, conn := range []*rawConn{reference, c} {
				conn.ask("DEL", "none") // the last reply of each is read
			}
			t.Run("all in a pipeline", func(t *testing.T) { comparePipeline(t, b, c, tc.o) })
		})
	}
}

func compareOneByOne(c, reference *rawConn, lines []string) {
	for _, line := range lines {
		reference.send(line + "\r\n")
		c.send(line + "\r\n")
		want, got := reference.reply(), c.reply()
		if got != want {
			c.t.Errorf("%s: got %s, one redis-server says %s", line, short(got), short(want))
		}
	}
}

// comparePipeline sends the script at once, to fresh keys, cut anywhere.
func comparePipeline(t *testing.T, b *redisBed, c *rawConn, o bedOptions) {
	reference := dial(t, testkit.Redis(t).Addr())
	for i := range b.servers {
		server := b.dialServer(t, i)
		if len(o.serverArgs) > 0 {
			server.wantAsk(okReply, "AUTH", okPassword)
		}
		server.wantAsk(okReply, "FLUSHALL")
	}
	lines := coreRequests(t, "{other}")
	text := strings.Join(lines, "\r\n") + "\r\n"
	seed := rand.Uint64()
	sent := make(chan error, 2)
	go func() { sent <- sendRandomly(c, text, rand.New(rand.NewPCG(seed, 1))) }()
	go func() { sent <- sendRandomly(reference, text, rand.New(rand.NewPCG(seed, 2))) }()
	for _, line := range lines {
		want, got := reference.reply(), c.reply()
		if got != want {
			t.Errorf("seed %d, %s: got %s, one redis-server says %s", seed, line, short(got), short(want))
		}
	}
	for range 2 {
		if err := <-sent; err != nil {
			t.Error(fmt.Errorf("cannot send: %w", err))
		}
	}
}
