// Package pool says which server of a pool gets a key now: it joins the hash
// of package hashkit, the distribution of package distribution, and the health
// of the servers: those that keep failing are ejected, and come back.
//
//	Hash(key) -> hash -> Pick(hash, now, worker) -> server index
//	                          ^ immutable view, swapped when a server leaves or comes back
//
// A server is in or out. What takes it out, and back, is the pool's policy
// (config.Health):
//
//	in --Failed, at the limit--> out until its retry time
//	        ^                      |
//	        +-- time: the next Pick
//	        +-- probe: a worker that won Claim reports Passed   (Flunked: out again, longer)
//	        +-- trial: a worker whose Pick is sent there reports Succeeded  (Failed: likewise)
//
// One Pool serves all workers. It does no I/O and has no clock: callers pass
// the time in and report what became of the connections. It knows servers by
// index only, their position in config.Pool.Servers, and workers by number.
package pool

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"nutmeg/internal/config"
	"nutmeg/internal/distribution"
	"nutmeg/internal/hashkit"
)

// Pool is the routing state of one pool. All methods are safe for concurrent
// use. Times are nanoseconds of a monotonic clock that all callers share; it
// does no harm if one caller's now lags behind another's.
//
// Workers are numbers from 0. They tell the pool who took on the test of an
// ejected server, so that only its reports decide.
type Pool struct {
	hash      hashkit.Func
	tag       string // "" or the two bytes around the hashed part of a key
	oneServer bool
	random    bool
	policy    config.Health
	returned  func(server, worker int, now int64)

	builder *distribution.Builder // of those that are in; it is also the distribution over all
	view    atomic.Pointer[view]  // replaced under mu only
	alert   []atomic.Bool         // per server: a success would change something

	mu      sync.Mutex // guards what follows
	servers []server
	recent  [2]partial
	jitter  *rand.Rand
}

// Options are what a Pool needs besides its configuration. The zero value is
// good for a pool that nobody watches.
type Options struct {
	// Seed makes the random part of retry times (server_retry_jitter). Give
	// each process its own, or all of them try the same server at once.
	Seed uint64

	// Returned is called for each server that is taken back, after it was, on
	// the goroutine of the worker whose call took it back. It may use the Pool.
	// nil = nobody asks.
	Returned func(server, worker int, now int64)
}

// New returns the routing state of p with every server in. An error says that
// p names an unknown hash or distribution or has servers that no distribution
// accepts; a pool from package config never gives one.
//
// The distribution, which takes a while if there are many servers, is built by
// Prepare, or when it is first needed.
func New(p *config.Pool, options Options) (*Pool, error) {
	hash, ok := hashkit.ByName(p.Routing.Hash)
	if !ok {
		return nil, fmt.Errorf("pool %s: %q is not a hash function; see the documentation of hash", p.Name, p.Routing.Hash)
	}
	if size := len(p.Routing.HashTag); size != 0 && size != 2 {
		return nil, fmt.Errorf("pool %s: hash tag %q has %d bytes; give two or none", p.Name, p.Routing.HashTag, size)
	}
	members := make([]distribution.Server, len(p.Servers))
	for i, s := range p.Servers {
		members[i] = distribution.Server{Name: s.Name, Weight: s.Weight}
	}
	builder, err := distribution.NewBuilder(p.Routing.Distribution, members)
	if err != nil {
		return nil, fmt.Errorf("pool %s: %w", p.Name, err)
	}
	pool := &Pool{
		hash:      hash,
		tag:       p.Routing.HashTag,
		oneServer: len(members) == 1,
		random:    p.Routing.Distribution == "random",
		policy:    p.Health,
		returned:  options.Returned,
		alert:     make([]atomic.Bool, len(members)),
		servers:   make([]server, len(members)),
		builder:   builder,
		jitter:    rand.New(rand.NewPCG(options.Seed, 0)),
	}
	for i := range pool.servers {
		pool.servers[i].claim = noClaim
	}
	pool.view.Store(&view{owners: builder, plainUntil: never, nextRetry: never})
	return pool, nil
}

// Prepare builds the distribution over all servers, unless that has been done.
// What picks meanwhile waits for it.
func (p *Pool) Prepare() {
	whole := p.builder.Whole()
	p.mu.Lock()
	defer p.mu.Unlock()
	if v := *p.view.Load(); v.owners == distribution.Distribution(p.builder) {
		v.owners = whole
		p.view.Store(&v)
	}
}

// Hash returns the hash of key, of the part inside the hash tag if the pool
// has one. A pool of one server needs none and gets 0; so does the empty key.
// It allocates nothing and does not keep key.
func (p *Pool) Hash(key []byte) uint32 {
	if p.oneServer {
		return 0
	}
	if p.tag != "" {
		key = hashkit.Tagged(key, p.tag[0], p.tag[1])
	}
	return p.hash(key)
}

// Random reports whether the distribution is random: the caller then passes a
// random number instead of a key's hash to Pick and Owner.
func (p *Pool) Random() bool {
	return p.random
}

// Pick returns the index of the server that gets hash at time now from worker.
// ok is false while all servers are ejected: the request fails at once with
// "Connection refused" and no connection is tried.
//
// The first Pick after the retry time of an ejected server takes it back, and
// with it every other server whose time has passed; that call rebuilds the
// distribution. In a pool with trials it opens them for one worker instead:
// see Succeeded. Any other Pick costs one atomic load, one comparison and a
// Locate; and no Pick allocates that does not change who is in.
func (p *Pool) Pick(hash uint32, now int64, worker int) (server int, ok bool) {
	v := p.view.Load()
	if now >= v.plainUntil {
		return p.pickWithCare(v, hash, now, worker)
	}
	return v.owners.Locate(hash), true
}

// Owner returns the index of the server that owns hash among those that are
// in. It still says so while all servers are ejected: then it is the one that
// did last.
//
// Owner takes no server back and knows no trials: a Pick may answer otherwise.
func (p *Pool) Owner(hash uint32) int {
	return p.view.Load().owners.Locate(hash)
}

// Home returns the index of the server that owns hash while all servers are in.
// Unlike Owner's, its answer never changes.
func (p *Pool) Home(hash uint32) int {
	return p.builder.Locate(hash)
}

// In reports whether server is in, as far as Pick knows: it takes no server
// back. It costs one atomic load.
func (p *Pool) In(server int) bool {
	in := p.view.Load().in
	return in == nil || in[server]
}

// Failing reports whether server has failed since it last succeeded, or is
// being tried after an ejection. It costs an atomic load.
func (p *Pool) Failing(server int) bool { return p.alert[server].Load() }
