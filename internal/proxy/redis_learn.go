package proxy

import (
	"bytes"

	"nutmeg/internal/command"
	"nutmeg/internal/learn"
	"nutmeg/internal/resp"
)

// Commands that neither the table nor the configuration has, those of modules and of newer servers, are asked for: a server
// says of each, once in a while, how many arguments it takes and which of them are keys. The request waits meanwhile.

// learned returns what servers have said of a command, or of a subcommand ("config|get"), and the name to send it by. If they
// have to be asked first, or cannot be asked, it has seen to the request: then settled is true.
func (p *redisProtocol) learned(c *client, m *message, name []byte) (cmd *command.Command, sendAs string, settled bool) {
	if !worthAsking(name) || p.strange(c) {
		return nil, "", false
	}
	w := c.worker
	cmd, sendAs, fresh := p.memory.Recall(name, w.loop.Now())
	switch {
	case fresh:
		return cmd, sendAs, false
	case w.pressure == pressureStarved && w.starving():
		c.hit(limitMemoryRefuse)
		p.reject(c, errOutOfMemory)
		return nil, "", true
	}
	p.inquire(c, m, string(name))
	return nil, "", true
}

// learnedCommand is learned for a command. Servers answer COMMAND INFO for "config|get" as well, but that is no command that a
// client can send by that name.
func (p *redisProtocol) learnedCommand(c *client, m *message, name []byte) (cmd *command.Command, sendAs string, settled bool) {
	if bytes.IndexByte(name, '|') >= 0 {
		return nil, "", false
	}
	return p.learned(c, m, name)
}

// worthAsking reports whether a server may have a command of that name.
func worthAsking(name []byte) bool {
	if len(name) == 0 || len(name) > longestRuled {
		return false
	}
	for _, b := range name {
		if b <= ' ' || b >= 0x7f {
			return false
		}
	}
	return true
}

// inquire holds a request until a server has said what it knows of a command.
func (p *redisProtocol) inquire(c *client, m *message, name string) {
	c.hold(m)
	s := c.session
	if s.inquires {
		return // it was called back too early
	}
	s.inquires = true
	w := c.worker
	request, since, tried := p.command(nil, "COMMAND", "INFO", name), w.loop.Now(), 0
	r := w.newRequest()
	send := func() {
		conn := p.nextAsked(c).connOf(c, c.identity())
		conn.append(request)
		conn.enqueue(r, len(request))
		tried++
	}
	r.errand = func(response []byte, cause *failure) ([]byte, bool) {
		switch soon := c.pool.timeout == 0 || w.loop.Now()-since < c.pool.timeout/8; {
		case c.gone:
			return nil, false
		case cause != nil && !cause.verbatim && soon && tried < len(c.pool.servers):
			send()
			return nil, true
		case cause != nil, ailment(response) != "":
			s.inquires = false
			s.held.drop(c) // this is the answer to it
			c.spendSkip()
			c.spoil()
			return nil, false
		}
		s.inquires = false
		p.memory.Keep([]byte(name), p.told(c, response), w.loop.Now())
		return nothing, false
	}
	if s.mute.off || s.mute.skip {
		c.acceptSilent(r, len(request)) // SKIP is for the held request, which has not been answered yet
	} else {
		c.await(r, len(request))
	}
	send()
}

// nextAsked is the server that is asked next: one after the other, so that one that does not answer is in nobody's way for long.
func (p *redisProtocol) nextAsked(c *client) *server {
	servers := c.pool.servers
	for range servers {
		p.asked = (p.asked + 1) % len(servers)
		if c.pool.health.In(p.asked) {
			break
		}
	}
	return servers[p.asked%len(servers)]
}

// nothing is what a client gets for a request that was not its own.
var nothing = []byte{}

// told is the command that a server has told of, nil if it knows none, or does not say.
func (p *redisProtocol) told(c *client, response []byte) *command.Command {
	all, err := learn.Parse(response)
	switch {
	case err == nil && len(all) == 1 && all[0] == nil:
		return nil
	case err == nil && len(all) == 1:
		return listed(all[0])
	}
	text, _ := resp.ErrorText(response)
	if !p.complained {
		p.complained = true
		c.worker.log.Warn("servers do not say which commands they have; those that nutmeg does not know are unknown unless they are declared (commands)",
			"pool", c.pool.name(), "cause", printable(text))
	}
	return nil
}

// listed is the command of the table that a server knows under another name, or the one that it has told of.
func listed(told *command.Command) *command.Command {
	if cmd := command.Lookup([]byte(told.Name)); cmd != nil {
		return cmd
	}
	return told
}
