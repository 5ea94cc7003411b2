package main

import (
	"strings"
	"testing"

	"nutmeg/internal/resp"
)

func TestFormatReply(t *testing.T) {
	for _, test := range []struct{ rule, reply, want string }{
		{"status", "+OK\r\n", "OK\n"},
		{"error", "-ERR no\r\n", "(error) ERR no\n"},
		{"integer", ":-3\r\n", "(integer) -3\n"},
		{"string", "$3\r\na\"b\r\n", "\"a\\\"b\"\n"},
		{"empty string", "$0\r\n\r\n", "\"\"\n"},
		{"bytes beyond ASCII are escaped", "$2\r\n\xc3\xa9\r\n", "\"\\xc3\\xa9\"\n"},
		{"a status cannot steer the terminal", "+a\x1b[2J\r\n", "a\\x1b[2J\n"},
		{"null string", "$-1\r\n", "(nil)\n"},
		{"null array", "*-1\r\n", "(nil)\n"},
		{"empty array", "*0\r\n", "(empty array)\n"},
		{"nested arrays are indented", "*2\r\n*2\r\n:1\r\n*1\r\n$1\r\nx\r\n:2\r\n", "1) 1) (integer) 1\n   2) 1) \"x\"\n2) (integer) 2\n"},
		{"numbers are aligned", "*10\r\n" + strings.Repeat(":0\r\n", 10), strings.Repeat(" ", 1) + "1) (integer) 0\n 2) (integer) 0\n 3) (integer) 0\n 4) (integer) 0\n 5) (integer) 0\n 6) (integer) 0\n 7) (integer) 0\n 8) (integer) 0\n 9) (integer) 0\n10) (integer) 0\n"},
		{"a map is keys and values", "%1\r\n+k\r\n#t\r\n", "1) k\n2) (true)\n"},
		{"null of version 3", "_\r\n", "(nil)\n"},
		{"double", ",1.5\r\n", "(double) 1.5\n"},
		{"bulk error", "!5\r\nERR x\r\n", "(error) ERR x\n"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			text, isError, err := formatReply([]byte(test.reply))
			if err != nil || text != test.want {
				t.Errorf("got %q, %v\nwant %q", text, err, test.want)
			}
			if isError != strings.HasPrefix(text, "(error)") {
				t.Errorf("isError is %v", isError)
			}
		})
	}
}

func TestFormatReplyRefusesDeepNesting(t *testing.T) {
	if _, _, err := formatReply([]byte(strings.Repeat("*1\r\n", 100000) + ":1\r\n")); err == nil {
		t.Error("no error")
	}
}

// Whatever the parser takes for a whole reply is printed, without anything but text.
func FuzzFormatReply(f *testing.F) {
	for _, reply := range []string{"+OK\r\n", "*2\r\n$1\r\na\r\n*-1\r\n", "%1\r\n:1\r\n,1\r\n", "|1\r\n:1\r\n:2\r\n:3\r\n", "$-1\r\n", "#x\r\n", ",\x00\r\n", "!-1\r\n"} {
		f.Add([]byte(reply))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var parser resp.ResponseParser
		n, done, err := parser.Parse(data)
		if err != nil || !done {
			return
		}
		text, _, err := formatReply(data[:n])
		if err != nil {
			if !strings.Contains(err.Error(), "nested") {
				t.Errorf("%q: %v", data[:n], err)
			}
			return
		}
		if !strings.HasSuffix(text, "\n") || strings.ContainsAny(text, "\x00\x1b\r\a") {
			t.Errorf("%q is printed as %q", data[:n], text)
		}
	})
}
