package resp_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"nutmeg/internal/resp"
)

// parsedRequest is a request of a stream, with the parser's spans made into bytes.
type parsedRequest struct {
	raw    string
	inline bool
	args   []string
}

// parseRequests feeds a stream in pieces that end at the given places, and checks what must hold of every request.
func parseRequests(t *testing.T, stream []byte, cuts ...int) (all []parsedRequest, err error) {
	t.Helper()
	var parser resp.RequestParser
	var request resp.Request
	begin, from, announced := 0, 0, 0
	for _, to := range append(cuts, len(stream)) {
		for piece := stream[from:to]; len(piece) > 0; {
			n, done, err := parser.Parse(piece, &request)
			if n < 0 || n > len(piece) {
				t.Fatalf("took %d bytes of %d", n, len(piece))
			}
			if err != nil {
				return all, err
			}
			if !done && n != len(piece) {
				t.Fatalf("took %d bytes of %d of an unfinished request", n, len(piece))
			}
			piece = piece[n:]
			from += n
			if !done {
				if parser.Size() != from-begin {
					t.Fatalf("Size is %d after %d bytes", parser.Size(), from-begin)
				}
				announced = parser.Announced()
				if announced < parser.Size() {
					t.Fatalf("%d bytes are announced and %d have come", announced, parser.Size())
				}
				continue
			}
			if parser.Size() != 0 || n == 0 {
				t.Fatalf("Size is %d, took %d bytes at the end of a request", parser.Size(), n)
			}
			if announced > from-begin {
				t.Fatalf("%d bytes were announced for a request of %d", announced, from-begin)
			}
			announced = 0
			all = append(all, requestOf(t, &request, stream[begin:from]))
			request.Reset()
			begin = from
		}
	}
	return all, nil
}

// requestOf checks the spans: raw arguments follow each other and fill the request behind its header.
func requestOf(t *testing.T, request *resp.Request, raw []byte) parsedRequest {
	t.Helper()
	r := parsedRequest{raw: string(raw), inline: request.Inline}
	for i, arg := range request.Args {
		if int(arg.End) > len(raw) || arg.Start > arg.End || arg.Len() != int(arg.End-arg.Start) {
			t.Fatalf("argument %d is at %v of %d bytes", i, arg, len(raw))
		}
		r.args = append(r.args, string(raw[arg.Start:arg.End]))
		whole := request.Raw(i)
		if want := fmt.Sprintf("$%d\r\n%s\r\n", arg.Len(), raw[arg.Start:arg.End]); string(raw[whole.Start:whole.End]) != want {
			t.Fatalf("raw argument %d is %q, want %q", i, raw[whole.Start:whole.End], want)
		}
		if i == 0 && string(raw[:whole.Start]) != fmt.Sprintf("*%d\r\n", len(request.Args)) {
			t.Fatalf("raw argument 0 begins behind %q", raw[:whole.Start])
		}
		if i > 0 && whole.Start != request.Raw(i-1).End {
			t.Fatalf("raw arguments %d and %d do not touch", i-1, i)
		}
	}
	if n := len(request.Args); n > 0 && int(request.Raw(n-1).End) != len(raw) {
		t.Fatalf("the last raw argument ends at %d of %d", request.Raw(n-1).End, len(raw))
	}
	return r
}

func sameRequest(a, b parsedRequest) bool {
	return a.raw == b.raw && a.inline == b.inline && slices.Equal(a.args, b.args)
}

// everyByte are the cuts that bring a stream byte by byte.
func everyByte(stream []byte) []int {
	cuts := make([]int, len(stream))
	for i := range cuts {
		cuts[i] = i
	}
	return cuts
}

// checkEveryCut parses a stream whole, cut in two at every place, and byte by byte.
func checkEveryCut(t *testing.T, stream []byte) (whole []parsedRequest, err error) {
	t.Helper()
	whole, err = parseRequests(t, stream)
	check := func(name string, cuts ...int) {
		parts, partsErr := parseRequests(t, stream, cuts...)
		if !slices.EqualFunc(whole, parts, sameRequest) || fmt.Sprint(err) != fmt.Sprint(partsErr) {
			t.Errorf("%s: %+v, %v; whole: %+v, %v", name, parts, partsErr, whole, err)
		}
	}
	for i := range stream {
		check(fmt.Sprintf("cut at %d", i), i)
	}
	check("byte by byte", everyByte(stream)...)
	return whole, err
}

// The commands of twemproxy's own unit tests, in all the forms that it has there.
var commandCases = []string{
	"EVAL script 1 k a", "EVAL script 2 k1 k2 a1 a2", "APPEND k v", "BITCOUNT k", "BITCOUNT k 0 1", "COMMAND", "DECR k", "DECRBY k 10",
	"DEL k", "DEL k1 k2", "DUMP k", "EXISTS k", "EXPIRE k 10", "EXPIREAT k 1282463464", "GET k", "GETBIT k 7", "GETRANGE k 0 3",
	"GETSET k v", "HDEL h f", "HEXISTS h f", "HGET h f", "HGETALL h", "HINCRBY h f 1", "HINCRBYFLOAT h f 0.1", "HKEYS h", "HLEN h",
	"HMGET h f", "HMGET h f1 f2", "HMSET h f v", "HSET h f v", "HSETNX h f v", "HVALS h", "INCR k", "INCRBY k 1", "INCRBYFLOAT k 0.1",
	"LINDEX l 0", "LINSERT l BEFORE p v", "LLEN l", "llen l", "LOLWUT", "LOLWUT 5", "LPOP l", "LPUSH l v", "LPUSH l v1 v2",
	"LPUSH l v1 v2 v3 v4", "LPUSHX l v", "LRANGE l 0 -1", "LREM l 0 v", "LSET l 0 v", "LTRIM l 0 -1", "MGET k", "MGET k1 k2",
	"MGET a b c d e f g h i j k l", "PERSIST k", "PEXPIRE k 10", "PFADD p e", "PFCOUNT p", "PFMERGE p1 p2", "PING", "PSETEX k 10 v",
	"PTTL k", "RESTORE k 0 dump", "RPOP l", "RPOPLPUSH l1 l2", "RPUSH l v", "RPUSHX l v", "SADD s m", "SADD s m1 m2", "SADD s m1 m2 m3",
	"SCARD s", "SDIFF s1 s2", "SDIFFSTORE d s1 s2", "SET k v", "SETBIT k 7 1", "SETEX k 10 v", "SETNX k v", "SETRANGE k 0 v",
	"SINTER s1 s2", "SINTERSTORE d s1 s2", "SISMEMBER s m", "SMEMBERS s", "SMOVE s1 s2 m", "SRANDMEMBER s", "SRANDMEMBER s 2",
	"SREM s m", "SUNION s1 s2", "SUNIONSTORE d s1 s2", "TTL k", "TYPE k", "ZADD z 1 m", "ZADD z 1 m1 2 m2", "ZADD z 1 m1 2 m2 3 m3",
	"ZCARD z", "ZCOUNT z 0 1", "ZINCRBY z 1 m", "ZINTERSTORE d 2 z1 z2", "ZLEXCOUNT z - +", "ZRANGE z 0 -1",
	"ZRANGE z 0 -1 WITHSCORES", "ZRANGEBYLEX z - +", "ZRANGEBYSCORE z 0 1", "ZRANK z m", "ZREM z m", "ZREMRANGEBYLEX z - +",
	"ZREMRANGEBYRANK z 0 1", "ZREMRANGEBYSCORE z 0 1", "ZREVRANGE z 0 1", "ZREVRANK z m", "ZSCORE z m", "ZUNIONSTORE d 2 z1 z2",
}

func TestEveryCommandIsParsedHoweverCut(t *testing.T) {
	var pipeline []byte
	for _, command := range commandCases {
		words := strings.Split(command, " ")
		stream := resp.AppendCommand(nil, words...)
		pipeline = append(pipeline, stream...)
		got, err := checkEveryCut(t, stream)
		if err != nil || len(got) != 1 || got[0].inline || !slices.Equal(got[0].args, words) {
			t.Errorf("%s: got %+v, %v", command, got, err)
		}
		inline, err := checkEveryCut(t, []byte(command+"\r\n"))
		if err != nil || len(inline) != 1 || !inline[0].inline || inline[0].args != nil {
			t.Fatalf("%s inline: got %+v, %v", command, inline, err)
		}
		if array, err := resp.AppendInline(nil, []byte(inline[0].raw)); err != nil || !bytes.Equal(array, stream) {
			t.Errorf("%s inline: stands for %q, %v", command, array, err)
		}
	}
	got, err := parseRequests(t, pipeline)
	if err != nil || len(got) != len(commandCases) {
		t.Errorf("the pipeline has %d requests, %v; want %d", len(got), err, len(commandCases))
	}
}

func TestRequestsOfOddShapes(t *testing.T) {
	tests := []struct {
		name, stream string
		want         [][]string
	}{
		{"empty argument", "*2\r\n$3\r\nGET\r\n$0\r\n\r\n", [][]string{{"GET", ""}}},
		{"line ends and markers in an argument", "*2\r\n$9\r\n\r\n$1\r\n*2\n\r\n$2\r\n\r\n\r\n", [][]string{{"\r\n$1\r\n*2\n", "\r\n"}}},
		{"binary argument", "*1\r\n$4\r\n\x00\xff\r\n\r\n", [][]string{{"\x00\xff\r\n"}}},
		{"empty array asks for nothing", "*0\r\n*1\r\n$4\r\nPING\r\n", [][]string{nil, {"PING"}}},
		{"negative count asks for nothing", "*-1\r\n*-99\r\n", [][]string{nil, nil}},
		{"pipeline", "*1\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n", [][]string{{"a"}, {"b"}}},
		{"lengths of several digits", "*1\r\n$12\r\nhello, world\r\n", [][]string{{"hello, world"}}},
		{"array behind an inline request", "PING\r\n*1\r\n$4\r\nPING\r\n", [][]string{nil, {"PING"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := checkEveryCut(t, []byte(test.stream))
			if err != nil || len(got) != len(test.want) {
				t.Fatalf("got %+v, %v", got, err)
			}
			for i, r := range got {
				if !slices.Equal(r.args, test.want[i]) {
					t.Errorf("request %d has arguments %q, want %q", i, r.args, test.want[i])
				}
			}
		})
	}
}

func TestRequestErrors(t *testing.T) {
	long := strings.Repeat("9", 19)
	tests := []struct{ name, stream, text string }{
		{"count is not a number", "*x\r\n", "invalid multibulk length"},
		{"count followed by junk", "*1x\r\n", "invalid multibulk length"},
		{"no count", "*\r\n", "invalid multibulk length"},
		{"count with a plus sign", "*+1\r\n", "invalid multibulk length"},
		{"count with a leading zero", "*01\r\n", "invalid multibulk length"},
		{"minus without a number", "*-\r\n", "invalid multibulk length"},
		{"minus zero", "*-0\r\n", "invalid multibulk length"},
		{"count ended by LF only", "*1\n", "invalid multibulk length"},
		{"count ended by CR CR", "*1\r\r", "invalid multibulk length"},
		{"too many arguments", "*1048577\r\n", "invalid multibulk length"},
		{"count beyond 63 bits", "*" + long + "\r\n", "invalid multibulk length"},
		{"count of twenty digits", "*10000000000000000000\r\n", "invalid multibulk length"},
		{"no bulk string", "*1\r\n+OK\r\n", "expected '$', got '+'"},
		{"line end for a bulk string", "*1\r\n\r\n", `expected '$', got '\r'`},
		{"nested array", "*1\r\n*1\r\n", "expected '$', got '*'"},
		{"length is not a number", "*1\r\n$x\r\n", "invalid bulk length"},
		{"no length", "*1\r\n$\r\n", "invalid bulk length"},
		{"negative length", "*1\r\n$-1\r\n", "invalid bulk length"},
		{"length with a leading zero", "*1\r\n$03\r\n", "invalid bulk length"},
		{"length ended by LF only", "*1\r\n$3\n", "invalid bulk length"},
		{"length over the limit", "*1\r\n$536870913\r\n", "invalid bulk length"},
		{"length beyond 63 bits", "*1\r\n$" + long + "\r\n", "invalid bulk length"},
		{"longer than announced", "*1\r\n$3\r\nabcd\r\n", "expected CRLF after bulk string"},
		{"shorter than announced", "*2\r\n$3\r\nab\r\n$1\r\n", "expected CRLF after bulk string"},
		{"empty bulk string with data", "*1\r\n$0\r\na\r\n", "expected CRLF after bulk string"},
		{"bulk string ended by LF LF", "*1\r\n$3\r\nabc\n\n", "expected CRLF after bulk string"},
		{"bulk string ended by CR CR", "*1\r\n$3\r\nabc\r\r", "expected CRLF after bulk string"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := checkEveryCut(t, []byte(test.stream))
			var syntax *resp.SyntaxError
			if !errors.As(err, &syntax) || syntax.Text != test.text || err.Error() != "protocol error: "+test.text || len(got) != 0 {
				t.Errorf("got %+v, %v; want error %q", got, err, test.text)
			}
		})
	}
}

func TestRequestLimits(t *testing.T) {
	ok := func(t *testing.T, stream string) {
		t.Helper()
		var parser resp.RequestParser
		var request resp.Request
		if n, done, err := parser.Parse([]byte(stream), &request); n != len(stream) || done || err != nil {
			t.Errorf("got %d, %v, %v; want the limit itself to be let pass", n, done, err)
		}
	}
	ok(t, "*1048576\r\n")
	ok(t, "*1\r\n$536870912\r\n")
	ok(t, strings.Repeat("a", resp.MaxInline))

	t.Run("arguments together", func(t *testing.T) {
		var parser resp.RequestParser
		var request resp.Request
		piece := make([]byte, 1<<20)
		feed := func(text string, body int) error {
			_, _, err := parser.Parse([]byte(text), &request)
			for ; err == nil && body > 0; body -= min(body, len(piece)) {
				_, _, err = parser.Parse(piece[:min(body, len(piece))], &request)
			}
			return err
		}
		if err := feed("*3\r\n$536870912\r\n", resp.MaxBulk); err != nil {
			t.Fatal(err)
		}
		err := feed("\r\n$536870912\r\n", 0)
		if err == nil || err.Error() != "protocol error: request of more than 1073741824 bytes" {
			t.Errorf("got %v", err)
		}
	})
}

func TestInlineLimit(t *testing.T) {
	line := strings.Repeat("a", resp.MaxInline-2) + "\r\n"
	if got, err := parseRequests(t, []byte(line), 1, 1000); err != nil || len(got) != 1 {
		t.Errorf("a line of the greatest length: %d requests, %v", len(got), err)
	}
	for _, stream := range []string{"a" + line, "a" + strings.Repeat("a", resp.MaxInline)} {
		for _, cut := range []int{0, 1, resp.MaxInline} {
			if _, err := parseRequests(t, []byte(stream), cut); err == nil || err.Error() != "protocol error: too big inline request" {
				t.Errorf("a line of %d bytes cut at %d: %v", len(stream), cut, err)
			}
		}
	}
}

func TestRequestThatAsksForNothing(t *testing.T) {
	for _, stream := range []string{"*0\r\n", "*-1\r\n"} {
		got, err := checkEveryCut(t, []byte(stream))
		if err != nil || len(got) != 1 || got[0].inline || got[0].args != nil {
			t.Errorf("%q: got %+v, %v", stream, got, err)
		}
	}
	for _, stream := range []string{"\r\n", "\n"} {
		got, err := checkEveryCut(t, []byte(stream))
		if err != nil || len(got) != 1 || !got[0].inline || got[0].args != nil {
			t.Errorf("%q: got %+v, %v", stream, got, err)
		}
		if array, err := resp.AppendInline(nil, []byte(stream)); err != nil || string(array) != "*0\r\n" {
			t.Errorf("%q stands for %q, %v", stream, array, err)
		}
	}
}

func FuzzRequestChunks(f *testing.F) {
	for _, stream := range []string{
		"*2\r\n$3\r\nGET\r\n$1\r\na\r\n", "PING\r\n*1\r\n$4\r\nPING\r\n", "*0\r\n\r\n*-1\r\n", "*1\r\n$0\r\n\r\n", "*1\r\n$3\r\nabc\n\n",
		"*3\r\n$3\r\nSET\r\n$10\r\n0123456789\r\n$1\r\nv\r\n",
	} {
		f.Add([]byte(stream), uint8(3))
	}
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		whole, err := parseRequests(t, stream)
		var cuts []int
		for at := int(size) + 1; at < len(stream); at += int(size) + 1 {
			cuts = append(cuts, at)
		}
		parts, partsErr := parseRequests(t, stream, cuts...)
		if !slices.EqualFunc(whole, parts, sameRequest) || fmt.Sprint(err) != fmt.Sprint(partsErr) {
			t.Errorf("pieces of %d: %+v, %v; whole: %+v, %v", int(size)+1, parts, partsErr, whole, err)
		}
	})
}

// pipelineOf is a buffer of equal requests.
func pipelineOf(count int, words ...string) []byte {
	var stream []byte
	for range count {
		stream = resp.AppendCommand(stream, words...)
	}
	return stream
}

// parseAll parses a buffer of whole requests as a client's connection does.
func parseAll(parser *resp.RequestParser, request *resp.Request, stream []byte) (count int) {
	for len(stream) > 0 {
		request.Reset()
		n, _, err := parser.Parse(stream, request)
		if err != nil {
			return -1
		}
		stream = stream[n:]
		count++
	}
	return count
}

func TestParsingRequestsAllocatesNothing(t *testing.T) {
	stream := pipelineOf(100, "GET", "key:000000000042")
	var parser resp.RequestParser
	var request resp.Request
	if n := testing.AllocsPerRun(100, func() {
		if parseAll(&parser, &request, stream) != 100 {
			t.Error("not parsed")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func benchmarkRequests(b *testing.B, stream []byte) {
	var parser resp.RequestParser
	var request resp.Request
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		if parseAll(&parser, &request, stream) < 0 {
			b.Fatal("not parsed")
		}
	}
}

func BenchmarkParseGet(b *testing.B) { benchmarkRequests(b, pipelineOf(1, "GET", "key:000000000042")) }

func BenchmarkParseMGet100(b *testing.B) {
	words := []string{"MGET"}
	for i := range 100 {
		words = append(words, fmt.Sprintf("key:%012d", i))
	}
	benchmarkRequests(b, pipelineOf(1, words...))
}

// TestAnnounced: what a request will take is known as soon as its lengths are.
func TestAnnounced(t *testing.T) {
	for _, tt := range []struct {
		name, begin    string
		announced      int
		left, complete int
	}{
		{"nothing", "", 0, 0, 0},
		{"a number of arguments", "*1000\r\n", 7 + 999*6, 1000, 0},
		{"a length", "*2\r\n$3\r\nGET\r\n$5000\r\n", 20 + 5002, 1, 2},
		{"a length, and some of the bytes", "*2\r\n$3\r\nGET\r\n$5000\r\nabc", 20 + 5002, 1, 2},
		{"half a line end", "*2\r\n$3\r\nGET\r\n$3\r\nabc\r", 22, 1, 2},
		{"an inline command", "GET something", 13, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var parser resp.RequestParser
			var request resp.Request
			if _, done, err := parser.Parse([]byte(tt.begin), &request); done || err != nil {
				t.Fatal(done, err)
			}
			if got := parser.Announced(); got != tt.announced {
				t.Errorf("%d bytes are announced, want %d", got, tt.announced)
			}
			if got := parser.ArgsLeft(); got != tt.left || len(request.Args) != tt.complete {
				t.Errorf("%d arguments are left and %d known, want %d and %d", got, len(request.Args), tt.left, tt.complete)
			}
		})
	}
}
