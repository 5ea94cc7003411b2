package main

import "time"

// usage is the CPU that a process has used so far.
type usage struct {
	total time.Duration
	// user and system are counted by the kernel in ticks: right in proportion
	// to each other, and coarse.
	user, system float64
}

// cost is the CPU of a request in microseconds, in all and split.
type cost struct{ total, user, system float64 }

// since returns what each of the requests since before has cost.
func (u usage) since(before usage, requests int) cost {
	c := cost{float64((u.total - before.total).Nanoseconds()) / 1000 / float64(requests), unknown(), unknown()}
	user, system := u.user-before.user, u.system-before.system
	if user+system > 0 {
		c.user, c.system = c.total*user/(user+system), c.total*system/(user+system)
	}
	return c
}
