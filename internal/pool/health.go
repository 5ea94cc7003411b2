package pool

import "nutmeg/internal/config"

// server is the health of one server.
type server struct {
	failures    int    // without a success in between; once it is out, those that put it out
	cause       string // of the last failure that counted
	kept        bool   // at the limit of failures, but the floor kept it in
	steadySince int64  // when the first of failures came; without any, when it began to be well

	out      bool
	outSince int64 // if out
	retryAt  int64 // if out: when it may come back, or be tested
	halfOpen bool  // if out, in a pool with trials: its time has come
	claim    claim // who tests it

	backSince int64 // when it last came back
	retry     int64 // how long it was last put out for
	row       int   // times that it was put out in a row, failed tests included
	ejections int   // in total, failed tests not included
}

// Outcome is what a failure led to.
type Outcome uint8

// What a failure leads to.
const (
	Counted  Outcome = iota // nothing yet, or nothing more
	Kept                    // at the limit, but server_floor keeps the server in
	Ejected                 // the server is out: its keys go to others
	StaysOut                // the server was out, and has failed its test
)

// Verdict is what the pool makes of a failure.
type Verdict struct {
	Outcome Outcome

	// RetryAt says when an ejected server comes back or may be tested. A caller
	// that probes arms a timer for it and then calls Claim. It is 0 unless the
	// outcome is Ejected or StaysOut; so is Row.
	RetryAt int64

	// Row counts how often in a row the server was put out, this time included.
	Row int
}

// Failed counts a failure of server that worker has seen, and says what came
// of it. cause is kept for States.
//
// In a pool with automatic ejection, the server is ejected at the limit of
// failures without a success in between, unless the floor is reached: then it
// stays in, and every further failure asks again. It is out for the retry
// time, which doubles, where configured, with each time in a row. The row ends
// when a server has been in for as long as it was last out.
//
// A failure of a server that is out already changes nothing. All workers share
// the count and each has connections of its own, so one crash is reported many
// times: those that come late say nothing about the server as it will be at
// its retry time, must not put that off, and must not leave it with less than
// the full limit of failures afterwards. A server is out until it is taken
// back, even if its retry time has passed. The exception is the worker that
// tries it (see Succeeded): one failure that it sees puts the server out
// again.
func (p *Pool) Failed(server int, now int64, worker int, cause string) Verdict {
	if !p.lockToCount() {
		return Verdict{}
	}
	defer p.mu.Unlock()
	s := &p.servers[server]
	if s.out {
		if s.halfOpen && s.claim.worker == worker {
			return p.flunk(server, now, cause)
		}
		return Verdict{}
	}
	if s.failures == 0 {
		s.steadySince = now
	}
	s.failures++
	s.cause = cause
	p.heed(server)
	switch {
	case !p.policy.AutoEject || s.failures < p.policy.FailureLimit:
		return Verdict{}
	case p.countIn() <= p.floor():
		s.kept = true
		return Verdict{Outcome: Kept}
	}
	return p.eject(server, now)
}

// Succeeded says that server has answered worker: its failures so far do not
// count any more. It costs an atomic load if there are none.
//
// A server that is ejected stays so. But in a pool with trials, one worker
// tries it after its retry time: the first whose Pick has a key of that
// server. It alone has its keys sent there, until it reports the first success
// here, which brings the server back for all, or the first failure to Failed.
// If it does neither for the length of the retry time, another worker may.
func (p *Pool) Succeeded(server int, now int64, worker int) {
	if p.alert[server].Load() {
		p.heal(server, now, worker)
	}
}

// heal is Succeeded when there is something to do.
func (p *Pool) heal(server int, now int64, worker int) {
	if !p.lockToCount() {
		return
	}
	s := &p.servers[server]
	passed := s.halfOpen && s.claim.worker == worker
	switch {
	case passed:
		p.takeBack(server, now)
		p.rebuild()
	case !s.out && s.failures > 0:
		s.failures, s.kept, s.steadySince = 0, false, now
		p.heed(server)
	}
	p.mu.Unlock()
	if passed {
		p.tell(server, worker, now)
	}
}

// lockToCount locks mu and reports true. Without automatic ejection, when the
// count decides nothing and is only shown, it reports false rather than let a
// request wait for another's.
func (p *Pool) lockToCount() bool {
	if !p.policy.AutoEject {
		return p.mu.TryLock()
	}
	p.mu.Lock()
	return true
}

// eject takes a server out that was in. The caller holds mu.
func (p *Pool) eject(server int, now int64) Verdict {
	s := &p.servers[server]
	if s.rowIsOver(now) {
		s.row = 0
	}
	s.ejections++
	s.kept = false
	s.out, s.outSince = true, now
	verdict := p.putOff(server, now)
	verdict.Outcome = Ejected
	p.rebuild()
	return verdict
}

// flunk leaves a server out that has failed its test. The caller holds mu.
func (p *Pool) flunk(server int, now int64, cause string) Verdict {
	s := &p.servers[server]
	s.failures++
	s.cause = cause
	verdict := p.putOff(server, now)
	verdict.Outcome = StaysOut
	p.rebuild()
	return verdict
}

// putOff sets the next retry time of a server that is out.
func (p *Pool) putOff(server int, now int64) Verdict {
	s := &p.servers[server]
	s.row++
	s.retry = lengthen(retryTime(&p.policy, s.row), p.policy.RetryJitter, p.jitter)
	s.retryAt = later(now, s.retry)
	s.halfOpen, s.claim = false, noClaim
	p.heed(server)
	return Verdict{RetryAt: s.retryAt, Row: s.row}
}

// takeBack puts a server in that was out. The caller holds mu, and rebuilds.
func (p *Pool) takeBack(server int, now int64) {
	s := &p.servers[server]
	s.out, s.halfOpen, s.claim = false, false, noClaim
	s.failures = 0
	s.steadySince, s.backSince = now, now
	p.heed(server)
}

// heed notes whether a success of server would change something.
func (p *Pool) heed(server int) {
	s := &p.servers[server]
	p.alert[server].Store(!s.out && s.failures > 0 || s.halfOpen && s.claim.worker != nobody)
}

// rowIsOver reports whether a server that is in has made up for its ejections.
func (s *server) rowIsOver(now int64) bool { return now-s.backSince >= s.retry }

// countIn returns how many servers are in. The caller holds mu.
func (p *Pool) countIn() (count int) {
	for i := range p.servers {
		if !p.servers[i].out {
			count++
		}
	}
	return count
}

// tell says that a server came back. The caller does not hold mu.
func (p *Pool) tell(server, worker int, now int64) {
	if p.returned != nil {
		p.returned(server, worker, now)
	}
}

func (p *Pool) hasProbes() bool { return p.policy.Return == config.ReturnProbe }

func (p *Pool) hasTrials() bool { return p.policy.Return == config.ReturnTrial }

// floor returns how many servers are never ejected: the configured share of
// them, rounded up.
func (p *Pool) floor() int { return (len(p.servers)*p.policy.Floor + 99) / 100 }
