package resp_test

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nutmeg/internal/resp"
)

type parsedResponse struct {
	raw   string
	kind  resp.Kind
	count int64
}

// parseResponses feeds a stream in pieces that end at the given places.
func parseResponses(t *testing.T, stream []byte, cuts ...int) (all []parsedResponse, err error) {
	t.Helper()
	var parser resp.ResponseParser
	begin, from := 0, 0
	for _, to := range append(cuts, len(stream)) {
		for piece := stream[from:to]; len(piece) > 0; {
			n, done, err := parser.Parse(piece)
			if n < 0 || n > len(piece) || (done && n == 0) || (!done && err == nil && n != len(piece)) {
				t.Fatalf("took %d bytes of %d, done %v, %v", n, len(piece), done, err)
			}
			if err != nil {
				return all, err
			}
			if parser.Within() == done {
				t.Fatalf("within %v, done %v", parser.Within(), done)
			}
			piece = piece[n:]
			from += n
			if done {
				all = append(all, parsedResponse{string(stream[begin:from]), parser.Kind(), parser.Count()})
				begin = from
			}
		}
	}
	return all, nil
}

func checkEveryResponseCut(t *testing.T, stream []byte) (whole []parsedResponse, err error) {
	t.Helper()
	whole, err = parseResponses(t, stream)
	check := func(name string, cuts ...int) {
		parts, partsErr := parseResponses(t, stream, cuts...)
		if !slices.Equal(whole, parts) || fmt.Sprint(err) != fmt.Sprint(partsErr) {
			t.Errorf("%s: %+v, %v; whole: %+v, %v", name, parts, partsErr, whole, err)
		}
	}
	for i := range stream {
		check(fmt.Sprintf("cut at %d", i), i)
	}
	check("byte by byte", everyByte(stream)...)
	return whole, err
}

func TestResponses(t *testing.T) {
	tests := []struct {
		name, stream string
		count        int64
	}{
		{"error of one word", "-ERR\r\n", -1},
		{"error with a blank", "-ERR wrong\r\n", -1},
		{"status", "+OK\r\n", -1},
		{"empty status", "+\r\n", -1},
		{"status with LF", "+a\nb\r\n", -1},
		{"integer", ":12345\r\n", -1},
		{"negative integer", ":-2\r\n", -1},
		{"largest integer", ":9223372036854775807\r\n", -1},
		{"smallest integer", ":-9223372036854775808\r\n", -1},
		{"bulk", "$5\r\nab\r\nc\r\n", -1},
		{"empty bulk", "$0\r\n\r\n", -1},
		{"null bulk", "$-1\r\n", -1},
		{"empty array", "*0\r\n", 0},
		{"null array", "*-1\r\n", -1},
		{"array of bulks", "*3\r\n$3\r\nfoo\r\n$-1\r\n$0\r\n\r\n", 3},
		{"array of integers", "*3\r\n:1\r\n:2\r\n:3\r\n", 3},
		{"array of arrays with statuses and errors", "*2\r\n*3\r\n:1\r\n:2\r\n:3\r\n*2\r\n+Foo\r\n-Bar\r\n", 2},
		{"array that ends with empty and null arrays", "*3\r\n*0\r\n*-1\r\n*1\r\n*0\r\n", 3},
		{"array in an array alone", "*1\r\n*5\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n", 1},
		{"twenty arrays deep", strings.Repeat("*1\r\n", 20) + ":1\r\n", 1},
		{"null", "_\r\n", -1},
		{"boolean", "#t\r\n", -1},
		{"double", ",1.5e3\r\n", -1},
		{"big number", "(3492890328409238509324850943850943825024385\r\n", -1},
		{"bulk error", "!9\r\nERR wrong\r\n", -1},
		{"verbatim string", "=8\r\ntxt:text\r\n", -1},
		{"map", "%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n", 2},
		{"empty map", "%0\r\n", 0},
		{"set", "~2\r\n+a\r\n+b\r\n", 2},
		{"push", ">2\r\n+invalidate\r\n*1\r\n+k\r\n", 2},
		{"attribute before its value", "|1\r\n+ttl\r\n:3600\r\n*2\r\n:1\r\n:2\r\n", 1},
		{"attribute within an array", "*2\r\n:1\r\n|1\r\n+a\r\n:9\r\n:2\r\n", 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := checkEveryResponseCut(t, []byte(test.stream+test.stream))
			want := parsedResponse{test.stream, resp.Kind(test.stream[0]), test.count}
			if err != nil || !slices.Equal(got, []parsedResponse{want, want}) {
				t.Errorf("got %+v, %v; want it twice, with count %d", got, err, test.count)
			}
		})
	}
}

func TestResponseErrors(t *testing.T) {
	const number, lines = "invalid number in response", "expected CRLF after bulk string"
	tests := []struct{ name, stream, text string }{
		{"array without a count", "*\r\n", number},
		{"integer that is none", ":a\r\n", number},
		{"empty integer", ":\r\n", number},
		{"integer ended by LF only", ":1\n", number},
		{"integer beyond 64 bits", ":9223372036854775808\r\n", number},
		{"negative integer beyond 64 bits", ":-9223372036854775809\r\n", number},
		{"integer of twenty digits", ":10000000000000000000\r\n", number},
		{"bulk longer than its length", "$3\r\nabcd\r\n", lines},
		{"bulk ended by LF LF", "$3\r\nabc\n\n", lines},
		{"empty bulk with data", "$0\r\na\r\n", lines},
		{"bulk length ended by LF only", "$3\nabc\r\n", number},
		{"negative bulk length", "$-2\r\n", number},
		{"negative count", "*-2\r\n", number},
		{"count beyond reason", "*1099511627777\r\n", number},
		{"counts beyond reason together", "*1099511627775\r\n*1099511627775\r\n", number},
		{"map beyond reason", "%9223372036854775807\r\n", number},
		{"map whose elements overflow to few", "%4611686018427387905\r\n", number},
		{"attribute beyond reason", "|9223372036854775807\r\n", number},
		{"nested array followed by an empty element", "*2\r\n*1\r\n+OK\r\n\r\n", "unknown response type"},
		{"unknown type", "x\r\n", "unknown response type"},
		{"status ended by CR CR", "+OK\r\r", "expected LF after CR"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := checkEveryResponseCut(t, []byte(test.stream))
			if err == nil || err.Error() != "protocol error: "+test.text || len(got) != 0 {
				t.Errorf("got %+v, %v; want error %q", got, err, test.text)
			}
		})
	}
}

func TestParseInteger(t *testing.T) {
	for _, n := range []int64{0, 1, -1, 10, 1234567890, math.MaxInt64, math.MinInt64, math.MinInt64 + 1} {
		response := fmt.Sprintf(":%d\r\n", n)
		if got, ok := resp.ParseInteger([]byte(response)); got != n || !ok {
			t.Errorf("%q: got %d, %v", response, got, ok)
		}
	}
	for _, response := range []string{"", ":", ":1", ":1\r", ":1\n", ":1\r\n ", ":\r\n", ":-\r\n", ":01\r\n", ":+1\r\n", "$1\r\n", ":9223372036854775808\r\n"} {
		if got, ok := resp.ParseInteger([]byte(response)); ok {
			t.Errorf("%q: got %d", response, got)
		}
	}
}

func TestErrorText(t *testing.T) {
	for _, test := range []struct {
		response, text string
		ok             bool
	}{{"-ERR wrong\r\n", "ERR wrong", true}, {"-\r\n", "", true}, {"+OK\r\n", "", false}, {"", "", false}, {"-\r", "", false}} {
		if text, ok := resp.ErrorText([]byte(test.response)); string(text) != test.text || ok != test.ok {
			t.Errorf("%q: got %q, %v", test.response, text, ok)
		}
	}
}

func FuzzResponseChunks(f *testing.F) {
	for _, stream := range []string{
		"*2\r\n*1\r\n+OK\r\n$3\r\nabc\r\n", ":-1\r\n-ERR\r\n", "%1\r\n+a\r\n|1\r\n_\r\n#t\r\n,1\r\n", "$-1\r\n*-1\r\n", "=8\r\ntxt:text\r\n",
		"%9223372036854775807\r\n",
	} {
		f.Add([]byte(stream), uint8(3))
	}
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		whole, err := parseResponses(t, stream)
		var cuts []int
		for at := int(size) + 1; at < len(stream); at += int(size) + 1 {
			cuts = append(cuts, at)
		}
		parts, partsErr := parseResponses(t, stream, cuts...)
		if !slices.Equal(whole, parts) || fmt.Sprint(err) != fmt.Sprint(partsErr) {
			t.Errorf("pieces of %d: %+v, %v; whole: %+v, %v", int(size)+1, parts, partsErr, whole, err)
		}
		for _, r := range whole {
			if left := strings.Count(r.raw, "\n"); int64(left) < r.count {
				t.Errorf("%q is complete with %d elements announced", r.raw, r.count)
			}
		}
	})
}

func TestParsingResponsesAllocatesNothing(t *testing.T) {
	stream := []byte("$3\r\nabc\r\n*2\r\n:1\r\n$-1\r\n+OK\r\n-ERR wrong\r\n")
	var parser resp.ResponseParser
	if n := testing.AllocsPerRun(100, func() {
		for rest := stream; len(rest) > 0; {
			n, _, err := parser.Parse(rest)
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkParseBulk64(b *testing.B) {
	stream := resp.AppendBulk(nil, strings.Repeat("v", 64))
	var parser resp.ResponseParser
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		if _, done, err := parser.Parse(stream); !done || err != nil {
			b.Fatal("not parsed: ", strconv.FormatBool(done), err)
		}
	}
}
