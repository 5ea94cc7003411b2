package distribution

import (
	"math"
	"math/bits"
)

// window is how many points Locate looks at before it turns to binary search.
const window = 4

// ketama is a continuum: the first point at or above a hash names its owner,
// and above the highest point it is the lowest one's.
//
// The upper bits of a hash are looked up in a table that says where the points
// of that part of the continuum, its bucket, begin. Points are spread by MD5, a
// bucket has about one, so the owner is nearly always one of the next few
// points, found without a branch that depends on the hash. However unevenly the
// points lie, the rest of a bucket is searched by halving.
//
// Among many servers a look-up mostly waits for memory, hence the short points:
// those of a thousand servers and the table are 1.2 MB, much of which stays in a
// processor's second-level cache.
type ketama struct {
	points    []short  // ascending; then the first window of them again: the wrap
	starts    []uint32 // for each bucket, and one after the last, its first point
	owners    short    // mask of the owner of a point
	ownerBits uint8    // bits in it
	shift     uint8    // bucket = hash >> shift
	filled    bool     // some points are fill's
}

// A short is a point whose value has lost as many of its upper bits as owners
// need. What is left orders points that are within reach of each other, also
// across the wrap.
type short uint32

// below is 1 if s is less than limit and 0 if not, without a branch.
func (s short) below(limit short) uint32 { return uint32(s-limit) >> 31 }

func newKetama(live []member) *ketama {
	bench := workbenches.Get().(*workbench)
	defer workbenches.Put(bench)
	points, starts := bench.continuumPoints(live)
	return connect(live, points, starts)
}

// connect makes the continuum of live out of its points, which are ascending,
// and the starts of their buckets. It may keep the starts.
func connect(live []member, points []point, starts []uint32) *ketama {
	if len(points) == 0 { // no share large enough: cannot be, but must not crash
		points = []point{makePoint(0, live[0].index)}
		starts = startsOf(points)
	}
	filled := !dense(starts, ownerBits(live))
	if filled {
		points = fill(points, ownerBits(live))
		starts = startsOf(points)
	}
	k := sized(live, len(points))
	shorts := k.points[:len(points)]
	for i, p := range points {
		shorts[i] = k.short(p)
	}
	k.points = append(shorts, shorts[:window]...)
	k.starts, k.filled = starts, filled
	return k
}

// sized returns a continuum of live with room for count points and the wrap.
func sized(live []member, count int) *ketama {
	return &ketama{
		points:    make([]short, 0, count+window),
		owners:    1<<ownerBits(live) - 1,
		ownerBits: uint8(ownerBits(live)),
		shift:     uint8(32 - bucketBits(count)),
	}
}

// ownerBits is how many bits owners need. Of the 31 that a short could spare for
// them, no list of servers that fits into memory needs more than 28.
func ownerBits(live []member) int { return bits.Len32(live[len(live)-1].index) }

// reach is how far apart values have to be for shorts to mistake their order.
func reach(ownerBits int) uint64 { return 1 << (31 - ownerBits) }

// dense reports whether the next points from the lower end of each bucket, a
// window of them, are all within reach. Then shorts order whatever is compared.
//
// So it is, and by far, unless most of many servers are out or have the same
// points as others: there are 80 points or more within reach, on average.
func dense(starts []uint32, ownerBits int) bool {
	buckets := len(starts) - 1
	ahead := int(uint64(buckets) * reach(ownerBits) >> 32) // buckets within reach
	if ahead == 0 {
		return false
	}
	for i, start := range starts[ahead:] {
		if start-starts[i] < window {
			return false
		}
	}
	for i, start := range starts[:ahead] { // across the wrap
		if start+starts[buckets]-starts[buckets-ahead+i] < window {
			return false
		}
	}
	return true
}

// fill returns points with others in between, of the owner of the point that
// follows: no hash gets another owner, and they are dense.
func fill(points []point, ownerBits int) (filled []point) {
	const turn = 1 << 32
	gap := (reach(ownerBits) - 1) / window
	before := uint64(points[len(points)-1].value()) // a turn ahead, so as not to be negative
	for _, p := range points {
		at := uint64(p.value()) + turn
		for before += gap; before < at; before += gap {
			if before >= turn {
				filled = append(filled, makePoint(uint32(before), p.owner()))
			}
		}
		filled = append(filled, p)
		before = at
	}
	for before += gap; before < 2*turn; before += gap {
		filled = append(filled, makePoint(uint32(before), points[0].owner()))
	}
	return filled
}

// startsOf returns the starts of the buckets of points, which are ascending. Of
// points of equal value the first one decides.
func startsOf(points []point) []uint32 {
	width := bucketBits(len(points))
	starts := make([]uint32, 1<<width+1)
	for _, p := range points {
		starts[p.value()>>(32-width)+1]++
	}
	addUp(starts)
	return starts
}

// addUp makes starts of how many points are in the bucket before each.
func addUp(counts []uint32) {
	for i := 1; i < len(counts); i++ {
		counts[i] += counts[i-1]
	}
}

// all returns the points in ascending order.
func (k *ketama) all() []short { return k.points[:len(k.points)-window] }

// short returns a point without the upper bits of its value.
func (k *ketama) short(p point) short {
	return short(p.value()<<(k.ownerBits&31) | p.owner())
}

// long returns the point that s is if the one before it is before; 0 is before
// the first.
func (k *ketama) long(s short, before point) point {
	low := uint32(s) >> (k.ownerBits & 31)
	value := before.value() + (low-before.value())&(math.MaxUint32>>(k.ownerBits&31))
	return makePoint(value, uint32(k.owner(s)))
}

// Locate costs a look into each of two arrays, or O(log points) in a bucket
// that is unusually full.
func (k *ketama) Locate(hash uint32) int {
	lowest := k.lowest(hash)
	start := k.starts[hash>>(k.shift&31)]
	near := (*[window]short)(k.points[start:])
	skip := near[0].below(lowest) + near[1].below(lowest) + near[2].below(lowest)
	found := near[skip&(window-1)]
	if found.below(lowest) == 1 {
		return k.search(hash)
	}
	return k.owner(found)
}

// search is Locate for any bucket.
func (k *ketama) search(hash uint32) int { return k.owner(k.points[k.find(hash)]) }

// find returns the index of the first point at or above hash; past the last one
// if there is none.
func (k *ketama) find(hash uint32) int {
	lowest := k.lowest(hash)
	bucket := hash >> (k.shift & 31)
	low, high := k.starts[bucket], k.starts[bucket+1]
	for low < high {
		middle := low + (high-low)/2
		if k.points[middle].below(lowest) == 1 {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return int(low)
}

// lowest is what no point at or above hash is below.
func (k *ketama) lowest(hash uint32) short { return short(hash << (k.ownerBits & 31)) }

// owner is that of a point.
func (k *ketama) owner(s short) int { return int(s & k.owners) }
