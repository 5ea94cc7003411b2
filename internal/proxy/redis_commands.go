package proxy

import (
	"nutmeg/internal/command"
	"nutmeg/internal/resp"
)

// resolve finds the command of a request where the table's look-up is not all: known is nil, or a container, or the pool
// has rules for commands. It returns nil if the client has been answered, or its request is held.
func (p *redisProtocol) resolve(c *client, m *message, known *command.Command) *command.Command {
	sendAs, settled := "", false
	if known == nil {
		known = p.lookup(m.Arg(0))
	}
	if known != nil && known.Flags.Has(command.OnlySentinel) { // no command of the servers of a pool
		p.unknownCommand(c, m)
		return nil
	}
	if known == nil {
		if known, sendAs, settled = p.learnedCommand(c, m, m.Arg(0)); known == nil {
			if !settled {
				p.unknownCommand(c, m)
			}
			return nil
		}
	}
	cmd := known
	if len(known.Subcommands) > 0 && m.Len() > 1 {
		if cmd = known.Subcommand(m.Arg(1)); cmd == nil {
			if cmd, settled = p.learnedSubcommand(c, m, known); cmd == nil {
				if !settled {
					p.unknownSubcommand(c, m)
				}
				return nil
			}
		}
	}
	if name := p.rules.serverName(known); name != "" || !known.InTable() {
		sendAs = name // else what it is called by somebody who knows the servers' name
	}
	m.sendAs = sendAs
	return cmd
}

// learnedSubcommand is learned for a container of the table. What changes a connection is not learned: others share it.
func (p *redisProtocol) learnedSubcommand(c *client, m *message, container *command.Command) (cmd *command.Command, settled bool) {
	if !container.InTable() || container.Group == command.GroupConnection || m.args[1].Len() > longestRuled {
		return nil, false
	}
	w := c.worker
	w.scratch = append(append(append(w.scratch[:0], p.called(container.Name)...), '|'), m.Arg(1)...)
	cmd, _, settled = p.learned(c, m, w.scratch)
	return cmd, settled
}

// lookup returns the command of a name: one of the table, or one that the pool has besides. It is nil if there is none.
func (p *redisProtocol) lookup(name []byte) *command.Command {
	if cmd := command.Lookup(name); cmd != nil || p.rules == nil {
		return cmd
	}
	return p.rules.find(name)
}

// actionFor returns what is done with a command, of the table or not.
func actionFor(cmd *command.Command) action {
	if cmd.InTable() {
		return actions[cmd.ID]
	}
	return actionOf(cmd)
}

// refuser is the server that refuses a request whose keys cannot be told, in words that clients know. Of commands that the
// table lacks nobody is sure that a server does: where there are several servers they are refused here, and it returns nil.
func (p *redisProtocol) refuser(c *client, cmd *command.Command, err error) *server {
	if !cmd.InTable() && len(c.pool.servers) > 1 {
		p.refuse(c, "ERR '%s' cannot be routed: %s", cmd.Name, err)
		return nil
	}
	sv := c.pool.pick(placeholder)
	if sv == nil {
		c.replyFailure(failRefused)
	}
	return sv
}

func (p *redisProtocol) unknownCommand(c *client, m *message) {
	w := c.worker
	c.spoil()
	w.scratch = resp.AppendUnknownCommand(w.scratch[:0], m)
	c.reply(w.scratch)
}

func (p *redisProtocol) unknownSubcommand(c *client, m *message) {
	w := c.worker
	c.spoil()
	w.scratch = resp.AppendUnknownSubcommand(w.scratch[:0], m)
	c.reply(w.scratch)
}

func (p *redisProtocol) wrongArity(c *client, cmd *command.Command) {
	w := c.worker
	c.spoil()
	if cmd.Name == "exec" && c.session != nil && c.session.transaction.open {
		p.abandon(c)
	}
	w.scratch = resp.AppendWrongArity(w.scratch[:0], cmd.Name)
	c.reply(w.scratch)
}

// denied refuses a command that the configuration denies.
func (p *redisProtocol) denied(c *client, cmd *command.Command) {
	p.reject(c, "NOPERM the configuration of this proxy does not allow '%s' (commands in pool %s)", cmd.Name, printable([]byte(c.pool.name())))
}
