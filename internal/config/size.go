package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// The largest size in a file, and the largest that fits into an int on every
// machine that this is built for.
const (
	maxSize    = 1 << 40
	maxIntSize = min(maxSize, math.MaxInt)
)

// units are the units of a size, the largest first.
var units = []struct {
	name  string
	bytes int64
}{{"gb", 1 << 30}, {"mb", 1 << 20}, {"kb", 1 << 10}}

// sizeFrom are the bounds of a size that an int holds.
func sizeFrom(low int64) bounds { return bounds{low: low, high: maxIntSize} }

// size stores a number of bytes within b.
func (r *reader) size(path string, n *yaml.Node, b bounds, to *int64) {
	text, ok := r.scalar(path, n)
	if !ok {
		return
	}
	size, err := parseSize(text, b)
	if err != nil {
		r.fault(n, path, err.Error())
		return
	}
	*to = size
}

// parseSize reads digits, with a unit behind them or not, in either case.
func parseSize(text string, b bounds) (int64, error) {
	digits, factor := strings.ToLower(text), int64(1)
	for _, unit := range units {
		if number, found := strings.CutSuffix(digits, unit.name); found {
			digits, factor = number, unit.bytes
			break
		}
	}
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, fmt.Errorf("%s is not a size; write digits and then kb, mb, gb or nothing, for example %s", quote(text), formatSize(max(b.low, 1<<20)))
	}
	number, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || number > maxSize/factor || !b.hold(number*factor) {
		return 0, fmt.Errorf("%s is out of range; use %s", quote(text), b.text(formatSize))
	}
	return number * factor, nil
}

// formatSize writes a size as parseSize reads it, in the largest unit that needs no fraction.
func formatSize(bytes int64) string {
	for _, unit := range units {
		if bytes >= unit.bytes && bytes%unit.bytes == 0 {
			return strconv.FormatInt(bytes/unit.bytes, 10) + unit.name
		}
	}
	return strconv.FormatInt(bytes, 10)
}
