package proxy

// Workers fill in order: one worker does all there is to do until it is busy, because a second one costs more than it helps before
// (smaller batches, more server connections). What follows decides; mover.go acts on it.

// standing is what a worker knows of another, or of itself, when it decides about clients.
type standing struct {
	share   int  // of its time that it works, in thousandths of a processor
	clients int  // that it has
	waits   bool // it has got clients a moment ago: its share is not yet that of what it has now
}

// calmMark is the share below which two workers had better be one. It is well below the mark: the one must not be busy then,
// and two that have just become of one must not be this calm.
func calmMark(mark int) int { return mark * 5 / 7 }

// place returns the worker that a new client goes to: the first that is not busy, or that with the fewest clients. With a mark of
// 0 all are busy.
func place(all []standing, mark int) int {
	fewest := 0
	for i := range all {
		if all[i].share < mark {
			return i
		}
		if all[i].clients < all[fewest].clients {
			fewest = i
		}
	}
	return fewest
}

// gift is what one worker is to give another.
type gift struct {
	to    int
	count int  // of clients that are active
	all   bool // or of whatever it has
}

// decide says what the worker self, which has so many active clients, gives to whom. ok is false if nothing.
func decide(all []standing, self, active, mark int) (g gift, ok bool) {
	switch own := &all[self]; {
	case own.share >= mark:
		return relief(all, self, active, mark)
	case own.clients == 0:
		return gift{}, false
	}
	for i := range all[:self] {
		if !all[i].waits && all[i].share+all[self].share < calmMark(mark) {
			return gift{to: i, all: true}, true
		}
	}
	return gift{}, false
}

// relief has a busy worker give so many active clients that both have the same to do: to the first worker that is not busy
// even then, or else to the least busy one, if that is clearly less busy than itself.
func relief(all []standing, self, active, mark int) (g gift, ok bool) {
	own, to := all[self].share, -1
	clearly := mark - calmMark(mark)
	for i := range all {
		if i == self || all[i].waits {
			continue
		}
		if (all[i].share+own)/2 < mark {
			to = i
			break
		}
		if all[i].share+clearly <= own && (to < 0 || all[i].share < all[to].share) {
			to = i
		}
	}
	if to < 0 {
		return gift{}, false
	}
	count := active * (own - all[to].share) / (2 * own)
	if count == 0 {
		return gift{}, false
	}
	return gift{to: to, count: count}, true
}
