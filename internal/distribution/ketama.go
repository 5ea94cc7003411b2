package distribution

import (
	"math"
	"slices"
)

// window is how many points Locate looks at before it turns to binary search.
const window = 4

// ketama is a continuum: the first point at or above a hash names its owner,
// and above the highest point it is the lowest one's.
//
// The upper bits of a hash are looked up in a table that says where the points
// of that part of the continuum, its bucket, begin. Points are spread by MD5, a
// bucket has less than one on average, so the owner is nearly always one of the
// next few points, found without a branch that depends on the hash. However
// unevenly the points lie, the rest of a bucket is searched by halving.
type ketama struct {
	points []point  // ascending; then a sentinel, window times: the wrap
	starts []uint32 // for each bucket, and one after the last, its first point
	shift  uint8    // bucket = hash >> shift
}

func newKetama(live []member) *ketama {
	points, starts := continuumPoints(live)
	return connect(live, points, starts)
}

// connect makes the continuum of live out of its points, which are ascending,
// and the starts of their buckets. It keeps the slices.
func connect(live []member, points []point, starts []uint32) *ketama {
	if len(points) == 0 { // no share large enough: cannot be, but must not crash
		points = append(points, makePoint(0, live[0].index))
		starts = startsOf(points)
	}
	sentinel := makePoint(math.MaxUint32, points[0].owner())
	for range window {
		points = append(points, sentinel)
	}
	return &ketama{points: points, starts: starts, shift: uint8(32 - bucketBits(len(points)-window))}
}

// startsOf returns the starts of the buckets of points, which are ascending. Of
// points of equal value the first one decides.
func startsOf(points []point) []uint32 {
	width := bucketBits(len(points))
	starts := make([]uint32, 1<<width+1)
	next := uint32(0) // bucket
	for i, p := range points {
		for bucket := p.value() >> (32 - width); next <= bucket; next++ {
			starts[next] = uint32(i)
		}
	}
	for ; next < uint32(len(starts)); next++ {
		starts[next] = uint32(len(points))
	}
	return starts
}

// all returns the points without the sentinel.
func (k *ketama) all() []point { return k.points[:len(k.points)-window] }

// Locate costs a look into each of two arrays, or O(log points) in a bucket
// that is unusually full.
func (k *ketama) Locate(hash uint32) int {
	lowest := makePoint(hash, 0) // no point at or above hash is below it
	bucket := hash >> (k.shift & 31)
	start := k.starts[bucket]
	near := (*[window]point)(k.points[start:])
	skip := below(near[0], lowest) + below(near[1], lowest) + below(near[2], lowest)
	if found := near[skip&(window-1)]; found >= lowest {
		return int(found.owner())
	}
	return k.search(start+window, k.starts[bucket+1], lowest)
}

// find returns the index of the first point at or above hash; past the last one
// if there is none.
func (k *ketama) find(hash uint32) int {
	bucket := hash >> (k.shift & 31)
	low, high := k.starts[bucket], k.starts[bucket+1]
	i, _ := slices.BinarySearch(k.points[low:high], makePoint(hash, 0))
	return int(low) + i
}

// search finds the owner of the first point at or above lowest, which is among
// those from low up to and including high.
func (k *ketama) search(low, high uint32, lowest point) int {
	i, _ := slices.BinarySearch(k.points[low:high], lowest)
	return int(k.points[int(low)+i].owner())
}

// below is 1 if p is less than limit and 0 if not, without a branch.
func below(p, limit point) (n uint) {
	if p < limit {
		n = 1
	}
	return n
}
