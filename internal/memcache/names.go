package memcache

// lookup finds the command called name. The string is set where one Kind stands
// for several commands.
func lookup(name []byte) (Kind, string) {
	switch string(name) {
	case "get":
		return Get, ""
	case "set":
		return Set, ""
	case "gets":
		return Gets, ""
	case "gat":
		return Gat, ""
	case "gats":
		return Gats, ""
	case "add":
		return Add, ""
	case "replace":
		return Replace, ""
	case "append":
		return Append, ""
	case "prepend":
		return Prepend, ""
	case "cas":
		return Cas, ""
	case "incr":
		return Incr, ""
	case "decr":
		return Decr, ""
	case "touch":
		return Touch, ""
	case "delete":
		return Delete, ""
	case "version":
		return Version, ""
	case "quit":
		return Quit, ""
	case "mg":
		return MetaGet, ""
	case "ms":
		return MetaSet, ""
	case "md":
		return MetaDelete, ""
	case "ma":
		return MetaArithmetic, ""
	case "me":
		return MetaDebug, ""
	case "mn":
		return MetaNoop, ""
	case "bget":
		return Bget, ""
	case "nutmeg":
		return Own, ""
	}
	return lookupRare(name)
}

// rareNames are commands off the hot path that share a Kind.
var rareNames = [...]struct {
	name string
	kind Kind
}{
	{"stats", Stats},
	{"flush_all", Admin},
	{"verbosity", Admin},
	{"cache_memlimit", Admin},
	{"slabs", Admin},
	{"lru", Admin},
	{"lru_crawler", Admin},
	{"extstore", Admin},
	{"refresh_certs", Admin},
	{"watch", Unsupported},    // turns the connection into a stream of events
	{"shutdown", Unsupported}, // no client of a proxy may end the servers of all
}

func lookupRare(name []byte) (Kind, string) {
	for i := range rareNames {
		if r := &rareNames[i]; string(name) == r.name {
			return r.kind, r.name
		}
	}
	return Unknown, ""
}

// statsNames are the kinds of statistics whose listing is known to end by END, or
// which are answered by one line. Names are those of Request.Name.
var statsNames = [...]struct{ word, name string }{
	{"items", "stats items"},
	{"slabs", "stats slabs"},
	{"sizes", "stats sizes"},
	{"conns", "stats conns"},
	{"settings", "stats settings"},
	{"reset", "stats reset"},
	{"detail", "stats detail"},
	{"cachedump", "stats cachedump"},
	{"extstore", "stats extstore"},
	{"proxy", "stats proxy"},
	{"proxyfuncs", "stats proxyfuncs"},
	{"proxybe", "stats proxybe"},
}

// refusedWords are first words behind a command that make its answer one that
// this package cannot cut.
var refusedWords = [...]struct{ command, word, name string }{
	{"stats", "sizes_enable", "stats sizes_enable"},
	{"stats", "sizes_disable", "stats sizes_disable"},
	{"lru_crawler", "metadump", "lru_crawler metadump"},
	{"lru_crawler", "mgdump", "lru_crawler mgdump"},
}

// takesNoReply tells whether every version of memcached knows noreply as the
// last word of the command. words are those behind the name, noreply included.
func takesNoReply(name string, words int) bool {
	switch name {
	case "flush_all", "verbosity", "cache_memlimit", "lru":
		return true
	case "slabs": // automove, not reassign
		return words < 4
	}
	return false
}
