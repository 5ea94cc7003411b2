package proxy

import (
	"slices"
	"strings"

	"nutmeg/internal/resp"
)

// listening executes a command on channels; ok is false for all others.
func (c *redisSession) listening(s *simServer, name string, out []byte) (after []byte, ok bool) {
	switch name {
	case "publish":
		return resp.AppendInteger(out, s.publish(string(c.args[1]), string(c.args[2]))), true
	case "subscribe", "psubscribe":
		for _, a := range c.args[1:] {
			list := c.names(name)
			if !slices.Contains(*list, string(a)) {
				*list = append(*list, string(a))
			}
			out = c.confirm(out, name, string(a))
		}
		if !slices.Contains(s.store.ears, c) {
			s.store.ears = append(s.store.ears, c)
		}
		return out, true
	case "unsubscribe", "punsubscribe":
		for _, a := range c.args[1:] {
			list := c.names(name)
			if i := slices.Index(*list, string(a)); i >= 0 {
				*list = slices.Delete(*list, i, i+1)
			}
			out = c.confirm(out, name, string(a))
		}
		return out, true
	}
	return out, false
}

func (c *redisSession) names(command string) *[]string {
	if command[0] == 'p' {
		return &c.state.patterns
	}
	return &c.state.channels
}

func (c *redisSession) confirm(out []byte, word, name string) []byte {
	out = resp.AppendBulk(resp.AppendBulk(c.push(out, 3), word), name)
	return resp.AppendInteger(out, int64(len(c.state.channels)+len(c.state.patterns)))
}

func (c *redisSession) push(out []byte, n int) []byte {
	if c.state.version == 3 {
		return append(out, '>', byte('0'+n), '\r', '\n')
	}
	return resp.AppendArray(out, n)
}

// publish sends a message to all who listen. Patterns end with the only star that they have.
func (s *simServer) publish(channel, message string) (n int64) {
	for _, c := range slices.Clone(s.store.ears) {
		if c.state.session.peer.Closed() {
			c.closed(s)
			continue
		}
		if slices.Contains(c.state.channels, channel) {
			text := resp.AppendBulk(resp.AppendBulk(c.push(nil, 3), "message"), channel)
			c.state.session.say(resp.AppendBulk(text, message))
			n++
		}
		for _, pattern := range c.state.patterns {
			if strings.HasPrefix(channel, strings.TrimSuffix(pattern, "*")) {
				text := resp.AppendBulk(resp.AppendBulk(c.push(nil, 4), "pmessage"), pattern)
				c.state.session.say(resp.AppendBulk(resp.AppendBulk(text, channel), message))
				n++
			}
		}
	}
	return n
}
