package proxy

import (
	"nutmeg/internal/command"
	"nutmeg/internal/resp"
)

// resolve finds the command of a request where the table's look-up did not end: known is nil, or a container. It returns
// nil if the client has been answered.
func (p *redisProtocol) resolve(c *client, m *message, known *command.Command) *command.Command {
	if known == nil {
		p.unknownCommand(c, m)
		return nil
	}
	if m.Len() == 1 {
		return known // COMMAND alone is a request, CONFIG alone has too few arguments
	}
	sub := known.Subcommand(m.Arg(1))
	if sub == nil {
		p.unknownSubcommand(c, m)
	}
	return sub
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
