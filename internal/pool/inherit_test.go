package pool

import (
	"slices"
	"sync"
	"testing"
	"time"

	"nutmeg/internal/config"
)

func TestSameServers(t *testing.T) {
	server := func(name, host string, port, weight int) config.Server {
		return config.Server{Name: name, Address: config.Address{Network: "tcp", Host: host, Port: port}, Weight: weight}
	}
	old := &config.Pool{Servers: []config.Server{server("a", "h", 1, 1), server("b", "h", 2, 1), server("c", "h", 3, 1)}}
	tests := []struct {
		rule    string
		servers []config.Server
		redis   bool
		want    []int
	}{
		{"unchanged", old.Servers, false, []int{0, 1, 2}},
		{"another order", []config.Server{old.Servers[2], old.Servers[0]}, false, []int{2, 0}},
		{"another weight is the same server", []config.Server{server("b", "h", 2, 9)}, false, []int{1}},
		{"another address is another server", []config.Server{server("b", "h", 3, 1), server("b", "i", 2, 1)}, false, []int{-1, -1}},
		{"another name is another server", []config.Server{server("d", "h", 2, 1)}, false, []int{-1}},
		{"another protocol is another server", old.Servers, true, []int{-1, -1, -1}},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			next := &config.Pool{Servers: tt.servers}
			if tt.redis {
				next.Protocol = config.Redis
			}
			if got := SameServers(next, old); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// heir is a pool of count servers that is to inherit; change may be nil.
func heir(t *testing.T, count int, change func(*config.Health)) *Pool {
	t.Helper()
	c := modulaPool(count)
	if change != nil {
		change(&c.Health)
	}
	return mustNew(t, c)
}

func TestInherit(t *testing.T) {
	old, _ := returning(t, config.ReturnTime, 3)
	old.Failed(0, 1*second, 0, "refused")
	eject(t, old, 1, 2*second)
	before := old.States(3 * second)

	next := heir(t, 4, nil)
	if back := next.Inherit(old, []int{2, -1, 1, 0}, 3*second); len(back) != 0 {
		t.Errorf("returned %v", back)
	}
	want := []State{before[2], {}, before[1], before[0]}
	if got := next.States(3 * second); !slices.Equal(got, want) {
		t.Errorf("states %+v, want %+v", got, want)
	}
	checkSpread(t, next, 3*second, "013013")
	checkSpread(t, next, 2*second+retry, "012301")
	if v := next.Failed(3, 3*second, 0, "refused"); v.Outcome != Ejected {
		t.Errorf("the failures so far do not count: %+v", v)
	}
	checkSpread(t, next, 2*second+retry, "012012")

	old.Failed(2, 3*second, 0, "refused")
	checkSpread(t, old, 3*second, "020202")
	if got := next.States(3 * second)[0]; got != before[2] {
		t.Errorf("the old pool changes the new one: %+v", got)
	}
}

func TestInheritCountsTowardsTheNextSuccess(t *testing.T) {
	old := mustNew(t, modulaPool(2))
	old.Failed(0, 0, 0, "refused")
	next := heir(t, 2, nil)
	next.Inherit(old, []int{0, 1}, 0)
	next.Succeeded(0, 1, 0)
	fail(t, next, 0, limit-1, 1, 0)
}

func TestInheritAllEjected(t *testing.T) {
	old := mustNew(t, modulaPool(2))
	eject(t, old, 0, 0)
	eject(t, old, 1, second)
	next := heir(t, 1, nil)
	next.Inherit(old, []int{1}, 2*second)
	checkSpread(t, next, second+retry-1, "------")
	checkSpread(t, next, second+retry, "000000")
	if got := next.Owner(1); got != 0 {
		t.Errorf("Owner = %d", got)
	}
}

func TestInheritUnderAMilderPolicy(t *testing.T) {
	tests := []struct {
		rule   string
		change func(*config.Health)
		back   []int
		spread string // at 9 s
		later  string // at 16 s
	}{
		{"unchanged", nil, nil, "000000", "000000"},
		{"without ejection all return", func(h *config.Health) { h.AutoEject = false }, []int{1, 2, 3}, "012301", "012301"},
		{"a floor brings back those whose time is nearest", func(h *config.Health) { h.Floor = 75 }, []int{1, 3}, "013013", "013013"},
		{"a floor that is met brings back nobody", func(h *config.Health) { h.Floor = 25 }, nil, "000000", "000000"},
		{"nobody waits longer than the new retry time", func(h *config.Health) { h.RetryTimeout = 6 * time.Second }, nil, "000000", "012301"},
		{"or than its maximum", func(h *config.Health) { h.RetryTimeout, h.RetryTimeoutMax = 1, 6*time.Second }, nil, "000000", "012301"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			old := mustNew(t, modulaPool(4))
			eject(t, old, 3, 1*second)
			eject(t, old, 1, 2*second)
			eject(t, old, 2, 8*second)
			next := heir(t, 4, tt.change)
			if back := next.Inherit(old, []int{0, 1, 2, 3}, 9*second); !slices.Equal(back, tt.back) {
				t.Errorf("returned %v, want %v", back, tt.back)
			}
			checkSpread(t, next, 9*second, tt.spread)
			checkSpread(t, next, 16*second, tt.later)
		})
	}
}

func TestClaimsAreNotLongerThanTheInheritedPolicySays(t *testing.T) {
	old, _ := returning(t, config.ReturnProbe, 2)
	eject(t, old, 1, 0)
	next := heir(t, 2, func(h *config.Health) { h.Return, h.RetryTimeout = config.ReturnProbe, 5*time.Second })
	next.Inherit(old, []int{0, 1}, 0)
	if until, ok := next.Claim(1, 5*second, 0); !ok || until != 10*second {
		t.Errorf("Claim = %v, %v", until, ok)
	}
}

func TestInheritATest(t *testing.T) {
	probing := func(h *config.Health) { h.Return = config.ReturnProbe }
	trying := func(h *config.Health) { h.Return = config.ReturnTrial }
	same := []int{0, 1, 2}
	probe := func(t *testing.T) *Pool {
		p, _ := returning(t, config.ReturnProbe, 3)
		eject(t, p, 1, 0)
		p.Claim(1, retry, 7)
		return p
	}
	trial := func(t *testing.T) *Pool {
		p, _ := returning(t, config.ReturnTrial, 3)
		eject(t, p, 1, 0)
		checkSpreadOf(t, p, 7, retry, "010212")
		return p
	}
	t.Run("a probe goes on", func(t *testing.T) {
		next := heir(t, 3, probing)
		next.Inherit(probe(t), same, retry)
		if _, ok := next.Claim(1, retry, 0); ok {
			t.Error("another may probe")
		}
		if !next.Passed(1, retry, 7) {
			t.Error("the probe did not bring it back")
		}
	})
	t.Run("a trial goes on", func(t *testing.T) {
		next := heir(t, 3, trying)
		next.Inherit(trial(t), same, retry)
		checkSpreadOf(t, next, 0, retry, "020202")
		checkSpreadOf(t, next, 7, retry, "010212")
		next.Succeeded(1, retry, 7)
		checkSpreadOf(t, next, 0, retry, "012012")
	})
	t.Run("a probe is no trial", func(t *testing.T) {
		next := heir(t, 3, trying)
		next.Inherit(probe(t), same, retry)
		next.Succeeded(1, retry, 7)
		checkSpreadOf(t, next, 0, retry, "010212")
	})
	t.Run("a trial is no probe", func(t *testing.T) {
		next := heir(t, 3, probing)
		next.Inherit(trial(t), same, retry)
		checkSpreadOf(t, next, 7, retry, "020202")
		if _, ok := next.Claim(1, retry, 0); !ok {
			t.Error("nobody may probe")
		}
	})
	t.Run("after a trial time is enough", func(t *testing.T) {
		next := heir(t, 3, nil)
		next.Inherit(trial(t), same, retry)
		checkSpreadOf(t, next, 0, retry, "012012")
	})
}

// Workers go on with the old pool while its health is copied.
func TestInheritWhileWorkersReport(t *testing.T) {
	c := modulaPool(4)
	c.Health.RetryTimeout = 50
	old := mustNew(t, c)
	var workers, heirs sync.WaitGroup
	done := make(chan struct{})
	for w := range 3 {
		workers.Go(func() {
			for now := range int64(3000) {
				server, ok := old.Pick(uint32(now), now, w)
				if ok && now%5 == 0 {
					old.Succeeded(server, now, w)
				} else {
					old.Failed(server, now, w, "refused")
				}
			}
		})
	}
	heirs.Go(func() {
		for {
			next := mustNew(t, c)
			next.Inherit(old, []int{3, 2, 1, 0}, 1000)
			checkSpread(t, next, 1<<40, "012301")
			select {
			case <-done:
				return
			default:
			}
		}
	})
	workers.Wait()
	close(done)
	heirs.Wait()
}

// A pool that only its settings set apart from another builds nothing; one of
// other servers or weights does.
func TestReuseOfWhatWasBuilt(t *testing.T) {
	c := modulaPool(3)
	c.Routing.Distribution = "ketama"
	old := mustNew(t, c)
	old.Prepare()
	same, heavier := *c, *c
	same.Timeout, same.Routing.HashTag = time.Second, "{}"
	heavier.Servers = slices.Clone(c.Servers)
	heavier.Servers[1].Weight = 7
	for name, tt := range map[string]struct {
		conf   *config.Pool
		reuses bool
	}{"other settings": {&same, true}, "another weight": {&heavier, false}} {
		p := mustNew(t, tt.conf)
		p.Reuse(old)
		p.Prepare()
		if got := ownersNow(p) == ownersNow(old); got != tt.reuses {
			t.Errorf("%s: reused is %v, want %v", name, got, tt.reuses)
		}
		if p.Pick(1<<31, 0, 0); p.Home(1<<31) != p.Owner(1<<31) {
			t.Errorf("%s: the owner is not who it is at home", name)
		}
	}
}
