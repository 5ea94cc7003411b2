package proxy

import (
	"bytes"
	"strconv"

	"nutmeg/internal/resp"
)

// clientUnblock ends the waiting of a client, on whatever worker it is. Only its server can: an element that comes at the same
// moment must go to the client, or stay.
func (p *redisProtocol) clientUnblock(c *client, m *message) {
	if m.Len() > 4 {
		p.refuse(c, "ERR unknown subcommand or wrong number of arguments for '%s'. Try CLIENT HELP.", printable(m.Arg(1)))
		return
	}
	reason := "TIMEOUT"
	if m.Len() == 4 {
		switch {
		case isWord(m.Arg(3), "ERROR"):
			reason = "ERROR"
		case !isWord(m.Arg(3), reason):
			p.refuse(c, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
			return
		}
	}
	id, err := strconv.ParseInt(string(m.Arg(2)), 10, 64)
	if err != nil {
		p.refuse(c, errNotInteger)
		return
	}
	c.inquire(func(pool *workerPool, answer func(found)) {
		var target *client
		pool.every(func(other *client) {
			if other.id() == id && other.blocked() {
				target = other
			}
		})
		if target == nil {
			answer(found{})
			return
		}
		p.unblock(target, reason, answer)
	}, func(all []found) []byte {
		count := int64(0)
		for i := range all {
			if all[i].refusal != nil {
				return all[i].refusal
			}
			count += all[i].count
		}
		return resp.AppendInteger(nil, min(count, 1))
	})
}

// unblock has the servers on which the client waits end that.
func (p *redisProtocol) unblock(c *client, reason string, answer func(found)) {
	var sum found
	left := 0
	for conn := range c.session.blockedOn() {
		if conn.serverID == 0 {
			continue // it has not come to wait, or the server cannot tell connections apart
		}
		left++
		conn.suspect = true
		r := c.worker.newRequest()
		r.errand = func(response []byte, _ *failure) ([]byte, bool) {
			if n, ok := integerOf(response); ok {
				sum.count += n
			} else {
				sum.refusal = bytes.Clone(response)
			}
			if left--; left == 0 {
				answer(sum)
			}
			return nil, false
		}
		request := p.command(nil, "CLIENT", "UNBLOCK", strconv.FormatInt(conn.serverID, 10), reason)
		beside := conn.server.connOf(c, nil)
		beside.append(request)
		beside.enqueue(r, len(request))
	}
	if left == 0 {
		answer(sum)
	}
}

// integerOf returns the number that a whole response is; ok is false if it is none.
func integerOf(response []byte) (n int64, ok bool) {
	text, isInteger := bytes.CutPrefix(bytes.TrimSuffix(response, []byte("\r\n")), []byte(":"))
	n, err := strconv.ParseInt(string(text), 10, 64)
	return n, isInteger && err == nil
}
