// Package learn is about commands that the table of package command lacks: those of modules and of newer servers. It reads
// what a server says of them, and remembers it for a while.
//
//	COMMAND INFO json.set ──server──► reply ──Parse──► *command.Command ──Keep──► Memory
//
// It knows no sockets and asks nobody: the engine does. What a server says is believed as far as it cannot do harm:
// positions of keys are checked for every request, and all that is kept is bounded.
package learn

import (
	"bytes"
	"errors"
	"strings"

	"nutmeg/internal/command"
	"nutmeg/internal/resp"
)

// errReply says that a reply is not one of COMMAND INFO.
var errReply = errors.New("the server's reply to COMMAND INFO is not understood; declare the command in the configuration")

const (
	mostName        = 128     // bytes of a name
	mostSubcommands = 1024    // of a container
	mostKeySpecs    = 64      // of a command
	mostNumber      = 1 << 20 // an argument's number, either way: no request has more of them
)

// Parse reads a reply of COMMAND INFO, or of COMMAND, from a server of any version: protocol version 2 or 3. The list has
// nil for what the server does not know. The commands hold nothing of reply, and are complete: nobody need change them.
func Parse(reply []byte) ([]*command.Command, error) {
	p := parser{resp.NewReader(reply)}
	n, ok := p.list()
	if !ok {
		return nil, errReply
	}
	var all []*command.Command
	for range n {
		c, err := p.entry("")
		if err != nil {
			return nil, err
		}
		if c != nil {
			c.Complete()
		}
		all = append(all, c)
	}
	if p.Len() > 0 {
		return nil, errReply
	}
	return all, nil
}

type parser struct{ resp.Reader }

// entry reads what is said of one command, or of a subcommand of container. It returns nil for an unknown one.
func (p *parser) entry(container string) (*command.Command, error) {
	head, ok := p.Next()
	if ok && head.Null {
		return nil, nil //nolint:nilnil // that the server knows no such command is an answer
	}
	if !ok || !head.IsList() || head.Count < 6 {
		return nil, errReply
	}
	c := &command.Command{}
	var ranged legacy
	read := [...]func() bool{
		func() bool { return p.name(c, container) },
		func() bool { return p.number(&c.Arity) },
		func() bool { return p.words(func(word string) { c.Flags |= command.FlagCalled(word) }) },
		func() bool { return p.number(&ranged.first) },
		func() bool { return p.number(&ranged.last) },
		func() bool { return p.number(&ranged.step) },
		func() bool { // since version 6
			return p.words(func(word string) { c.Categories |= command.CategoryCalled(strings.TrimPrefix(word, "@")) })
		},
		func() bool { return p.words(func(word string) { tip(c, word) }) }, // since version 7
		func() bool { return p.keySpecs(c) },
		func() bool { return p.subcommands(c, container) },
	}
	for i := range int(head.Count) {
		if i < len(read) && !read[i]() || i >= len(read) && !p.Skip() {
			return nil, errReply
		}
	}
	if head.Count < 9 {
		ranged.specify(c)
	}
	if c.Arity == 0 {
		return nil, errReply
	}
	return c, nil
}

// name reads a command's name. That of a subcommand begins with its container's.
func (p *parser) name(c *command.Command, container string) bool {
	v, ok := p.Next()
	if !ok || !v.IsText() || len(v.Text) == 0 || len(v.Text) > mostName {
		return false
	}
	c.Name = string(bytes.ToLower(v.Text))
	return container == "" || strings.HasPrefix(c.Name, container+"|")
}

func (p *parser) number(to *int) bool {
	v, ok := p.Next()
	if !ok || v.Kind != resp.Integer || v.Int < -mostNumber || v.Int > mostNumber {
		return false
	}
	*to = int(v.Int)
	return true
}

// list reads the head of a list and returns the number of its elements.
func (p *parser) list() (n int, ok bool) {
	v, ok := p.Next()
	if !ok || !v.IsList() || v.Count > int64(p.Len()) {
		return 0, false
	}
	return int(v.Count), true
}

// words reads a list of words.
func (p *parser) words(each func(string)) bool {
	n, ok := p.list()
	for range n {
		v, isValue := p.Next()
		if !isValue || !v.IsText() {
			return false
		}
		each(string(v.Text))
	}
	return ok
}

// tip takes what a server advises clients and proxies. Tips that nobody knows are no reason to refuse a command.
func tip(c *command.Command, word string) {
	key, value, _ := strings.Cut(word, ":")
	switch key {
	case "request_policy":
		if policy, ok := command.RequestPolicyCalled(value); ok {
			c.Request = policy
		}
	case "response_policy":
		if policy, ok := command.ResponsePolicyCalled(value); ok {
			c.Response = policy
		}
	default:
		c.Flags |= command.FlagCalled(key)
	}
}

func (p *parser) subcommands(c *command.Command, container string) bool {
	n, ok := p.list()
	if !ok || n > mostSubcommands || n > 0 && container != "" {
		return false
	}
	for range n {
		sub, err := p.entry(c.Name)
		if err != nil || sub == nil {
			return false
		}
		c.Subcommands = append(c.Subcommands, *sub)
	}
	return true
}

// legacy is all that servers before version 7 say of a command's keys.
type legacy struct{ first, last, step int }

// specify makes a key specification of it. Where the server says that there may be others, the specification says so.
func (l legacy) specify(c *command.Command) {
	if l.first < 1 {
		if c.Flags.Has(command.MovableKeys) {
			c.Keys = []command.KeySpec{{Flags: command.KeyIncomplete}}
		}
		return
	}
	spec := command.KeySpec{
		Begin: command.BeginSearch{Kind: command.BeginIndex, Pos: l.first},
		Find:  command.FindKeys{Kind: command.FindRange, LastKey: l.last, Step: max(l.step, 1)},
	}
	if l.last >= 0 {
		spec.Find.LastKey = l.last - l.first
	}
	if c.Flags.Has(command.MovableKeys) {
		spec.Flags |= command.KeyIncomplete
	}
	c.Keys = []command.KeySpec{spec}
}
