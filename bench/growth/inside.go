package main

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"nutmeg/internal/config"
	"nutmeg/internal/distribution"
	"nutmeg/internal/pool"
)

// What happens within a worker cannot be seen from outside the daemon: the same
// code runs here.

// members are n servers.
func members(n int) []distribution.Server {
	servers := make([]distribution.Server, n)
	for i := range servers {
		servers[i] = distribution.Server{Name: fmt.Sprintf("server%d.example.net:6379", i), Weight: 1}
	}
	return servers
}

// threadTime is the processor time of this thread, which the goroutine keeps.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// timed is the processor time of act in microseconds, the least of several
// rounds of so many times.
func timed(rounds, times int, act func()) float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	best := time.Duration(1 << 62)
	for range rounds {
		begin := threadTime()
		for range times {
			act()
		}
		best = min(best, threadTime()-begin)
	}
	return float64(best) / float64(times) / float64(time.Microsecond)
}

func poolOf(n int) (*pool.Pool, error) {
	c := &config.Pool{Name: "p", Routing: config.Routing{Hash: "fnv1a_64", Distribution: "ketama"}}
	c.Health = config.Health{AutoEject: true, FailureLimit: 1, RetryTimeout: time.Duration(retry)}
	for _, s := range members(n) {
		c.Servers = append(c.Servers, config.Server{Name: s.Name, Weight: s.Weight})
	}
	p, err := pool.New(c, pool.Options{})
	if err == nil {
		p.Prepare()
	}
	return p, err
}

// far is a time of the pool's clock that does not come, and retry how long
// servers are out.
const (
	retry = int64(time.Second)
	far   = int64(time.Hour)
)

// ejections ejects servers and takes them back, one after the other, because the
// last two distributions are remembered, and returns what each costs. Of the
// servers, one in so many is out all the time; 0 is none.
func ejections(n, outOf int) (out, back float64, err error) {
	p, err := poolOf(n)
	if err != nil {
		return 0, 0, err
	}
	isOut := func(server int) bool { return outOf > 0 && server%outOf == outOf-1 } // never the first
	for server := range n {
		if isOut(server) {
			p.Failed(server, far, 0, "refused")
		}
	}
	now, server := int64(0), 0
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for round := range 30 {
		for server = (server + 1) % n; isOut(server); server = (server + 1) % n {
		}
		one := timed(1, 1, func() { p.Failed(server, now, 0, "refused") })
		now += retry
		two := timed(1, 1, func() { p.Pick(0, now, 0) })
		if round == 0 || one < out {
			out = one
		}
		if round == 0 || two < back {
			back = two
		}
	}
	return out, back, nil
}

func ejectionOf(outOf int) func(b *bed, n int) (float64, error) {
	return func(_ *bed, n int) (float64, error) {
		out, _, err := ejections(n, outOf)
		return out, err
	}
}

func comeback(_ *bed, n int) (float64, error) {
	_, back, err := ejections(n, 0)
	return back, err
}

func continuum(_ *bed, n int) (float64, error) {
	servers := members(n)
	if _, err := distribution.New("ketama", servers, nil); err != nil {
		return 0, err
	}
	return timed(5, max(1, 1000/n), func() { _, _ = distribution.New("ketama", servers, nil) }), nil
}

func lookup(_ *bed, n int) (float64, error) {
	d, err := distribution.New("ketama", members(n), nil)
	if err != nil {
		return 0, err
	}
	hash, sum := uint32(1), 0
	microseconds := timed(20, 100_000, func() {
		hash = hash*1664525 + 1013904223 // all over the continuum
		sum += d.Locate(hash)
	})
	runtime.KeepAlive(sum)
	return microseconds * 1000, nil
}
