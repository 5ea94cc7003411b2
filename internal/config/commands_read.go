package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"nutmeg/internal/command"
)

// commandsKeys are the keys of the mapping commands, in the order in which they are read: names are checked against those
// that are declared.
var commandsKeys = []struct {
	name string
	read func(r *reader, path string, n *yaml.Node, to *commandsReader)
}{
	{"declare", (*reader).declare},
	{"deny", func(r *reader, path string, n *yaml.Node, to *commandsReader) {
		to.Deny = r.commandNames(path, n, to, to.denied)
	}},
	{"allow", func(r *reader, path string, n *yaml.Node, to *commandsReader) {
		to.Allow = r.commandNames(path, n, to, nil)
	}},
	{"rename", (*reader).rename},
}

// commandsReader is a mapping commands that is being read.
type commandsReader struct {
	Commands
	denied map[string]int // the lines of the names that are denied
}

func (r *reader) commands(path string, n *yaml.Node, p *Pool) {
	names := make([]string, len(commandsKeys))
	for i, k := range commandsKeys {
		names[i] = k.name
	}
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		what := kindName(n)
		if n.Kind == yaml.MappingNode {
			what = "empty"
		}
		r.fault(n, path, fmt.Sprintf("the commands are %s; write a mapping, for example {deny: [flushall]}", what))
		return
	}
	given := map[string]*yaml.Node{}
	for key, value := range r.entries(n, path, "one of "+strings.Join(names, ", ")) {
		if !slices.Contains(names, key.Value) {
			r.fault(key, join(path, key.Value), fmt.Sprintf("%s is not a key of commands; %s", quote(key.Value), oneOf(key.Value, names)))
			continue
		}
		given[key.Value] = value
	}
	c := commandsReader{denied: map[string]int{}}
	for _, k := range commandsKeys {
		if value := given[k.name]; value != nil {
			k.read(r, join(path, k.name), value, &c)
		}
	}
	p.Commands = &c.Commands
}

// listOf yields the entries of a list, aliases resolved. example is what an entry looks like.
func (r *reader) listOf(path string, n *yaml.Node, example string) func(yield func(path string, entry *yaml.Node) bool) {
	return func(yield func(string, *yaml.Node) bool) {
		if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
			what := "this is " + kindName(n)
			if n.Kind == yaml.SequenceNode {
				what = "the list is empty"
			}
			r.fault(n, path, what+"; write a list, for example ["+example+"], or remove the key")
			return
		}
		for i, entry := range n.Content {
			if !r.spend(entry) || !yield(fmt.Sprintf("%s[%d]", path, i), resolve(entry)) {
				return
			}
		}
	}
}

// commandNames reads a list of names and categories. denied, if it is there, gets their lines.
func (r *reader) commandNames(path string, n *yaml.Node, to *commandsReader, denied map[string]int) []string {
	var names []string
	seen := map[string]int{}
	for path, entry := range r.listOf(path, n, "flushall, config|set") {
		text, ok := r.scalar(path, entry)
		if !ok {
			continue
		}
		name := strings.ToLower(text)
		container, _, _ := strings.Cut(name, "|")
		line, twice := seen[name]
		switch fault := to.nameFault(text); {
		case fault != "":
			r.fault(entry, path, fault)
			continue
		case twice:
			r.fault(entry, path, fmt.Sprintf("%s is also on line %d; keep one of them", quote(text), line))
			continue
		case denied != nil:
			denied[name] = entry.Line
		case to.denied[name] > 0:
			r.fault(entry, path, fmt.Sprintf("%s is denied on line %d; remove it here or there", quote(text), to.denied[name]))
		case to.denied[container] > 0:
			r.fault(entry, path, fmt.Sprintf("%s is denied with all of %s on line %d; deny the other subcommands one by one", quote(text), quote(container), to.denied[container]))
		}
		seen[name] = entry.Line
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// nameFault says what is wrong with a name, or category, that is denied or allowed; "" if nothing is.
func (c *commandsReader) nameFault(text string) string {
	name := strings.ToLower(text)
	if category, is := strings.CutPrefix(name, "@"); is {
		if command.CategoryCalled(category) != 0 {
			return ""
		}
		categories := command.CategoryNames()
		for i := range categories {
			categories[i] = "@" + categories[i]
		}
		return fmt.Sprintf("%s is not a category of commands; %s", quote(text), oneOf(name, categories))
	}
	if name == command.Own.Name {
		return ""
	}
	if cmd := c.find(name); cmd != nil {
		if cmd.Flags.Has(command.NoAuth) {
			return fmt.Sprintf("%s cannot be denied and need not be allowed: clients log in and leave with it; remove it", quote(text))
		}
		return ""
	}
	// Modules have a dot in the names of their commands. Servers tell of them, so they need not be declared.
	if strings.Contains(name, ".") && usable(name) {
		return ""
	}
	return c.unknownFault(text)
}

// find returns the command or subcommand of a name in lower case that is in the table or declared, or nil.
func (c *commandsReader) find(name string) *command.Command {
	if cmd := c.declared(name); cmd != nil {
		return cmd
	}
	container, sub, isSub := strings.Cut(name, "|")
	cmd := command.Lookup([]byte(container))
	if cmd == nil || !isSub {
		return cmd
	}
	return cmd.Subcommand([]byte(sub))
}

// unknownFault says what name was probably meant.
func (c *commandsReader) unknownFault(text string) string {
	if container, sub, two := strings.Cut(strings.ToLower(text), " "); two && c.find(container+"|"+sub) != nil {
		return fmt.Sprintf("%s is not a command; write %s", quote(text), quote(container+"|"+sub))
	}
	var names []string
	for _, cmd := range c.Declare {
		names = append(names, cmd.Name)
	}
	container, _, isSub := strings.Cut(strings.ToLower(text), "|")
	for cmd := range command.All() {
		if !isSub {
			names = append(names, cmd.Name)
		} else if cmd.Name == container {
			for i := range cmd.Subcommands {
				names = append(names, cmd.Subcommands[i].Name)
			}
		}
	}
	if near := nearest(text, names); near != "" {
		return fmt.Sprintf("%s is not a command; did you mean %s?", quote(text), quote(near))
	}
	return fmt.Sprintf("%s is not a command that nutmeg knows; correct it, or declare it under declare", quote(text))
}

// rename reads what servers call commands.
func (r *reader) rename(path string, n *yaml.Node, to *commandsReader) {
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		r.fault(n, path, "this is no mapping of names; write for example {config: CONFIG_b840fc}, or remove the key")
		return
	}
	seen := map[string]int{}
	for key, value := range r.entries(n, path, "the name of a command") {
		path := join(path, key.Value)
		server, ok := r.scalar(path, value)
		if !ok {
			continue
		}
		name, taken := strings.ToLower(key.Value), strings.ToLower(server)
		cmd, line := to.find(name), seen["to "+taken]
		switch {
		case strings.Contains(name, "|"):
			r.fault(key, path, "servers cannot rename a subcommand; write the name of the whole command")
		case cmd == nil:
			r.fault(key, path, to.unknownFault(key.Value))
		case !usable(server):
			r.fault(value, path, fmt.Sprintf("%s cannot be a name; write up to %d visible ASCII characters, without |", quote(server), maxCommandName))
		case to.find(taken) != nil:
			r.fault(value, path, fmt.Sprintf("%s is the name of a command already; servers must call this one something else", quote(server)))
		case line > 0:
			r.fault(value, path, fmt.Sprintf("%s is also on line %d; servers have one command of a name", quote(server), line))
		case seen[name] > 0: // in another case
			r.fault(key, path, fmt.Sprintf("%s is also on line %d; keep one of them", quote(key.Value), seen[name]))
		default:
			seen[name], seen["to "+taken] = key.Line, value.Line
			to.Rename = append(to.Rename, Rename{Name: name, Server: server})
		}
	}
	slices.SortFunc(to.Rename, func(a, b Rename) int { return cmp.Compare(a.Name, b.Name) })
}

// maxCommandName bounds the bytes of a command's name.
const maxCommandName = 128

// usable reports whether a server may have a command of that name.
func usable(name string) bool {
	return name != "" && len(name) <= maxCommandName && !strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '|' })
}
