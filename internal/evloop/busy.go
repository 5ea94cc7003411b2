//go:build unix

package evloop

import (
	"time"

	"golang.org/x/sys/unix"
)

// workMeter adds up how long batches take: from the time that the loop asks for behind a wait to the next wait. Only one batch in
// so many is looked at, because that takes a look at the clock. The number is odd, so that where batches take turns, as requests
// and their responses do, both kinds are looked at.
type workMeter struct {
	on      bool // somebody wants to know
	since   int64
	batches uint32
	total   int64 // nanoseconds
}

const workSample = 7

// ends says that a batch does.
func (m *workMeter) ends(s *system) {
	if m.batches++; m.batches%workSample == 0 {
		m.total += workSample * (int64(time.Since(s.start)) - m.since)
	}
}

func (s *system) Busy() (worked, process int64) {
	s.work.on = true
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) == nil {
		process = unix.TimevalToNsec(usage.Utime) + unix.TimevalToNsec(usage.Stime)
	}
	return s.work.total, process
}
