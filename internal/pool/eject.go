package pool

import (
	"fmt"
	"math"

	"nutmeg/internal/distribution"
)

// never is a time that does not come.
const never = math.MaxInt64

// view is what Pick needs to know. It is immutable.
type view struct {
	owners     distribution.Distribution // of the live; of the last live if there are none
	plainUntil int64                     // before it, Pick may ask owners and nothing else
	nextRetry  int64                     // the earliest retry time of an ejected server, or never
	allEjected bool
}

// ejection is the state of one server.
type ejection struct {
	out     bool
	retryAt int64 // if out: when it may come back
}

// Failed counts a failure of server and reports whether it was ejected for it:
// that is, in a pool with automatic ejection, at the limit of failures without
// a success in between. The server then stays out until now plus the pool's
// retry timeout, and its count starts again at 0.
//
// A failure of a server that is out already changes nothing. All workers share
// the count and each has connections of its own, so one crash is reported many
// times: those that come late say nothing about the server as it will be at
// its retry time, must not put that off, and must not leave it with less than
// the full limit of failures afterwards. A server is out until a Pick takes it
// back, even if its retry time has passed.
func (p *Pool) Failed(server int, now int64) (ejected bool) {
	if !p.health.AutoEject {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	e := &p.ejected[server]
	if e.out || int(p.failures[server].Add(1)) < p.health.FailureLimit {
		return false
	}
	p.failures[server].Store(0)
	*e = ejection{out: true, retryAt: later(now, int64(p.health.RetryTimeout))}
	p.rebuild()
	return true
}

// Succeeded says that server has answered: its failures so far do not count any
// more. It costs an atomic load if there are none. A server that is ejected
// stays so.
func (p *Pool) Succeeded(server int) {
	if count := &p.failures[server]; count.Load() != 0 {
		count.Store(0)
	}
}

// current returns the view at time now, which is not before seen.plainUntil. It
// takes back the servers whose retry time has passed.
func (p *Pool) current(seen *view, now int64) *view {
	if now < seen.nextRetry { // all are out, and for some time yet
		return seen
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if v := p.view.Load(); now < v.nextRetry { // another worker was faster
		return v
	}
	for i := range p.ejected {
		if e := &p.ejected[i]; e.out && now >= e.retryAt {
			*e = ejection{}
		}
	}
	return p.rebuild()
}

// rebuild makes the view that follows from p.ejected, publishes and returns it.
// The caller holds mu.
func (p *Pool) rebuild() *view {
	live := make([]bool, len(p.ejected))
	count, nextRetry := 0, int64(never)
	for i, e := range p.ejected {
		if e.out {
			nextRetry = min(nextRetry, e.retryAt)
		} else {
			live[i] = true
			count++
		}
	}
	v := &view{plainUntil: nextRetry, nextRetry: nextRetry}
	switch count {
	case 0:
		// Keys are still grouped by their owners, and every Pick has to refuse.
		v.owners, v.plainUntil, v.allEjected = p.view.Load().owners, math.MinInt64, true
	case len(live):
		v.owners = p.whole
	default:
		owners, err := distribution.New(p.kind, p.servers, live)
		if err != nil {
			panic(fmt.Sprintf("BUG: a part of a pool that New accepted: %v", err))
		}
		v.owners = owners
	}
	p.view.Store(v)
	return v
}

// later returns now plus timeout, a time before never whatever the timeout.
func later(now, timeout int64) int64 {
	if now > never-1-timeout {
		return never - 1
	}
	return now + timeout
}
