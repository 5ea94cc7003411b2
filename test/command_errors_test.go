package test

import (
	"strings"
	"testing"

	"nutmeg/internal/command"
	"nutmeg/internal/resp"
	"nutmeg/internal/testkit"
)

// What is said of a command that is unknown, or has the wrong count of arguments, is what a redis-server 7.0 says, byte
// for byte.
func TestErrorsOfCommandsMatchRedis70(t *testing.T) {
	t.Parallel()
	c := dial(t, testkit.Redis(t).Addr())
	long := strings.Repeat("x", 200)
	for _, words := range [][]string{
		{"foo"},
		{"FoO", "a", "b"},
		{""},
		{"", ""},
		{"foo", "", "b"},
		{long},
		{long, long},
		{"foo", long, "b"},
		{"foo", long[:120], "abcdefgh"},
		{"foo", long[:123], "abcdefgh", "c"},
		{"foo", long[:124], "abcdefgh", "c"},
		{"foo", long[:125], "abcdefgh", "c"},
		{"foo", long[:126], "abcdefgh", "c"},
		{"foo", long[:128], "abcdefgh", "c"},
		{"f\r\noo", "a\nb", "\r\n"},
		{"f\x00oo", "a\x00b", "c\x00"},
		{"\x00", "\x00", "c"},
		{"f\xff\x01'\"\\", "\x80%s", "%n"},
		{"get\x00", "a"},
		{"config", "nosuch"},
		{"Config", "NoSuch", "x"},
		{"client", long},
		{"object", "a\r\nb"},
		{"object", "a\x00b"},
		{"object", "\xff"},
		{"command", ""},
		{"config|get", "x"},
		{"config", "config|get"},
		{"get"},
		{"GET", "a", "b"},
		{"config"},
		{"xgroup"},
		{"CONFIG", "get"},
		{"object", "ENCODING"},
		{"object", "ENCODING", "a", "b"},
		{"memory", "usage"},
		{"exec", "x"},
		{"multi", "x"},
	} {
		if got, want := refusalOf(words), c.ask(words...); got != want {
			t.Errorf("%q: %q\nthe server says %q", words, got, want)
		}
	}
}

// refusalOf is the error for a request that must not be sent, by the table.
func refusalOf(words []string) string {
	args := commandArgs{}
	for _, word := range words {
		args = append(args, []byte(word))
	}
	cmd := command.Lookup(args[0])
	if cmd == nil {
		return string(resp.AppendUnknownCommand(nil, args))
	}
	if len(cmd.Subcommands) > 0 && len(args) > 1 {
		if cmd = cmd.Subcommand(args[1]); cmd == nil {
			return string(resp.AppendUnknownSubcommand(nil, args))
		}
	}
	if cmd.ArityOK(len(args)) {
		return "accepted"
	}
	return string(resp.AppendWrongArity(nil, cmd.Name))
}

// Every command of the server, and every subcommand, with too few arguments.
func TestArityErrorsOfAllCommandsMatchRedis70(t *testing.T) {
	t.Parallel()
	process := testkit.Redis(t)
	server, c, asked := serverCommands(t, process, 2), dial(t, process.Addr()), 0
	for name, cmd := range tableCommands() {
		words := strings.Split(name, "|")
		if _, known := server[name]; !known || cmd.ArityOK(len(words)) {
			continue
		}
		if got, want := string(resp.AppendWrongArity(nil, name)), c.ask(words...); got != want {
			t.Errorf("%q: %q\nthe server says %q", words, got, want)
		}
		asked++
	}
	if asked < 200 {
		t.Errorf("only %d commands were asked about", asked)
	}
}
