package evloop

import (
	"testing"
	"time"
)

// TestCourtesyEndsWhereItIsAbused has a neighbour that takes 2 ms whenever it is let. It gets the processor ever more rarely.
func TestCourtesyEndsWhereItIsAbused(t *testing.T) {
	now, given, greedy := int64(0), 0, true
	c := courtesy{}
	batches := func(n int) (times int) {
		before := given
		for range n {
			now += int64(100 * time.Microsecond)
			c.giveWay(now, func() int64 { return now }, func() {
				given++
				if greedy {
					now += int64(2 * time.Millisecond)
				} else {
					now += int64(20 * time.Microsecond)
				}
			})
		}
		return given - before
	}
	if n := batches(100_000); n > 14 { // 10 s; the pauses double from 10 ms
		t.Errorf("in 10 s a greedy neighbour was let go first %d times", n)
	}
	if n := batches(1_000_000); n > 14 {
		t.Errorf("in 100 s more it was let go first %d times", n)
	}
	greedy = false
	batches(100_000) // the last pause goes by
	if n := batches(1000); n != 1000 {
		t.Errorf("a modest neighbour was let go first %d times of 1000", n)
	}
	batches(pauseMemory * 100_000) // what was is forgotten
	greedy = true
	batches(1)
	greedy = false
	if n := batches(1000); n < 850 {
		t.Errorf("after one turn that was too long a modest neighbour was let go first %d times of 1000", n)
	}
}
