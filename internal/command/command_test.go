package command

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestLookupFindsEveryCommandInAnyCase(t *testing.T) {
	count := 0
	for c := range All() {
		count++
		mixed := []byte(c.Name)
		for i := 0; i < len(mixed); i += 2 {
			mixed[i] = bytes.ToUpper(mixed[i : i+1])[0]
		}
		for _, name := range [][]byte{[]byte(c.Name), []byte(strings.ToUpper(c.Name)), mixed} {
			if got := Lookup(name); got != c {
				t.Errorf("Lookup(%q) found %v", name, got)
			}
		}
		for i := range c.Subcommands {
			sub := &c.Subcommands[i]
			short := strings.TrimPrefix(sub.Name, c.Name+"|")
			if c.Subcommand([]byte(short)) != sub || c.Subcommand([]byte(strings.ToUpper(short))) != sub {
				t.Errorf("%s has no subcommand %q", c.Name, short)
			}
		}
	}
	if count != 242 {
		t.Errorf("%d commands; the data has 242 (change this number with the data)", count)
	}
}

// Every name with one byte changed, lost or added is no name, unless it is
// another one of the table or the same in another case.
func TestLookupIsExact(t *testing.T) {
	known := map[string]bool{}
	for c := range All() {
		known[c.Name] = true
	}
	check := func(name []byte) {
		lower := asciiLower(name)
		switch got := Lookup(name); {
		case known[lower] && (got == nil || got.Name != lower):
			t.Errorf("Lookup(%q) missed it", name)
		case !known[lower] && got != nil:
			t.Errorf("Lookup(%q) found %s", name, got.Name)
		}
	}
	for name := range known {
		for i := range name {
			changed := []byte(name)
			for b := range 256 {
				changed[i] = byte(b)
				check(changed)
			}
			check(slices.Delete([]byte(name), i, i+1))
			check(slices.Insert([]byte(name), i, 0))
			check(slices.Insert([]byte(name), i, name[i]))
		}
		check([]byte(name + "\x00"))
		check([]byte(name + " "))
	}
	for _, name := range []string{"", "config|get", "GET\r\n", strings.Repeat("a", 1000), "georadiusbymember_row"} {
		check([]byte(name))
	}
}

func asciiLower(name []byte) string {
	lower := bytes.Clone(name)
	for i, b := range lower {
		if 'A' <= b && b <= 'Z' {
			lower[i] = b + 'a' - 'A'
		}
	}
	return string(lower)
}

func TestSubcommandIsExact(t *testing.T) {
	config := Lookup([]byte("CONFIG"))
	for _, name := range []string{"", "ge", "gett", "config|get", "get\x00", "\x07et"} {
		if got := config.Subcommand([]byte(name)); got != nil {
			t.Errorf("CONFIG %q is %s; want none", name, got.Name)
		}
	}
	if got := Lookup([]byte("GET")).Subcommand([]byte("x")); got != nil {
		t.Errorf("GET has the subcommand %s", got.Name)
	}
}

// The cost of Lookup is the length of its probe.
func TestProbesAreShort(t *testing.T) {
	longest, total, count := 0, 0, 0
	for c := range All() {
		head, tail := words([]byte(c.Name))
		length := 1
		for at := hash(head, tail); slots[at%(1<<slotBits)].cmd != c; at++ {
			length++
		}
		longest, total, count = max(longest, length), total+length, count+1
	}
	if longest > 4 || total > count*11/10 {
		t.Errorf("longest probe %d, %d probes for %d names; want at most 4, and 1.1 a name", longest, total, count)
	}
}

func TestFactsOfSomeCommands(t *testing.T) {
	for _, c := range []struct {
		name, sub string
		arity     int
		flags     string
		group     Group
		request   RequestPolicy
		response  ResponsePolicy
	}{
		{"get", "", 2, "readonly|fast", GroupString, RequestDefault, ResponseDefault},
		{"mget", "", -2, "readonly|fast", GroupString, RequestMultiShard, ResponseDefault},
		{"mset", "", -3, "write|denyoom", GroupString, RequestMultiShard, ResponseAllSucceeded},
		{"del", "", -2, "write", GroupGeneric, RequestMultiShard, ResponseAggSum},
		{"dbsize", "", 1, "readonly|fast", GroupServer, RequestAllShards, ResponseAggSum},
		{"wait", "", 3, "blocking", GroupGeneric, RequestAllShards, ResponseAggMin},
		{"scan", "", -2, "readonly|touches_arbitrary_keys|nondeterministic_output", GroupGeneric, RequestSpecial, ResponseSpecial},
		{"config", "set", -4, "admin|noscript|loading|stale", GroupServer, RequestAllNodes, ResponseAllSucceeded},
		{"script", "exists", -3, "noscript", GroupScripting, RequestAllShards, ResponseAggLogicalAnd},
		{"script", "kill", 2, "noscript|allow_busy", GroupScripting, RequestAllShards, ResponseOneSucceeded},
		{"blpop", "", -3, "write|blocking", GroupList, RequestDefault, ResponseDefault},
	} {
		t.Run(strings.TrimSpace(c.name+" "+c.sub), func(t *testing.T) {
			got := Lookup([]byte(c.name))
			if c.sub != "" {
				got = got.Subcommand([]byte(c.sub))
			}
			if got.Arity != c.arity || got.Flags.String() != c.flags || got.Group != c.group || got.Request != c.request || got.Response != c.response {
				t.Errorf("%d %s %s %s %s", got.Arity, got.Flags, got.Group, got.Request, got.Response)
			}
		})
	}
}

func TestArityOK(t *testing.T) {
	exact, least := Command{Arity: 2}, Command{Arity: -2}
	for n, want := range [][2]bool{{false, false}, {false, false}, {true, true}, {false, true}} {
		if exact.ArityOK(n) != want[0] || least.ArityOK(n) != want[1] {
			t.Errorf("%d arguments: %v, %v; want %v", n, exact.ArityOK(n), least.ArityOK(n), want)
		}
	}
}

// The last name of each type stands at the last value: no name was forgotten.
func TestNamesFitTheValues(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{NondeterministicOrder.String(), "nondeterministic_output_order"},
		{(Write | MovableKeys).String(), "write|movablekeys"},
		{KeyVariableFlags.String(), "variable_flags"},
		{(KeyReadWrite | KeyAccess).String(), "RW|access"},
		{GroupTransactions.String(), "transactions"},
		{RequestSpecial.String(), "special"},
		{ResponseSpecial.String(), "special"},
		{Flags(0).String(), ""},
		{Group(200).String(), "200"},
	} {
		if c.got != c.want {
			t.Errorf("%q; want %q", c.got, c.want)
		}
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	names := [][]byte{[]byte("GET"), []byte("georadiusbymember_ro"), []byte("nosuchcommand"), []byte("config")}
	if n := testing.AllocsPerRun(100, func() {
		for _, name := range names {
			if c := Lookup(name); c != nil {
				c.Subcommand(names[0])
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Lookup finds what a map with lower-case keys finds.
func FuzzLookup(f *testing.F) {
	byName := map[string]*Command{}
	for c := range All() {
		byName[c.Name] = c
		f.Add([]byte(c.Name))
	}
	f.Add([]byte("GET\x00"))
	f.Fuzz(func(t *testing.T, name []byte) {
		if got, want := Lookup(name), byName[asciiLower(name)]; got != want {
			t.Errorf("Lookup(%q) = %v; want %v", name, got, want)
		}
		if c := byName["cluster"].Subcommand(name); c != nil && c.Name != "cluster|"+asciiLower(name) {
			t.Errorf("Subcommand(%q) = %s", name, c.Name)
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	for _, name := range []string{"GET", "set", "EXPIRE", "ZRANGEBYSCORE", "GEORADIUSBYMEMBER_RO", "NOSUCH"} {
		b.Run(name, func(b *testing.B) {
			word := []byte(name)
			b.ReportAllocs()
			for b.Loop() {
				Lookup(word)
			}
		})
	}
}

func BenchmarkSubcommand(b *testing.B) {
	client, word := Lookup([]byte("CLIENT")), []byte("SETINFO")
	b.ReportAllocs()
	for b.Loop() {
		client.Subcommand(word)
	}
}
