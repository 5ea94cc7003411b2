package test

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"nutmeg/internal/command"
	"nutmeg/internal/testkit"
)

// The command table beside a real redis-server 7.0, which describes its own
// commands. The table's facts are those of 7.2: what differs is listed here, and
// a difference that is not there any more fails a test too.
var (
	notInRedis70 = []string{
		"client|capa", "client|no-touch", "client|setinfo", "cluster|myshardid",
		"cluster|slot-stats", "script|show", "waitaof",
	}
	otherArityIn70 = []string{
		"command|getkeys 7.0: -4 table: -3",
		"command|getkeysandflags 7.0: -4 table: -3",
		"zrank 7.0: 3 table: -3",
		"zrevrank 7.0: 3 table: -3",
	}
	otherFlagsIn70 = []string{
		"blmove 7.0: noscript table: ",
		"blpop 7.0: noscript table: ",
		"brpop 7.0: noscript table: ",
		"brpoplpush 7.0: noscript table: ",
		"bzpopmax 7.0: noscript table: ",
		"bzpopmin 7.0: noscript table: ",
		"cluster|info 7.0:  table: loading",
		"cluster|myid 7.0:  table: loading",
		"cluster|nodes 7.0:  table: loading",
		"cluster|shards 7.0:  table: loading",
		"cluster|slots 7.0:  table: loading",
		"multi 7.0:  table: no_multi",
		"randomkey 7.0:  table: touches_arbitrary_keys",
		"scan 7.0:  table: touches_arbitrary_keys",
		"wait 7.0: noscript table: blocking",
		"watch 7.0:  table: no_multi",
	}
)

// Flags of the table that a server does not tell.
const untoldFlags = command.Sentinel | command.MayReplicate | command.Protected |
	command.NondeterministicOutput | command.NondeterministicOrder

func TestCommandTableMatchesRedis70(t *testing.T) {
	server, table := serverCommands(t, startRedis70(t)), tableCommands()
	var missing, arities, flags []string
	for name, c := range table {
		s, known := server[name]
		if !known {
			if !c.Flags.Has(command.OnlySentinel) {
				missing = append(missing, name)
			}
			continue
		}
		if s.arity != c.Arity {
			arities = append(arities, fmt.Sprintf("%s 7.0: %d table: %d", name, s.arity, c.Arity))
		}
		if told := c.Flags &^ untoldFlags; told != s.flags {
			flags = append(flags, fmt.Sprintf("%s 7.0: %s table: %s", name, s.flags&^told, told&^s.flags))
		}
	}
	for name := range server {
		if table[name] == nil {
			t.Errorf("the table lacks %s", name)
		}
	}
	checkDifferences(t, "commands that 7.0 lacks", missing, notInRedis70)
	checkDifferences(t, "other arities", arities, otherArityIn70)
	checkDifferences(t, "other flags", flags, otherFlagsIn70)
}

func checkDifferences(t *testing.T, what string, got, want []string) {
	t.Helper()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant:\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Every request of the command package's own table whose keys are found has the
// same keys for the server.
func TestKeysOfRequestsMatchRedis70(t *testing.T) {
	client := startRedis70(t)
	file, err := os.Open("../internal/command/testdata/keys.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	asked := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line, want, found := strings.Cut(lines.Text(), "=>")
		if !found || strings.HasPrefix(line, "#") || strings.Contains(want, "error") {
			continue
		}
		args := commandArgs{}
		for word := range strings.FieldsSeq(line) {
			args = append(args, []byte(strings.Trim(word, `"`)))
		}
		asked += checkCommandKeys(t, client, args)
	}
	if asked < 100 {
		t.Errorf("only %d requests were asked about", asked)
	}
}

// Every command, with as few arguments as it takes and some more.
func TestKeysOfEveryCommandMatchRedis70(t *testing.T) {
	client, table := startRedis70(t), tableCommands()
	server, asked := serverCommands(t, client), 0
	for _, name := range slices.Sorted(maps.Keys(table)) {
		c := table[name]
		if _, known := server[name]; !known {
			continue
		}
		most := c.Arity
		if c.Arity < 0 {
			most = 4 - c.Arity
		}
		for n := max(c.Arity, -c.Arity); n <= most; n++ {
			asked += checkCommandKeys(t, client, requestOf(c, n))
		}
	}
	if asked < 800 {
		t.Errorf("only %d requests were asked about", asked)
	}
}

// requestOf returns a request of n arguments, all different, with a count of one
// key where the command wants a count.
func requestOf(c *command.Command, n int) commandArgs {
	args := make(commandArgs, n)
	for i := range args {
		args[i] = fmt.Appendf(nil, "arg%d", i)
	}
	copy(args, bytes.Split([]byte(c.Name), []byte("|")))
	for _, spec := range c.Keys {
		if spec.Begin.Kind == command.BeginIndex && spec.Find.Kind == command.FindKeyNum {
			args[spec.Begin.Pos+spec.Find.NumKeysAt] = []byte("1")
		}
	}
	return args
}

// checkCommandKeys compares the keys found with those that COMMAND GETKEYS finds, and
// returns how many requests it asked about: left out are those that AppendKeys
// refuses, those of one word, which 7.0 does not take, and those whose arguments
// are too few or too many for 7.0.
func checkCommandKeys(t *testing.T, client *redis.Client, args commandArgs) int {
	t.Helper()
	positions, err := command.Lookup(args[0]).AppendKeys(nil, args)
	if err != nil || len(args) < 2 {
		return 0
	}
	var keys []string
	for _, at := range positions {
		keys = append(keys, string(args[at]))
	}
	question := []any{"COMMAND", "GETKEYS"}
	for _, arg := range args {
		question = append(question, arg)
	}
	told, err := client.Do(t.Context(), question...).StringSlice()
	switch {
	case err == nil:
	case strings.Contains(err.Error(), "no key arguments"):
		told = nil
	case strings.Contains(err.Error(), "Invalid number of arguments"):
		return 0
	case strings.Contains(err.Error(), "Invalid arguments") && len(keys) == 0:
		told = nil // a keyword is missing
	case strings.Contains(err.Error(), "Invalid command") && len(keys) == 0:
		told = nil // a container without such a subcommand
	case strings.EqualFold(string(args[0]), "PFMERGE") && len(args) == 2:
		return 0 // 7.0 executes it but does not find its key
	default:
		t.Errorf("%s: %v; keys %q", args, err, keys)
		return 1
	}
	if !slices.Equal(keys, told) {
		t.Errorf("%s: keys %q; the server finds %q", args, keys, told)
	}
	return 1
}

type commandArgs [][]byte

func (a commandArgs) Len() int         { return len(a) }
func (a commandArgs) Arg(i int) []byte { return a[i] }
func (a commandArgs) String() string   { return string(bytes.Join(a, []byte(" "))) }

func startRedis70(t *testing.T) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: testkit.Redis(t).Addr()})
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	version := client.InfoMap(t.Context(), "server").Item("Server", "redis_version")
	if !strings.HasPrefix(version, "7.0.") {
		t.Fatalf("redis-server is version %q; these tests know 7.0: list what differs, or install that version", version)
	}
	return client
}

// serverCommand is what COMMAND says of a command.
type serverCommand struct {
	arity int
	flags command.Flags
}

// serverCommands returns the server's commands and subcommands by name.
func serverCommands(t *testing.T, client *redis.Client) map[string]serverCommand {
	t.Helper()
	rows, err := client.Do(t.Context(), "COMMAND").Slice()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]serverCommand{}
	addCommands(t, all, rows)
	return all
}

// addCommands reads rows of COMMAND: the name, arity and flags come first, the
// subcommands, of the same form, are the tenth field.
func addCommands(t *testing.T, all map[string]serverCommand, rows []any) {
	t.Helper()
	for _, row := range rows {
		fields := row.([]any)
		flags := command.Flags(0)
		for _, name := range fields[2].([]any) {
			flags |= flagCalled(t, name.(string))
		}
		all[fields[0].(string)] = serverCommand{int(fields[1].(int64)), flags}
		addCommands(t, all, fields[9].([]any))
	}
}

func flagCalled(t *testing.T, name string) command.Flags {
	t.Helper()
	for bit := command.Flags(1); bit <= command.MovableKeys; bit <<= 1 {
		if bit.String() == name {
			return bit
		}
	}
	t.Errorf("the package has no flag %q", name)
	return 0
}

// tableCommands returns the table's commands and subcommands by name.
func tableCommands() map[string]*command.Command {
	all := map[string]*command.Command{}
	for c := range command.All() {
		all[c.Name] = c
		for i := range c.Subcommands {
			all[c.Subcommands[i].Name] = &c.Subcommands[i]
		}
	}
	return all
}
