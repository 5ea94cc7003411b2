package distribution

// partOf returns continuumPoints(live) out of the points of a continuum over
// all of the servers, live ones and others, of which whole has the points.
//
// Points of those that are not live are passed over. How many points each of
// the others has depends on who is live, mostly by a digest if at all: only
// these are computed. Nothing is sorted but them, so an ejection, which happens
// on a worker's time, costs one look at each point.
func partOf(whole []point, all, live []member) []point {
	in := make([]bool, len(all))
	for _, m := range live {
		in[m.index] = true
	}
	surplus, missing := difference(all, live)
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
// their own only.
func difference(all, live []member) (surplus, missing []point) {
	totalBefore, total := totalWeight(all), totalWeight(live)
	for _, m := range live {
		before, now := digests(m.Weight, totalBefore, len(all)), digests(m.Weight, total, len(live))
		surplus = appendPoints(surplus, m, now, before)
		missing = appendPoints(missing, m, before, now)
	}
	return sortPoints(surplus), sortPoints(missing)
}
