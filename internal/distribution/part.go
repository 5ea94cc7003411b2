package distribution

// mostSparse is the part of the servers, one in so many, that has to be live for
// the continuum of all to be used without the others. So many points are looked
// at for a hash, on average.
const mostSparse = 16

// partOf returns the continuum over the live ones of all servers, of which whole
// is the continuum. An ejection does this on a worker's time.
func partOf(whole *ketama, all, live []member) Distribution {
	in := make([]bool, len(all))
	for _, m := range live {
		in[m.index] = true
	}
	surplus, missing := difference(all, live)
	if len(surplus)+len(missing) == 0 && len(live)*mostSparse >= len(all) {
		return &without{whole, in}
	}
	points := partOfPoints(whole.all(), in, surplus, missing)
	return connect(live, points, startsOf(points))
}

// without is a continuum some of whose servers are out, and leave the others as
// many points as before: then the owner of a hash is that of the first point at
// or above it that belongs to one of the others. It costs nothing to make, also
// not when hundreds of servers go one after the other.
type without struct {
	whole *ketama
	in    []bool // by server
}

// Locate costs what it does on the whole continuum, and for a hash that was of a
// server that is out a look at a few more points.
func (w *without) Locate(hash uint32) int {
	if owner := w.whole.Locate(hash); w.in[owner] {
		return owner
	}
	points, start := w.whole.all(), w.whole.find(hash)
	for _, part := range [...][]point{points[start:], points[:start]} {
		for _, p := range part {
			if w.in[p.owner()] {
				return int(p.owner())
			}
		}
	}
	panic("BUG: a continuum of which all servers are out")
}

// partOfPoints returns the points that continuumPoints does of the servers that are in, out of the
// points of all. Points of the others are passed over. Surplus and missing are
// the difference. Nothing is sorted but that, so the cost is one look at each
// point.
func partOfPoints(whole []point, in []bool, surplus, missing []point) []point {
	part := make([]point, 0, len(whole)+len(missing)+window)
	for _, p := range whole {
		if !in[p.owner()] {
			continue
		}
		if len(surplus) > 0 && surplus[0] == p {
			surplus = surplus[1:]
			continue
		}
		for len(missing) > 0 && missing[0] < p {
			part = append(part, missing[0])
			missing = missing[1:]
		}
		part = append(part, p)
	}
	return append(part, missing...)
}

// difference returns, in ascending order, the points that the live servers have
// on a continuum over all and not on their own, and those that they have on
// their own only: how many points a server has depends on who is live, mostly by
// a digest if at all.
func difference(all, live []member) (surplus, missing []point) {
	totalBefore, total := totalWeight(all), totalWeight(live)
	for _, m := range live {
		before, now := digests(m.Weight, totalBefore, len(all)), digests(m.Weight, total, len(live))
		surplus = appendPoints(surplus, m, now, before)
		missing = appendPoints(missing, m, before, now)
	}
	surplus, _ = sortPoints(surplus)
	missing, _ = sortPoints(missing)
	return surplus, missing
}
