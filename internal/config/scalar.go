package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
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

// integer stores a number between low and high. unit follows the range in the
// message and starts with a space if it is there.
func (r *reader) integer(path string, n *yaml.Node, low, high int, unit string, to *int) {
	text, ok := r.scalar(path, n)
	if !ok {
		return
	}
	number, err := parseInt(text, low, high, unit)
	if err != nil {
		r.fault(n, path, err.Error())
		return
	}
	*to = number
}

// milliseconds stores a time that the file gives in milliseconds.
func (r *reader) milliseconds(path string, n *yaml.Node, to *time.Duration) {
	number := -1
	r.integer(path, n, 0, maxInt, " milliseconds", &number)
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

// parseInt reads decimal digits; signs, points and values outside of low..high
// are errors, where twemproxy wraps at 32 bits.
func parseInt(text string, low, high int, unit string) (int, error) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, fmt.Errorf("%s is not a number; write digits only, %d to %d%s", quote(text), low, high, unit)
	}
	number, err := strconv.ParseInt(text, 10, 64)
	if errors.Is(err, strconv.ErrRange) || number < int64(low) || number > int64(high) {
		return 0, fmt.Errorf("%s is out of range; use %d to %d%s", quote(text), low, high, unit)
	}
	return int(number), nil
}
