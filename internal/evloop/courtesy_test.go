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
			woke := now
			now += int64(100 * time.Microsecond)
			c.giveWay(woke, -1, func() int64 { return now }, func() {
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

// TestCourtesyIsForTheBusy has a loop that is busy for a part of the time.
func TestCourtesyIsForTheBusy(t *testing.T) {
	now, given := int64(0), 0
	c := courtesy{}
	batches := func(n int, timeout int64, sleep time.Duration) (times int) {
		before := given
		for range n {
			now += int64(sleep)
			woke := now
			now += int64(10 * time.Microsecond)
			c.giveWay(woke, timeout, func() int64 { return now }, func() { given++ })
		}
		return given - before
	}
	for _, tt := range []struct {
		what     string
		timeout  int64
		sleep    time.Duration
		from, to int
	}{
		{"at first it does not know", -1, 0, 800, 850},
		{"busy all the time", -1, 0, 1000, 1000},
		{"busy for half the time", -1, 10 * time.Microsecond, 0, 100},
		{"still so", -1, 10 * time.Microsecond, 0, 0},
		{"looks only, and that is no sign of being busy", 0, 0, 0, 0},
		{"busy again", -1, 0, 800, 950},
		{"idle", -1, time.Second, 0, 50},
	} {
		if n := batches(1000, tt.timeout, tt.sleep); n < tt.from || n > tt.to {
			t.Errorf("%s: it gave way %d times of 1000, want %d to %d", tt.what, n, tt.from, tt.to)
		}
	}
}
