package learn

import (
	"time"

	"nutmeg/internal/command"
)

// How long and how much is remembered. Names that nobody knows are for clients to make up, so they have a place of their
// own and cannot push out what servers know.
const (
	mostRemembered = 1024 // names of each of the two sorts
	knownFor       = int64(10 * time.Minute)
	unknownFor     = int64(time.Minute)
)

// Memory is what servers have said of commands. One goroutine uses it.
type Memory struct {
	known, unknown shelf
	lower          []byte
}

// entry is what is remembered of a name.
type entry struct {
	name  string           // in lower case
	cmd   *command.Command // nil: no server knows it
	until int64
}

// shelf holds a bounded number of entries by lower-case name.
type shelf struct {
	entries map[string]entry
	order   []string // the names in the order in which they came, a ring
	oldest  int
}

// Recall returns what was kept of a name, in any case, and the name in lower case; a subcommand's is "config|get". fresh is
// false if there is nothing, or if it is too old to be relied on. It does not allocate in the steady state. now is in nanoseconds.
func (m *Memory) Recall(name []byte, now int64) (cmd *command.Command, lower string, fresh bool) {
	if len(name) > mostName || len(m.known.entries)+len(m.unknown.entries) == 0 {
		return nil, "", false
	}
	m.lower = appendLower(m.lower[:0], name)
	for _, s := range [...]*shelf{&m.known, &m.unknown} {
		if e, there := s.entries[string(m.lower)]; there && now < e.until {
			return e.cmd, e.name, true
		}
	}
	return nil, "", false
}

// Keep remembers what was said of a name; cmd is nil if no server knows it. It replaces what was kept before.
func (m *Memory) Keep(name []byte, cmd *command.Command, now int64) {
	if len(name) > mostName {
		return
	}
	key := string(appendLower(nil, name))
	if cmd != nil {
		m.unknown.drop(key)
		m.known.put(key, entry{key, cmd, now + knownFor})
		return
	}
	m.known.drop(key)
	m.unknown.put(key, entry{key, nil, now + unknownFor})
}

// put keeps an entry; the one that came first makes room for it.
func (s *shelf) put(name string, e entry) {
	if s.entries == nil {
		s.entries = map[string]entry{}
	}
	if _, there := s.entries[name]; !there {
		if len(s.order) < mostRemembered {
			s.order = append(s.order, name)
		} else {
			delete(s.entries, s.order[s.oldest])
			s.order[s.oldest] = name
			s.oldest = (s.oldest + 1) % mostRemembered
		}
	}
	s.entries[name] = e
}

// drop forgets a name. Its place in the order stays taken, so that the order need not be searched.
func (s *shelf) drop(name string) {
	if _, there := s.entries[name]; there {
		s.entries[name] = entry{}
	}
}

func appendLower(dst, name []byte) []byte {
	for _, b := range name {
		if 'A' <= b && b <= 'Z' {
			b |= 0x20
		}
		dst = append(dst, b)
	}
	return dst
}
