package proxy

import (
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/config"
	"nutmeg/internal/evloop"
	"nutmeg/internal/testkit/sim"
)

// What things cost in bytes and allocations is counted here, and how that grows with n. Time is measured by bench/growth.

// checkGrowth fits the exponent of cost(n) between the smallest and the largest n, and wants it to be at most so much.
func checkGrowth(t *testing.T, most float64, sizes []int, cost func(n int) (bytes, allocations float64)) {
	t.Helper()
	var bytes, allocations []float64
	for _, n := range sizes {
		b, a := cost(n)
		bytes, allocations = append(bytes, max(b, 1)), append(allocations, max(a, 1))
	}
	last := len(sizes) - 1
	for what, costs := range map[string][]float64{"bytes": bytes, "allocations": allocations} {
		e := math.Log(costs[last]/costs[0]) / math.Log(float64(sizes[last])/float64(sizes[0]))
		t.Logf("n = %v: %.0f %s, n^%.2f", sizes, costs, what, e)
		if e > most {
			t.Errorf("%s grow like n^%.2f, want n^%.2f at most", what, e, most)
		}
	}
}

// spent is what do allocates.
func spent(do func()) (bytes, allocations float64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return float64(after.TotalAlloc - before.TotalAlloc), float64(after.Mallocs - before.Mallocs)
}

// manyServers is a configuration of n servers in pools of so many.
func manyServers(t *testing.T, n, perPool int, settings string) *config.Config {
	t.Helper()
	var text strings.Builder
	for i := range n {
		if i%perPool == 0 {
			fmt.Fprintf(&text, "p%d:\n  listen: 127.0.0.1:%d\n  redis: true\n%s  servers:\n", i/perPool, 10000+i/perPool, settings)
		}
		fmt.Fprintf(&text, "   - 10.%d.%d.%d:6379:1\n", i/perPool, i%perPool/200, i%perPool%200)
	}
	conf, err := config.Parse("f", []byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	return conf
}

// multitude is the engine with many servers, none of which is there.
type multitude struct {
	*sim.World
	proxy *Proxy
}

func newMultitude(t *testing.T, conf *config.Config, workers int) *multitude {
	t.Helper()
	c := &multitude{World: sim.New(1)}
	outsides := make([]evloop.Outside, workers)
	for i := range outsides {
		outsides[i] = c.Outside(fmt.Sprint("worker", i))
	}
	var err error
	if c.proxy, err = New(conf, outsides, slog.New(slog.DiscardHandler)); err == nil {
		err = c.proxy.Listen(nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *multitude) reload(t *testing.T, conf *config.Config) {
	t.Helper()
	done := false
	c.proxy.Change(conf, func(err error) {
		if err != nil {
			t.Error(err)
		}
		done = true
	})
	if err := c.Run(c.proxy.Loops(), func() bool { return done }, time.Minute); err != nil {
		t.Fatal(err)
	}
}

const growthLimit = 1.1

func TestMemoryGrowsWithServers(t *testing.T) {
	for name, perPool := range map[string]int{"in one pool": 10_000, "in pools of 10": 10} {
		t.Run(name, func(t *testing.T) {
			checkGrowth(t, growthLimit, []int{100, 300, 1000}, func(n int) (float64, float64) {
				conf := manyServers(t, n, perPool, "")
				return spent(func() {
					c := newMultitude(t, conf, 1)
					c.proxy.current.Load().prepare(2)
				})
			})
		})
	}
}

func TestMemoryGrowsWithWorkers(t *testing.T) {
	conf := manyServers(t, 100, 10, "")
	checkGrowth(t, growthLimit, []int{2, 8, 32}, func(n int) (float64, float64) {
		return spent(func() { newMultitude(t, conf, n) })
	})
}

func TestReloadGrowsWithServers(t *testing.T) {
	for name, perPool := range map[string]int{"in one pool": 10_000, "in pools of 10": 10} {
		t.Run(name, func(t *testing.T) {
			checkGrowth(t, growthLimit, []int{100, 300, 1000}, func(n int) (float64, float64) {
				c := newMultitude(t, manyServers(t, n, perPool, ""), 1)
				next := manyServers(t, n, perPool, "  timeout: 100\n")
				return spent(func() { c.reload(t, next) })
			})
		})
	}
}

// A reload that leaves the servers as they are leaves their continua as they are.
func TestReloadBuildsNoContinuumAgain(t *testing.T) {
	const n = 1000
	c := newMultitude(t, manyServers(t, n, n, ""), 1)
	c.proxy.current.Load().prepare(2)
	next := manyServers(t, n, n, "  timeout: 100\n")
	bytes, _ := spent(func() { c.reload(t, next) })
	if most := 1000.0 * n; bytes > most { // a continuum takes 2,300 bytes a server
		t.Errorf("%.0f bytes for %d servers, want %.0f at most", bytes, n, most)
	}
}

func TestSnapshotGrowsWithServers(t *testing.T) {
	checkGrowth(t, growthLimit, []int{100, 300, 1000}, func(n int) (float64, float64) {
		c := newMultitude(t, manyServers(t, n, 10, ""), 1)
		return spent(func() { c.proxy.workers[0].snapshot() })
	})
}

// TestMemoryGrowsWithClients counts the simulated ends of the clients, too.
func TestMemoryGrowsWithClients(t *testing.T) {
	checkGrowth(t, growthLimit, []int{100, 400, 1600}, func(n int) (float64, float64) {
		a := newArena(t, 1, redisLanguage{}, 1, 1, "  client_idle_timeout: 60000\n")
		return spent(func() {
			for range n {
				a.talk()
			}
			a.wait(time.Second)
		})
	})
}

// A client that comes or goes costs the same however many others there are.
func TestAcceptDoesNotGrowWithClients(t *testing.T) {
	checkGrowth(t, 0.1, []int{100, 400, 1600}, func(n int) (float64, float64) {
		a := newArena(t, 1, redisLanguage{}, 1, 1, "  client_idle_timeout: 60000\n")
		for range n {
			a.talk()
		}
		a.wait(time.Second)
		return spent(func() {
			for range 50 {
				c := a.talk()
				a.wait(10 * time.Millisecond)
				c.Close()
				a.wait(10 * time.Millisecond)
			}
		})
	})
}
