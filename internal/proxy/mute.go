package proxy

// mute is what CLIENT REPLY says: whether the client wants no responses, or not the next one. Its requests run as ever; messages
// of subscriptions, and what confirms these, still come.
type mute struct{ off, skip bool }

// mutes reports whether the response that is about to be given, or to be waited for, is one that the client does not want.
func (s *session) mutes() bool {
	unwanted := s.mute.off || s.mute.skip
	s.mute.skip = false
	return unwanted
}

// spendSkip is for a request whose response comes whatever the client said.
func (c *client) spendSkip() {
	if c.session != nil {
		c.session.mute.skip = false
	}
}

// runsMuted reports whether requests are in flight whose responses the client does not want. They take connections that end with
// it, perhaps, and are to run first.
func (c *client) runsMuted() bool { return c.session != nil && c.requests > 0 }

// clientReply is CLIENT REPLY.
func (p *redisProtocol) clientReply(c *client, m *message) {
	switch mode := m.Arg(2); {
	case isWord(mode, "ON"):
		if c.session != nil {
			c.session.mute = mute{}
		}
		c.reply(okText)
	case isWord(mode, "OFF"):
		c.needSession().mute.off = true
	case isWord(mode, "SKIP"):
		c.needSession().mute.skip = true // of no effect while it is off
	default:
		p.refuse(c, errSyntax)
	}
}

const errSyntax = "ERR syntax error"
