package proxy

import (
	"time"

	"nutmeg/internal/evloop"
)

// identity is the session state that the connections of a lane have in common. Clients with the same identity share lanes.
// It is interned: within a workerPool two clients have the same identity if they point at the same one.
//
// The pool's own identity, which most clients have, is nil: protocol version 2, redis_db, the default user.
type identity struct {
	identityKey
	pool    *workerPool
	index   int  // of its lane, in each server's lanes
	clients int  // that have it, or are trying it
	proven  bool // a server has accepted it
	idle    evloop.Timer
}

// identityKey is what makes two identities different.
type identityKey struct {
	protocol int // 2 or 3
	database int
	user     string // "" is the default user
	password string // of the user; "" with no user: the pool's
	noTouch  bool   // CLIENT NO-TOUCH
}

// userName is what servers call the user.
func (k identityKey) userName() string {
	if k.user == "" || k.user == nobody {
		return "default"
	}
	return k.user
}

const (
	// identityIdle is for how long a lane is kept that no client uses: applications connect and leave all the time.
	identityIdle = int64(10 * time.Second)
	// mostIdentities bounds the lanes to each server. Every one is at least a connection.
	mostIdentities = 1024
)

// ownIdentity is what nil stands for.
func (p *workerPool) ownIdentity() identityKey {
	return identityKey{protocol: 2, database: p.conf.RedisDB}
}

// identify returns the identity with a key, to be given back with forgo. ok is false if there are too many.
func (p *workerPool) identify(key identityKey) (id *identity, ok bool) {
	if key == p.ownIdentity() {
		return nil, true
	}
	id = p.identities[key]
	if id == nil {
		if len(p.identities) >= mostIdentities && !p.endIdle() {
			return nil, false
		}
		id = &identity{identityKey: key, pool: p, index: p.freeLane()}
		if p.identities == nil {
			p.identities = map[identityKey]*identity{}
		}
		p.identities[key] = id
	}
	id.clients++
	p.worker.loop.Disarm(&id.idle)
	return id, true
}

// freeLane is the least index that no identity has.
func (p *workerPool) freeLane() int {
	taken := make([]bool, len(p.identities)+1)
	for _, id := range p.identities {
		if id.index < len(taken) {
			taken[id.index] = true
		}
	}
	for i, is := range taken {
		if !is {
			return i
		}
	}
	return len(taken)
}

// forgo says that a client has another identity now. The last one leaves the lanes to whoever comes soon.
func (p *workerPool) forgo(id *identity) {
	if id == nil {
		return
	}
	id.clients--
	switch {
	case id.clients == 0 && !id.proven:
		id.Expired() // who tries passwords shall not fill the table
	case id.clients == 0:
		p.worker.loop.Arm(&id.idle, p.worker.loop.Now()+identityIdle, id)
	}
}

// endIdle ends one of the identities that nobody has, before its time. It reports false if there is none.
func (p *workerPool) endIdle() bool {
	var idle *identity
	for _, id := range p.identities {
		if id.clients == 0 && (idle == nil || id.index < idle.index) {
			idle = id
		}
	}
	if idle == nil {
		return false
	}
	p.worker.loop.Disarm(&idle.idle)
	idle.Expired()
	return true
}

// Expired ends an identity that nobody has had for a while, and its lanes.
func (id *identity) Expired() {
	if id.clients > 0 {
		return
	}
	p := id.pool
	delete(p.identities, id.identityKey)
	for _, s := range p.servers {
		if id.index < len(s.lanes) && s.lanes[id.index] != nil {
			s.lanes[id.index].retire()
			s.lanes[id.index] = nil
		}
	}
}

// endIdentities disarms what would outlive a pool, or the worker.
func (p *workerPool) endIdentities() {
	for _, id := range p.identities {
		p.worker.loop.Disarm(&id.idle)
	}
}
