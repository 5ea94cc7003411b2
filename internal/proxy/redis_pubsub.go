package proxy

import (
	"slices"

	"nutmeg/internal/resp"
)

// subscribe adds to what the client listens to.
func (p *redisProtocol) subscribe(c *client, m *message, of scope) {
	s := &c.needSession().subscriptions
	if s.bytes+m.size()+(m.Len()-1)*subscriptionOverhead > mostSubscribed {
		p.refuse(c, "ERR too many subscriptions for one client: at most %d, fewer with long names", mostSubscribed/subscriptionOverhead)
		return
	}
	if !p.allEars(c, m, of) {
		return
	}
	c.spendSkip()
	for i := 1; i < m.Len(); i++ {
		name := string(m.Arg(i))
		if s.add(c.worker, of, name) {
			s.untold = append(s.untold, subscription{of, name})
		}
		s.pending++
		p.confirm(c, of, scopes[of].subscribe, name)
	}
}

// allEars gets the client connections to all servers that a request to subscribe is for. If that takes a while, it
// holds the request and returns false.
func (p *redisProtocol) allEars(c *client, m *message, of scope) bool {
	if c.requests > 0 {
		c.hold(m) // so that what is confirmed comes before the first message
		return false
	}
	for i := 1; i < m.Len(); i++ {
		for _, sv := range c.pool.homes(of, m.Arg(i)) {
			if c.ear(sv) == nil {
				c.hold(m)
				return false
			}
		}
	}
	return true
}

// confirm has the servers do what word says with a name. The client gets one confirmation when all have, with the count of all that it is subscribed to.
func (p *redisProtocol) confirm(c *client, of scope, word, name string) {
	w := c.worker
	s := &c.session.subscriptions
	text := appendConfirmation(nil, c.version(), word, &name, s.count(of))
	request := p.command(nil, word, name)
	r := w.newRequest()
	c.await(r, len(request))
	c.alone = true
	homes := c.pool.homes(of, []byte(name))
	left := len(homes)
	refused, subscribing := false, word == scopes[of].subscribe
	for _, sv := range homes {
		conn := s.earOf(sv)
		if conn == nil { // it is gone, and what was subscribed there with it
			if left--; left == 0 {
				w.answer(r, text)
			}
			continue // only when unsubscribing
		}
		part := w.newRequest()
		part.errand = func(response []byte, _ *failure) ([]byte, bool) {
			if _, isError := resp.ErrorText(response); isError {
				text = append([]byte(nil), response...)
				refused = true
			} else if subscribing {
				conn.heeded = true
			}
			if left--; left == 0 {
				if refused && subscribing {
					p.takeBack(c, of, name, homes)
				}
				if subscribing {
					s.settled()
				}
				w.answer(r, text)
			}
			return nil, false
		}
		conn.append(request)
		conn.enqueue(part, len(request))
	}
}

// takeBack ends a subscription that not all servers have taken. Those that have are told.
func (p *redisProtocol) takeBack(c *client, of scope, name string, homes []*server) {
	if c.gone {
		return
	}
	s := &c.session.subscriptions
	s.remove(c.worker, of, name)
	for _, sv := range homes {
		conn := s.earOf(sv)
		if conn == nil || conn.dead {
			continue
		}
		request := p.command(nil, scopes[of].unsubscribe, name)
		s.undone = append(s.undone, subscription{of, name})
		r := c.worker.newRequest()
		r.errand = func([]byte, *failure) ([]byte, bool) {
			if i := slices.Index(s.undone, subscription{of, name}); i >= 0 {
				s.undone = slices.Delete(s.undone, i, i+1)
			}
			return nil, false
		}
		conn.append(request)
		conn.enqueue(r, len(request))
	}
}

// appendConfirmation appends what Redis says about one subscription. Name is nil if there was none to end.
func appendConfirmation(dst []byte, version int, word string, name *string, count int) []byte {
	if version == 3 {
		dst = append(dst, ">3\r\n"...)
	} else {
		dst = resp.AppendArray(dst, 3)
	}
	dst = resp.AppendBulk(dst, word)
	switch {
	case name != nil:
		dst = resp.AppendBulk(dst, *name)
	case version == 3:
		dst = append(dst, "_\r\n"...)
	default:
		dst = append(dst, "$-1\r\n"...)
	}
	return resp.AppendInteger(dst, int64(count))
}

// unsubscribe takes from what the client listens to; without names, everything of the scope.
func (p *redisProtocol) unsubscribe(c *client, m *message, of scope) {
	if c.requests > 0 {
		c.hold(m)
		return
	}
	c.spendSkip()
	s := &c.needSession().subscriptions
	word := scopes[of].unsubscribe
	var list []string
	if m.Len() > 1 {
		for i := 1; i < m.Len(); i++ {
			list = append(list, string(m.Arg(i)))
		}
	} else {
		for name := range s.names[of] {
			list = append(list, name)
		}
	}
	if len(list) == 0 {
		c.tell(appendConfirmation(nil, c.version(), word, nil, s.count(of)))
	}
	for _, name := range list {
		if !s.remove(c.worker, of, name) {
			c.tell(appendConfirmation(nil, c.version(), word, &name, s.count(of)))
			continue
		}
		p.confirm(c, of, word, name)
	}
	// The connections go when the last confirmation has come: rest.
}

// pongInSubscription is what PING gets where all else that comes is a message.
func (p *redisProtocol) pongInSubscription(c *client, m *message) {
	var text []byte
	if m.Len() == 2 {
		text = m.Arg(1)
	}
	pong := resp.AppendBulk(resp.AppendArray(nil, 2), "pong")
	c.reply(resp.AppendBulk(pong, text))
}

// subscribedOnly reports whether a client that is subscribed may not send a command now. With version 2 nobody could tell its
// response from a message.
func (p *redisProtocol) subscribedOnly(c *client, name string) bool {
	if c.version() == 3 || !c.subscribed() {
		return false
	}
	switch name {
	case "subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe", "ping", "quit", "reset":
		return false
	}
	return true
}
