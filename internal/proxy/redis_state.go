package proxy

import "nutmeg/internal/command"

// handler is code of its own for a command.
type handler func(p *redisProtocol, c *client, m *message, cmd *command.Command)

// stateHandlers are those of the commands that read or change a client's session, by name.
var stateHandlers = map[string]handler{
	"auth":   func(p *redisProtocol, c *client, m *message, _ *command.Command) { p.auth(c, m) },
	"hello":  func(p *redisProtocol, c *client, m *message, _ *command.Command) { p.hello3(c, m) },
	"select": func(p *redisProtocol, c *client, m *message, _ *command.Command) { p.selectDatabase(c, m) },
	"reset":  func(p *redisProtocol, c *client, m *message, _ *command.Command) { p.reset(c, m) },
	"quit":   func(p *redisProtocol, c *client, _ *message, _ *command.Command) { p.quit(c) },

	"multi":   func(p *redisProtocol, c *client, m *message, _ *command.Command) { p.multi(c, m) },
	"exec":    func(p *redisProtocol, c *client, m *message, _ *command.Command) { p.exec(c, m) },
	"discard": func(p *redisProtocol, c *client, m *message, _ *command.Command) { p.discard(c, m) },
	"watch":   (*redisProtocol).watch,
	"unwatch": func(p *redisProtocol, c *client, m *message, _ *command.Command) { p.unwatch(c, m) },

	"blpop": (*redisProtocol).block, "brpop": (*redisProtocol).block, "blmpop": (*redisProtocol).block,
	"brpoplpush": (*redisProtocol).block, "blmove": (*redisProtocol).block, "bzpopmin": (*redisProtocol).block,
	"bzpopmax": (*redisProtocol).block, "bzmpop": (*redisProtocol).block,
	"xread": (*redisProtocol).block, "xreadgroup": (*redisProtocol).block,

	"subscribe":    subscribeTo(scopeChannel),
	"psubscribe":   subscribeTo(scopePattern),
	"ssubscribe":   subscribeTo(scopeShard),
	"unsubscribe":  unsubscribeFrom(scopeChannel),
	"punsubscribe": unsubscribeFrom(scopePattern),
	"sunsubscribe": unsubscribeFrom(scopeShard),
	"publish":      (*redisProtocol).publish,
	"spublish":     (*redisProtocol).publish,
}

func subscribeTo(of scope) handler {
	return func(p *redisProtocol, c *client, m *message, _ *command.Command) { p.subscribe(c, m, of) }
}

func unsubscribeFrom(of scope) handler {
	return func(p *redisProtocol, c *client, m *message, _ *command.Command) { p.unsubscribe(c, m, of) }
}

// handlers are the same by the command's ID.
var handlers = buildHandlers()

func buildHandlers() []handler {
	all := make([]handler, command.Count())
	for cmd := range command.All() {
		all[cmd.ID] = stateHandlers[cmd.Name]
		for i := range cmd.Subcommands {
			sub := &cmd.Subcommands[i]
			all[sub.ID] = stateHandlers[sub.Name]
		}
	}
	return all
}

// quit closes the client behind an OK.
func (p *redisProtocol) quit(c *client) {
	c.reply(okText)
	c.leave()
}

// publish sends a message to where its channel is at home.
func (p *redisProtocol) publish(c *client, m *message, _ *command.Command) {
	c.forward(m, c.pool.homes(scopeChannel, m.Arg(1))[0], 0)
}

// stateTakes takes a command that a client's session does not let pass as usual.
func (p *redisProtocol) stateTakes(c *client, m *message, cmd *command.Command, act action) bool {
	switch {
	case p.subscribedOnly(c, cmd.Name):
		p.refuse(c, "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context", cmd.Name)
		return true
	case c.session.transaction.open:
		return p.transactionTakes(c, m, cmd, act)
	}
	return false
}

// transactionTakes takes a command between MULTI and EXEC, but those that are not queued.
func (p *redisProtocol) transactionTakes(c *client, m *message, cmd *command.Command, act action) bool {
	switch cmd.Name {
	case "multi", "exec", "discard", "watch", "unwatch", "quit", "reset":
		return false
	case "publish", "spublish":
		p.queue(c, m, c.pool.homes(scopeChannel, m.Arg(1))[0], m.Arg(1))
		return true
	}
	switch act {
	case actKey:
		if sv := c.pool.pick(m.Arg(cmd.FirstKey)); sv != nil {
			p.queue(c, m, sv, m.Arg(cmd.FirstKey))
			return true
		}
		c.spoil()
		c.replyFailure(failRefused)
	case actKeys, actSplitArray, actSplitSum, actSplitPairs:
		p.queueKeys(c, m, cmd)
	case actAnywhere, actPing, actEcho:
		p.queue(c, m, nil, nil)
	case actOwn:
		if cmd.Flags.Has(command.Blocking) && len(cmd.Keys) > 0 { // it does not block there
			p.queueKeys(c, m, cmd)
			return true
		}
		p.reject(c, "ERR '%s' inside MULTI is not supported by nutmeg", cmd.Name)
	default:
		if len(c.pool.servers) == 1 && act != actUnsupported {
			p.queue(c, m, nil, nil)
			return true
		}
		p.reject(c, "ERR '%s' is not for one server and cannot be part of a transaction", cmd.Name)
	}
	return true
}

func (p *redisProtocol) queueKeys(c *client, m *message, cmd *command.Command) {
	sv, at := p.locate(c, m, cmd)
	if sv == nil {
		c.spoil()
		return
	}
	p.queue(c, m, sv, m.Arg(at))
}

// reject is refuse, and makes an open transaction fail.
func (p *redisProtocol) reject(c *client, format string, args ...any) {
	c.spoil()
	p.refuse(c, format, args...)
}

// replyNullArray answers with what stands for an array that is not there.
func (c *client) replyNullArray() {
	if c.version() == 3 {
		c.reply([]byte("_\r\n"))
		return
	}
	c.reply([]byte("*-1\r\n"))
}

var okText = []byte("+OK\r\n")
