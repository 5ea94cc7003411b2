package proxy

import (
	"testing"

	"nutmeg/internal/evloop"
)

// TestFreeRequestsOfABurstGoAway has a burst of requests at once, and then fewer.
func TestFreeRequestsOfABurstGoAway(t *testing.T) {
	w := &worker{loop: &evloop.Loop{}}
	use := func(n int) {
		var inUse []*request
		for range n {
			inUse = append(inUse, w.newRequest())
		}
		for _, r := range inUse {
			w.freeRequest(r)
		}
	}
	use(10_000)
	w.trimRequests() // the burst was since the last time
	if w.freeCount != 10_000 {
		t.Fatalf("%d free requests right after 10,000 were needed", w.freeCount)
	}
	released := 0
	for range 20 {
		use(3000)
		released += w.trimRequests()
	}
	if w.freeCount < 3000 || w.freeCount > 3010 || released == 0 {
		t.Errorf("%d free requests, %d bytes released; 3000 are needed at a time", w.freeCount, released)
	}
	for range 20 {
		w.trimRequests()
	}
	listed := 0
	for r := w.freeRequests; r != nil; r = r.next {
		listed++
	}
	if w.freeCount != calmRequests || listed != calmRequests {
		t.Errorf("%d free requests, %d in the list; want %d of both when none is needed", w.freeCount, listed, calmRequests)
	}
}
