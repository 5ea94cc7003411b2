package proxy

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	simSeed     = flag.Uint64("sim.seed", 0, "run this one seed of the simulation")
	simSeeds    = flag.Int("sim.seeds", 0, "how many seeds of the simulation to run, in place of as many as fit into sim.time")
	simFirst    = flag.Uint64("sim.first", 0, "the first of the seeds, for others than those of each run")
	simTime     = flag.Duration("sim.time", 30*time.Second, "how long to run seeds of the simulation")
	simParallel = flag.Int("sim.parallel", runtime.GOMAXPROCS(0), "how many seeds to run at a time")
	simProgress = flag.Bool("sim.progress", false, "print now and then how far the simulation has come")
	simSoak     = flag.Duration("sim.soak", 15*time.Minute, "how much virtual time the soak takes")
)

// keptSeeds once found something, in the engine or in the simulation. What they did is lost when the drawing of
// scenarios changes; they are still as good as any.
var keptSeeds = []uint64{8, 13, 19, 59, 547, 692, 702, 1355, 1403, 1459, 1885, 2071, 30745, 60829, 5102, 7238, 15606, 16128}

// keptActorSeeds are later ones, with actors.
var keptActorSeeds = []uint64{38, 192, 260, 296, 1510, 1795274753000006, 1795274753000552, 1795274753000648}

// simulate runs a seed. A failure says how to see it again.
func simulate(seed uint64) (simCount, uint64, error) {
	s, err := newSimulation(seed, nil)
	if err == nil {
		err = s.run()
	}
	if err != nil {
		return simCount{}, 0, fmt.Errorf("%w\nto see it again: make sim SEED=%d", err, seed)
	}
	return s.count, s.Digest(), nil
}

// TestSimulation runs the first so many seeds, the same each time: a change is judged by what it does, not by luck. Fresh ones
// are for make sim, which asks for them by the flags.
func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		n, digest, err := simulate(*simSeed)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("seed %d, digest %016x: %v", *simSeed, digest, n)
		return
	}
	c := campaign{first: max(*simFirst, 1), seeds: *simSeeds}
	if c.seeds == 0 {
		c.until = time.Now().Add(*simTime)
		if testing.Short() {
			c.until = time.Now().Add(*simTime / 10)
		}
	}
	if err := c.run(*simParallel); err != nil {
		t.Fatal(err)
	}
	t.Log(c.String())
}

// campaign is a run of many seeds.
type campaign struct {
	first uint64
	seeds int       // 0: as many as there is time for
	until time.Time // if seeds is 0

	taken   atomic.Int64
	mu      sync.Mutex // guards what follows
	done    int
	sum     simCount
	failure error
	told    time.Time
}

func (c *campaign) run(parallel int) error {
	var all sync.WaitGroup
	c.told = time.Now()
	for range max(parallel, 1) {
		all.Go(c.work)
	}
	all.Wait()
	return c.failure
}

func (c *campaign) work() {
	for {
		i := c.taken.Add(1) - 1
		if c.seeds > 0 && i >= int64(c.seeds) || c.seeds == 0 && time.Now().After(c.until) {
			return
		}
		n, _, err := simulate(c.first + uint64(i))
		if !c.add(n, err) {
			return
		}
	}
}

// add counts a seed and reports whether to go on.
func (c *campaign) add(n simCount, err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil && c.failure == nil {
		c.failure = err
	}
	c.done++
	c.sum.add(n)
	if *simProgress && time.Since(c.told) > 5*time.Second {
		c.told = time.Now()
		fmt.Fprintln(os.Stderr, c)
	}
	return c.failure == nil
}

func (c *campaign) String() string {
	return fmt.Sprintf("%d seeds from %d: %v", c.done, c.first, c.sum)
}

// String says what was run.
func (n simCount) String() string {
	return fmt.Sprintf("%d requests of %d clients, %d responses checked, %d of them errors with a cause, %d torn, %d faults, %d reloads, "+
		"%d upgrades, %d moves, %.2f virtual hours",
		n.requests, n.clients, n.responses, n.errors, n.torn, n.faults, n.reloads, n.upgrades, n.moves, n.virtual.Hours())
}

func TestKeptSeeds(t *testing.T) {
	for _, seed := range slices.Concat(keptSeeds, keptActorSeeds) {
		if _, _, err := simulate(seed); err != nil {
			t.Error(err)
		}
	}
}

// TestSameSeedIsTheSameRun holds what replaying rests on: nothing of a run comes from anywhere but its seed.
func TestSameSeedIsTheSameRun(t *testing.T) {
	for seed := range uint64(20) {
		first, digest, err := simulate(seed + 1)
		if err != nil {
			t.Fatal(err)
		}
		second, again, err := simulate(seed + 1)
		if err != nil {
			t.Fatal(err)
		}
		if first != second || digest != again {
			t.Errorf("seed %d: %v (digest %x), and then %v (digest %x)", seed+1, first, digest, second, again)
		}
	}
}

// footprint is what a process and a proxy have taken, at a moment when nobody wants anything.
type footprint struct {
	heap       uint64 // bytes
	goroutines int
	open, idle int // connections; bytes of free chunks
	requests   int // free ones
}

func (s *simulation) footprint() (f footprint) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f.heap, f.goroutines = m.HeapAlloc, runtime.NumGoroutine()
	for _, w := range s.proxy.workers {
		f.open += w.loop.Open()
		f.idle += w.loop.Chunks.Idle()
		f.requests += w.freeCount
	}
	return f
}

// TestSoak has crowds of clients come, meet faults, and leave, again and again. What is kept after each crowd does not
// grow with their number.
func TestSoak(t *testing.T) {
	seed := *simSeed
	if seed == 0 {
		seed = 1
	}
	s, err := newSimulation(seed, func(c *scenario) {
		c.drains, c.reloads = false, 0
		c.clients, c.leavers = 150, 50
	})
	if err != nil {
		t.Fatal(err)
	}
	var warm footprint
	rounds := 0
	for ; rounds < 3 || s.Now() < *simSoak; rounds++ {
		if err := s.round(); err != nil {
			t.Fatalf("%v\nto see it again: go test ./internal/proxy -run TestSoak -sim.seed %d -sim.soak %v", err, seed, *simSoak)
		}
		s.forget()
		if rounds == 1 {
			warm = s.footprint()
		}
	}
	end := s.footprint()
	t.Logf("seed %d, %d rounds: %v; at first %+v, in the end %+v", seed, rounds, s.count, warm, end)
	if end.heap > warm.heap*5/4+4<<20 {
		t.Errorf("seed %d: the heap has %d bytes, after the second round it had %d", seed, end.heap, warm.heap)
	}
	if end.goroutines > warm.goroutines+len(s.proxy.workers) { // each may be giving memory back
		t.Errorf("seed %d: %d goroutines, after the second round there were %d", seed, end.goroutines, warm.goroutines)
	}
	for i, w := range s.proxy.workers {
		if kept := w.loop.Chunks.Idle(); kept > keptBytes {
			t.Errorf("seed %d: worker %d keeps %d bytes of free memory", seed, i, kept)
		}
		if w.freeCount > keptRequests {
			t.Errorf("seed %d: worker %d keeps %d free requests", seed, i, w.freeCount)
		}
	}
	if most := len(s.proxy.workers)*s.mostConns() + len(s.pools); end.open > most {
		t.Errorf("seed %d: %d connections are open, the configuration allows %d", seed, end.open, most)
	}
}

// mostConns is how many server connections a worker can have.
func (s *simulation) mostConns() (n int) {
	for _, p := range s.proxy.workers[0].pools {
		n += len(p.servers) * (p.conf.ServerConnections + 1)
	}
	return n
}

// forget lets go of all clients, which have left, and of what servers keep for them.
func (s *simulation) forget() {
	s.forgotten += len(s.clients)
	for _, c := range s.clients {
		*c = simClient{gone: true} // an event that is long off may still know it
	}
	s.clients = nil
	for _, p := range s.pools {
		for _, v := range p.servers {
			v.forget()
		}
	}
}
