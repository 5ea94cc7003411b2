package proxy

import (
	"nutmeg/internal/command"
	"nutmeg/internal/resp"
)

// resolve finds the command of a request where the table's look-up is not all: known is nil, or a container, or the pool
// has rules for commands. It returns nil if the client has been answered.
func (p *redisProtocol) resolve(c *client, m *message, known *command.Command) *command.Command {
	if known == nil && p.rules != nil {
		known = p.rules.find(m.Arg(0))
	}
	if known == nil {
		p.unknownCommand(c, m)
		return nil
	}
	cmd := known
	if len(known.Subcommands) > 0 && m.Len() > 1 {
		if cmd = known.Subcommand(m.Arg(1)); cmd == nil {
			p.unknownSubcommand(c, m)
			return nil
		}
	}
	if p.rules != nil {
		m.sendAs = p.rules.serverName(cmd)
	}
	return cmd
}

// actionFor returns what is done with a command, of the table or not.
func actionFor(cmd *command.Command) action {
	if cmd.InTable() {
		return actions[cmd.ID]
	}
	return actionOf(cmd)
}

func (p *redisProtocol) unknownCommand(c *client, m *message) {
	w := c.worker
	w.scratch = resp.AppendUnknownCommand(w.scratch[:0], m)
	c.reply(w.scratch)
}

func (p *redisProtocol) unknownSubcommand(c *client, m *message) {
	w := c.worker
	w.scratch = resp.AppendUnknownSubcommand(w.scratch[:0], m)
	c.reply(w.scratch)
}

func (p *redisProtocol) wrongArity(c *client, cmd *command.Command) {
	w := c.worker
	w.scratch = resp.AppendWrongArity(w.scratch[:0], cmd.Name)
	c.reply(w.scratch)
}

// denied refuses a command that the configuration denies.
func (p *redisProtocol) denied(c *client, cmd *command.Command) {
	p.refuse(c, "NOPERM the configuration of this proxy does not allow '%s' (commands in pool %s)", cmd.Name, printable([]byte(c.pool.name())))
}
