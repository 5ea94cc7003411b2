package pool

import (
	"math"
	"time"
)

// nobody is the worker of a claim that nobody holds.
const nobody = -1

// minClaim is how long a claim is good for at least, however short the retry
// time: a test needs the time of a connection and an answer.
const minClaim = int64(time.Second)

// claim says which worker tests a server, and until when no other may.
type claim struct {
	worker int
	since  int64
	until  int64
}

var noClaim = claim{worker: nobody, until: math.MinInt64}

func newClaim(worker int, now, retry int64) claim {
	return claim{worker: worker, since: now, until: later(now, max(retry, minClaim))}
}

// held reports whether another worker may not take the claim over yet.
func (c *claim) held(now int64) bool { return now < c.until }

// Claim makes worker the one that probes server, if the pool returns servers
// by probes, the server's retry time has passed, and no other probe of it is
// under way. ok says that it is so. The worker then reports Passed or Flunked by the time until:
// from then on, the next Claim may take the probe away from it, so that a
// server is not out for ever because a test came to nothing. A worker that
// does not get the claim need not ask again: whoever has it goes on until the
// server is back.
//
// Nothing else brings a server back in such a pool, so somebody has to call
// Claim at each retry time, and again when a claim has ended.
func (p *Pool) Claim(server int, now int64, worker int) (until int64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.servers[server]
	if !p.hasProbes() || !s.out || now < s.retryAt || s.claim.held(now) {
		return 0, false
	}
	s.claim = newClaim(worker, now, s.retry)
	return s.claim.until, true
}

// Passed says that server has answered the probe of worker, and reports
// whether that brought it back. It did not if another worker has taken the
// probe over since, or the server is in already.
func (p *Pool) Passed(server int, now int64, worker int) (returned bool) {
	p.mu.Lock()
	returned = p.probes(server, worker)
	if returned {
		p.takeBack(server, now)
		p.rebuild()
	}
	p.mu.Unlock()
	if returned {
		p.tell(server, worker, now)
	}
	return returned
}

// Flunked says that server has not answered the probe of worker, for the given
// cause. The server stays out for another retry time. The outcome is StaysOut,
// or Counted if another worker has taken the probe over since.
func (p *Pool) Flunked(server int, now int64, worker int, cause string) Verdict {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.probes(server, worker) {
		return Verdict{}
	}
	return p.flunk(server, now, cause)
}

// probes reports whether worker is the one that probes server. The caller
// holds mu.
func (p *Pool) probes(server, worker int) bool {
	return p.hasProbes() && p.servers[server].claim.worker == worker
}
