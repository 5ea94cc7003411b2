package proxy

import (
	"strings"

	"nutmeg/internal/buffer"
	"nutmeg/internal/command"
	"nutmeg/internal/config"
	"nutmeg/internal/resp"
)

// commandRules is what a pool's configuration says of commands, made ready for requests. It is immutable; all workers share
// it. Most pools have none.
type commandRules struct {
	conf   *config.Commands
	denied []bool   // by the ID of a command of the table
	sendAs []string // likewise: what servers call it; "" = what clients do
	own    map[string]*command.Command
	names  map[string]string // what servers call own commands, likewise
}

// newCommandRules returns nil if there are none.
func newCommandRules(conf *config.Commands) *commandRules {
	if conf == nil {
		return nil
	}
	r := &commandRules{
		conf:   conf,
		denied: make([]bool, command.Count()),
		sendAs: make([]string, command.Count()),
		own:    map[string]*command.Command{},
		names:  map[string]string{},
	}
	for cmd := range command.All() {
		r.denied[cmd.ID] = conf.Denies(cmd)
		for i := range cmd.Subcommands {
			sub := &cmd.Subcommands[i]
			r.denied[sub.ID] = conf.Denies(sub)
		}
	}
	for _, cmd := range conf.Declare {
		r.own[cmd.Name] = cmd
	}
	for _, renamed := range conf.Rename {
		r.rename(renamed)
	}
	return r
}

// rename notes a command's name among servers. Clients may use that, too: it means the same command.
func (r *commandRules) rename(to config.Rename) {
	cmd := r.own[to.Name]
	if cmd == nil {
		cmd = command.Lookup([]byte(to.Name))
		r.sendAs[cmd.ID] = to.Server
		for i := range cmd.Subcommands {
			r.sendAs[cmd.Subcommands[i].ID] = to.Server
		}
	}
	r.names[to.Name] = to.Server
	r.own[strings.ToLower(to.Server)] = cmd
}

// longestRuled bounds the names that are looked up among the pool's own; config allows no longer ones.
const longestRuled = 128

// find returns the command of a name that the table lacks, nil if the pool knows none either. It does not allocate.
func (r *commandRules) find(name []byte) *command.Command {
	if len(r.own) == 0 || len(name) > longestRuled {
		return nil
	}
	var lower [longestRuled]byte
	for i, b := range name {
		if 'A' <= b && b <= 'Z' {
			b |= 0x20
		}
		lower[i] = b
	}
	return r.own[string(lower[:len(name)])]
}

// denies reports whether the pool refuses a command. r may be nil.
func (r *commandRules) denies(cmd *command.Command) bool {
	switch {
	case r == nil:
		return false
	case cmd.InTable():
		return r.denied[cmd.ID]
	}
	return r.conf.Denies(cmd)
}

// serverName returns what servers call a command, "" for what clients do. r may be nil.
func (r *commandRules) serverName(cmd *command.Command) string {
	switch {
	case r == nil:
		return ""
	case cmd.InTable():
		return r.sendAs[cmd.ID]
	}
	return r.names[cmd.Name]
}

// called returns what servers call a command that the proxy sends of its own accord.
func (p *redisProtocol) called(name string) string {
	if p.rules != nil {
		if other, renamed := p.rules.names[strings.ToLower(name)]; renamed {
			return other
		}
	}
	return name
}

// command appends a request that the proxy sends of its own accord, by the name that servers have for it.
func (p *redisProtocol) command(dst []byte, words ...string) []byte {
	dst = resp.AppendBulk(resp.AppendArray(dst, len(words)), p.called(words[0]))
	for _, word := range words[1:] {
		dst = resp.AppendBulk(dst, word)
	}
	return dst
}

// sendRenamed is sendCopy for a command that servers call something else.
func (m *message) sendRenamed(s *serverConn) {
	s.append(m.renamedHead(s.worker))
	m.sendRange(s, m.args[0].End+2, uint32(m.size()))
}

// renamedHead is what such a request begins with, up to its first argument. It is valid until the worker's scratch is used.
func (m *message) renamedHead(w *worker) []byte {
	w.scratch = resp.AppendBulk(resp.AppendArray(w.scratch[:0], len(m.args)), m.sendAs)
	return w.scratch
}

// copyTo appends the whole request, as servers get it, to a buffer.
func (m *message) copyTo(w *worker, to *buffer.Buffer) {
	chunks, from := &w.loop.Chunks, 0
	if m.sendAs != "" {
		to.Append(chunks, m.renamedHead(w))
		from = int(m.args[0].End) + 2
	}
	if m.flat != nil {
		to.Append(chunks, m.flat[from:])
		return
	}
	m.rope.CopyRangeFrom(&m.at, chunks, to, from, m.size()-from)
}

// nameFor returns what servers call the command.
func (m *message) nameFor(cmd *command.Command) string {
	if m.sendAs != "" {
		return m.sendAs
	}
	return cmd.Name
}
