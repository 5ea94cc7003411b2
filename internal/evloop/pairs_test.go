package evloop_test

import (
	"testing"
	"time"

	"nutmeg/internal/evloop"
	"nutmeg/internal/testkit/sim"
)

// onPairs runs a rule over two loops in one world.
func onPairs(t *testing.T, rule func(t *testing.T, first, second *arena)) {
	t.Helper()
	onSystems(t, func(t *testing.T, first *arena) {
		outside, err := evloop.NewSystem() // also beside the portable one: a socket may change its kind of loop
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = outside.Close() })
		second := &arena{t: t, outside: outside}
		second.loop = evloop.New(outside, second)
		rule(t, first, second)
	})
	t.Run("sim", func(t *testing.T) {
		for seed := range uint64(20) {
			w := sim.New(seed)
			var arenas [2]*arena
			for i, name := range []string{"first", "second"} {
				arenas[i] = &arena{t: t, world: w, outside: w.Outside(name)}
				arenas[i].loop = evloop.New(arenas[i].outside, arenas[i])
			}
			rule(t, arenas[0], arenas[1])
			for _, a := range arenas {
				if n := a.outside.(*sim.Outside).Sockets(); n != a.loop.Open() {
					t.Errorf("%d sockets, of which the loop knows %d", n, a.loop.Open())
				}
			}
			if t.Failed() {
				t.Fatalf("seed %d; the last events:\n%s", seed, w.Trace())
			}
		}
	})
}

// both handles batches of two arenas of one world until the condition holds.
func both(first, second *arena, until func() bool) {
	first.t.Helper()
	if first.world != nil {
		if err := first.world.Run([]*evloop.Loop{first.loop, second.loop}, until, 24*time.Hour); err != nil {
			first.t.Fatal(err)
		}
		return
	}
	for deadline := time.Now().Add(20 * time.Second); !until(); {
		if time.Now().After(deadline) {
			first.t.Fatal("what the test waits for has not happened")
		}
		for _, a := range []*arena{first, second} {
			a.runFor(time.Millisecond)
		}
	}
}
