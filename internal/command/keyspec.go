package command

// KeySpec is one key specification: how to find some of a command's keys.
// A search begins somewhere in the arguments (Begin) and from there the keys are
// laid out in a pattern (Find). Argument 0 is the command's name; a subcommand's
// name is argument 1.
//
// Source: the key specifications of Redis 7, as COMMAND reports them.
type KeySpec struct {
	Flags KeyFlags
	Begin BeginSearch
	Find  FindKeys
}

// BeginSearch says at which argument the search for keys begins.
type BeginSearch struct {
	Kind BeginKind
	// Pos is the argument (BeginIndex).
	Pos int
	// Keyword is upper case and compared without case; the search begins at the
	// argument behind it (BeginKeyword).
	Keyword string
	// StartFrom is where to look for Keyword: forward from the argument StartFrom
	// when positive, backward from the -StartFrom-th last one when negative.
	StartFrom int
}

// BeginKind tells the three ways apart in which a search can begin.
type BeginKind uint8

// The kinds of BeginSearch.
const (
	BeginUnknown BeginKind = iota // cannot be said: no key is found by this specification
	BeginIndex
	BeginKeyword
)

// FindKeys says how the keys lie behind the first argument of the search.
type FindKeys struct {
	Kind FindKind
	// LastKey is the last key, relative to the first argument when it is not
	// negative, else to the end of the arguments: -1 is the last one (FindRange).
	LastKey int
	// Step is the distance from one key to the next, 1 or more.
	Step int
	// Limit n above 1 means that only the first n-th of the rest are keys; LastKey
	// is negative then (FindRange).
	Limit int
	// NumKeysAt is where the count of keys stands, and FirstKeyAt the first key,
	// both relative to the first argument (FindKeyNum).
	NumKeysAt, FirstKeyAt int
}

// FindKind tells the three ways apart in which keys can lie.
type FindKind uint8

// The kinds of FindKeys.
const (
	FindUnknown FindKind = iota // cannot be said: no key is found by this specification
	FindRange
	FindKeyNum
)
