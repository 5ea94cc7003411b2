package pool

import (
	"math"
	"sync"
	"testing"
	"time"

	"nutmeg/internal/config"
	"nutmeg/internal/distribution"
)

func TestEjectionAtTheLimit(t *testing.T) {
	p := mustNew(t, modulaPool(3))
	checkSpread(t, p, 0, "012012")
	fail(t, p, 1, 1, second, 0)
	checkSpread(t, p, second, "012012")
	fail(t, p, 1, 1, 2*second, 1)
	checkSpread(t, p, 2*second, "020202")
	checkSpread(t, p, 2*second+retry-1, "020202")
	checkSpread(t, p, 2*second+retry, "012012")
}

func TestSuccessResetsTheCount(t *testing.T) {
	p := mustNew(t, modulaPool(3))
	for range 5 {
		fail(t, p, 1, limit-1, 0, 0)
		p.Succeeded(1, 0, 0)
	}
	fail(t, p, 1, limit, 0, limit)
	checkSpread(t, p, 0, "020202")
}

func TestCountsAreOfOneServer(t *testing.T) {
	p := mustNew(t, modulaPool(3))
	fail(t, p, 0, limit-1, 0, 0)
	fail(t, p, 1, limit-1, 0, 0)
	p.Succeeded(2, 0, 0)
	p.Succeeded(0, 0, 0)
	fail(t, p, 1, 1, 0, 1)
}

func TestReturnedServerHasTheFullLimitAgain(t *testing.T) {
	p := mustNew(t, modulaPool(3))
	fail(t, p, 1, limit, 0, limit)
	checkSpread(t, p, retry, "012012")
	fail(t, p, 1, limit, retry, limit)
	checkSpread(t, p, 2*retry-1, "020202")
	checkSpread(t, p, 2*retry, "012012")
}

func TestEjectionOff(t *testing.T) {
	c := modulaPool(3)
	c.Health.AutoEject = false
	p := mustNew(t, c)
	fail(t, p, 1, 10*limit, 0, 0)
	p.Succeeded(1, 0, 0)
	checkSpread(t, p, 0, "012012")
}

func TestWithoutEjectionNobodyWaitsToCount(t *testing.T) {
	c := modulaPool(3)
	c.Health.AutoEject = false
	p := mustNew(t, c)
	p.Failed(1, 0, 0, "refused")
	p.mu.Lock() // as another worker would
	p.Failed(1, 0, 0, "refused")
	p.Succeeded(1, 0, 0)
	p.mu.Unlock()
	if got := p.States(0)[1].Failures; got != 1 {
		t.Errorf("%d failures, want the 1 that could be counted", got)
	}
}

func TestFailuresOfAnEjectedServerChangeNothing(t *testing.T) {
	p := mustNew(t, modulaPool(3))
	fail(t, p, 1, limit, 0, limit)
	fail(t, p, 1, 10*limit, 10*second, 0) // its other connections
	p.Succeeded(1, 0, 0)                  // an answer that was still under way
	checkSpread(t, p, retry-1, "020202")
	fail(t, p, 1, limit-1, retry, 0) // its time has passed, but nobody picked yet
	checkSpread(t, p, retry, "012012")
	fail(t, p, 1, limit, retry, limit)
}

func TestServersReturnOneByOneAsTheirTimesPass(t *testing.T) {
	p := mustNew(t, modulaPool(3))
	fail(t, p, 0, limit, 0, limit)
	fail(t, p, 2, limit, second, limit)
	checkSpread(t, p, retry-1, "111111")
	checkSpread(t, p, retry, "010101")
	checkSpread(t, p, retry+second, "012012")
}

func TestOnePickTakesBackAllWhoseTimeHasPassed(t *testing.T) {
	p := mustNew(t, modulaPool(3))
	fail(t, p, 0, limit, 0, limit)
	fail(t, p, 1, limit, second, limit)
	fail(t, p, 2, limit, 5*second, limit)
	checkSpread(t, p, retry+second, "010101")
}

func TestAllEjected(t *testing.T) {
	p := mustNew(t, modulaPool(3))
	fail(t, p, 2, limit, 0, limit)
	fail(t, p, 0, limit, 1, limit)
	checkSpread(t, p, 2, "111111")
	fail(t, p, 1, limit, 2, limit)
	checkSpread(t, p, 2, "------")
	checkSpread(t, p, retry-1, "------")
	if got := p.Owner(5); got != 1 {
		t.Errorf("Owner = %d, want 1: the last that was in", got)
	}
	checkSpread(t, p, retry, "222222")
	checkSpread(t, p, retry+2, "012012")
}

func TestAllEjectedInAPoolOfOneServer(t *testing.T) {
	p := mustNew(t, modulaPool(1))
	fail(t, p, 0, limit, 0, limit)
	checkSpread(t, p, retry-1, "------")
	if got := p.Owner(3); got != 0 {
		t.Errorf("Owner = %d, want 0", got)
	}
	checkSpread(t, p, retry, "000000")
}

func TestLimitOfZeroIsOne(t *testing.T) {
	c := modulaPool(3)
	c.Health.FailureLimit = 0
	p := mustNew(t, c)
	fail(t, p, 1, 1, 0, 1)
	checkSpread(t, p, 0, "020202")
}

func TestRetryTimeoutOfZeroReturnsAtOnce(t *testing.T) {
	c := modulaPool(3)
	c.Health.RetryTimeout = 0
	p := mustNew(t, c)
	fail(t, p, 1, limit, second, limit)
	checkSpread(t, p, second, "012012")
}

func TestEndlessRetryTimeoutDoesNotOverflow(t *testing.T) {
	c := modulaPool(3)
	c.Health.RetryTimeout = math.MaxInt64
	p := mustNew(t, c)
	fail(t, p, 1, limit, second, limit)
	checkSpread(t, p, second, "020202")
	checkSpread(t, p, never-2, "020202")
}

func TestOwnerTakesNobodyBack(t *testing.T) {
	p := mustNew(t, modulaPool(3))
	fail(t, p, 1, limit, 0, limit)
	if got := p.Owner(1); got != 2 {
		t.Errorf("Owner = %d, want 2", got)
	}
}

func TestWeightsOfTheLiveShareTheContinuum(t *testing.T) {
	c := modulaPool(3)
	c.Routing.Distribution = "ketama"
	servers := make([]distribution.Server, 3)
	for i := range c.Servers {
		c.Servers[i].Weight = i + 1
		servers[i] = distribution.Server{Name: c.Servers[i].Name, Weight: i + 1}
	}
	p := mustNew(t, c)
	fail(t, p, 1, limit, 0, limit)
	want, err := distribution.New("ketama", servers, []bool{true, false, true})
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint32(1 << 12) {
		if got, _ := p.Pick(i<<20, 0, 0); got != want.Locate(i<<20) {
			t.Fatalf("Pick(%#x) = %d, want %d", i<<20, got, want.Locate(i<<20))
		}
	}
}

func TestWorkersShareAPool(t *testing.T) {
	const servers, workers, rounds = 5, 4, 3000
	c := modulaPool(servers)
	c.Health.RetryTimeout = 50 // ns: rounds below
	p := mustNew(t, c)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for now := range int64(rounds) {
				server, ok := p.Pick(uint32(now)*7+uint32(w), now, w)
				if server < 0 || server >= servers {
					t.Errorf("Pick = %d", server)
				}
				switch {
				case !ok:
				case now%3 == 0:
					p.Succeeded(server, now, 0)
				default:
					p.Failed(server, now, w, "")
				}
				p.Owner(uint32(now))
			}
		})
	}
	group.Wait()
	for hash := range uint32(servers) {
		if server, ok := p.Pick(hash, 2*rounds, 0); !ok || server != int(hash) {
			t.Errorf("at the end Pick(%d) = %d, %v", hash, server, ok)
		}
	}
}

func TestOfManyFailuresAtOnceOneEjects(t *testing.T) {
	p := mustNew(t, modulaPool(3))
	var group sync.WaitGroup
	ejections := make(chan int, 64)
	for range 64 {
		group.Go(func() {
			if p.Failed(1, 0, 0, "").Outcome == Ejected {
				ejections <- 1
			}
		})
	}
	group.Wait()
	if len(ejections) != 1 {
		t.Errorf("%d ejections, want 1", len(ejections))
	}
}

// model is the rules of ejection word by word, without views and atomics.
type model struct {
	limit    int
	retry    int64
	auto     bool
	failures []int
	retryAt  []int64 // -1 = in
	lastLive []int
}

func newModel(c *config.Pool) *model {
	m := &model{limit: c.Health.FailureLimit, retry: int64(c.Health.RetryTimeout), auto: c.Health.AutoEject}
	for i := range c.Servers {
		m.failures = append(m.failures, 0)
		m.retryAt = append(m.retryAt, -1)
		m.lastLive = append(m.lastLive, i)
	}
	return m
}

func (m *model) live() (live []int) {
	for i, at := range m.retryAt {
		if at < 0 {
			live = append(live, i)
		}
	}
	return live
}

func (m *model) pick(hash uint32, now int64) (int, bool) {
	for i, at := range m.retryAt {
		if at >= 0 && now >= at {
			m.retryAt[i] = -1
		}
	}
	live := m.live()
	if len(live) == 0 {
		return 0, false
	}
	m.lastLive = live
	return live[int(hash)%len(live)], true
}

func (m *model) fail(server int, now int64) bool {
	if !m.auto || m.retryAt[server] >= 0 {
		return false
	}
	if m.failures[server]++; m.failures[server] < m.limit {
		return false
	}
	m.failures[server], m.retryAt[server] = 0, now+m.retry
	if live := m.live(); len(live) > 0 {
		m.lastLive = live
	}
	return true
}

// Whatever happens in whatever order, the pool does what the plain model does.
func FuzzEjection(f *testing.F) {
	f.Add(uint8(3), uint8(2), uint8(30), true, []byte("\x00\x11\x11\x21\xf3\x00"))
	f.Add(uint8(1), uint8(1), uint8(9), true, []byte("\x10\x00\x33\x00\x33\x00"))
	f.Add(uint8(2), uint8(1), uint8(0), false, []byte("\x10\x11\x10\x00\x01"))
	f.Fuzz(func(t *testing.T, servers, limit, retry uint8, auto bool, script []byte) {
		c := modulaPool(int(servers)%6 + 1)
		c.Health = config.Health{AutoEject: auto, FailureLimit: int(limit)%4 + 1, RetryTimeout: time.Duration(retry)}
		p, m := mustNew(t, c), newModel(c)
		now := int64(0)
		for step, b := range script {
			argument := int(b >> 2)
			server := argument % len(c.Servers)
			switch b & 3 {
			case 0:
				got, ok := p.Pick(uint32(argument), now, 0)
				want, wantOK := m.pick(uint32(argument), now)
				if ok != wantOK || ok && got != want {
					t.Fatalf("step %d: Pick = %d, %v; want %d, %v", step, got, ok, want, wantOK)
				}
			case 1:
				if got, want := p.Failed(server, now, 0, "").Outcome == Ejected, m.fail(server, now); got != want {
					t.Fatalf("step %d: Failed(%d) = %v, want %v", step, server, got, want)
				}
			case 2:
				p.Succeeded(server, now, 0)
				m.failures[server] = 0
			case 3:
				now += int64(argument)
			}
			if owner := p.Owner(uint32(argument)); owner != m.lastLive[argument%len(m.lastLive)] {
				t.Fatalf("step %d: Owner = %d, last live %v", step, owner, m.lastLive)
			}
		}
	})
}

func TestInKnowsWhoIsEjected(t *testing.T) {
	p := mustNew(t, modulaPool(3))
	fail(t, p, 1, limit, 0, limit)
	for server, want := range []bool{true, false, true} {
		if p.In(server) != want {
			t.Errorf("server %d is in: %v", server, !want)
		}
	}
	checkSpread(t, p, retry, "012012")
	if !p.In(1) {
		t.Error("server 1 is not in when it is back")
	}
}

func TestFailingUntilItSucceeds(t *testing.T) {
	for _, ejects := range []bool{true, false} {
		c := modulaPool(3)
		c.Health.AutoEject = ejects
		p := mustNew(t, c)
		fail(t, p, 1, 1, 0, 0)
		if p.Failing(0) || !p.Failing(1) {
			t.Errorf("ejection %v: failing are %v and %v, want the second", ejects, p.Failing(0), p.Failing(1))
		}
		p.Succeeded(1, 0, 0)
		if p.Failing(1) {
			t.Errorf("ejection %v: failing after a success", ejects)
		}
	}
}
