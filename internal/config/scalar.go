package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"go.yaml.in/yaml/v4"
)

// maxInt is the largest number in a file. twemproxy keeps numbers in 32 bits.
const maxInt = math.MaxInt32

// scalar returns the text of n, or reports that n is no text or empty.
func (r *reader) scalar(path string, n *yaml.Node) (text string, ok bool) {
	switch {
	case isEmpty(n):
		r.fault(n, path, "the value is empty; write one, or remove the key for the default")
	case n.Kind != yaml.ScalarNode:
		r.fault(n, path, fmt.Sprintf("the value is %s; write a single value", kindName(n)))
	default:
		return n.Value, true
	}
	return "", false
}

// boolean stores the word true or false; no other spelling is accepted.
func (r *reader) boolean(path string, n *yaml.Node, to *bool) {
	text, ok := r.scalar(path, n)
	switch {
	case !ok:
	case text == "true" || text == "false":
		*to = text == "true"
	default:
		r.fault(n, path, quote(text)+" is not true or false; write one of these words in lower case")
	}
}

// bounds say what a number may be: low to high, and 0 as well if zero is set.
type bounds struct {
	low, high int64
	zero      bool
}

// atLeast are the bounds of a number of which only the lower one matters.
func atLeast(low int64) bounds { return bounds{low: low, high: maxInt} }

// orZero lets b hold 0, which mostly turns off what the number is for.
func (b bounds) orZero() bounds {
	b.zero = true
	return b
}

func (b bounds) hold(number int64) bool {
	return b.low <= number && number <= b.high || b.zero && number == 0
}

// text says what b holds, for "use ...".
func (b bounds) text(show func(int64) string) string {
	text := show(b.low) + " to " + show(b.high)
	if b.zero {
		return "0, or " + text
	}
	return text
}

// integer stores a number within b. unit follows the bounds in the message and
// starts with a space if it is there.
func (r *reader) integer(path string, n *yaml.Node, b bounds, unit string, to *int) {
	text, ok := r.scalar(path, n)
	if !ok {
		return
	}
	number, err := parseInt(text, b, unit)
	if err != nil {
		r.fault(n, path, err.Error())
		return
	}
	*to = number
}

// milliseconds stores a time that the file gives in milliseconds.
func (r *reader) milliseconds(path string, n *yaml.Node, b bounds, to *time.Duration) {
	number := -1
	r.integer(path, n, b, " milliseconds", &number)
	if number >= 0 {
		*to = time.Duration(number) * time.Millisecond
	}
}

// choice stores one of names. what is the thing that they are, with its article.
func (r *reader) choice(path string, n *yaml.Node, what string, names []string, to *string) {
	text, ok := r.scalar(path, n)
	if !ok {
		return
	}
	for _, name := range names {
		if text == name {
			*to = name
			return
		}
	}
	r.fault(n, path, fmt.Sprintf("%s is not %s; %s", quote(text), what, oneOf(text, names)))
}

// parseInt reads decimal digits; signs, points and values outside of b are
// errors, where twemproxy wraps at 32 bits.
func parseInt(text string, b bounds, unit string) (int, error) {
	digits := func(n int64) string { return strconv.FormatInt(n, 10) }
	if !isDigits(text) {
		return 0, fmt.Errorf("%s is not a number; write digits only, %s%s", quote(text), b.text(digits), unit)
	}
	number, err := strconv.ParseInt(text, 10, 64)
	if errors.Is(err, strconv.ErrRange) || !b.hold(number) {
		return 0, fmt.Errorf("%s is out of range; use %s%s", quote(text), b.text(digits), unit)
	}
	return int(number), nil
}

func isDigits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || '9' < text[i] {
			return false
		}
	}
	return text != ""
}
