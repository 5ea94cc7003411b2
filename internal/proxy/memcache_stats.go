package proxy

import (
	"bytes"
	"math"
	"slices"
	"strconv"

	"nutmeg/internal/memcache"
)

// statRule says how the values that several servers have for one statistic become one.
type statRule uint8

const (
	statSum  statRule = iota // if they are numbers; else as statSame
	statSame                 // the value if all agree; else there is none, and the name is left out
	statMax
	statMin
)

// statRules are by name, without the class before it. What is not listed is counted, and added up.
var statRules = map[string]statRule{
	"pid":                   statSame,
	"version":               statSame,
	"libevent":              statSame,
	"pointer_size":          statSame,
	"chunk_size":            statSame,
	"chunks_per_page":       statSame,
	"uptime":                statMin, // a server that was restarted shows
	"accepting_conns":       statMin, // 1 if all accept
	"time":                  statMax,
	"hash_power_level":      statMax,
	"hash_is_expanding":     statMax,
	"slab_reassign_running": statMax,
	"lru_crawler_running":   statMax,
	"active_slabs":          statMax,
	"age":                   statMax,
	"age_hot":               statMax,
	"age_warm":              statMax,
	"evicted_time":          statMax,
}

// mergeStats makes one listing of the children's.
func (w *worker) mergeStats(parent *request) {
	var merged statListing
	for _, child := range parent.family.children {
		n := child.response.Len()
		merged.add(child.response.View(0, n, make([]byte, 0, n)))
	}
	parent.response.Append(&w.loop.Chunks, merged.appendTo(nil, parent.family.rule == mergeSettings))
}

// statListing is the statistics of several servers.
type statListing struct {
	entries []statEntry // in the order in which the first server has them, then what only later ones have
	index   map[string]int
}

type statEntry struct {
	name   []byte
	values [][]byte // of the servers that have it
}

// add takes one server's listing, which it keeps.
func (l *statListing) add(listing []byte) {
	if l.index == nil {
		l.index = map[string]int{}
	}
	for line := range bytes.Lines(listing) {
		words, isStat := bytes.CutPrefix(bytes.TrimRight(line, "\r\n"), []byte("STAT "))
		if !isStat {
			continue // END
		}
		name, value, _ := bytes.Cut(words, []byte(" "))
		i, known := l.index[string(name)]
		if !known {
			i = len(l.entries)
			l.index[string(name)] = i
			l.entries = append(l.entries, statEntry{name: name})
		}
		l.entries[i].values = append(l.entries[i].values, value)
	}
}

// appendTo appends the one listing to dst. sameOnly leaves out all values that servers do not agree on.
func (l *statListing) appendTo(dst []byte, sameOnly bool) []byte {
	for i := range l.entries {
		e := &l.entries[i]
		_, base, found := bytes.Cut(e.name, []byte(":")) // 5:chunk_size, items:5:age
		if _, last, again := bytes.Cut(base, []byte(":")); again {
			base = last
		}
		if !found {
			base = e.name
		}
		rule := statRules[string(base)]
		if sameOnly {
			rule = statSame
		}
		value, ok := mergeStat(rule, e.values)
		if !ok {
			continue
		}
		dst = append(append(append(dst, "STAT "...), e.name...), ' ')
		dst = append(append(dst, value...), "\r\n"...)
	}
	return append(dst, memcache.EndReply...)
}

// mergeStat makes one value of several; ok is false if there is none.
func mergeStat(rule statRule, values [][]byte) (value []byte, ok bool) {
	if len(values) == 1 {
		return values[0], true
	}
	if rule == statSame {
		return sameStat(values)
	}
	best := uint64(0)
	for i, text := range values {
		n, err := strconv.ParseUint(string(text), 10, 64)
		switch {
		case err != nil && rule == statSum:
			return sumDecimals(values)
		case err != nil:
			return sameStat(values)
		case rule == statSum:
			if best += n; best < n {
				best = math.MaxUint64
			}
		case i == 0:
			best = n
		case rule == statMax:
			best = max(best, n)
		case rule == statMin:
			best = min(best, n)
		}
	}
	return strconv.AppendUint(nil, best, 10), true
}

// sumDecimals adds up seconds with six digits behind the point, and takes what is no number as statSame does.
func sumDecimals(values [][]byte) ([]byte, bool) {
	sum := 0.0
	for _, text := range values {
		if !slices.ContainsFunc(text, isDigit) || slices.ContainsFunc(text, func(c byte) bool { return !isDigit(c) && c != '.' }) {
			return sameStat(values)
		}
		x, err := strconv.ParseFloat(string(text), 64)
		if err != nil {
			return sameStat(values) // as 1.6.18
		}
		sum += x
	}
	return strconv.AppendFloat(nil, sum, 'f', 6, 64), true
}

func isDigit(c byte) bool { return c-'0' <= 9 }

func sameStat(values [][]byte) ([]byte, bool) {
	for _, other := range values[1:] {
		if !bytes.Equal(values[0], other) {
			return nil, false
		}
	}
	return values[0], true
}
