package command

// The commands whose keys no key specification can find, or not with certainty:
// a keyword of theirs may also be the value of another option, as the group in
//
//	XREADGROUP COUNT 1 GROUP streams alice STREAMS orders >
//
// so their options have to be walked one by one. Each one follows the command's
// own parser in the server, which takes the last of several STOREs.

// finder names the code that finds the keys of a command.
type finder uint8

const (
	findBySpecs    finder = iota // no code: Command.Keys say it all
	findSort                     // SORT key [...] [STORE destination]
	findGeoRadius                // GEORADIUS key lon lat radius unit [...] [STORE[DIST] destination]
	findGeoMember                // GEORADIUSBYMEMBER key member radius unit [...] [STORE[DIST] destination]
	findMigrate                  // MIGRATE host port key|"" db timeout [...] [KEYS key ...]
	findGroupReads               // XREADGROUP GROUP group consumer [...] STREAMS key ... id ...
)

// option is a keyword and how many arguments belong to it.
type option struct {
	word   string // upper case
	values int
}

var (
	sortOptions      = [...]option{{"BY", 1}, {"GET", 1}, {"LIMIT", 2}}
	geoOptions       = [...]option{{"COUNT", 1}}
	migrateOptions   = [...]option{{"AUTH", 1}, {"AUTH2", 2}}
	groupReadOptions = [...]option{{"GROUP", 2}, {"COUNT", 1}, {"BLOCK", 1}}
)

// appendKeys appends the keys of a request whose arity is right. It keeps the
// contract of Command.AppendKeys.
func (f finder) appendKeys(dst []int, args Args) ([]int, error) {
	switch f {
	case findSort:
		return appendStored(dst, args, 2, sortOptions[:], "STORE", "STORE"), nil
	case findGeoRadius:
		return appendStored(dst, args, 6, geoOptions[:], "STORE", "STOREDIST"), nil
	case findGeoMember:
		return appendStored(dst, args, 5, geoOptions[:], "STORE", "STOREDIST"), nil
	case findMigrate:
		return appendMigrated(dst, args), nil
	case findGroupReads:
		return appendGroupReads(dst, args)
	}
	return dst, nil
}

// appendStored appends the key at 1, and the destination behind the last of the
// keywords among the options that begin at from.
func appendStored(dst []int, args Args, from int, options []option, store, storeDist string) []int {
	dst = append(dst, 1)
	destination := 0
	for i := from; i < args.Len()-1; i++ {
		arg := args.Arg(i)
		if isWord(arg, store) || isWord(arg, storeDist) {
			i++
			destination = i
			continue
		}
		i += values(arg, options)
	}
	if destination > 0 {
		dst = append(dst, destination)
	}
	return dst
}

// appendMigrated appends the keys behind KEYS if the key at 3 is empty, which is
// what KEYS asks for, else the key at 3.
func appendMigrated(dst []int, args Args) []int {
	n := args.Len()
	if len(args.Arg(3)) == 0 {
		for i := 6; i < n-1; i++ {
			arg := args.Arg(i)
			if isWord(arg, "KEYS") {
				return appendFrom(dst, i+1, n)
			}
			i += values(arg, migrateOptions[:])
		}
	}
	return append(dst, 3)
}

// appendGroupReads appends the first half of what follows STREAMS; the second
// half are ids. Without STREAMS there are no keys.
func appendGroupReads(dst []int, args Args) ([]int, error) {
	n := args.Len()
	for i := 1; i < n-1; i++ {
		arg := args.Arg(i)
		if isWord(arg, "STREAMS") {
			first := i + 1
			if (n-first)%2 != 0 {
				return dst, ErrArity
			}
			return appendFrom(dst, first, first+(n-first)/2), nil
		}
		i += values(arg, groupReadOptions[:])
	}
	return dst, nil
}

// appendFrom appends the positions in [first, end).
func appendFrom(dst []int, first, end int) []int {
	for i := first; i < end; i++ {
		dst = append(dst, i)
	}
	return dst
}

// values returns how many arguments belong to arg if it is one of the options.
func values(arg []byte, options []option) int {
	for _, o := range options {
		if isWord(arg, o.word) {
			return o.values
		}
	}
	return 0
}
