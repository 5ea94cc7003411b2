package proxy

import (
	"bytes"

	"nutmeg/internal/memcache"
)

// What operators ask: statistics of all servers, or something of one server, by its name.

// statsReach says to how many servers a request for statistics may go. Of what is not listed the parser has never heard.
var statsReach = map[string]mergeRule{
	"stats":          mergeStats,
	"stats items":    mergeStats,
	"stats slabs":    mergeStats,
	"stats sizes":    mergeStats,
	"stats settings": mergeSettings,
	"stats extstore": mergeStats,
	"stats reset":    mergeOK,
}

// gatherStats sends a request for statistics to all servers, unless only one can answer it.
func (p memcacheProtocol) gatherStats(c *client, m *message, request *memcache.Request) {
	rule, merges := statsReach[request.Name]
	if request.Name == "stats detail" && !bytes.Contains(m.bytes(0, uint32(m.size())), []byte(" dump")) {
		rule, merges = mergeOK, true
	}
	if !merges && len(c.pool.servers) > 1 {
		c.replyText("CLIENT_ERROR '" + request.Name + "' is of one server: send 'nutmeg on <server> " + request.Name +
			" ...', 'nutmeg servers' lists the servers\r\n")
		return
	}
	p.forwardToAll(c, m, request, rule)
}

// replyText answers with a text that is put together for the occasion.
func (c *client) replyText(text string) {
	c.worker.scratch = append(c.worker.scratch[:0], text...)
	c.reply(c.worker.scratch)
}

// dispatchOwn answers what nutmeg itself is asked:
//
//	nutmeg servers               the names and addresses of the pool's servers
//	nutmeg on SERVER COMMAND...  the command goes to that server, whatever its keys
func (p memcacheProtocol) dispatchOwn(c *client, m *message) {
	line := m.bytes(0, uint32(m.size()))
	words := bytes.TrimLeft(bytes.TrimLeft(line, " ")[len("nutmeg"):], " ")
	switch rest, isOn := bytes.CutPrefix(words, []byte("on ")); {
	case isOn:
		p.dispatchOn(c, m, bytes.TrimLeft(rest, " "))
	case string(bytes.TrimRight(words, " \r\n")) == "servers":
		c.listServers()
	default:
		c.replyText("CLIENT_ERROR nutmeg knows two commands: 'nutmeg servers' and 'nutmeg on <server> <command>'\r\n")
	}
}

func (c *client) listServers() {
	text := c.worker.scratch[:0]
	for _, sv := range c.pool.servers {
		text = append(append(text, "STAT "...), sv.conf.Name...) // so that what reads statistics can read it
		text = append(append(append(text, ' '), sv.conf.Address.String()...), "\r\n"...)
	}
	c.worker.scratch = append(text, memcache.EndReply...)
	c.reply(c.worker.scratch)
}

// dispatchOn sends the command behind a server's name, the rest of a whole request, to that server.
func (p memcacheProtocol) dispatchOn(c *client, whole *message, rest []byte) {
	name, command, _ := bytes.Cut(rest, []byte(" "))
	name = bytes.TrimRight(name, "\r\n")
	sv := c.pool.serverNamed(name)
	switch {
	case len(command) == 0:
		c.replyText("CLIENT_ERROR usage: nutmeg on <server> <command>\r\n")
		return
	case sv == nil:
		c.replyText("CLIENT_ERROR no server of this pool has the name '" + printable(name) + "': 'nutmeg servers' lists them\r\n")
		return
	}
	var parser memcache.RequestParser
	var request memcache.Request
	if _, done, err := parser.Parse(command, &request); err != nil || !done {
		p.breakOff(c, memcache.ValueForOne)
		return
	}
	m := message{flat: command}
	switch kind := request.Kind; {
	case request.Problem != memcache.NoProblem:
		if !request.NoReply {
			c.worker.scratch = request.AppendProblem(c.worker.scratch[:0])
			c.reply(c.worker.scratch)
		}
	case kind.Meta():
		p.forwardMeta(c, &m, &request, sv, whole)
	case kind == memcache.Quit, kind == memcache.Own, kind == memcache.MetaNoop:
		c.replyText("CLIENT_ERROR '" + kind.String() + "' cannot be sent to a server with 'nutmeg on'\r\n")
	default:
		p.forwardTo(c, &m, &request, sv)
	}
}
