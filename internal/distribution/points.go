package distribution

import (
	"crypto/md5"
	"encoding/binary"
	"strconv"
)

const (
	pointsPerServer  = 160 // on average
	pointsPerDigest  = 4   // one for each 32-bit word of an MD5 digest
	maxPointName     = 272 // bytes of "NAME-j" that are hashed
	pointRoundingFix = 1e-10
)

// A point is a value on the continuum and the server that owns it, packed as
// value<<32 | owner so that one comparison orders points by value.
type point uint64

func makePoint(value, owner uint32) point {
	return point(value)<<32 | point(owner)
}

func (p point) value() uint32 { return uint32(p >> 32) }
func (p point) owner() uint32 { return uint32(p) }

// digests returns how many digests, of four points each, belong to a server.
//
// The original computes in single precision, where equal weights do not always
// come out at 40: a pool of 25 gets 39. Each conversion below is a rounding of
// the original and keeps the compiler from fusing two operations into one.
func digests(weight int, total uint64, live int) int {
	share := float32(float32(weight) / float32(total))
	count := float32(share * pointsPerServer)
	count = float32(count / pointsPerDigest)
	count = float32(count * float32(live))
	return int(float32(float64(count) + pointRoundingFix)) // cut off like floorf: never negative
}

// continuumPoints returns the points of all live servers in ascending order,
// equal values in the order of the servers: the original sorts stably.
// A server whose share is too small has none, but the server with the largest
// share always has some: it is at least the average.
// Algorithm: libketama (2007) as in twemproxy's hashkit/nc_ketama.c.
func continuumPoints(live []member) []point {
	total := totalWeight(live)
	points := make([]point, 0, len(live)*pointsPerServer)
	for _, m := range live {
		points = appendPoints(points, m, 0, digests(m.Weight, total, len(live)))
	}
	return sortByValue(points)
}

// appendPoints appends the points of a server's digests from first up to but
// not including end, those of one digest beside each other.
func appendPoints(points []point, m member, first, end int) []point {
	name := append(append(make([]byte, 0, 64), m.Name...), '-')
	prefix := len(name)
	for j := first; j < end; j++ {
		name = strconv.AppendInt(name[:prefix], int64(j), 10)
		digest := md5.Sum(name[:min(len(name), maxPointName)])
		for word := 0; word < len(digest); word += 4 {
			points = append(points, makePoint(binary.LittleEndian.Uint32(digest[word:]), m.index))
		}
	}
	return points
}

// sortByValue orders points by value and leaves equal values in their order. It
// returns the result and uses up its argument.
//
// An ejection rebuilds the continuum on a worker's time, hence a radix sort:
// three passes of 11 bits, linear in the number of points.
func sortByValue(points []point) []point {
	const width = 11
	other := make([]point, len(points))
	for shift := 32; shift < 64; shift += width {
		digit := func(p point) uint { return uint(p>>shift) % (1 << width) }
		var next [1 << width]int // where the next point with a digit goes
		for _, p := range points {
			next[digit(p)]++
		}
		start := 0
		for i, count := range next {
			next[i] = start
			start += count
		}
		for _, p := range points {
			d := digit(p)
			other[next[d]] = p
			next[d]++
		}
		points, other = other, points
	}
	return points
}

// compact drops the points that decide nothing: all but the first of equal
// values, and a point that the next one follows with the same owner.
// It works in place and keeps the order.
func compact(points []point) []point {
	kept := points[:0]
	for _, p := range points {
		last := len(kept) - 1
		switch {
		case last >= 0 && kept[last].value() == p.value():
		case last >= 0 && kept[last].owner() == p.owner():
			kept[last] = p
		default:
			kept = append(kept, p)
		}
	}
	return kept
}
