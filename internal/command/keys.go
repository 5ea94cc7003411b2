package command

import "errors"

// Why AppendKeys could not find the keys of a request. A server would refuse such
// a request too.
var (
	// ErrArity: too few arguments, too many, or a group of them cut short (MSET
	// with a key without a value, XREAD with more streams than ids).
	ErrArity = errors.New("wrong number of arguments; see the command's arity")
	// ErrNumKeys: the count of keys is no positive whole number.
	ErrNumKeys = errors.New("numkeys is not a positive whole number; write the count of the keys behind it")
	// ErrTooManyKeys: the count of keys is more than there are arguments.
	ErrTooManyKeys = errors.New("numkeys is greater than the number of arguments behind it; write the count of the keys")
)

// Args is a request as its list of arguments; argument 0 is the command's name.
type Args interface {
	// Len returns the number of arguments, the name counted.
	Len() int
	// Arg returns argument i, for 0 <= i < Len(). AppendKeys only reads it, and
	// keeps nothing of it.
	Arg(i int) []byte
}

// AppendKeys appends to dst the position in args of every key of the request, in
// the order of the arguments; a key that stands there twice is there twice. A
// container finds its subcommand by itself and has no keys when there is none.
// Shard channels (SPUBLISH) are not keys, see AppendChannels.
//
// The error is ErrArity, ErrNumKeys or ErrTooManyKeys, and keys is dst then. It
// does not allocate while dst has room.
//
// numkeys may have leading zeros, which servers refuse: the request goes to one
// and is answered there. Not covered are the keys that SORT and SORT_RO reach
// through the patterns of BY and GET, and those that scripts make up.
func (c *Command) AppendKeys(dst []int, args Args) (keys []int, err error) {
	return c.appendKeys(dst, args, false)
}

// AppendChannels appends the positions of the shard channels of SSUBSCRIBE and
// its like: Redis Cluster routes them as if they were keys. It keeps the contract
// of AppendKeys.
func (c *Command) AppendChannels(dst []int, args Args) (channels []int, err error) {
	return c.appendKeys(dst, args, true)
}

func (c *Command) appendKeys(dst []int, args Args, channels bool) ([]int, error) {
	n := args.Len()
	if len(c.Subcommands) > 0 && n > 1 {
		if c = c.Subcommand(args.Arg(1)); c == nil {
			return dst, nil
		}
	}
	if !c.ArityOK(n) {
		return dst, ErrArity
	}
	if !channels {
		if c.OnlyKey {
			return append(dst, c.FirstKey), nil
		}
		if c.finder != findBySpecs {
			return c.finder.appendKeys(dst, args)
		}
	}
	keys := dst
	for i := range c.Keys {
		spec := &c.Keys[i]
		if spec.Flags.Has(KeyNotKey) != channels {
			continue
		}
		var err error
		if keys, err = spec.appendKeys(keys, args, c.Flags.Has(NoMandatoryKeys)); err != nil {
			return dst, err
		}
	}
	return keys, nil
}

// appendKeys appends the positions of the keys this one specification finds.
func (s *KeySpec) appendKeys(dst []int, args Args, zeroOK bool) ([]int, error) {
	first := s.Begin.locate(args)
	if first < 1 || s.Find.Step < 1 {
		return dst, nil // no such keyword here, or a specification that says nothing
	}
	switch s.Find.Kind {
	case FindRange:
		return s.Find.appendRange(dst, first, args.Len())
	case FindKeyNum:
		return s.Find.appendCounted(dst, first, args, zeroOK)
	}
	return dst, nil
}

// locate returns the argument where the search begins, possibly past the last
// one, or 0 if there is nothing to search.
func (b *BeginSearch) locate(args Args) int {
	n := args.Len()
	switch {
	case b.Kind == BeginIndex:
		return b.Pos
	case b.Kind != BeginKeyword:
		return 0
	case b.StartFrom > 0:
		// The last argument cannot be the keyword: nothing follows it.
		for i := b.StartFrom; i < n-1; i++ {
			if isWord(args.Arg(i), b.Keyword) {
				return i + 1
			}
		}
	default:
		for i := min(n+b.StartFrom, n-2); i > 0; i-- {
			if isWord(args.Arg(i), b.Keyword) {
				return i + 1
			}
		}
	}
	return 0
}

// appendRange appends the keys from first to the place that LastKey and Limit
// name, among n arguments.
func (f *FindKeys) appendRange(dst []int, first, n int) ([]int, error) {
	if first >= n && f.LastKey < 0 {
		return dst, nil // the arity allows a list of none: PFMERGE with a destination only
	}
	end := first + f.LastKey + 1 // one past the last key
	if f.LastKey < 0 {
		rest := n - first
		if f.Limit > 1 {
			if rest%f.Limit != 0 {
				return dst, ErrArity
			}
			rest /= f.Limit
		}
		end = first + rest + f.LastKey + 1
		if (end-first)%f.Step != 0 {
			return dst, ErrArity
		}
	}
	if first >= end || end > n {
		return dst, ErrArity
	}
	for i := range 1 + (end-1-first)/f.Step {
		dst = append(dst, first+i*f.Step)
	}
	return dst, nil
}

// appendCounted appends as many keys as the argument numkeys says.
func (f *FindKeys) appendCounted(dst []int, first int, args Args, zeroOK bool) ([]int, error) {
	n := args.Len()
	numKeysAt, firstKey := first+f.NumKeysAt, first+f.FirstKeyAt
	if numKeysAt < 1 || numKeysAt >= n || firstKey < 1 {
		return dst, ErrArity
	}
	numKeys, err := parseCount(args.Arg(numKeysAt), max(n-firstKey, 0)/f.Step)
	if err != nil {
		return dst, err
	}
	if numKeys == 0 && !zeroOK {
		return dst, ErrNumKeys
	}
	for i := range numKeys {
		dst = append(dst, firstKey+i*f.Step)
	}
	return dst, nil
}

// parseCount reads decimal digits, and nothing but digits, as a number of at
// most limit. No number of digits overflows it.
func parseCount(digits []byte, limit int) (int, error) {
	if len(digits) == 0 {
		return 0, ErrNumKeys
	}
	count := 0
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, ErrNumKeys
		}
		if count <= limit {
			count = count*10 + int(d-'0')
		}
	}
	if count > limit {
		return 0, ErrTooManyKeys
	}
	return count, nil
}

// isWord reports whether arg is the upper-case word, in any case.
func isWord(arg []byte, word string) bool {
	if len(arg) != len(word) {
		return false
	}
	for i, b := range arg {
		if 'a' <= b && b <= 'z' {
			b &^= 0x20
		}
		if b != word[i] {
			return false
		}
	}
	return true
}
