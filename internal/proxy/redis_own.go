package proxy

import (
	"nutmeg/internal/command"
	"nutmeg/internal/resp"
)

// NUTMEG is the proxy's own command: it tells of the pool's servers, and asks a single one.

// ownHelp is what NUTMEG HELP answers, in the form of Redis's own HELP.
var ownHelp = []string{
	"NUTMEG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
	"SERVERS",
	"    List the pool's servers: name, address, in or out.",
	"ON <server> <command> [<arg> ...]",
	"    Send a command to one server by its name, and return its answer as it is.",
	"WHERE <key> [<key> ...]",
	"    Return the name of the server that each key belongs to now.",
	"HELP",
	"    Print this help.",
}

func isOwn(name []byte) bool { return isWord(name, "NUTMEG") }

func (p *redisProtocol) own(c *client, m *message, request *resp.Request) {
	w := c.worker
	switch {
	case p.strange(c):
		c.spoil()
		c.reply([]byte(resp.NoAuth))
	case p.rules.denies(command.Own):
		c.spoil()
		p.denied(c, command.Own)
	case c.session != nil && p.stateTakes(c, m, command.Own, actUnsupported):
	case w.pressure == pressureStarved && w.starving():
		c.hit(limitMemoryRefuse)
		p.refuse(c, errOutOfMemory)
	case m.Len() == 2 && isWord(m.Arg(1), "HELP"):
		w.scratch = resp.AppendArray(w.scratch[:0], len(ownHelp))
		for _, line := range ownHelp {
			w.scratch = append(append(append(w.scratch, '+'), line...), "\r\n"...)
		}
		c.reply(w.scratch)
	case m.Len() == 2 && isWord(m.Arg(1), "SERVERS"):
		p.ownServers(c)
	case m.Len() >= 4 && isWord(m.Arg(1), "ON"):
		p.ownOn(c, m, request)
	case m.Len() >= 3 && isWord(m.Arg(1), "WHERE"):
		p.ownWhere(c, m)
	default:
		p.refuse(c, "ERR unknown subcommand or wrong number of arguments. Try NUTMEG HELP.")
	}
}

func (p *redisProtocol) ownServers(c *client) {
	w := c.worker
	w.scratch = resp.AppendArray(w.scratch[:0], len(c.pool.servers))
	for i, sv := range c.pool.servers {
		state := "in"
		if !c.pool.health.In(i) {
			state = "out"
		}
		w.scratch = resp.AppendBulk(resp.AppendArray(w.scratch, 3), sv.conf.Name)
		w.scratch = resp.AppendBulk(resp.AppendBulk(w.scratch, sv.address.String()), state)
	}
	c.reply(w.scratch)
}

// ownWhere names the servers that requests with the keys go to.
func (p *redisProtocol) ownWhere(c *client, m *message) {
	w := c.worker
	switch {
	case c.pool.random:
		p.refuse(c, "ERR a key of this pool has no server of its own: its distribution is random")
		return
	case m.Len()-2 > c.pool.conf.Limits.RequestKeys:
		p.tooManyKeys(c)
		return
	}
	w.scratch = resp.AppendArray(w.scratch[:0], m.Len()-2)
	for i := 2; i < m.Len(); i++ {
		sv := c.pool.pick(m.Arg(i))
		if sv == nil {
			c.replyFailure(failRefused)
			return
		}
		w.scratch = resp.AppendBulk(w.scratch, sv.conf.Name)
	}
	c.reply(w.scratch)
}

// ownOn sends what stands behind the server's name to that server, whether it is in or out.
func (p *redisProtocol) ownOn(c *client, m *message, request *resp.Request) {
	sv := c.pool.serverNamed(m.Arg(2))
	if sv == nil {
		name := printable(m.Arg(2))
		p.refuse(c, "ERR this pool has no server '%s'; it has %s", name, c.pool.serverNames())
		return
	}
	cmd, settled := p.inner(c, m, 3)
	switch {
	case settled:
		return
	case cmd == nil || !fitsOneServer(cmd, m, 3):
		p.refuse(c, "ERR '%s' cannot be sent to one server: only commands that answer once and leave the connection as it is can",
			printable(m.Arg(3)))
		return
	case p.rules.denies(cmd):
		p.denied(c, cmd)
		return
	}
	conn := sv.connFor(c, m.size())
	if cause := conn.refusal(); cause != nil {
		c.replyFailure(cause)
		return
	}
	w := c.worker
	r := w.newRequest()
	before := conn.appended
	w.scratch = resp.AppendArray(w.scratch[:0], m.Len()-3)
	from := request.Raw(3).Start
	if p.rules != nil {
		if name := p.rules.serverName(cmd); name != "" {
			w.scratch = resp.AppendBulk(w.scratch, name)
			from = request.Raw(3).End
		}
	}
	conn.append(w.scratch)
	m.sendRange(conn, from, request.Raw(m.Len()-1).End)
	c.accept(r, m.size())
	conn.enqueue(r, int(conn.appended-before))
}

// serverNames lists the pool's servers for an error, as far as there is room in one.
func (p *workerPool) serverNames() string {
	const most = 20
	var names []string
	for _, sv := range p.servers[:min(len(p.servers), most)] {
		names = append(names, sv.conf.Name)
	}
	list := nameList(names)
	if more := len(p.servers) - most; more > 0 {
		list += ", and others (NUTMEG SERVERS lists all)"
	}
	return list
}

// inner is the command that begins at an argument, its subcommand if it has some; nil if it is not known. With settled the
// request is held, because servers have to be asked about it, or answered.
func (p *redisProtocol) inner(c *client, m *message, at int) (cmd *command.Command, settled bool) {
	cmd = p.lookup(m.Arg(at))
	if cmd == nil {
		if cmd, _, settled = p.learnedCommand(c, m, m.Arg(at)); cmd != nil && cmd.InTable() {
			return nil, false // an alias, which another name is known for
		}
	}
	if cmd != nil && len(cmd.Subcommands) > 0 && m.Len() > at+1 {
		return cmd.Subcommand(m.Arg(at + 1)), false
	}
	return cmd, settled
}

// fitsOneServer reports whether a request that begins at an argument may be sent to one server.
func fitsOneServer(cmd *command.Command, m *message, at int) bool {
	if cmd.Name == "xread" || cmd.Name == "xreadgroup" {
		inner := *m
		inner.args = m.args[at:]
		_, blocks := blocksFor(&inner, cmd)
		return !blocks
	}
	return forOneServer(cmd)
}

// forOneServer reports whether a command can be sent to one server by name: it must answer once, soon, and leave the
// connection as it is, because others share that.
func forOneServer(cmd *command.Command) bool {
	switch cmd.Name {
	case "client|list", "client|kill", "client|pause", "client|unpause", "client|unblock", "client|help",
		"replicaof", "slaveof", "failover", "debug", "publish", "spublish",
		"eval", "eval_ro", "evalsha", "evalsha_ro", "script|load", "script|flush":
		return true
	}
	switch actionFor(cmd) {
	case actKey, actKeys, actSplitArray, actSplitSum, actSplitPairs, actAnywhere, actAll, actInfo, actScan,
		actOneServer, actPing, actEcho:
		return true
	}
	return false
}
