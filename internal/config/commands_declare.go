package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"nutmeg/internal/command"
)

// declaration is an entry of declare, as the file has it. Positions of keys are those of COMMAND before version 7 of Redis.
type declaration struct {
	name              string
	arity             int
	first, last, step int
	flags             command.Flags
}

const exampleDeclaration = "{name: json.set, arity: -4, first_key: 1, flags: [write]}"

// declarationKeys are the keys of an entry of declare.
var declarationKeys = []key[declaration]{
	{"name", (*reader).declaredName, nil},
	signedKey("arity", func(d *declaration) *int { return &d.arity }),
	integerKey("first_key", bounds{high: maxArgument}, func(d *declaration) *int { return &d.first }),
	signedKey("last_key", func(d *declaration) *int { return &d.last }),
	integerKey("step", bounds{low: 1, high: maxArgument}, func(d *declaration) *int { return &d.step }),
	{"flags", (*reader).declaredFlags, nil},
}

// maxArgument is more arguments than a request can have.
const maxArgument = 1 << 20

// declare reads the commands that the table lacks.
func (r *reader) declare(path string, n *yaml.Node, to *commandsReader) {
	lines := map[string]int{}
	for path, entry := range r.listOf(path, n, exampleDeclaration) {
		if entry.Kind != yaml.MappingNode {
			r.fault(entry, path, fmt.Sprintf("the entry is %s; write a mapping, for example %s", kindName(entry), exampleDeclaration))
			continue
		}
		cmd := r.declaration(path, entry)
		if cmd == nil {
			continue
		}
		if line, twice := lines[cmd.Name]; twice {
			r.fault(entry, path, fmt.Sprintf("%s is also declared on line %d; keep one of them", quote(cmd.Name), line))
			continue
		}
		lines[cmd.Name] = entry.Line
		to.Declare = append(to.Declare, cmd)
	}
	slices.SortFunc(to.Declare, func(a, b *command.Command) int { return cmp.Compare(a.Name, b.Name) })
}

// declaration reads one entry. It returns nil if that is faulty.
func (r *reader) declaration(path string, entry *yaml.Node) *command.Command {
	before := len(r.faults) + r.unshown
	d := declaration{step: 1}
	given := map[string]*yaml.Node{}
	for key, value := range r.entries(entry, path, "the name of a setting") {
		i := keyIndex(declarationKeys, key.Value)
		if i < 0 {
			r.fault(key, join(path, key.Value), fmt.Sprintf("%s is not a key of a declaration; %s", quote(key.Value), oneOf(key.Value, keyNames(declarationKeys))))
			continue
		}
		declarationKeys[i].read(r, join(path, key.Value), value, &d)
		given[key.Value] = value
	}
	if given["name"] == nil || given["arity"] == nil {
		r.fault(entry, path, "a command needs a name and an arity; write for example "+exampleDeclaration)
	}
	if given["last_key"] == nil {
		d.last = d.first
	}
	if len(r.faults)+r.unshown == before {
		r.checkDeclaration(path, given, &d)
	}
	if len(r.faults)+r.unshown > before {
		return nil
	}
	return d.command()
}

// checkDeclaration reports values that contradict each other.
func (r *reader) checkDeclaration(path string, given map[string]*yaml.Node, d *declaration) {
	switch {
	case d.arity == 0:
		r.fault(given["arity"], path+".arity", "an arity of 0 cannot be: the name counts; write how many words the command has, or -n for at least n")
	case d.first == 0 && (given["last_key"] != nil || given["step"] != nil):
		at, key := given["last_key"], ".last_key"
		if at == nil {
			at, key = given["step"], ".step"
		}
		r.fault(at, path+key, "there is no first_key; add it, or remove this")
	case d.last >= 0 && d.last < d.first:
		r.fault(given["last_key"], path+".last_key", fmt.Sprintf("the last key at %d is before the first one at %d; count from the end with -1 for the last word", d.last, d.first))
	case d.arity > 0 && max(d.first, d.last) >= d.arity:
		r.fault(given["arity"], path+".arity", fmt.Sprintf("a key at %d is behind the last of %d words, the name counted; correct one of them", max(d.first, d.last), d.arity))
	case d.flags.Has(command.Write | command.ReadOnly):
		r.fault(given["flags"], path+".flags", "a command is write or readonly, not both; remove one of them")
	}
}

// command makes a command of what is declared.
func (d *declaration) command() *command.Command {
	c := &command.Command{Name: d.name, Arity: d.arity, Flags: d.flags}
	if d.first > 0 {
		spec := command.KeySpec{
			Begin: command.BeginSearch{Kind: command.BeginIndex, Pos: d.first},
			Find:  command.FindKeys{Kind: command.FindRange, LastKey: d.last, Step: d.step},
		}
		if d.last >= 0 {
			spec.Find.LastKey -= d.first
		}
		c.Keys = []command.KeySpec{spec}
	}
	c.Complete()
	return c
}

// showDeclared is a declared command as a file would hold it.
func showDeclared(c *command.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "{name: %s, arity: %d", c.Name, c.Arity)
	if len(c.Keys) > 0 {
		first, find := c.Keys[0].Begin.Pos, c.Keys[0].Find
		last := find.LastKey
		if last >= 0 {
			last += first
		}
		fmt.Fprintf(&b, ", first_key: %d, last_key: %d, step: %d", first, last, find.Step)
	}
	if c.Flags != 0 {
		fmt.Fprintf(&b, ", flags: [%s]", strings.ReplaceAll(c.Flags.String(), "|", ", "))
	}
	return b.String() + "}"
}

func (r *reader) declaredName(path string, n *yaml.Node, d *declaration) {
	text, ok := r.scalar(path, n)
	name := strings.ToLower(text)
	switch {
	case !ok:
	case !usable(name):
		r.fault(n, path, fmt.Sprintf("%s cannot be a name; write up to %d visible ASCII characters, without |", quote(text), maxCommandName))
	case command.Lookup([]byte(name)) != nil || name == command.Own.Name:
		r.fault(n, path, fmt.Sprintf("%s is a command that nutmeg knows; remove the entry", quote(text)))
	default:
		d.name = name
	}
}

// declarable are the flags that mean something to a proxy.
var declarable = []command.Flags{
	command.Write, command.ReadOnly, command.DenyOOM, command.Admin, command.PubSub, command.NoScript, command.Blocking, command.Fast,
}

func (r *reader) declaredFlags(path string, n *yaml.Node, d *declaration) {
	names := make([]string, len(declarable))
	for i, flag := range declarable {
		names[i] = flag.String()
	}
	for path, entry := range r.listOf(path, n, "write") {
		name := ""
		if r.choice(path, entry, "a flag of commands", names, &name); name != "" {
			d.flags |= command.FlagCalled(name)
		}
	}
}

// signedKey is a number that may be negative: a count of at least so many, or a place counted from the end.
func signedKey[T any](name string, field func(*T) *int) key[T] {
	return key[T]{name: name, read: func(r *reader, path string, n *yaml.Node, to *T) {
		text, ok := r.scalar(path, n)
		if !ok {
			return
		}
		number, err := strconv.Atoi(text)
		if err != nil || number < -maxArgument || number > maxArgument {
			r.fault(n, path, fmt.Sprintf("%s is not a number from -%d to %d; write digits, with or without a - before them", quote(text), maxArgument, maxArgument))
			return
		}
		*field(to) = number
	}}
}
