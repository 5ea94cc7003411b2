package proxy

import "sort"

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

// note says that a client has come.
func (a *arrivals) note(serial uint32, now int64) {
	n := len(a.marks)
	switch {
	case n > 0 && serial < a.marks[n-1].serial:
		a.marks = a.marks[:0] // serials began anew
	case n > 0 && now-a.marks[n-1].at < arrivalInterval:
		return
	case n == mostArrivals:
		half := n / 2
		for i := range half / 2 {
			a.marks[i] = a.marks[2*i]
		}
		a.marks = append(a.marks[:half/2], a.marks[half:]...)
	}
	a.marks = append(a.marks, arrival{serial, now})
}

// of is when a client came, or somewhat earlier.
func (a *arrivals) of(serial uint32) int64 {
	i := sort.Search(len(a.marks), func(i int) bool { return a.marks[i].serial > serial })
	return a.marks[max(i-1, 0)].at
}
