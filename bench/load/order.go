package load

import (
	"math/rand/v2"
)

// orderLength is how many picks are made in advance: enough that a run sees
// no pattern, few enough to stay in a cache.
const orderLength = 1 << 16

// Uniform returns an order in which each of n exchanges is as likely as the
// others. It is the same in every run.
func Uniform(n int) []uint32 {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	return picks(func() uint64 { return r.Uint64N(uint64(n)) })
}

// Zipf returns an order in which few of n exchanges come often: the one with
// rank k in proportion to (10+k)^-1.1, as keys of a cache do. It is the same
// in every run. Which exchanges are the frequent ones has nothing to do with
// their place.
func Zipf(n int) []uint32 {
	r := rand.New(rand.NewPCG(2, uint64(n)))
	zipf, place := rand.NewZipf(r, 1.1, 10, uint64(n-1)), r.Perm(n)
	return picks(func() uint64 { return uint64(place[zipf.Uint64()]) })
}

func picks(pick func() uint64) []uint32 {
	order := make([]uint32, orderLength)
	for i := range order {
		order[i] = uint32(pick())
	}
	return order
}
