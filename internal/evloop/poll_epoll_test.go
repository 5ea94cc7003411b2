//go:build linux

package evloop_test

import (
	"testing"
	"time"

	"nutmeg/internal/evloop"
)

func init() {
	otherSystems = append(otherSystems, testSystem{"epoll without short waits", evloop.NewCoarseSystem})
}

// TestWaitTakesItsTime holds that a wait which is made of two, the last here, takes as long as one. A signal may cut one short.
func TestWaitTakesItsTime(t *testing.T) {
	onSystems(t, func(t *testing.T, a *arena) {
		for _, timeout := range []time.Duration{0, 50 * time.Microsecond, time.Millisecond, 23 * time.Millisecond} {
			longest := time.Duration(0)
			for range 20 {
				longest = max(longest, a.waited(timeout))
				if longest >= timeout {
					break
				}
			}
			if longest < timeout {
				t.Errorf("of 20 waits of %v the longest took %v", timeout, longest)
			}
		}
	})
}

// waited is how long a wait takes in which nothing happens.
func (a *arena) waited(timeout time.Duration) time.Duration {
	a.t.Helper()
	var events [1]evloop.Event
	began := a.outside.Now()
	if n, err := a.outside.Wait(events[:], int64(timeout)); n != 0 || err != nil {
		a.t.Fatal(n, err)
	}
	return time.Duration(a.outside.Now() - began)
}
