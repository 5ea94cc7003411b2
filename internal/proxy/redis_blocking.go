package proxy

import (
	"math"
	"strconv"
	"strings"
	"time"

	"nutmeg/internal/command"
)

// block sends a command that may keep its connection waiting to the server of its keys, on a connection of the client's own.
func (p *redisProtocol) block(c *client, m *message, cmd *command.Command) {
	wait, blocks := blocksFor(m, cmd)
	if !blocks {
		p.forwardKeys(c, m, cmd)
		return
	}
	sv, _ := p.locate(c, m, cmd)
	if sv = c.stay(sv); sv != nil {
		p.blockOn(c, m, sv, wait)
	}
}

func (p *redisProtocol) blockOn(c *client, m *message, sv *server, wait time.Duration) {
	s := c.needSession()
	switch {
	case c.requests > 0:
		c.hold(m)
		return
	case c.ended || c.leaving:
		c.sayGoodbye(true) // it has left in the meantime: what the command would take is for others
		return
	}
	if s.pinned != nil && s.needs(s.pinned) && s.pinned.server != sv {
		p.refuse(c, "ERR cannot block on server %s while keys are watched on %s; EXEC or UNWATCH first",
			printable([]byte(sv.conf.Name)), printable([]byte(s.pinned.server.conf.Name)))
		return
	}
	if !p.pin(c, m, sv) {
		return
	}
	conn := s.pinned
	s.blocked = true
	if r := c.forward(m, sv, 0); r != nil {
		c.alone = true
		c.watchLeaving()
		conn.bePatient(r, wait)
		return
	}
	s.blocked = false
	conn.rest()
}

// bePatient gives a request, the last one of the connection, as much more time as the server may take before it answers; 0 is for ever.
func (s *serverConn) bePatient(r *request, wait time.Duration) {
	r.patient = true
	if wait == 0 || r.deadline == 0 {
		r.deadline = 0
		return
	}
	r.deadline += int64(wait)
}

// blocksFor reports whether a command blocks when there is nothing for it, and for how long; 0 is for ever, also where a
// server will refuse what stands there.
func blocksFor(m *message, cmd *command.Command) (wait time.Duration, blocks bool) {
	switch cmd.Name {
	case "blmpop", "bzmpop":
		return asSeconds(m.Arg(1)), true
	case "xread", "xreadgroup":
		for i := 1; i+1 < m.Len(); i++ {
			switch word := string(m.Arg(i)); {
			case strings.EqualFold(word, "BLOCK"):
				return asMilliseconds(m.Arg(i + 1)), true
			case strings.EqualFold(word, "STREAMS"):
				return 0, false
			case strings.EqualFold(word, "COUNT"):
				i++
			case strings.EqualFold(word, "GROUP"):
				i += 2
			}
		}
		return 0, false
	}
	return asSeconds(m.Arg(m.Len() - 1)), true
}

func asSeconds(text []byte) time.Duration {
	n, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(n > 0) || n > math.MaxInt32 {
		return 0
	}
	return time.Duration(n * float64(time.Second))
}

func asMilliseconds(text []byte) time.Duration {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < 0 || n > math.MaxInt32*1000 {
		return 0
	}
	return time.Duration(n) * time.Millisecond
}
