package config

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"
)

const (
	// maxEntries bounds the keys and servers read from one file: aliases of
	// aliases can make a short file very long.
	maxEntries = 1 << 18

	// globalKey is the top-level key of the settings of the process. twemproxy
	// refuses a pool without servers, so no file written for it can have meant
	// a pool by a mapping of this name without listen and servers.
	globalKey = "nutmeg"

	noPools = `the file has no pools; add one, for example: alpha: {listen: "127.0.0.1:22121", servers: ["127.0.0.1:11211:1"]}`
)

// reader walks the node tree of one file and collects its faults.
type reader struct {
	file        string
	faults      Errors
	entriesLeft int            // of maxEntries; -1 = more, and reported
	plainLines  int            // how many lines the file has, if it is plain; else 0
	unshown     int            // faults beyond maxFaults
	serverLines map[string]int // of the pool at hand: the line of each server's name so far
}

// maxFaults bounds what a file that is no configuration can put into a log.
const maxFaults = 1000

// fault reports a fact and its remedy at n.
func (r *reader) fault(n *yaml.Node, path, message string) {
	r.faultAt(n.Line, n.Column, path, message)
}

func (r *reader) faultAt(line, column int, path, message string) {
	if len(r.faults) == maxFaults {
		r.unshown++
		return
	}
	r.faults = append(r.faults, Error{
		File: r.file, Line: max(line, 1), Column: max(column, 1), Path: path, Message: message,
	})
}

// spend counts one key or list entry and tells whether reading may go on.
func (r *reader) spend(n *yaml.Node) bool {
	if r.entriesLeft == 0 {
		r.fault(n, "", fmt.Sprintf("more than %d keys and servers, aliases counted; split the file", maxEntries))
	}
	r.entriesLeft = max(r.entriesLeft-1, -1)
	return r.entriesLeft >= 0
}

// readRoot reads the mapping of pool names.
func (r *reader) readRoot(root *yaml.Node, cfg *Config) {
	if isEmpty(root) {
		r.fault(root, "", noPools)
		return
	}
	if root.Kind != yaml.MappingNode {
		r.fault(root, "", fmt.Sprintf("the file is %s; write a mapping of pool names", kindName(root)))
		return
	}
	var pools []poolEntry
	for key, value := range r.entries(root, "", "a pool name") {
		if key.Value == globalKey && isGlobal(value) {
			r.readGlobal(value, &cfg.Global)
			continue
		}
		pools = append(pools, poolEntry{name: key, value: value})
	}
	if len(pools) == 0 {
		r.fault(root, "", noPools)
	}
	r.readPools(pools)
	listeners := make(map[Address]listener)
	for i := range pools {
		e := &pools[i]
		if e.listen != nil && e.pool.Listen.Text != "" {
			r.checkListener(join("", e.name.Value), e.listen, &e.pool, listeners)
		}
		if e.ok {
			cfg.Pools = append(cfg.Pools, e.pool)
		}
	}
	sortByName(cfg.Pools, func(p Pool) string { return p.Name })
}

// poolEntry is a pool of the file, and what readPool makes of it.
type poolEntry struct {
	name, value *yaml.Node
	pool        Pool
	listen      *yaml.Node // its address; nil if it has none
	ok          bool       // it is a mapping
}

// readPools reads all pools, those of a plain file side by side: with many
// servers that takes a good part of a start. What a plain file has is bounded by
// its lines; elsewhere, with aliases, one reader has to count the entries.
func (r *reader) readPools(pools []poolEntry) {
	parts := 1
	if r.plainLines > 0 && r.plainLines <= maxEntries {
		parts = max(min(runtime.GOMAXPROCS(0), len(pools)), 1)
	}
	readers := make([]reader, parts)
	var group sync.WaitGroup
	for i := range readers {
		readers[i] = reader{file: r.file, entriesLeft: r.entriesLeft}
		group.Go(func() {
			mine := pools[len(pools)*i/parts : len(pools)*(i+1)/parts]
			for j := 0; j < len(mine) && readers[i].entriesLeft >= 0; j++ {
				readers[i].readPool(&mine[j])
			}
		})
	}
	group.Wait()
	for i := range readers {
		r.join(&readers[i])
	}
}

// join adds the faults that another reader has found.
func (r *reader) join(other *reader) {
	room := min(maxFaults-len(r.faults), len(other.faults))
	r.faults = append(r.faults, other.faults[:room]...)
	r.unshown += len(other.faults) - room + other.unshown
}

// entries yields the keys and values of the mapping m, aliases resolved. It
// reports and skips what is no name and names that came before. what is the
// thing a key is, for the message.
func (r *reader) entries(m *yaml.Node, path, what string) func(yield func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		firstLine := make(map[string]int)
		for i := 0; i+1 < len(m.Content); i += 2 {
			at, key, value := m.Content[i], resolve(m.Content[i]), resolve(m.Content[i+1])
			if !r.spend(at) {
				return
			}
			if key.Kind != yaml.ScalarNode || key.Value == "" {
				r.fault(at, path, fmt.Sprintf("a key is %s; write %s", kindName(key), what))
				continue
			}
			if line, seen := firstLine[key.Value]; seen {
				r.fault(at, join(path, key.Value), fmt.Sprintf("%s is also on line %d; keep one of them", quote(key.Value), line))
				continue
			}
			firstLine[key.Value] = at.Line
			if !yield(key, value) {
				return
			}
		}
	}
}

// join appends a key to a path. Names that would garble a message are quoted.
func join(path, key string) string {
	shown := key
	if strings.ContainsFunc(key, func(c rune) bool { return c == ' ' || !strconv.IsPrint(c) }) || len(key) > maxQuoted {
		shown = quote(key)
	}
	if path == "" {
		return shown
	}
	return path + "." + shown
}

// maxQuoted bounds the bytes of a value that a message repeats.
const maxQuoted = 80

// quote returns s for use in a message: in quotes, escaped, and cut if long.
func quote(s string) string {
	if len(s) > maxQuoted {
		return strconv.Quote(s[:maxQuoted]) + "..."
	}
	return strconv.Quote(s)
}
