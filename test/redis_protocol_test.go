package test

import (
	"fmt"
	"strings"
	"testing"
)

// TestRedisProtocolOnTheWire is what clients see that send bytes of their own making. Unlike twemproxy the daemon says
// what is wrong, and closes the connection only if it cannot know where the next request begins.
func TestRedisProtocolOnTheWire(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{})
	const alive = "*1\r\n$4\r\nPING\r\n"
	answered := []struct{ name, send, want string }{
		{"ping", "*1\r\n$4\r\nPING\r\n", pongReply},
		{"command names have no case", "*1\r\n$4\r\npInG\r\n", pongReply},
		{"an inline command", "PING\r\n", pongReply},
		{"an inline command may end with LF alone", "PING\n", pongReply},
		{"an inline command with blanks around", "   PING   \r\n", pongReply},
		{"inline words reach a server", "SET inline 'it''s'\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
		{"inline words in quotes", "SET inline \"a b\\x00\\n\"\r\nGET inline\r\n", okReply + bulk("a b\x00\n")},
		{"inline MSET and MGET are split", "MSET " + b.key(0, "i") + " 1 " + b.key(1, "i") + " 2\r\nMGET " + b.key(1, "i") + " " + b.key(0, "i") + "\r\n", okReply + bulks("2", "1")},
		{"an empty line is nothing", "\r\n\r\n\n" + alive, pongReply},
		{"an empty array is nothing", "*0\r\n" + alive, pongReply},
		{"an array of minus one is nothing", "*-1\r\n" + alive, pongReply},
		{"an unknown command", request("NONSENSE", "x") + alive, unknown("NONSENSE", "x") + pongReply},
		{"line ends in an unknown command's name are blanks", request("a\r\nb\xff") + alive, "-ERR unknown command 'a  b\xff', with args beginning with: \r\n" + pongReply},
		{"an unknown subcommand", request("OBJECT", "nosuch", "x") + alive, "-ERR unknown subcommand 'nosuch'. Try OBJECT HELP.\r\n" + pongReply},
		{"a container alone", request("object") + alive, "-ERR wrong number of arguments for 'object' command\r\n" + pongReply},
		{"a subcommand's key is missing", request("OBJECT", "ENCODING") + alive, "-ERR wrong number of arguments for 'object|encoding' command\r\n" + pongReply},
		{"a key is missing", request("GET") + alive, "-ERR wrong number of arguments for 'get' command\r\n" + pongReply},
		{"a key too many", request("GET", "a", "b") + alive, "-ERR wrong number of arguments for 'get' command\r\n" + pongReply},
		{"MSET with three arguments", request("MSET", "a", "1", "b") + alive, "-ERR wrong number of arguments for 'mset' command\r\n" + pongReply},
		{"MSET with one argument", request("MSET", "a") + alive, "-ERR wrong number of arguments for 'mset' command\r\n" + pongReply},
		{"PING with two arguments", request("PING", "a", "b") + alive, "-ERR wrong number of arguments for 'ping' command\r\n" + pongReply},
		{"AUTH without a password set", request("AUTH", "x") + alive, serverNoPassword + pongReply},
	}
	for _, tc := range answered {
		t.Run(tc.name, func(t *testing.T) {
			for _, size := range []int{len(tc.send), 1, 3} {
				c := b.dial(t)
				sendInPieces(c, tc.send, size)
				c.want(tc.want)
				if strings.Contains(tc.want, "Protocol error") {
					c.wantGone()
					continue
				}
				c.wantAsk(bulk("still here"), "ECHO", "still here")
			}
		})
	}

	broken := []struct{ name, send, text string }{
		{"junk behind the array's count", "*3junk\r\n", "invalid multibulk length"},
		{"too many arguments", "*1048577\r\n", "invalid multibulk length"},
		{"a count beyond 64 bits", "*99999999999999999999\r\n", "invalid multibulk length"},
		{"a count with a leading zero", "*02\r\n$3\r\nGET\r\n$1\r\na\r\n", "invalid multibulk length"},
		{"no bulk string in the array", "*1\r\n:1\r\n", "expected '$', got ':'"},
		{"a null bulk string", "*2\r\n$3\r\nGET\r\n$-1\r\n", "invalid bulk length"},
		{"a bulk length without digits", "*2\r\n$3\r\nGET\r\n$\r\n", "invalid bulk length"},
		{"a bulk length with a leading zero", "*2\r\n$3\r\nGET\r\n$01\r\n", "invalid bulk length"},
		{"a bulk length that wraps at 32 bits", "*2\r\n$3\r\nGET\r\n$4294967297\r\n", "invalid bulk length"},
		{"a bulk string that is longer than its length", "*2\r\n$3\r\nGET\r\n$1\r\nab\r\n", "expected CRLF after bulk string"},
		{"a bulk string without CR", "*2\r\n$3\r\nGET\r\n$1\r\na\n\n", "expected CRLF after bulk string"},
		{"quotes that do not end", "SET a \"b\r\n", "unbalanced quotes in request"},
		{"an inline line that does not end", strings.Repeat("x", 65<<10), "too big inline request"},
		{"HTTP", "POST / HTTP/1.1\r\nHost: redis\r\n\r\n", "this is a Redis server, not HTTP"},
	}
	for _, tc := range broken {
		t.Run(tc.name+" closes the connection", func(t *testing.T) {
			c := b.dial(t)
			// The reply before must not be lost, and must come first.
			c.send(request("SET", "before", "1") + request("GET", "before") + tc.send)
			c.want(okReply + bulk("1") + "-ERR Protocol error: " + tc.text + "\r\n")
			c.wantGone()
		})
	}
}

func sendInPieces(c *rawConn, text string, size int) {
	for len(text) > 0 {
		n := min(size, len(text))
		c.send(text[:n])
		text = text[n:]
	}
}

func TestRedisClientErrorsInTheStatistics(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{})
	seen := b.Pool("alpha").Counters // waitReady has been a client
	expect := func(what string, eof, failed int64) {
		t.Helper()
		b.waitPool("alpha", what, func(p PoolStats) error {
			return p.want(map[string]int64{"client_eof": seen["client_eof"] + eof, "client_err": failed, "client_connections": 0})
		})
	}
	expect("the harness's own connection to be over", 0, 0)

	c := b.dial(t)
	c.wantAsk(pongReply, "PING")
	c.close()
	expect("a client that closes to count as client_eof", 1, 0)

	c = b.dial(t)
	c.send(request("QUIT"))
	c.want(okReply)
	c.wantClosed()
	expect("QUIT to count as client_eof", 2, 0)

	c = b.dial(t)
	c.send(request("QUIT"))
	c.close()
	expect("QUIT and an immediate close to count as client_eof", 3, 0)

	c = b.dial(t)
	c.send("*1\r\nx")
	c.want("-ERR Protocol error: expected '$', got 'x'\r\n")
	c.wantGone()
	expect("a client that does not speak Redis to count as client_err", 3, 1)

	c = b.dial(t)
	c.wantAsk("-ERR wrong number of arguments for 'get' command\r\n", "GET")
	c.close()
	expect("a wrong number of arguments not to count", 4, 1)

	c = b.dial(t)
	c.wantAsk(pongReply, "PING")
	c.abort()
	expect("a reset to count as client_err", 4, 2)
}

func TestRedisRequestsCutAtEveryByte(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 3, workers: 1})
	k := []string{b.key(0, "cut"), b.key(1, "cut"), b.key(2, "cut")}
	stream := request("MSET", k[0], "zero", k[1], "", k[2], "tw\r\no") +
		request("MGET", k[2], "none", k[0], k[1], k[2]) + "\r\nGET " + k[0] + "\r\n" +
		request("DEL", k[0], k[2], "none") + request("EVAL", "return #KEYS", "1", k[1]) + request("GET") + request("EXISTS", k[0], k[1], k[1])
	want := okReply + array(bulk("tw\r\no"), nullReply, bulk("zero"), bulk(""), bulk("tw\r\no")) + bulk("zero") + integer(2) +
		integer(1) + "-ERR wrong number of arguments for 'get' command\r\n" + integer(2)
	c, other := b.dial(t), b.dial(t)
	for cut := range len(stream) {
		c.send(stream[:cut])
		other.wantAsk(pongReply, "PING") // answered by the one worker, which has now read the first piece
		c.send(stream[cut:])
		c.want(want)
	}
	for size := 1; size < 8; size++ {
		sendInPieces(c, stream, size)
		c.want(want)
	}
	if err := b.Pool("alpha").want(map[string]int64{"client_err": 0, "forward_error": 0}); err != nil {
		t.Error(err)
	}
}

func TestRedisKeysOfAnyLength(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 3})
	c := b.dial(t)
	// Around the sizes of twemproxy's buffers, its limit for keys, and our read buffer.
	for _, size := range []int{1, 249, 250, 463, 464, 465, 512, 16335, 16336, 16383, 16384, 16385, 65535, 65536, 65537, 200000} {
		key := strings.Repeat("k", size)
		other := fmt.Sprintf("other%d", size)
		c.wantAsk(okReply, "MSET", key, "long", other, key)
		c.wantAsk(bulks("long", key), "MGET", key, other)
		c.wantAsk(integer(2), "DEL", other, key)
		c.wantAsk(nulls(2), "MGET", key, other)
	}
}

func TestRedisBinaryKeys(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 3})
	c := b.dial(t)
	var keys, set []string
	for i := range 256 {
		key := string([]byte{byte(i), '\r', '\n', 0, byte(255 - i)})
		keys = append(keys, key)
		set = append(set, key, "value of "+key)
		c.wantAsk(okReply, "SET", key, key)
		c.wantAsk(bulk(key), "GET", key)
		b.dialServer(t, b.owner(key)).wantAsk(bulk(key), "GET", key)
	}
	c.wantAsk(okReply, append([]string{"MSET"}, set...)...)
	var values []string
	for _, key := range keys {
		values = append(values, "value of "+key)
	}
	c.wantAsk(bulks(values...), append([]string{"MGET"}, keys...)...)
	c.wantAsk(integer(256), append([]string{"UNLINK"}, keys...)...)
}
