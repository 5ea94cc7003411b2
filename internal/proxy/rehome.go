package proxy

import (
	"slices"

	"nutmeg/internal/resp"
)

// When a reload changes a pool's servers, channels may be at home elsewhere. Subscribers follow them: they are subscribed at the new
// home, then unsubscribed at the old one, and notice nothing. A message that is published in between may be missed, or
// come twice.

// resubscribe has all clients of the pool listen where their channels are at home now.
func (p *workerPool) resubscribe() {
	for c := p.worker.clients; c != nil; c = c.next {
		if c.pool == p && c.subscribed() && !c.follow() {
			c.overflowed = true // it has to know that it misses messages, and it does when it is closed
			c.callBack()
		}
	}
}

// follow listens where the client's channels are at home now, and nowhere else. It reports false if the client has to be closed, because
// there is no connection for it.
func (c *client) follow() bool {
	s := &c.session.subscriptions
	before := slices.Clone(s.ears)
	wanted := map[*server]bool{}
	for of := range numScopes {
		for name := range s.names[of] {
			homes := c.pool.homes(of, []byte(name))
			for _, sv := range homes {
				wanted[sv] = true
				ear := c.ear(sv)
				if ear == nil {
					sv.dedicated.leaveQueue(c)
					return false
				}
				ear.sendSilently(resp.AppendCommand(nil, scopes[of].subscribe, name))
			}
			for _, ear := range before {
				if !slices.Contains(homes, ear.server) {
					ear.sendSilently(resp.AppendCommand(nil, scopes[of].unsubscribe, name))
				}
			}
		}
	}
	for _, ear := range before {
		if !wanted[ear.server] {
			ear.retired = true // it goes when what it has been sent is answered
		}
	}
	return true
}
