package proxy

import (
	"sort"
	"sync"
)

// arrivals tells when a client came, by its serial. It is a list of moments, not of clients: most pools have more of these, and each
// would need room for what hardly anybody asks. The further back, the less exact it is.
type arrivals struct{ marks []arrival }

type arrival struct {
	serial uint32 // the first client since
	at     int64
}

const (
	mostArrivals    = 1024
	arrivalInterval = int64(1e9) // moments that are nearer to each other are one
)

// arrivalBook is the arrivals of all clients of a proxy. The first worker writes them down, others look them up for CLIENT LIST.
type arrivalBook struct {
	mu       sync.Mutex // guards arrivals
	arrivals arrivals
}

func (b *arrivalBook) note(serial uint32, now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.arrivals.note(serial, now)
}

func (b *arrivalBook) of(serial uint32) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.arrivals.of(serial)
}

// note says that a client has come.
func (a *arrivals) note(serial uint32, now int64) {
	n := len(a.marks)
	switch {
	case n > 0 && serial < a.marks[n-1].serial:
		a.marks = a.marks[:0] // serials began anew
	case n > 0 && now-a.marks[n-1].at < arrivalInterval:
		return
	case n == mostArrivals:
		a.thin(now)
	}
	a.marks = append(a.marks, arrival{serial, now})
}

// thin leaves out moments that are near to others for how long ago they were. A year fits into half of the room.
func (a *arrivals) thin(now int64) {
	kept := a.marks[:1]
	last := len(a.marks) - 1
	for i := 1; i < last; i++ {
		if mark := a.marks[i]; a.marks[i+1].at-kept[len(kept)-1].at > (now-mark.at)/32 {
			kept = append(kept, mark)
		}
	}
	a.marks = append(kept, a.marks[last])
}

// of is when a client came, or somewhat earlier.
func (a *arrivals) of(serial uint32) int64 {
	i := sort.Search(len(a.marks), func(i int) bool { return a.marks[i].serial > serial })
	return a.marks[max(i-1, 0)].at
}
