package pool

import (
	"math"
	"slices"

	"nutmeg/internal/config"
)

// SameServers returns, for each server of next, its index in old, or -1 if it
// is not there. It is the same if name, address and protocol are.
func SameServers(next, old *config.Pool) []int {
	type identity struct {
		name     string
		address  config.Address
		protocol config.Protocol
	}
	indexes := make(map[identity]int, len(old.Servers))
	for i, s := range old.Servers {
		indexes[identity{s.Name, s.Address, old.Protocol}] = i
	}
	same := make([]int, len(next.Servers))
	for i, s := range next.Servers {
		same[i] = -1
		if j, ok := indexes[identity{s.Name, s.Address, next.Protocol}]; ok {
			same[i] = j
		}
	}
	return same
}

// Reuse takes over what old has built, if the servers, their weights and their
// distribution are the same: then there is nothing to Prepare. It is called
// before any other method of p.
func (p *Pool) Reuse(old *Pool) {
	if !p.builder.Same(old.builder) {
		return
	}
	p.builder = old.builder
	p.view.Store(&view{owners: p.builder, plainUntil: never, nextRetry: never})
}

// Inherit gives p the health that the servers have in old at time now; from
// holds, for each server of p, its index in old, or -1 for one that is new. It
// is called before any other method of p but Reuse and Prepare, whatever differs
// between the two: servers, weights, distribution, policy.
//
// Where the new policy is milder, it holds at once: nobody is out without
// automatic ejection, nor for longer than the longest retry time, and servers
// return until the floor is met, those first whose time is nearest. Inherit
// returns these, in ascending order; Options.Returned is not called for them.
//
// Workers may use old meanwhile and afterwards. What they report to it after
// the copy is lost, at worst a failure that does not count. A test of an
// ejected server goes on under p with the same worker, if servers return in
// the same way; one that is reported to old is taken over when its claim ends.
func (p *Pool) Inherit(old *Pool, from []int, now int64) (returned []int) {
	old.mu.Lock()
	inherited := slices.Clone(old.servers)
	old.mu.Unlock()

	p.mu.Lock()
	defer p.mu.Unlock()
	for i, j := range from {
		if j < 0 {
			continue
		}
		p.servers[i] = inherited[j]
		s := &p.servers[i]
		if p.policy.Return != old.policy.Return {
			s.halfOpen, s.claim = false, noClaim
		}
		longest := longestRetry(&p.policy)
		s.retry, s.retryAt = min(s.retry, longest), min(s.retryAt, later(now, longest))
		if s.out && !p.policy.AutoEject {
			p.takeBack(i, now)
			returned = append(returned, i)
		}
		p.heed(i)
	}
	for p.countIn() < p.floor() {
		next := p.nextBack()
		p.takeBack(next, now)
		returned = append(returned, next)
	}
	p.rebuild()
	slices.Sort(returned)
	return returned
}

// nextBack returns the ejected server whose retry time is nearest. There is
// one; the caller holds mu.
func (p *Pool) nextBack() int {
	nearest, at := -1, int64(math.MaxInt64)
	for i := range p.servers {
		if s := &p.servers[i]; s.out && s.retryAt < at {
			nearest, at = i, s.retryAt
		}
	}
	return nearest
}
