package command

import (
	"cmp"
	"slices"
)

// Complete fills in what follows from the rest of a command that was built by hand: FirstKey, OnlyKey, the flag
// MovableKeys, the order of the subcommands, and an ID that no command of the table has. Call it before others see c.
func (c *Command) Complete() {
	c.ID = -1
	c.FirstKey, c.OnlyKey = c.firstKey()
	if c.movableKeys() {
		c.Flags |= MovableKeys
	}
	slices.SortFunc(c.Subcommands, func(a, b Command) int { return cmp.Compare(a.Name, b.Name) })
	for i := range c.Subcommands {
		c.Subcommands[i].Complete()
	}
}

// InTable reports whether c is one of the table's.
func (c *Command) InTable() bool { return c.ID >= 0 }

// KeysCertain reports whether AppendKeys finds all keys of every request. A server does not say where they are if only
// the command's own code knows.
func (c *Command) KeysCertain() bool {
	if c.finder != findBySpecs {
		return true
	}
	for i := range c.Keys {
		s := &c.Keys[i]
		if s.Flags.Has(KeyIncomplete) || s.Begin.Kind == BeginUnknown || s.Find.Kind == FindUnknown {
			return false
		}
	}
	return true
}

// firstKey returns what FirstKey and OnlyKey must be; see the generator.
func (c *Command) firstKey() (first int, only bool) {
	if len(c.Keys) == 0 || c.Keys[0].Flags.Has(KeyNotKey) || c.Keys[0].Begin.Kind != BeginIndex {
		return 0, false
	}
	if slices.ContainsFunc(c.Keys, func(s KeySpec) bool { return s.Flags.Has(KeyIncomplete) }) {
		return 0, false
	}
	least := max(c.Arity, -c.Arity)
	first = c.Keys[0].Begin.Pos
	switch find := &c.Keys[0].Find; find.Kind {
	case FindRange:
		only = len(c.Keys) == 1 && find.LastKey == 0
	case FindKeyNum:
		if c.Flags.Has(NoMandatoryKeys) {
			return 0, false
		}
		first += find.FirstKeyAt
	default:
		return 0, false
	}
	if first < 1 || first >= least {
		return 0, false // a server may say so; not every request has a key there
	}
	return first, only
}

// movableKeys reports whether no single range can say where the keys are; see the generator.
func (c *Command) movableKeys() bool {
	if len(c.Keys) == 1 && c.Keys[0].isRange() {
		return false
	}
	last := 0
	for i := range c.Keys {
		s := &c.Keys[i]
		if !s.isRange() || s.Find.Step != 1 || last != 0 && last != s.Begin.Pos-1 {
			return true
		}
		if last = s.Find.LastKey; last >= 0 {
			last += s.Begin.Pos
		}
	}
	return false
}

func (s *KeySpec) isRange() bool { return s.Begin.Kind == BeginIndex && s.Find.Kind == FindRange }
