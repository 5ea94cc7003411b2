package sim

import (
	"fmt"
	"slices"
	"time"

	"nutmeg/internal/evloop"
)

// maxSteps is how many batches in a row may pass without the clock moving.
const maxSteps = 1 << 20

// RunError says why a run ended before what it was for had happened. Its text ends with the last events.
type RunError struct {
	Seed   uint64
	At     time.Duration
	Reason string
	Trace  string
}

func (e *RunError) Error() string {
	return fmt.Sprintf("seed %d, virtual time %v: %s; the last events:\n%s", e.Seed, e.At, e.Reason, e.Trace)
}

func (w *World) failed(format string, args ...any) error {
	return &RunError{Seed: w.seed, At: w.Now(), Reason: fmt.Sprintf(format, args...), Trace: w.Trace()}
}

// Run steps the loops, whose outsides are of this world, and lets time pass until until says true. It fails when
// maxVirtual has passed before, when nothing is left that could happen, and when a loop finds no rest.
func (w *World) Run(loops []*evloop.Loop, until func() bool, maxVirtual time.Duration) error {
	return w.run(loops, until, w.now+int64(maxVirtual), false)
}

// Join has loops take part in the Run that is under way; later ones are told of them as of all others.
func (w *World) Join(loops ...*evloop.Loop) { w.joined = append(w.joined, loops...) }

// RunFor is Run for a span of virtual time.
func (w *World) RunFor(loops []*evloop.Loop, d time.Duration) error {
	return w.run(loops, nil, w.now+int64(d), true)
}

func (w *World) run(loops []*evloop.Loop, until func() bool, deadline int64, rest bool) error {
	for _, l := range loops {
		if err := l.Step(false); err != nil { // what the test did to a loop between two runs leaves now
			return w.failed("step: %v", err)
		}
	}
	for {
		if len(w.joined) > 0 {
			loops = append(slices.Clone(loops), w.joined...)
			w.joined = nil
		}
		if err := w.settle(loops); err != nil {
			return err
		}
		if until != nil && until() {
			return nil
		}
		at, ok := w.next(loops)
		switch {
		case rest && (!ok || at > deadline):
			w.now = max(w.now, deadline)
			return nil
		case !ok:
			return w.failed("nothing is left that could happen")
		case at > deadline:
			return w.failed("what the run waits for has not happened")
		}
		w.now = max(w.now, at)
		for len(w.queue.events) > 0 && w.queue.events[0].at <= w.now {
			e := w.queue.pop()
			e.target.happen(w, e.what)
		}
	}
}

// settle steps loops, in random order, until none has anything to do at this time.
func (w *World) settle(loops []*evloop.Loop) error {
	for steps := 0; ; {
		busy, pick := 0, -1
		for i, l := range loops {
			if w.busy(l) {
				if busy++; busy == 1 || w.random.IntN(busy) == 0 {
					pick = i
				}
			}
		}
		if pick < 0 {
			return nil
		}
		if steps++; steps > maxSteps {
			return w.failed("loop %q finds no rest: %d steps without time passing", loops[pick].Outside().(*Outside).name, steps)
		}
		if err := loops[pick].Step(false); err != nil {
			return w.failed("step: %v", err)
		}
	}
}

func (w *World) busy(l *evloop.Loop) bool {
	o := l.Outside().(*Outside)
	if o.woken || len(o.ready) > 0 || l.Holding() {
		return true
	}
	at, armed := l.NextTimer()
	return armed && at <= w.now
}

// next is when the next thing happens.
func (w *World) next(loops []*evloop.Loop) (at int64, ok bool) {
	if len(w.queue.events) > 0 {
		at, ok = w.queue.events[0].at, true
	}
	for _, l := range loops {
		if timer, armed := l.NextTimer(); armed && (!ok || timer < at) {
			at, ok = timer, true
		}
	}
	return at, ok
}
