package proxy

import (
	"flag"
	"fmt"
	"testing"
	"time"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "run this one seed of the simulation")
	simSeeds = flag.Int("sim.seeds", 0, "how many fresh seeds of the simulation to run, in place of as many as fit into sim.time")
	simFirst = flag.Uint64("sim.first", 0, "the first of the fresh seeds; without it they come from the clock")
	simTime  = flag.Duration("sim.time", 20*time.Second, "how long to run fresh seeds of the simulation")
)

// replay says how to run a seed again.
func replay(seed uint64) string {
	return fmt.Sprintf("make sim SEED=%d, or go test ./internal/proxy -run 'TestSimulation$' -sim.seed %d", seed, seed)
}

// simulate runs a seed.
func simulate(seed uint64) (simCount, error) {
	s, err := newSimulation(seed, nil)
	if err == nil {
		err = s.run()
	}
	if err != nil {
		return simCount{}, fmt.Errorf("%w\nto see it again: %s", err, replay(seed))
	}
	return s.count, nil
}

func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		n, err := simulate(*simSeed)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("seed %d: %v", *simSeed, n)
		return
	}
	first := *simFirst
	if first == 0 {
		first = uint64(time.Now().Unix()) * 1_000_000
	}
	begin := time.Now()
	var sum simCount
	seeds := 0
	for ; seeds < *simSeeds || *simSeeds == 0 && time.Since(begin) < *simTime; seeds++ {
		n, err := simulate(first + uint64(seeds))
		if err != nil {
			t.Fatal(err)
		}
		sum.add(n)
	}
	t.Logf("seeds %d to %d: %v", first, first+uint64(seeds)-1, sum)
}

// String says what was run.
func (n simCount) String() string {
	return fmt.Sprintf("%d requests of %d clients, %d responses checked, %d of them errors with a cause, %d faults, %d reloads, "+
		"%d upgrades, %.2f virtual hours", n.requests, n.clients, n.responses, n.errors, n.faults, n.reloads, n.upgrades, n.virtual.Hours())
}
