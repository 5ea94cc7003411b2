package plan

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"nutmeg/internal/config"
	"nutmeg/internal/pool"
)

// Sampling keys: as many for a pool, of all pools together, and at least.
const (
	sampleKeys  = 100_000
	sampleAll   = 2_000_000
	sampleLeast = 1_000
)

// Keys says how a sample of made-up keys moves.
type Keys struct {
	// Tag is the hash tag that every key of the sample holds. "" = none does.
	Tag string
	// Homeless: in one of the two configurations any server may have any key, so
	// that nothing can be said. The fields below are zero then.
	Homeless bool
	Sample   int // how many keys were tried
	Moved    int // how many of them have another server
	Moves    []Move
}

// Move is a part of the keys that goes from one server to another.
type Move struct {
	From, To string // names of servers
	Keys     int
}

// pair is a pool in both configurations.
type pair struct{ from, to *config.Pool }

// moveKeys fills in Keys of the pools that changed, given in the same order.
func (p *Plan) moveKeys(pairs []pair) error {
	var placed []int
	for i, c := range pairs {
		if placesOtherwise(c.from, c.to) {
			placed = append(placed, i)
		}
	}
	sample := sampleFor(len(placed))
	for _, i := range placed {
		keys, err := compareKeys(pairs[i].from, pairs[i].to, sample)
		if err != nil {
			return err
		}
		p.Changed[i].Keys = keys
	}
	return nil
}

// sampleFor is how many keys are tried in each of so many pools.
func sampleFor(pools int) int {
	return min(sampleKeys, max(sampleLeast, sampleAll/max(pools, 1)))
}

// placesOtherwise reports whether anything changed on which the place of a key depends.
func placesOtherwise(from, to *config.Pool) bool {
	return from.Routing != to.Routing || !slices.EqualFunc(from.Servers, to.Servers, func(a, b config.Server) bool {
		return a.Name == b.Name && a.Weight == b.Weight
	})
}

// compareKeys puts made-up keys through both pools. Where the hash tag changes,
// keys that hold the old one or the new one are samples of their own: how many
// of the real keys hold one, nobody knows.
func compareKeys(from, to *config.Pool, sample int) ([]Keys, error) {
	before, err := pool.New(from, pool.Options{})
	if err != nil {
		return nil, err
	}
	after, err := pool.New(to, pool.Options{})
	if err != nil {
		return nil, err
	}
	if before.Random() || after.Random() {
		return []Keys{{Homeless: true}}, nil
	}
	tags := []string{""}
	if from.Routing.HashTag != to.Routing.HashTag {
		for _, tag := range []string{from.Routing.HashTag, to.Routing.HashTag} {
			if tag != "" {
				tags = append(tags, tag)
			}
		}
	}
	var list []Keys
	for _, tag := range tags {
		owners := func(key []byte) (*config.Server, *config.Server) {
			return &from.Servers[before.Owner(before.Hash(key))], &to.Servers[after.Owner(after.Hash(key))]
		}
		list = append(list, tryKeys(tag, sample, owners))
	}
	return list, nil
}

// tryKeys counts the keys whose server changes. A key stays if its server has
// the same name, which is how a machine is replaced, or the same address, which
// is how a server is renamed.
func tryKeys(tag string, sample int, owners func([]byte) (from, to *config.Server)) Keys {
	keys := Keys{Tag: tag, Sample: sample}
	moves := make(map[[2]string]int)
	for key := range madeUpKeys(tag, sample) {
		last, next := owners(key)
		if last.Name != next.Name && last.Address != next.Address {
			moves[[2]string{last.Name, next.Name}]++
			keys.Moved++
		}
	}
	for names, count := range moves {
		keys.Moves = append(keys.Moves, Move{From: names[0], To: names[1], Keys: count})
	}
	slices.SortFunc(keys.Moves, func(a, b Move) int {
		return cmp.Or(cmp.Compare(b.Keys, a.Keys), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return keys
}

// madeUpKeys yields count keys of usual lengths, the same ones each time. A tag
// is put around the first half of each. A key is valid until the next one.
func madeUpKeys(tag string, count int) func(yield func([]byte) bool) {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789_:"
	const shortest, longest = 8, 24
	return func(yield func([]byte) bool) {
		random := rand.New(rand.NewPCG(1, 2))
		key := make([]byte, 0, longest+len(tag))
		for range count {
			key = key[:0]
			length := shortest + random.IntN(longest-shortest+1)
			for i := range length {
				if tag != "" && i == 0 {
					key = append(key, tag[0])
				}
				key = append(key, letters[random.IntN(len(letters))])
				if tag != "" && i == length/2 {
					key = append(key, tag[1])
				}
			}
			if !yield(key) {
				return
			}
		}
	}
}
