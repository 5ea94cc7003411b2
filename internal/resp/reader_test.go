package resp_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"nutmeg/internal/resp"
)

// show writes the values of a response down, one after the other.
func show(r *resp.Reader) string {
	var out []string
	for {
		v, ok := r.Next()
		if !ok {
			break
		}
		switch {
		case v.Null:
			out = append(out, fmt.Sprintf("%c null", v.Kind))
		case v.Count >= 0:
			out = append(out, fmt.Sprintf("%c of %d", v.Kind, v.Count))
		case v.Kind == resp.Integer:
			out = append(out, fmt.Sprintf(": %d %s", v.Int, v.Text))
		default:
			out = append(out, fmt.Sprintf("%c %q", v.Kind, v.Text))
		}
	}
	if r.Len() > 0 {
		out = append(out, fmt.Sprintf("%d left", r.Len()))
	}
	return strings.Join(out, ", ")
}

func TestReaderReadsValues(t *testing.T) {
	for _, test := range []struct{ name, data, want string }{
		{"status", "+OK\r\n", `+ "OK"`},
		{"error", "-ERR no\r\n", `- "ERR no"`},
		{"integer", ":-12\r\n", ": -12 -12"},
		{"bulk", "$4\r\na\r\nb\r\n", `$ "a\r\nb"`},
		{"empty bulk", "$0\r\n\r\n", `$ ""`},
		{"null bulk", "$-1\r\n", "$ null"},
		{"null array", "*-1\r\n", "* null"},
		{"null", "_\r\n", "_ null"},
		{"empty array", "*0\r\n", "* of 0"},
		{"nested arrays", "*2\r\n*1\r\n:1\r\n$1\r\nx\r\n", `* of 2, * of 1, : 1 1, $ "x"`},
		{"map has twice its entries", "%1\r\n+a\r\n:1\r\n", `% of 2, + "a", : 1 1`},
		{"set", "~1\r\n+a\r\n", `~ of 1, + "a"`},
		{"boolean", "#t\r\n", `# "t"`},
		{"double", ",1.5\r\n", `, "1.5"`},
		{"big number", "(123\r\n", `( "123"`},
		{"bulk error", "!2\r\nno\r\n", `! "no"`},
		{"verbatim text without its kind", "=8\r\ntxt:text\r\n", `= "text"`},
		{"verbatim text too short for a kind", "=2\r\nab\r\n", `= "ab"`},
		{"attribute", "|1\r\n+a\r\n:1\r\n+v\r\n", `| of 2, + "a", : 1 1, + "v"`},
		{"line without its end", "+OK\r", "4 left"},
		{"CR within a line", "+a\rb\r\n", "6 left"},
		{"bulk shorter than it says", "$5\r\nabc\r\n", "9 left"},
		{"bulk longer than it says", "$1\r\nabc\r\n", "9 left"},
		{"length beyond all memory", "$9223372036854775807\r\nabc\r\n", "27 left"},
		{"negative length", "$-2\r\n", "5 left"},
		{"count beyond reason", "*1099511627777\r\n", "16 left"},
		{"no number", "*x\r\n", "4 left"},
		{"unknown kind", "?1\r\n", "4 left"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := resp.NewReader([]byte(test.data))
			if got := show(&r); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestReaderTakesElements(t *testing.T) {
	elements := []string{
		"*2\r\n*1\r\n:1\r\n$1\r\nx\r\n", "+OK\r\n", "%1\r\n+a\r\n*0\r\n", "|1\r\n+a\r\n:1\r\n+v\r\n", "*-1\r\n", "~1\r\n|0\r\n_\r\n", "$0\r\n\r\n",
	}
	r := resp.NewReader([]byte(strings.Join(elements, "")))
	for _, want := range elements {
		if got, ok := r.Element(); !ok || string(got) != want {
			t.Errorf("got %q, %v; want %q", got, ok, want)
		}
	}
	for _, cut := range []string{"", "*2\r\n:1\r\n", "|1\r\n+a\r\n:1\r\n", "%1\r\n+a\r\n", "*1\r\n*1\r\n"} {
		r := resp.NewReader([]byte(cut))
		if got, ok := r.Element(); ok || r.Len() != len(cut) {
			t.Errorf("%q: got %q, %v, %d left; want nothing read", cut, got, ok, r.Len())
		}
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	data := []byte("*3\r\n*1\r\n:1\r\n$1\r\nx\r\n%1\r\n+a\r\n#t\r\n")
	if n := testing.AllocsPerRun(100, func() {
		r := resp.NewReader(data)
		_, _ = r.Next()
		for range 3 {
			if !r.Skip() {
				t.Fatal("an element is missing")
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A reader and the parser agree on where each response ends, and on what is none.
func FuzzReaderAgreesWithParser(f *testing.F) {
	for _, data := range []string{
		"*2\r\n*1\r\n+OK\r\n$3\r\nabc\r\n:-1\r\n", "%1\r\n+a\r\n|1\r\n_\r\n#t\r\n,1\r\n", "$-1\r\n*-1\r\n", "=8\r\ntxt:text\r\n!1\r\nx\r\n",
		"%549755813889\r\n", "|1\r\n+a\r\n:1\r\n", "*1\r\n*1099511627776\r\n", "$2\r\nab\r\r", "|-1\r\n+a\r\n",
	} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := resp.NewReader(data)
		var parser resp.ResponseParser
		for len(data) > 0 {
			n, done, err := parser.Parse(data)
			raw, ok := r.Element()
			if ok != (done && err == nil) {
				t.Fatalf("%q: the parser says done %v, %v; the reader %v", data, done, err, ok)
			}
			if !ok {
				return
			}
			if !bytes.Equal(raw, data[:n]) {
				t.Fatalf("%q: the parser takes %d bytes, the reader %q", data, n, raw)
			}
			data = data[n:]
		}
		if _, ok := r.Element(); ok {
			t.Fatal("an element behind the end")
		}
	})
}
