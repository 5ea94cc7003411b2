package proxy

import (
	"math"
	"testing"
	"time"
)

// However clients' times are spread, what is due at about the same time shares a sweep.
func TestSweepsAreFew(t *testing.T) {
	const idle = 10 * time.Second
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	a.limits().ClientIdle = idle
	a.limits().RequestTimeout = 0
	for range 500 {
		a.talk()
		a.wait(idle / 500)
	}
	w := a.proxy.workers[0]
	sweeps, last := 0, int64(0)
	for start := a.Now(); a.Now() < start+idle+time.Second; {
		a.wait(5 * time.Millisecond)
		if w.sweep.at != last {
			sweeps, last = sweeps+1, w.sweep.at
		}
	}
	if w.clients != nil {
		t.Error("a client is left")
	}
	if most := sweepGrain + 8; sweeps > most {
		t.Errorf("%d sweeps, want %d at most", sweeps, most)
	}
}

// TestSweepGoesOnInSlices has clients leave and come between two slices.
func TestSweepGoesOnInSlices(t *testing.T) {
	const idle = 10 * time.Second
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	a.limits().ClientIdle = idle
	a.limits().RequestTimeout = 0
	for range 2*sweepSlice + 10 {
		a.talk()
	}
	a.wait(time.Second)
	w := a.proxy.workers[0]
	w.sweep.Expired()
	if !w.sweep.underway || w.sweep.cursor == nil {
		t.Fatal("all clients were looked at in one batch")
	}
	for range 3 { // those that the next slice begins with
		c := w.sweep.cursor
		if c.cutOff(); w.sweep.cursor == c {
			t.Fatal("the next to look at has left")
		}
	}
	w.sweep.by(1)
	if w.sweep.next != 1 {
		t.Error("what asks for a sweep while one is under way is not heard")
	}
	a.wait(idle + time.Second)
	if w.clients != nil || w.sweep.underway {
		t.Errorf("clients left: %v, sweep under way: %v", w.clients != nil, w.sweep.underway)
	}
	a.finish()
}

func TestCoarse(t *testing.T) {
	for _, timeout := range []int64{1, minSweep, int64(time.Minute), int64(24 * time.Hour), math.MaxInt64} {
		grain := max(minSweep, timeout/sweepGrain)
		for _, at := range []int64{0, 1, minSweep, 12345678901, math.MaxInt64 - 1, math.MaxInt64} {
			if got := coarse(at, timeout); got < at || got != math.MaxInt64 && (got-at >= grain || got%grain != 0) {
				t.Errorf("coarse(%d, %d) = %d", at, timeout, got)
			}
		}
	}
}
