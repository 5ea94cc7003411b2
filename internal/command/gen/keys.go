package main

import "slices"

// isRange reports whether the keys are "from argument n to argument m".
func (s *spec) isRange() bool { return s.Begin.Index != nil && s.Find.Range != nil }

// is reports whether the specification has the flag, in the facts' spelling.
func (s *spec) is(flag string) bool { return slices.Contains(s.Flags, flag) }

// movableKeys reports whether a single range "from argument n to m in steps of s"
// cannot say where the keys are: a specification is no range, a later range does
// not follow the one before without a gap, or it has steps.
// The rule is that of Redis 7, populateCommandLegacyRangeSpec in server.c.
func (f *fact) movableKeys() bool {
	if len(f.Keys) == 1 && f.Keys[0].isRange() {
		return false // the steps of a single range do fit
	}
	last := 0 // of the range so far; 0 before the first one
	for i := range f.Keys {
		s := &f.Keys[i]
		if !s.isRange() || s.Find.Range.Step != 1 || (last != 0 && last != s.Begin.Index.Pos-1) {
			return true
		}
		if last = s.Find.Range.LastKey; last >= 0 {
			last += s.Begin.Index.Pos
		}
	}
	return false
}

// firstKey returns Command.FirstKey and Command.OnlyKey.
func (f *fact) firstKey() (first int, only bool) {
	if len(f.Keys) == 0 || f.Keys[0].is("NOT_KEY") || f.Keys[0].Begin.Index == nil {
		return 0, false
	}
	// An incomplete specification may find other keys instead: MIGRATE.
	if slices.ContainsFunc(f.Keys, func(s spec) bool { return s.is("INCOMPLETE") }) {
		return 0, false
	}
	first = f.Keys[0].Begin.Index.Pos
	switch find := f.Keys[0].Find; {
	case find.Range != nil:
		return first, len(f.Keys) == 1 && find.Range.LastKey == 0
	case find.KeyNum != nil && !slices.Contains(f.Flags, "NO_MANDATORY_KEYS"):
		return first + find.KeyNum.FirstKeyAt, false
	}
	return 0, false
}
