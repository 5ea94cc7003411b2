package proxy

import (
	"strconv"

	"nutmeg/internal/command"
	"nutmeg/internal/merge"
	"nutmeg/internal/resp"
)

// ofAll is what a family of a request to all servers remembers until they have answered.
type ofAll struct {
	rule  merge.Rule
	whole bool     // as its row says
	names []string // of the servers, one for each child; they may be other ones when the responses come

	// Which servers were left out, because they were out.
	missing []string
	// Of SLOWLOG GET: how many entries are wanted; negative: all.
	limit int64
	// Of INFO: whether the proxy's own section belongs to it.
	own bool
	// Of SCAN: the server's index, and the servers that its pool had.
	index   int
	cursors cursors
}

// forwardToAll sends the request to every server of the pool, as it is. In a pool of one server that is all there is to it.
func (p *redisProtocol) forwardToAll(c *client, m *message, cmd *command.Command) {
	r := rowFor(cmd)
	own, named := false, false
	if r.act == actInfo {
		own, named = asksForOwn(m)
	}
	switch {
	case named && m.Len() == 2:
		p.ownInfo(c)
		return
	case len(c.pool.servers) == 1 && !named:
		p.forwardKey(c, m, placeholder)
		return
	}
	w := c.worker
	f := w.newFamily(mergeAll)
	f.all.rule, f.all.whole, f.all.own, f.all.limit = r.rule, r.whole, own, slowlogLimit(r.rule, m)
	if !p.enlist(c, f) {
		return
	}
	if cause := f.refusal(c, m.size()); cause != nil {
		f.disband(w)
		c.replyFailure(cause)
		return
	}
	f.settleOwners(w)
	f.bear(c, m.size())
	for i := range f.children {
		m.sendCopy(w.childConns[i])
	}
	f.launch(w)
}

// enlist names the servers that a request to all goes to: those that are in. It reports false if the client has been
// refused instead.
func (p *redisProtocol) enlist(c *client, f *family) bool {
	w := c.worker
	if c.pool.pick(placeholder) == nil { // also: it takes back those whose time has come
		f.disband(w)
		c.replyFailure(failRefused)
		return false
	}
	for i, sv := range c.pool.servers {
		switch {
		case c.pool.health.In(i):
			f.own(w, i)
			f.all.names = append(f.all.names, sv.conf.Name)
		case f.all.whole:
			f.disband(w)
			p.refuse(c, "ERR server %s is out, and all have to do this; nothing was sent (NUTMEG ON <server> <command> asks one)",
				printable([]byte(sv.conf.Name)))
			return false
		default:
			f.all.missing = append(f.all.missing, sv.conf.Name)
		}
	}
	if len(f.servers) == 0 {
		f.disband(w)
		c.replyFailure(failRefused)
		return false
	}
	return true
}

// slowlogLimit is how many entries SLOWLOG GET asks each server for. What is no number is the servers' to refuse.
func slowlogLimit(rule merge.Rule, m *message) int64 {
	if rule != merge.Slowlog {
		return -1
	}
	if m.Len() < 3 {
		return 10
	}
	n, err := strconv.ParseInt(string(m.Arg(2)), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// forwardAnywhere sends a request that any server can answer: to that of the placeholder, unless that is failing and another
// is not. Client libraries ask such things before anything else, and one dead server must not keep them from the others.
func (p *redisProtocol) forwardAnywhere(c *client, m *message) {
	sv := c.pool.pick(placeholder)
	if sv == nil {
		c.replyFailure(failRefused)
		return
	}
	if health := c.pool.health; health.Failing(sv.index) {
		for i, other := range c.pool.servers {
			if health.In(i) && !health.Failing(i) {
				sv = other
				break
			}
		}
	}
	c.forward(m, sv, 0)
}

// forwardToOnly sends a request that only one server can be asked for.
func (p *redisProtocol) forwardToOnly(c *client, m *message, cmd *command.Command) {
	if len(c.pool.servers) > 1 {
		p.refuseFor(c, cmd)
		return
	}
	p.forwardKey(c, m, placeholder)
}

// refuseFor refuses a command for the reason of its row, and says whether there is another way.
func (p *redisProtocol) refuseFor(c *client, cmd *command.Command) {
	way := ""
	if forOneServer(cmd) {
		way = " (NUTMEG ON <server> <command> asks one server)"
	}
	p.refuse(c, "ERR nutmeg does not run '%s': %s%s", cmd.Name, rowFor(cmd).note, way)
}

// isWord reports whether arg is the upper-case word, in any case.
func isWord(arg []byte, word string) bool {
	if len(arg) != len(word) {
		return false
	}
	for i, b := range arg {
		if 'a' <= b && b <= 'z' {
			b &^= 0x20
		}
		if b != word[i] {
			return false
		}
	}
	return true
}

// isError reports whether a whole response of that kind is an error.
func isError(kind byte) bool {
	return resp.Kind(kind) == resp.SimpleError || resp.Kind(kind) == resp.BulkError
}
