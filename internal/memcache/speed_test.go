package memcache

import (
	"bytes"
	"fmt"
	"testing"
)

// traffic is what a busy client sends and a server answers.
var traffic = []struct{ name, request, response string }{
	{"get", "get user:1000042:profile\r\n", "VALUE user:1000042:profile 0 64\r\n" + string(bytes.Repeat([]byte("x"), 64)) + "\r\nEND\r\n"},
	{"miss", "get user:1000042:profile\r\n", "END\r\n"},
	{"set", "set user:1000042:profile 0 3600 64\r\n" + string(bytes.Repeat([]byte("x"), 64)) + "\r\n", "STORED\r\n"},
	{"set 32 KiB", "set user:1000042:profile 0 3600 32768\r\n" + string(bytes.Repeat([]byte("x"), 32768)) + "\r\n", "STORED\r\n"},
	{"incr", "incr user:1000042:visits 1\r\n", "1234567\r\n"},
	{"mg", "mg user:1000042:profile v t f c\r\n", "VA 64 t3600 f0 c12345\r\n" + string(bytes.Repeat([]byte("x"), 64)) + "\r\n"},
	{"ms", "ms user:1000042:profile 64 T3600 q\r\n" + string(bytes.Repeat([]byte("x"), 64)) + "\r\n", "HD\r\n"},
	{"stats", "stats\r\n", string(bytes.Repeat([]byte("STAT some_name 1234\r\n"), 80)) + "END\r\n"},
	{"get of 100 keys", "get" + string(bytes.Repeat([]byte(" user:1000042:profile"), 100)) + "\r\n", string(bytes.Repeat([]byte("VALUE user:1000042:profile 0 4\r\nabcd\r\n"), 100)) + "END\r\n"},
}

func TestParsingAllocatesNothing(t *testing.T) {
	for _, tc := range traffic {
		for _, size := range []int{1 << 20, 7} {
			t.Run(fmt.Sprintf("%s in pieces of %d", tc.name, size), func(t *testing.T) {
				var (
					requests  RequestParser
					responses ResponseParser
					req       Request
					resp      Response
				)
				request, response := []byte(tc.request), []byte(tc.response)
				got := testing.AllocsPerRun(100, func() {
					for data := request; len(data) > 0; {
						n, _, err := requests.Parse(data[:min(size, len(data))], &req)
						if err != nil {
							t.Fatal(err)
						}
						data = data[n:]
					}
					for data := response; len(data) > 0; {
						n, _, err := responses.Parse(data[:min(size, len(data))], &resp)
						if err != nil {
							t.Fatal(err)
						}
						data = data[n:]
					}
					for data, ok := response, true; ok; {
						_, _, data, ok = NextValue(data)
					}
				})
				if got != 0 {
					t.Errorf("%v allocations", got)
				}
			})
		}
	}
}

func TestRefusingAllocatesNothing(t *testing.T) {
	reply := make([]byte, 0, 128)
	for _, stream := range []string{"foo\r\n", "watch\r\n", "mg a \xff\r\n", "incr a x\r\n", "get a\tb\r\n", "\n", "set a 0 0 x\r\n", "set a 0 0 1\nvv\n", "\x80"} {
		got := testing.AllocsPerRun(100, func() {
			var (
				p   RequestParser
				req Request
			)
			req.Keys = sharedKeys[:0]
			_, _, err := p.Parse([]byte(stream), &req)
			if problem, fatal := err.(Problem); fatal { //nolint:errorlint // the engine may ask like this: Parse wraps nothing
				reply = append(reply[:0], problem.Reply()...)
				return
			}
			reply = req.AppendProblem(reply[:0])
		})
		if got != 0 {
			t.Errorf("%q: %v allocations", stream, got)
		}
	}
}

// sharedKeys is room for the keys of one test at a time.
var sharedKeys = make([]Span, 0, 8)

func BenchmarkRequest(b *testing.B) {
	for _, tc := range traffic {
		b.Run(tc.name, func(b *testing.B) {
			var (
				p   RequestParser
				req Request
			)
			data := []byte(tc.request)
			b.ReportAllocs()
			for b.Loop() {
				if _, done, err := p.Parse(data, &req); !done || err != nil {
					b.Fatal(done, err)
				}
			}
		})
	}
}

func BenchmarkResponse(b *testing.B) {
	for _, tc := range traffic {
		b.Run(tc.name, func(b *testing.B) {
			var (
				p    ResponseParser
				resp Response
			)
			data := []byte(tc.response)
			b.ReportAllocs()
			for b.Loop() {
				if _, done, err := p.Parse(data, &resp); !done || err != nil {
					b.Fatal(done, err)
				}
			}
		})
	}
}
