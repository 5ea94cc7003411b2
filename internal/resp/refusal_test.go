package resp

import (
	"bytes"
	"strings"
	"testing"
)

type arguments [][]byte

func (a arguments) Len() int         { return len(a) }
func (a arguments) Arg(i int) []byte { return a[i] }

func argumentsOf(words ...string) (args arguments) {
	for _, word := range words {
		args = append(args, []byte(word))
	}
	return args
}

func TestAppendUnknownCommand(t *testing.T) {
	long := strings.Repeat("x", 200)
	for _, c := range []struct {
		name string
		args arguments
		want string
	}{
		{"without arguments", argumentsOf("foo"), "'foo', with args beginning with: "},
		{"as the client wrote it", argumentsOf("FoO"), "'FoO', with args beginning with: "},
		{"with arguments", argumentsOf("foo", "a", "b"), "'foo', with args beginning with: 'a' 'b' "},
		{"an empty argument", argumentsOf("foo", "", "b"), "'foo', with args beginning with: '' 'b' "},
		{"an empty name", argumentsOf(""), "'', with args beginning with: "},
		{"a long name is cut", argumentsOf(long), "'" + long[:128] + "', with args beginning with: "},
		{"a long argument is cut, and none follows", argumentsOf("foo", long, "b"), "'foo', with args beginning with: '" + long[:128] + "' "},
		{"what is left for the next argument", argumentsOf("foo", long[:124], long, "b"), "'foo', with args beginning with: '" + long[:124] + "' 'x' "},
		{"nothing is left for the next argument", argumentsOf("foo", long[:125], "b"), "'foo', with args beginning with: '" + long[:125] + "' "},
		{"line ends are blanks", argumentsOf("f\r\noo", "a\nb"), "'f  oo', with args beginning with: 'a b' "},
		{"other bytes stay", argumentsOf("f\xff\x01", "\x80"), "'f\xff\x01', with args beginning with: '\x80' "},
		{"a NUL ends a text", argumentsOf("fo\x00o", "a\x00b", "c"), "'fo', with args beginning with: 'a' 'c' "},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := string(AppendUnknownCommand([]byte("+OK\r\n"), c.args))
			if want := "+OK\r\n-ERR unknown command " + c.want + "\r\n"; got != want {
				t.Errorf("got %q\nwant %q", got, want)
			}
		})
	}
}

func TestAppendUnknownSubcommand(t *testing.T) {
	for _, c := range []struct {
		args arguments
		want string
	}{
		{argumentsOf("config", "nosuch"), "-ERR unknown subcommand 'nosuch'. Try CONFIG HELP.\r\n"},
		{argumentsOf("Object", "No\r\nSuch", "x"), "-ERR unknown subcommand 'No  Such'. Try OBJECT HELP.\r\n"},
		{argumentsOf("client", strings.Repeat("x", 200)), "-ERR unknown subcommand '" + strings.Repeat("x", 128) + "'. Try CLIENT HELP.\r\n"},
	} {
		if got := string(AppendUnknownSubcommand(nil, c.args)); got != c.want {
			t.Errorf("%s: %q; want %q", c.args, got, c.want)
		}
	}
}

func TestAppendWrongArity(t *testing.T) {
	if got := string(AppendWrongArity(nil, "config|get")); got != "-ERR wrong number of arguments for 'config|get' command\r\n" {
		t.Errorf("%q", got)
	}
}

// Whatever the arguments, the error is one line.
func FuzzAppendUnknownCommand(f *testing.F) {
	f.Add([]byte("foo a b"))
	f.Add([]byte("f\r\n a\x00b \r"))
	f.Fuzz(func(t *testing.T, line []byte) {
		args := arguments(bytes.Split(line, []byte(" ")))
		for _, got := range [][]byte{AppendUnknownCommand(nil, args), AppendUnknownSubcommand(nil, append(args, nil))} {
			text, ok := ErrorText(got)
			if !ok || bytes.ContainsAny(text, "\r\n\x00") {
				t.Errorf("%q", got)
			}
		}
	})
}
