package resp_test

import (
	"bytes"
	"slices"
	"testing"

	"nutmeg/internal/resp"
)

// The rules are those of Redis's sdssplitargs.
func TestInlineWords(t *testing.T) {
	tests := []struct {
		name, line string
		want       []string
	}{
		{"words", "SET k v\r\n", []string{"SET", "k", "v"}},
		{"LF alone ends a line", "PING\n", []string{"PING"}},
		{"one CR belongs to the line end, others are blanks", "PING\r\r\n", []string{"PING"}},
		{"all blanks of C separate words", " a \t b\vc\fd\re \n", []string{"a", "b", "c", "d", "e"}},
		{"empty line", "\r\n", nil},
		{"only blanks", " \t \r\n", nil},
		{"quotes keep blanks", `GET "a b" 'c d'` + "\r\n", []string{"GET", "a b", "c d"}},
		{"empty quotes are an empty word", `SET "" ''` + "\n", []string{"SET", "", ""}},
		{"escapes in double quotes", `"\n\r\t\b\a\\\""` + "\n", []string{"\n\r\t\b\a\\\""}},
		{"hexadecimal in double quotes", `"\x41\xff\x0A\xaB"` + "\n", []string{"A\xff\n\xab"}},
		{"half a hexadecimal is an escaped x", `"\x4" "\xg1" "\x"` + "\n", []string{"x4", "xg1", "x"}},
		{"unknown escapes lose the backslash", `"\q\0"` + "\n", []string{"q0"}},
		{"single quotes escape only themselves", `'\n\x41\'\\ '` + "\n", []string{`\n\x41'\\ `}},
		{"the other quote is a plain byte", `"'" '"'` + "\n", []string{"'", `"`}},
		{"quotes begin within a word", `foo"b r"` + "\n", []string{"foob r"}},
		{"backslash outside of quotes is plain", `a\n\x41` + "\n", []string{`a\n\x41`}},
		{"bytes above ASCII", "GET k\xc3\xa4\xff\r\n", []string{"GET", "k\xc3\xa4\xff"}},
		{"zero byte ends the line", "GET a\x00b c\r\n", []string{"GET", "a"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := resp.AppendInline([]byte("before"), []byte(test.line))
			want := resp.AppendCommand([]byte("before"), test.want...)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		})
	}
}

func TestInlineUnbalancedQuotes(t *testing.T) {
	for _, line := range []string{
		`GET "a`, `GET 'a`, `GET "a"b`, `GET 'a'b`, `GET "a""b"`, `GET a"`, `"\"`, `'\'`, `"\`, `'`, `"a\x4`, "\"a\x00\"",
	} {
		got, err := resp.AppendInline([]byte("before"), []byte(line+"\r\n"))
		if err == nil || err.Error() != "protocol error: unbalanced quotes in request" || string(got) != "before" {
			t.Errorf("%q: got %q, %v", line, got, err)
		}
	}
}

// What an inline request stands for is a request, and reads as the words that it is quoted from.
func FuzzInline(f *testing.F) {
	for _, line := range []string{"SET k v", `GET "a\x41\n" 'b\''`, "\xff \t 'x'", `"`, `a"b"c`, "\x00"} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		array, err := resp.AppendInline(nil, line)
		if err != nil {
			if len(array) != 0 {
				t.Errorf("%q with %v", array, err)
			}
			return
		}
		requests, err := parseRequests(t, array)
		if err != nil || len(requests) != 1 {
			t.Fatalf("%q stands for %q: %v", line, array, err)
		}
		var quoted []byte
		for _, word := range requests[0].args {
			quoted = append(quoted, ' ', '"')
			for _, c := range []byte(word) {
				quoted = append(quoted, '\\', 'x', "0123456789abcdef"[c>>4], "0123456789ABCDEF"[c&15])
			}
			quoted = append(quoted, '"')
		}
		again, err := resp.AppendInline(nil, append(quoted, '\r', '\n'))
		if err != nil || !slices.Equal(again, array) {
			t.Errorf("%q reads as %q, quoted again as %q, %v", line, array, again, err)
		}
	})
}
