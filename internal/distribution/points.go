package distribution

import (
	"crypto/md5"
	"encoding/binary"
	"math/bits"
	"slices"
	"strconv"
	"sync"
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

// pointCount returns how many points the live servers have in all.
func pointCount(live []member) (count int) {
	total := totalWeight(live)
	for _, m := range live {
		count += digests(m.Weight, total, len(live)) * pointsPerDigest
	}
	return count
}

// continuumPoints returns what sortPoints does of the points of all live
// servers: equal values in the order of the servers, as the original sorts stably.
// A server whose share is too small has none, but the server with the largest
// share always has some: it is at least the average.
// Algorithm: libketama (2007) as in twemproxy's hashkit/nc_ketama.c.
//
// The points are valid until the workbench is used again.
func (b *workbench) continuumPoints(live []member) (points []point, starts []uint32) {
	total := totalWeight(live)
	b.points = slices.Grow(b.points[:0], pointCount(live))
	for _, m := range live {
		b.points = appendPoints(b.points, m, 0, digests(m.Weight, total, len(live)))
	}
	b.sorted, starts = sortPoints(b.points, b.sorted)
	return b.sorted, starts
}

// workbench is the memory in which points are made and sorted. At a start with
// many pools to take fresh memory for each would cost as much as the work.
type workbench struct{ points, sorted []point }

var workbenches = sync.Pool{New: func() any { return new(workbench) }}

// appendPoints appends the points of a server's digests from first up to but
// not including end.
func appendPoints(points []point, m member, first, end int) []point {
	if len(m.Name)+len("-")+len(strconv.Itoa(end)) > maxBlockText {
		return appendPointsOfLong(points, m, first, end)
	}
	var one, two block
	prefix := copy(one[:], m.Name)
	one[prefix] = '-'
	prefix++
	two = one
	for j := first; j < end; j += 2 {
		one.end(len(strconv.AppendInt(one[:prefix], int64(j), 10)))
		two.end(len(strconv.AppendInt(two[:prefix], int64(j+1), 10)))
		p, q := digestPair(&one, &two)
		for _, value := range p {
			points = append(points, makePoint(value, m.index))
		}
		if j+1 == end {
			break
		}
		for _, value := range q {
			points = append(points, makePoint(value, m.index))
		}
	}
	return points
}

// appendPointsOfLong is appendPoints for names that need more than one block.
func appendPointsOfLong(points []point, m member, first, end int) []point {
	name := append([]byte(m.Name), '-')
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

// bucketBits is how many upper bits of a value name its bucket if there are so
// many points. A bucket has 0.75 to 1.5 of them, unless there are hardly any.
func bucketBits(count int) int { return max(1, bits.Len(uint(count/3*2))) }

// crowded is from how many points on a bucket is sorted by itself.
const crowded = 16

// sortPoints puts points in ascending order: by value, equal values by owner.
// It uses up points and returns the result, in the memory of room if that is
// enough, and the starts of the buckets as ketama has them.
//
// An ejection may do this on a worker's time, hence no comparison sort: values
// are spread by MD5, so dealing them out to about as many buckets as there are
// points leaves about one to a bucket, and hardly anything to do.
func sortPoints(points, room []point) (sorted []point, starts []uint32) {
	width := bucketBits(len(points))
	shift := 64 - width
	// Place b+2 counts the points of bucket b, place b+1 then says where the next
	// of them goes, and when all are dealt out, where those of b+1 start.
	next := make([]uint32, 1<<width+2)
	for _, p := range points {
		next[p>>shift+2]++
	}
	for i := 2; i < len(next); i++ {
		next[i] += next[i-1]
	}
	sorted = slices.Grow(room[:0], len(points))[:len(points)]
	for _, p := range points {
		place := &next[p>>shift+1]
		sorted[*place] = p
		*place++
	}
	starts = next[:1<<width+1]
	sortWithin(sorted, starts, shift)
	return sorted, starts
}

// sortWithin sorts points that are in the order of their buckets already.
func sortWithin(points []point, starts []uint32, shift int) {
	for i := 1; i < len(points); i++ {
		p := points[i]
		if points[i-1] <= p {
			continue
		}
		if bucket := p >> shift; i >= crowded && points[i-crowded]>>shift == bucket {
			slices.Sort(points[starts[bucket]:starts[bucket+1]])
			continue
		}
		at := i
		for ; at > 0 && points[at-1] > p; at-- {
			points[at] = points[at-1]
		}
		points[at] = p
	}
}
