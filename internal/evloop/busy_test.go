package evloop_test

import (
	"testing"
	"time"

	"nutmeg/internal/evloop"
)

// laborious is a timer that keeps its loop busy for a while, and comes again.
type laborious struct {
	loop  *evloop.Loop
	timer evloop.Timer
	left  int
	work  time.Duration
	pause time.Duration
}

func (b *laborious) Expired() {
	for began := time.Now(); time.Since(began) < b.work; {
		continue
	}
	if b.left--; b.left > 0 {
		b.loop.Arm(&b.timer, b.loop.Now()+int64(b.work+b.pause), b)
	}
}

// TestBusyIsTimeThatBatchesTake: waiting does not count, working does, and what the process took is at least that on a quiet machine.
func TestBusyIsTimeThatBatchesTake(t *testing.T) {
	onSystems(t, func(t *testing.T, a *arena) {
		before, processBefore := a.outside.Busy()
		began := time.Now()
		b := &laborious{loop: a.loop, left: 70, work: time.Millisecond, pause: 5 * time.Millisecond}
		a.loop.Arm(&b.timer, a.loop.Now(), b)
		a.run(func() bool { return b.left == 0 })
		took := time.Since(began)
		worked, process := a.outside.Busy()
		if worked -= before; worked < int64(56*b.work) || worked > int64(took)*3/4 {
			t.Errorf("worked for %v of %v; it was %v at least", time.Duration(worked), took, 70*b.work)
		}
		if process <= processBefore {
			t.Errorf("the process took no time: %d ns before, %d ns after", processBefore, process)
		}
	})
}
