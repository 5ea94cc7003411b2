package distribution

// mostSparse is the part of the servers, one in so many, that has to be live for
// the continuum of all to be of use: as it is, where so many points are looked at
// for a hash, on average, or to take points from.
const mostSparse = 16

// partOf returns the continuum over the live ones of all servers, of which whole
// is the continuum. An ejection does this on a worker's time.
func partOf(whole *ketama, all, live []member) Distribution {
	if len(live)*mostSparse < len(all) {
		return newKetama(live)
	}
	in := make([]bool, len(all))
	for _, m := range live {
		in[m.index] = true
	}
	surplus, missing := difference(all, live)
	if len(surplus)+len(missing) == 0 {
		return &without{whole, in}
	}
	if whole.filled { // fill's points would be taken for others
		return newKetama(live)
	}
	return partOfPoints(whole, in, live, surplus, missing)
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
	for _, part := range [...][]short{points[start:], points[:start]} {
		for _, s := range part {
			if owner := w.whole.owner(s); w.in[owner] {
				return owner
			}
		}
	}
	panic("BUG: a continuum of which all servers are out")
}

// partOfPoints returns the continuum of the live, who are in, out of the points
// of all. Points of the others are passed over. Surplus and missing are the
// difference. Nothing is sorted but that, so the cost is one look at each point.
func partOfPoints(whole *ketama, in []bool, live []member, surplus, missing []point) *ketama {
	part := sized(live, pointCount(live))
	part.starts = make([]uint32, 1<<(32-part.shift)+1)
	p := point(0)
	for _, s := range whole.all() {
		p = whole.long(s, p)
		if !in[p.owner()] {
			continue
		}
		if len(surplus) > 0 && surplus[0] == p {
			surplus = surplus[1:]
			continue
		}
		for len(missing) > 0 && missing[0] < p {
			part.count(missing[0])
			missing = missing[1:]
		}
		part.count(p)
	}
	for _, p := range missing {
		part.count(p)
	}
	addUp(part.starts)
	if !dense(part.starts, ownerBits(live)) {
		return connect(live, part.unpack(), part.starts)
	}
	part.points = append(part.points, part.points[:window]...)
	return part
}

// count appends a point, of which starts knows only its bucket as yet.
func (k *ketama) count(p point) {
	k.points = append(k.points, k.short(p))
	k.starts[p.value()>>(k.shift&31)+1]++
}

// unpack returns the points of a continuum that may not be dense and has no wrap
// yet. There are at least 4 for each owner, so that a bucket's number and a short
// overlap.
func (k *ketama) unpack() []point {
	points := make([]point, 0, len(k.points))
	for bucket, end := range k.starts[1:] {
		for _, s := range k.points[len(points):end] {
			value := uint32(bucket)<<k.shift | uint32(s)>>k.ownerBits&(1<<k.shift-1)
			points = append(points, makePoint(value, uint32(k.owner(s))))
		}
	}
	return points
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
	surplus, _ = sortPoints(surplus, nil)
	missing, _ = sortPoints(missing, nil)
	return surplus, missing
}
