package proxy

import (
	"fmt"

	"nutmeg/internal/buffer"
	"nutmeg/internal/resp"
)

// heldRequest is a whole request that cannot be dispatched yet: something in flight has to be answered first, or there is no
// connection for it. Its client waits: nothing else of it is dispatched before.
type heldRequest struct {
	rope     buffer.Buffer
	args     []resp.Span
	deadline int64    // when it is refused; 0 = never
	ends     bool     // it ends the client's transaction, whatever comes of it
	cause    *failure // why it cannot be dispatched any more: one of the connections that it needs has failed
}

// hold keeps a request until nothing of its client is in flight, or until callBack is called. It is dispatched then as if it
// had just come, and may be held again.
func (c *client) hold(m *message) {
	w := c.worker
	h := &c.needSession().held
	c.holding = true
	if m.rope == &h.rope {
		return // it was held before
	}
	h.rope.Reset(&w.loop.Chunks) // it was held before, as another request that means the same
	if m.rope != nil && m.flat == nil {
		h.rope.Take(&w.loop.Chunks, m.rope)
	} else {
		h.rope.Append(&w.loop.Chunks, m.flat)
	}
	h.args = append(h.args[:0], m.args...)
}

// expireHeld refuses the held request when it has waited for too long, and returns when that will be; 0 is never.
func (c *client) expireHeld(now int64) int64 {
	if !c.holding {
		return 0
	}
	s := c.session
	if s.queued == nil {
		return 0 // it waits for an answer
	}
	if s.held.deadline == 0 || s.held.deadline > now {
		return s.held.deadline
	}
	name := printable([]byte(s.queued.server.conf.Name))
	c.refuseHeld(&failure{text: fmt.Sprintf("no connection of its own to server %s became free in time "+
		"(dedicated_connections, dedicated_timeout)", name)})
	return 0
}

// refuseHeld answers the held request with a cause, and lets go of what it has got and waits for.
func (c *client) refuseHeld(cause *failure) {
	s := c.session
	if s.queued != nil {
		s.queued.leaveQueue(c)
	}
	if s.held.ends {
		c.endTransaction()
	}
	s.held.drop(c)
	s.giveUpWaits()
	if !s.subscriptions.any() {
		s.subscriptions.closeEars()
	}
	c.spoil()
	c.replyFailure(cause)
	c.callBack()
}

func (h *heldRequest) drop(c *client) {
	c.holding = false
	h.rope.Reset(&c.worker.loop.Chunks)
	h.args, h.deadline, h.ends, h.cause = nil, 0, false, nil
}

// goOnHolding has a held request try again, because a connection of the client's own is not in its way any more.
func (c *client) goOnHolding() {
	if c.holding && !c.gone {
		c.callBack()
	}
}

// retry dispatches the held request.
func (c *client) retry() {
	w, h := c.worker, &c.session.held
	if h.cause != nil {
		c.refuseHeld(h.cause) // to try again at once could go on for ever
		return
	}
	c.holding = false
	m := &w.message
	m.over(w, &h.rope)
	m.args, m.sendAs = h.args, ""
	c.pool.protocol.again(c, m)
	if c.holding {
		return
	}
	if s := c.session; s != nil && s.queued != nil {
		s.queued.leaveQueue(c) // it turned out to need no connection of that server
	}
	h.drop(c)
}
