// Package pool says which server of a pool gets a key now: it joins the hash
// of package hashkit, the distribution of package distribution, and the
// ejection of servers that keep failing.
//
//	Hash(key) -> hash -> Pick(hash, now) -> server index
//	                          ^ immutable view, swapped by Failed and Pick
//
// One Pool serves all workers. It does no I/O and has no clock: callers pass
// the time in and report what became of the connections. It knows servers by
// index only, their position in config.Pool.Servers.
package pool

import (
	"fmt"
	"sync"
	"sync/atomic"

	"nutmeg/internal/config"
	"nutmeg/internal/distribution"
	"nutmeg/internal/hashkit"
)

// Pool is the routing state of one pool. All methods are safe for concurrent
// use. Times are nanoseconds of a monotonic clock that all callers share; it
// does no harm if one caller's now lags behind another's.
type Pool struct {
	hash      hashkit.Func
	tag       string // "" or the two bytes around the hashed part of a key
	oneServer bool
	random    bool
	kind      string // of distribution
	servers   []distribution.Server
	health    config.Health
	whole     distribution.Distribution // with every server in

	view     atomic.Pointer[view] // replaced under mu only
	failures []atomic.Int32       // per server, consecutive

	mu      sync.Mutex // guards ejected
	ejected []ejection // per server
}

// New returns the routing state of p with every server in. An error says that
// p names an unknown hash or distribution or has servers that no distribution
// accepts; a pool from package config never gives one.
func New(p *config.Pool) (*Pool, error) {
	hash, ok := hashkit.ByName(p.Routing.Hash)
	if !ok {
		return nil, fmt.Errorf("pool %s: %q is not a hash function; see the documentation of hash", p.Name, p.Routing.Hash)
	}
	if size := len(p.Routing.HashTag); size != 0 && size != 2 {
		return nil, fmt.Errorf("pool %s: hash tag %q has %d bytes; give two or none", p.Name, p.Routing.HashTag, size)
	}
	servers := make([]distribution.Server, len(p.Servers))
	for i, s := range p.Servers {
		servers[i] = distribution.Server{Name: s.Name, Weight: s.Weight}
	}
	whole, err := distribution.New(p.Routing.Distribution, servers, nil)
	if err != nil {
		return nil, fmt.Errorf("pool %s: %w", p.Name, err)
	}
	pool := &Pool{
		hash:      hash,
		tag:       p.Routing.HashTag,
		oneServer: len(servers) == 1,
		random:    p.Routing.Distribution == "random",
		kind:      p.Routing.Distribution,
		servers:   servers,
		health:    p.Health,
		whole:     whole,
		failures:  make([]atomic.Int32, len(servers)),
		ejected:   make([]ejection, len(servers)),
	}
	pool.view.Store(&view{owners: whole, plainUntil: never, nextRetry: never})
	return pool, nil
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

// Pick returns the index of the server that gets hash at time now. ok is false
// while all servers are ejected: the request fails at once with "Connection
// refused" and no connection is tried.
//
// The first Pick after the retry time of an ejected server takes it back, and
// with it every other server whose time has passed; that call rebuilds the
// distribution. Any other costs one atomic load, one comparison and a Locate,
// and allocates nothing.
func (p *Pool) Pick(hash uint32, now int64) (server int, ok bool) {
	v := p.view.Load()
	if now >= v.plainUntil {
		if v = p.current(v, now); v.allEjected {
			return 0, false
		}
	}
	return v.owners.Locate(hash), true
}

// Owner returns the index of the server to group a key with hash under when a
// request is split. It is the server that Pick last had for it, and still says
// so while all servers are ejected, when every fragment fails alike.
//
// Owner never takes a server back: a Pick that follows may answer otherwise.
func (p *Pool) Owner(hash uint32) int {
	return p.view.Load().owners.Locate(hash)
}
