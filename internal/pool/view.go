package pool

import (
	"fmt"
	"math"
	"slices"

	"nutmeg/internal/distribution"
)

// never is a time that does not come.
const never = math.MaxInt64

// view is what Pick needs to know. It is immutable, so all workers agree on
// who is in from one Pick to the next.
type view struct {
	owners     distribution.Distribution // of those in; of the last that were if none is
	plainUntil int64                     // before it, Pick may ask owners and nothing else
	nextRetry  int64                     // when the next ejected server comes back, or may be tried, by itself; or never
	allEjected bool
	in         []bool // by server; nil if all are

	trials     []trial                   // of the servers that are half open
	candidates distribution.Distribution // if there are trials: owners, were those servers in
}

// trial is a server that is half open, and who may try it.
type trial struct {
	server int
	claim
}

// pickWithCare is Pick at a time that is not before seen.plainUntil.
func (p *Pool) pickWithCare(seen *view, hash uint32, now int64, worker int) (server int, ok bool) {
	v := seen
	if now >= v.nextRetry {
		v = p.admit(now, worker)
	}
	if len(v.trials) > 0 {
		// Only the keys of the server on trial move, and only for its worker.
		if candidate := v.candidates.Locate(hash); p.mayTry(v, candidate, now, worker) {
			return candidate, true
		}
	}
	if v.allEjected {
		return 0, false
	}
	return v.owners.Locate(hash), true
}

// mayTry reports whether a request of worker may go to candidate because that
// is half open. If nobody tries it yet, worker does from now on.
func (p *Pool) mayTry(v *view, candidate int, now int64, worker int) bool {
	for i := range v.trials {
		switch t := &v.trials[i]; {
		case t.server != candidate:
		case t.held(now):
			return t.worker == worker
		default:
			return p.try(candidate, now, worker)
		}
	}
	return false // it is in: owners know better
}

// try makes worker the one that tries a server that is half open, and reports
// whether it is that.
func (p *Pool) try(server int, now int64, worker int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.servers[server]
	if !s.halfOpen {
		return false // another worker has brought it back or put it out meanwhile
	}
	if s.claim.held(now) {
		return s.claim.worker == worker
	}
	s.claim = newClaim(worker, now, s.retry)
	p.heed(server)
	p.rebuild()
	return true
}

// admit returns the view at time now, which is not before the nextRetry that
// the caller saw. It takes back the servers whose retry time has passed, or
// opens them to a trial.
func (p *Pool) admit(now int64, worker int) *view {
	p.mu.Lock()
	if v := p.view.Load(); now < v.nextRetry { // another worker was faster
		p.mu.Unlock()
		return v
	}
	var back []int
	for i := range p.servers {
		if s := &p.servers[i]; s.out && !s.halfOpen && now >= s.retryAt {
			if p.hasTrials() {
				s.halfOpen = true
				continue
			}
			p.takeBack(i, now)
			back = append(back, i)
		}
	}
	v := p.rebuild()
	p.mu.Unlock()
	for _, server := range back {
		p.tell(server, worker, now)
	}
	return v
}

// rebuild makes the view that follows from p.servers, publishes and returns
// it. The caller holds mu.
func (p *Pool) rebuild() *view {
	in, candidates := make([]bool, len(p.servers)), make([]bool, len(p.servers))
	count, nextRetry := 0, int64(never)
	v := &view{}
	for i := range p.servers {
		switch s := &p.servers[i]; {
		case !s.out:
			in[i], candidates[i] = true, true
			count++
		case s.halfOpen:
			candidates[i] = true
			v.trials = append(v.trials, trial{i, s.claim})
		case !p.hasProbes():
			nextRetry = min(nextRetry, s.retryAt)
		}
	}
	v.in, v.nextRetry, v.plainUntil = in, nextRetry, nextRetry
	if len(v.trials) > 0 {
		v.plainUntil, v.candidates = math.MinInt64, p.distribute(candidates)
	}
	if count > 0 {
		v.owners = p.distribute(in)
	} else {
		// Owner goes on as before, and every Pick has to refuse.
		v.owners, v.plainUntil, v.allEjected = p.view.Load().owners, math.MinInt64, true
	}
	p.view.Store(v)
	return v
}

// partial is the distribution over some of the servers.
type partial struct {
	in    []bool
	owner distribution.Distribution
}

// distribute returns the distribution over the servers that are in, at least
// one. It keeps the slice. The latest two are remembered: a server that comes
// and goes, or is tried and fails, costs no new ones. The caller holds mu.
func (p *Pool) distribute(in []bool) distribution.Distribution {
	if !slices.Contains(in, false) {
		return p.builder.Whole()
	}
	latest, other := &p.recent[0], &p.recent[1]
	if slices.Equal(other.in, in) {
		*latest, *other = *other, *latest
	}
	if !slices.Equal(latest.in, in) {
		owner, err := p.builder.Build(in)
		if err != nil {
			panic(fmt.Sprintf("BUG: a part of a pool that New accepted: %v", err))
		}
		*latest, *other = partial{in, owner}, *latest
	}
	return latest.owner
}
