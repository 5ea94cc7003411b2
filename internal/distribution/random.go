package distribution

// random picks among the live servers alike, whatever their weights. The hash
// it is given has to be a random number, not that of a key.
// Algorithm: twemproxy's hashkit/nc_random.c.
type random []uint32

func newRandom(live []member) random {
	owners := make(random, len(live))
	for i, m := range live {
		owners[i] = m.index
	}
	return owners
}

func (r random) Locate(hash uint32) int {
	return int(r[hash%uint32(len(r))])
}
