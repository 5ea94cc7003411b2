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

// TestCourtesyIsForTheBusy has a loop that sleeps between its batches, and then does not any more.
func TestCourtesyIsForTheBusy(t *testing.T) {
	now, given := int64(0), 0
	c := courtesy{}
	batches := func(n int, sleep time.Duration) (times int) {
		before := given
		for range n {
			now += int64(sleep)
			woke := now
			now += int64(10 * time.Microsecond)
			c.giveWay(woke, -1, func() int64 { return now }, func() { given++ })
		}
		return given - before
	}
	if n := batches(1000, 0); n != 1000 {
		t.Errorf("a busy loop gave way %d times of 1000", n)
	}
	if n := batches(1000, 20*time.Microsecond); n > 100 {
		t.Errorf("a loop that sleeps gave way %d times of 1000", n)
	}
	if n := batches(1000, 0); n < 800 {
		t.Errorf("once busy again it gave way %d times of 1000", n)
	}
}

// TestLooksAreNoSleep: who only looks whether something is there says nothing of how busy it is, and is as polite as before.
func TestLooksAreNoSleep(t *testing.T) {
	now, given := int64(0), 0
	c := courtesy{}
	batches := func(timeout int64, n int, sleep time.Duration) (times int) {
		before := given
		for range n {
			now += int64(sleep)
			woke := now
			now += int64(10 * time.Microsecond)
			c.giveWay(woke, timeout, func() int64 { return now }, func() { given++ })
		}
		return given - before
	}
	if n := batches(0, 1000, 0); n != 1000 {
		t.Errorf("it gave way %d times of 1000 before it had ever slept", n)
	}
	batches(-1, 1000, 20*time.Microsecond)
	if n := batches(0, 1000, 0); n != 0 {
		t.Errorf("a loop with time gave way %d times of 1000 when it looked", n)
	}
}
