package command

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// request is a request cut at its spaces.
type request [][]byte

func (r request) Len() int         { return len(r) }
func (r request) Arg(i int) []byte { return r[i] }

func parseRequest(line string) request {
	var r request
	for word := range strings.FieldsSeq(line) {
		if word == `""` {
			word = ""
		}
		r = append(r, []byte(word))
	}
	return r
}

var errorNames = map[string]error{"arity": ErrArity, "numkeys": ErrNumKeys, "toomany": ErrTooManyKeys}

func TestAppendKeys(t *testing.T) {
	for _, file := range []string{"testdata/keys.txt", "testdata/tricky.txt"} {
		for line, want := range keyCases(t, file) {
			t.Run(line, func(t *testing.T) { checkKeys(t, parseRequest(line), want) })
		}
	}
}

// Each command and subcommand that has keys is in the file that a real server is asked about, too.
func TestEveryCommandWithKeysHasARequest(t *testing.T) {
	there := map[string]bool{}
	for line := range keyCases(t, "testdata/keys.txt") {
		args := parseRequest(strings.ToLower(line))
		there[string(args[0])] = true
		if len(args) > 1 {
			there[string(args[0])+"|"+string(args[1])] = true
		}
	}
	for c := range All() {
		for _, cmd := range append([]Command{*c}, c.Subcommands...) {
			if len(cmd.Keys) > 0 && !there[cmd.Name] {
				t.Errorf("%s is not in testdata/keys.txt", cmd.Name)
			}
		}
	}
}

// keyCases reads "request => answer" lines.
func keyCases(t testing.TB, file string) map[string]string {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cases := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line, want, found := strings.Cut(lines.Text(), "=>")
		if !found || strings.HasPrefix(line, "#") {
			continue
		}
		cases[strings.TrimSpace(line)] = strings.TrimSpace(want)
	}
	return cases
}

func checkKeys(t *testing.T, args request, want string) {
	t.Helper()
	c := Lookup(args[0])
	if c == nil {
		t.Fatalf("command %s is unknown", args[0])
	}
	got, err := c.AppendKeys([]int{-7}, args)
	if name, isError := strings.CutPrefix(want, "error "); isError {
		if wantErr := errorNames[name]; wantErr == nil || !errors.Is(err, wantErr) {
			t.Errorf("error %v; want %v", err, wantErr)
		}
		want = ""
	} else if err != nil {
		t.Errorf("error %v", err)
	}
	positions := []int{-7}
	for word := range strings.FieldsSeq(want) {
		n, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		positions = append(positions, n)
	}
	if !slices.Equal(got, positions) {
		t.Errorf("keys at %v; want %v", got, positions)
	}
	checkFastPath(t, c, args, got[1:], err)
}

// checkFastPath checks that FirstKey and OnlyKey agree with the keys found.
func checkFastPath(t *testing.T, c *Command, args request, keys []int, err error) {
	t.Helper()
	if len(c.Subcommands) > 0 && len(args) > 1 {
		if c = c.Subcommand(args[1]); c == nil {
			return
		}
	}
	if !c.ArityOK(len(args)) {
		return
	}
	if c.FirstKey >= len(args) {
		t.Errorf("FirstKey %d is past the %d arguments", c.FirstKey, len(args))
	}
	if err == nil && c.FirstKey > 0 && (len(keys) == 0 || keys[0] != c.FirstKey) {
		t.Errorf("FirstKey is %d; AppendKeys found %v", c.FirstKey, keys)
	}
	if err == nil && c.OnlyKey && !slices.Equal(keys, []int{c.FirstKey}) {
		t.Errorf("OnlyKey at %d; AppendKeys found %v", c.FirstKey, keys)
	}
}

// Every command of the table, with as few arguments as it takes and with more.
func TestFastPathAgreesWithAppendKeys(t *testing.T) {
	check := func(c *Command) {
		least := max(c.Arity, -c.Arity)
		most := least
		if c.Arity < 0 {
			most += 6
		}
		for n := least; n <= most; n++ {
			args := make(request, n)
			for i := range args {
				args[i] = []byte("1") // also a numkeys that fits
			}
			copy(args, bytes.Split([]byte(c.Name), []byte("|")))
			keys, err := c.AppendKeys(nil, args)
			if err != nil && n == least && !c.Flags.Has(NoMandatoryKeys) {
				t.Errorf("%s with %d arguments: %v", c.Name, n, err)
			}
			checkFastPath(t, c, args, keys, err)
		}
	}
	for c := range All() {
		check(c)
		for i := range c.Subcommands {
			check(&c.Subcommands[i])
		}
	}
}

func TestEveryCommandWithOneKeyIsOnTheFastPath(t *testing.T) {
	for name := range strings.FieldsSeq("GET SET HSET LPUSH ZADD EXPIRE INCR SETEX HGETALL ZRANGE XADD GEOADD BITFIELD DUMP") {
		c := Lookup([]byte(name))
		if c.FirstKey != 1 || !c.OnlyKey {
			t.Errorf("%s: FirstKey %d, OnlyKey %v; want 1, true", name, c.FirstKey, c.OnlyKey)
		}
	}
	for name := range strings.FieldsSeq("EVAL FCALL XREAD XREADGROUP MIGRATE PING SPUBLISH OBJECT") {
		c := Lookup([]byte(name))
		if c.FirstKey != 0 || c.OnlyKey {
			t.Errorf("%s: FirstKey %d, OnlyKey %v; want 0, false", name, c.FirstKey, c.OnlyKey)
		}
	}
}

func TestAppendChannels(t *testing.T) {
	for _, c := range []struct {
		line string
		want []int
	}{
		{"SPUBLISH ch message", []int{1}},
		{"SSUBSCRIBE c1 c2", []int{1, 2}},
		{"SUNSUBSCRIBE", nil},
		{"PUBLISH ch message", nil},
		{"GET a", nil},
		{"XREADGROUP GROUP g c STREAMS a >", nil},
	} {
		args := parseRequest(c.line)
		got, err := Lookup(args[0]).AppendChannels(nil, args)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: channels at %v, error %v; want %v", c.line, got, err, c.want)
		}
	}
}

// A command learned from a server has only what COMMAND says of it.
func TestAppendKeysOfACommandBuiltByHand(t *testing.T) {
	rangeOf := func(lastKey, step, limit int) FindKeys {
		return FindKeys{Kind: FindRange, LastKey: lastKey, Step: step, Limit: limit}
	}
	keyword := func(word string, from int) BeginSearch {
		return BeginSearch{Kind: BeginKeyword, Keyword: word, StartFrom: from}
	}
	for _, c := range []struct {
		name, line string
		spec       KeySpec
		want       []int
		err        error
	}{
		{"keyword forward", "X KEY KEY a", KeySpec{Begin: keyword("KEY", 2), Find: rangeOf(0, 1, 0)}, []int{3}, nil},
		{"keyword forward is not the last argument", "X a KEY", KeySpec{Begin: keyword("KEY", 1), Find: rangeOf(0, 1, 0)}, nil, nil},
		{"keyword backward takes the last one", "X key a key b", KeySpec{Begin: keyword("KEY", -2), Find: rangeOf(-1, 1, 0)}, []int{4}, nil},
		{"keyword backward starts where it says", "X key a key b", KeySpec{Begin: keyword("KEY", -3), Find: rangeOf(-1, 1, 0)}, []int{2, 3, 4}, nil},
		{"a third of the rest", "X a b c d e f", KeySpec{Begin: BeginSearch{Kind: BeginIndex, Pos: 1}, Find: rangeOf(-1, 1, 3)}, []int{1, 2}, nil},
		{"steps within a fixed range", "X a 1 b 2 c", KeySpec{Begin: BeginSearch{Kind: BeginIndex, Pos: 1}, Find: rangeOf(2, 2, 0)}, []int{1, 3}, nil},
		{"range past the end", "X a b", KeySpec{Begin: BeginSearch{Kind: BeginIndex, Pos: 2}, Find: rangeOf(1, 1, 0)}, nil, ErrArity},
		{"counted with steps", "X 2 a 1 b 2 rest", KeySpec{Begin: BeginSearch{Kind: BeginIndex, Pos: 1}, Find: FindKeys{Kind: FindKeyNum, FirstKeyAt: 1, Step: 2}}, []int{2, 4}, nil},
		{"counted with a group cut short", "X 2 a 1 b", KeySpec{Begin: BeginSearch{Kind: BeginIndex, Pos: 1}, Find: FindKeys{Kind: FindKeyNum, FirstKeyAt: 1, Step: 2}}, nil, ErrTooManyKeys},
		{"count missing", "X a", KeySpec{Begin: BeginSearch{Kind: BeginIndex, Pos: 2}, Find: FindKeys{Kind: FindKeyNum, FirstKeyAt: 1, Step: 1}}, nil, ErrArity},
		{"unknown", "X a", KeySpec{}, nil, nil},
		{"no step", "X a", KeySpec{Begin: BeginSearch{Kind: BeginIndex, Pos: 1}, Find: FindKeys{Kind: FindRange}}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			learned := Command{Name: "x", Arity: -1, Keys: []KeySpec{c.spec}}
			got, err := learned.AppendKeys(nil, parseRequest(c.line))
			if !errors.Is(err, c.err) || !slices.Equal(got, c.want) {
				t.Errorf("keys at %v, error %v; want %v, %v", got, err, c.want, c.err)
			}
		})
	}
}

func TestAppendKeysDoesNotAllocate(t *testing.T) {
	dst := make([]int, 0, 16)
	for line := range keyCases(t, "testdata/keys.txt") {
		var args Args = parseRequest(line)
		if n := testing.AllocsPerRun(20, func() {
			dst, _ = Lookup(args.Arg(0)).AppendKeys(dst[:0], args)
		}); n != 0 {
			t.Errorf("%s: %v allocations", line, n)
		}
	}
}

// checkPositions checks what must hold of any answer: the keys are arguments, in
// order, and none is there twice.
func checkPositions(t *testing.T, keys []int, args request) {
	t.Helper()
	last := 0
	for _, at := range keys {
		if at <= last || at >= len(args) {
			t.Fatalf("keys at %v in %d arguments", keys, len(args))
		}
		last = at
	}
}

// Whatever the arguments, the positions are arguments behind the name, in order.
func FuzzAppendKeys(f *testing.F) {
	for _, file := range []string{"testdata/keys.txt", "testdata/tricky.txt"} {
		for line := range keyCases(f, file) {
			f.Add([]byte(line))
		}
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		args := request(bytes.Split(line, []byte(" ")))
		c := Lookup(args[0])
		if c == nil {
			return
		}
		keys, err := c.AppendKeys(nil, args)
		if err != nil && len(keys) > 0 {
			t.Fatalf("keys at %v with the error %v", keys, err)
		}
		checkPositions(t, keys, args)
		checkFastPath(t, c, args, keys, err)
	})
}

// A server may say anything of its commands: no specification leads out of the
// arguments.
func FuzzKeySpec(f *testing.F) {
	f.Add([]byte("X 1 KEY b c"), 1, 1, -1, 1, 0, 0, 1)
	f.Add([]byte("X a KEY b c"), 2, -2, -1, 1, 2, 0, 0)
	f.Add([]byte("X a 2 b c d"), 1, 2, 0, 2, 0, 0, 1)
	f.Fuzz(func(t *testing.T, line []byte, kind, pos, lastKey, step, limit, numKeysAt, firstKeyAt int) {
		args := request(bytes.Split(line, []byte(" ")))
		c := Command{Name: "x", Arity: -1, Keys: []KeySpec{{
			Begin: BeginSearch{Kind: BeginKind(kind & 3), Pos: pos, Keyword: "KEY", StartFrom: pos},
			Find: FindKeys{
				Kind: FindKind(kind >> 2 & 3), LastKey: lastKey, Step: step, Limit: limit,
				NumKeysAt: numKeysAt, FirstKeyAt: firstKeyAt,
			},
		}}}
		keys, _ := c.AppendKeys(nil, args)
		checkPositions(t, keys, args)
	})
}

func BenchmarkAppendKeys(b *testing.B) {
	for _, line := range []string{
		"GET a", "MGET a b c d e f g h", "MSET a 1 b 2 c 3 d 4", "EVAL script 2 a b",
		"ZUNIONSTORE dst 2 a b", "XREAD COUNT 2 STREAMS a b 0 0", "SORT a BY w_* STORE dst", "OBJECT ENCODING a",
	} {
		b.Run(strings.ReplaceAll(line, " ", "_"), func(b *testing.B) {
			var args Args = parseRequest(line)
			c, dst := Lookup(args.Arg(0)), make([]int, 0, 16)
			b.ReportAllocs()
			for b.Loop() {
				dst, _ = c.AppendKeys(dst[:0], args)
			}
		})
	}
}
