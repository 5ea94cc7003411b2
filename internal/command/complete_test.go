package command

import "testing"

// What the generator found out about the commands of the table, Complete finds out, too.
func TestCompleteAgreesWithTheGenerator(t *testing.T) {
	for want := range All() {
		got := *want
		got.FirstKey, got.OnlyKey, got.Flags = 0, false, got.Flags&^MovableKeys
		got.Subcommands = nil
		got.Complete()
		if got.FirstKey != want.FirstKey || got.OnlyKey != want.OnlyKey || got.Flags != want.Flags {
			t.Errorf("%s: first key %d, only %v, flags %s; want %d, %v, %s",
				want.Name, got.FirstKey, got.OnlyKey, got.Flags, want.FirstKey, want.OnlyKey, want.Flags)
		}
		if got.InTable() || !want.InTable() {
			t.Errorf("%s: InTable", want.Name)
		}
	}
}

func TestCompleteSortsSubcommands(t *testing.T) {
	c := Command{Name: "ft", Arity: -2, Subcommands: []Command{{Name: "ft|b", Arity: 2}, {Name: "ft|a", Arity: 2}}}
	c.Complete()
	if c.Subcommands[0].Name != "ft|a" || c.Subcommand([]byte("B")) != &c.Subcommands[1] || c.Subcommands[1].InTable() {
		t.Errorf("%v", c.Subcommands)
	}
}

// A server may say anything: no request of the right arity lacks the argument at FirstKey.
func TestCompleteDoesNotTrustPositions(t *testing.T) {
	oneAt := func(pos int, find FindKeys) []KeySpec {
		return []KeySpec{{Begin: BeginSearch{Kind: BeginIndex, Pos: pos}, Find: find}}
	}
	single := FindKeys{Kind: FindRange, Step: 1}
	for _, c := range []struct {
		name  string
		arity int
		keys  []KeySpec
		first int
		only  bool
	}{
		{"a key", 3, oneAt(2, single), 2, true},
		{"behind the last argument", 3, oneAt(3, single), 0, false},
		{"behind the fewest arguments", -2, oneAt(2, single), 0, false},
		{"the name", 3, oneAt(0, single), 0, false},
		{"before the name", 3, oneAt(-1, single), 0, false},
		{"counted from before the name", 3, oneAt(1, FindKeys{Kind: FindKeyNum, FirstKeyAt: -5, Step: 1}), 0, false},
	} {
		cmd := Command{Name: "x", Arity: c.arity, Keys: c.keys}
		cmd.Complete()
		if cmd.FirstKey != c.first || cmd.OnlyKey != c.only {
			t.Errorf("%s: first key %d, only %v; want %d, %v", c.name, cmd.FirstKey, cmd.OnlyKey, c.first, c.only)
		}
	}
}

func TestKeysCertain(t *testing.T) {
	for c := range All() {
		if want := c.Name != "sort_ro"; c.KeysCertain() != want {
			t.Errorf("%s: %v", c.Name, c.KeysCertain())
		}
	}
	unknown := Command{Name: "x", Arity: -2, Keys: []KeySpec{{Flags: KeyReadOnly | KeyIncomplete, Begin: BeginSearch{Kind: BeginIndex, Pos: 1}, Find: FindKeys{Kind: FindRange, Step: 1}}}}
	if unknown.KeysCertain() {
		t.Error("an incomplete specification is certain")
	}
}
