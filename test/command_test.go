package test

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"nutmeg/internal/command"
	"nutmeg/internal/learn"
	"nutmeg/internal/resp"
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
	otherCategoriesIn70 = []string{"wait 7.0:  table: blocking"}
	otherKeysIn70       = []string{"sinterstore"} // 7.0 says RW of the destination, the table OW: it is replaced
	otherPoliciesIn70   = []string{
		"acl|deluser 7.0: default, default table: all_nodes, all_succeeded",
		"acl|save 7.0: default, default table: all_nodes, all_succeeded",
		"acl|setuser 7.0: default, default table: all_nodes, all_succeeded",
		"client|setname 7.0: default, default table: all_nodes, all_succeeded",
		"config|resetstat 7.0: default, default table: all_nodes, all_succeeded",
		"config|rewrite 7.0: default, default table: all_nodes, all_succeeded",
		"latency|reset 7.0: all_nodes, all_succeeded table: all_nodes, agg_sum",
		"msetnx 7.0: multi_shard, agg_min table: default, default", // split, it would not be all or nothing
		"randomkey 7.0: all_shards, default table: all_shards, special",
		"scan 7.0: special, default table: special, special",
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
const untoldFlags = command.Sentinel | command.MayReplicate | command.Protected

// What COMMAND says in both versions of the protocol, as it is learned from a server, is what the table says.
func TestCommandTableMatchesRedis70(t *testing.T) {
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprintf("protocol %d", protocol), func(t *testing.T) {
			compareTables(t, serverCommands(t, testkit.Redis(t), protocol), tableCommands())
		})
	}
}

func compareTables(t *testing.T, server, table map[string]*command.Command) {
	var missing, arities, flags, categories, keys, policies []string
	for name, c := range table {
		s, known := server[name]
		if !known {
			if !c.Flags.Has(command.OnlySentinel) {
				missing = append(missing, name)
			}
			continue
		}
		if s.Arity != c.Arity {
			arities = append(arities, fmt.Sprintf("%s 7.0: %d table: %d", name, s.Arity, c.Arity))
		}
		if told := c.Flags &^ untoldFlags; told != s.Flags {
			flags = append(flags, fmt.Sprintf("%s 7.0: %s table: %s", name, s.Flags&^told, told&^s.Flags))
		}
		if c.Categories != s.Categories {
			categories = append(categories, fmt.Sprintf("%s 7.0: %s table: %s", name, s.Categories&^c.Categories, c.Categories&^s.Categories))
		}
		if !sameKeySpecs(s.Keys, c.Keys) {
			keys = append(keys, name)
		}
		if s.Request != c.Request || s.Response != c.Response {
			policies = append(policies, fmt.Sprintf("%s 7.0: %s, %s table: %s, %s", name, s.Request, s.Response, c.Request, c.Response))
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
	checkDifferences(t, "other categories", categories, otherCategoriesIn70)
	checkDifferences(t, "other keys", keys, otherKeysIn70)
	checkDifferences(t, "other policies", policies, otherPoliciesIn70)
}

// sameKeySpecs compares key specifications. A limit of 0 or 1 is none.
func sameKeySpecs(a, b []command.KeySpec) bool {
	plain := func(s command.KeySpec) command.KeySpec {
		if s.Find.Limit <= 1 {
			s.Find.Limit = 0
		}
		return s
	}
	return slices.EqualFunc(a, b, func(a, b command.KeySpec) bool { return plain(a) == plain(b) })
}

func checkDifferences(t *testing.T, what string, got, want []string) {
	t.Helper()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant:\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Every request of the command package's own table has the same keys for the server, or is refused by it.
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
		if !found || strings.HasPrefix(line, "#") {
			continue
		}
		args := commandArgs{}
		for word := range strings.FieldsSeq(line) {
			args = append(args, []byte(strings.Trim(word, `"`)))
		}
		if strings.Contains(want, "error") {
			asked += checkRefused(t, client, args)
		} else {
			asked += checkCommandKeys(t, client, args)
		}
	}
	if asked < 350 {
		t.Errorf("only %d requests were asked about", asked)
	}
}

// checkRefused checks that the server, too, refuses what AppendKeys has an error for: it may be sent to any server.
func checkRefused(t *testing.T, client *redis.Client, args commandArgs) int {
	t.Helper()
	var request []any
	for _, arg := range args {
		request = append(request, arg)
	}
	if reply, err := client.Do(t.Context(), request...).Result(); err == nil {
		t.Errorf("%s: the server says %v", args, reply)
	}
	return 1
}

func getKeys(t *testing.T, client *redis.Client, args commandArgs) ([]string, error) {
	question := []any{"COMMAND", "GETKEYS"}
	for _, arg := range args {
		question = append(question, arg)
	}
	return client.Do(t.Context(), question...).StringSlice()
}

// Every command, with as few arguments as it takes and some more.
func TestKeysOfEveryCommandMatchRedis70(t *testing.T) {
	process, table := testkit.Redis(t), tableCommands()
	client, server, asked := clientOfRedis70(t, process), serverCommands(t, process, 2), 0
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
	told, err := getKeys(t, client, args)
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
	return clientOfRedis70(t, testkit.Redis(t))
}

func clientOfRedis70(t *testing.T, server *testkit.Process) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
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

// serverCommands returns the server's commands and subcommands by name, as they are learned from COMMAND.
func serverCommands(t *testing.T, server *testkit.Process, protocol int) map[string]*command.Command {
	t.Helper()
	c := dial(t, server.Addr())
	c.send(request("HELLO", strconv.Itoa(protocol)) + request("COMMAND"))
	wholeReply(t, c)
	commands, err := learn.Parse(wholeReply(t, c))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*command.Command{}
	for _, cmd := range commands {
		all[cmd.Name] = cmd
		for i := range cmd.Subcommands {
			all[cmd.Subcommands[i].Name] = &cmd.Subcommands[i]
		}
	}
	return all
}

// wholeReply reads one reply of either version of the protocol.
func wholeReply(t *testing.T, c *rawConn) (reply []byte) {
	t.Helper()
	var parser resp.ResponseParser
	for done := false; !done; {
		b, err := c.r.ReadByte()
		if err != nil {
			t.Fatal(err)
		}
		reply = append(reply, b)
		if _, done, err = parser.Parse(reply[len(reply)-1:]); err != nil {
			t.Fatal(err)
		}
	}
	return reply
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
