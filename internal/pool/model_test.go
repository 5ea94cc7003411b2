package pool

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"nutmeg/internal/config"
)

// slowServer is a server of slowPool.
type slowServer struct {
	out       bool
	failures  int
	retryAt   int64
	lastRetry int64
	backAt    int64
	row       int
	tester    int // -1 = nobody
	testUntil int64
	opened    bool // trials: a Pick has come since its retry time
}

// slowPool is the rules of health, word by word, with a distribution by
// modula, no views, no atomics and no jitter.
type slowPool struct {
	policy   config.Health
	servers  []slowServer
	lastIn   []int
	returned []string
}

func newSlowPool(c *config.Pool) *slowPool {
	m := &slowPool{policy: c.Health, servers: make([]slowServer, len(c.Servers))}
	for i := range m.servers {
		m.servers[i].tester = -1
	}
	m.lastIn = m.in()
	return m
}

func (m *slowPool) in() (in []int) {
	for i := range m.servers {
		if !m.servers[i].out {
			in = append(in, i)
		}
	}
	return in
}

func (m *slowPool) pick(hash uint32, now int64, worker int) (int, bool) {
	var candidates []int
	for i := range m.servers {
		s := &m.servers[i]
		if s.out && now >= s.retryAt {
			switch m.policy.Return {
			case config.ReturnTime:
				m.back(i, now, worker)
			case config.ReturnTrial:
				s.opened = true
			}
		}
		if !s.out || s.opened {
			candidates = append(candidates, i)
		}
	}
	if len(candidates) > 0 {
		i := candidates[int(hash)%len(candidates)]
		if s := &m.servers[i]; s.out {
			if now >= s.testUntil {
				m.test(s, now, worker)
			}
			if s.tester == worker {
				return i, true
			}
		}
	}
	in := m.in()
	if len(in) == 0 {
		return 0, false
	}
	return in[int(hash)%len(in)], true
}

func (m *slowPool) test(s *slowServer, now int64, worker int) {
	s.tester, s.testUntil = worker, now+max(s.lastRetry, int64(time.Second))
}

func (m *slowPool) claim(i int, now int64, worker int) bool {
	s := &m.servers[i]
	if m.policy.Return != config.ReturnProbe || !s.out || now < s.retryAt || now < s.testUntil {
		return false
	}
	m.test(s, now, worker)
	return true
}

func (m *slowPool) back(i int, now int64, worker int) {
	s := &m.servers[i]
	*s = slowServer{lastRetry: s.lastRetry, backAt: now, row: s.row, tester: -1}
	m.lastIn = m.in()
	m.returned = append(m.returned, fmt.Sprint(i, worker, now))
}

func (m *slowPool) putOut(i int, now int64, outcome Outcome) Verdict {
	s := &m.servers[i]
	s.row++
	s.lastRetry = int64(m.policy.RetryTimeout)
	for range s.row - 1 {
		if m.policy.RetryTimeoutMax > 0 {
			s.lastRetry = min(2*s.lastRetry, int64(m.policy.RetryTimeoutMax))
		}
	}
	s.out, s.retryAt, s.tester, s.testUntil, s.opened = true, now+s.lastRetry, -1, 0, false
	if in := m.in(); len(in) > 0 {
		m.lastIn = in
	}
	return Verdict{Outcome: outcome, RetryAt: s.retryAt, Row: s.row}
}

func (m *slowPool) failed(i int, now int64, worker int) Verdict {
	s := &m.servers[i]
	if s.out {
		if m.policy.Return == config.ReturnTrial && s.tester == worker {
			return m.putOut(i, now, StaysOut)
		}
		return Verdict{}
	}
	if s.failures++; !m.policy.AutoEject || s.failures < m.policy.FailureLimit {
		return Verdict{}
	}
	if left := len(m.in()) - 1; 100*left < m.policy.Floor*len(m.servers) {
		return Verdict{Outcome: Kept}
	}
	if now-s.backAt >= s.lastRetry {
		s.row = 0
	}
	return m.putOut(i, now, Ejected)
}

func (m *slowPool) succeeded(i int, now int64, worker int) {
	s := &m.servers[i]
	switch {
	case !s.out:
		s.failures = 0
	case m.policy.Return == config.ReturnTrial && s.tester == worker:
		m.back(i, now, worker)
	}
}

func (m *slowPool) passed(i int, now int64, worker int) bool {
	if m.policy.Return != config.ReturnProbe || m.servers[i].tester != worker {
		return false
	}
	m.back(i, now, worker)
	return true
}

func (m *slowPool) flunked(i int, now int64, worker int) Verdict {
	if m.policy.Return != config.ReturnProbe || m.servers[i].tester != worker {
		return Verdict{}
	}
	return m.putOut(i, now, StaysOut)
}

// status is what State says of a server.
func (m *slowPool) status(i int, now int64) Status {
	s := &m.servers[i]
	switch {
	case s.out && now < s.testUntil && m.policy.Return == config.ReturnTrial:
		return Trial
	case s.out && now < s.testUntil:
		return Probing
	case s.out:
		return Out
	case s.failures > 0:
		return Failing
	}
	return In
}

func randomPolicy(r *rand.Rand) config.Health {
	h := config.Health{
		AutoEject:    r.IntN(10) > 0,
		FailureLimit: 1 + r.IntN(3),
		RetryTimeout: time.Duration(1+r.IntN(5)) * time.Second / 2,
		Return:       config.Return(r.IntN(3)),
		Floor:        []int{0, 0, 0, 10, 34, 50, 100}[r.IntN(7)],
	}
	if r.IntN(2) == 0 {
		h.RetryTimeoutMax = h.RetryTimeout * time.Duration(1+r.IntN(9))
	}
	return h
}

// Whatever happens in whatever order, under whatever policy, the pool does
// what the plain model does.
func TestHealthFollowsThePlainModel(t *testing.T) {
	const runs, steps, workers = 300, 400, 3
	for seed := range uint64(runs) {
		r := rand.New(rand.NewPCG(seed, 1))
		c := modulaPool(1 + r.IntN(6))
		c.Health = randomPolicy(r)
		m := newSlowPool(c)
		var returned []string
		p, err := New(c, Options{Returned: func(server, worker int, now int64) {
			returned = append(returned, fmt.Sprint(server, worker, now))
		}})
		if err != nil {
			t.Fatal(err)
		}
		now := int64(0)
		for step := range steps {
			server, worker, hash := r.IntN(len(c.Servers)), r.IntN(workers), r.Uint32N(60)
			var what string
			var got, want any
			switch r.IntN(12) {
			case 0, 1, 2:
				what = "Pick"
				gotServer, gotOK := p.Pick(hash, now, worker)
				wantServer, wantOK := m.pick(hash, now, worker)
				got, want = fmt.Sprint(gotServer, gotOK), fmt.Sprint(wantServer, wantOK)
			case 3, 4, 5, 6:
				what, got, want = "Failed", p.Failed(server, now, worker, ""), m.failed(server, now, worker)
			case 7:
				what = "Succeeded"
				p.Succeeded(server, now, worker)
				m.succeeded(server, now, worker)
			case 8:
				_, ok := p.Claim(server, now, worker)
				what, got, want = "Claim", ok, m.claim(server, now, worker)
			case 9:
				what, got, want = "Passed", p.Passed(server, now, worker), m.passed(server, now, worker)
			case 10:
				what, got, want = "Flunked", p.Flunked(server, now, worker, ""), m.flunked(server, now, worker)
			case 11:
				what = "waiting"
				now += r.Int64N(3 * second)
			}
			if got != want {
				t.Fatalf("seed %d, step %d, %+v: %s of server %d for worker %d is %v, want %v", seed, step, c.Health, what, server, worker, got, want)
			}
			if fmt.Sprint(returned) != fmt.Sprint(m.returned) {
				t.Fatalf("seed %d, step %d, %+v: after %s returned %q, want %q", seed, step, c.Health, what, returned, m.returned)
			}
			if owner := p.Owner(hash); owner != m.lastIn[int(hash)%len(m.lastIn)] {
				t.Fatalf("seed %d, step %d, %+v: after %s owner %d, last in %v", seed, step, c.Health, what, owner, m.lastIn)
			}
			for i, state := range p.States(now) {
				if status := m.status(i, now); state.Status != status {
					t.Fatalf("seed %d, step %d, %+v: after %s server %d is %v, want %v", seed, step, c.Health, what, i, state, status)
				}
			}
		}
	}
}
