// Package command says what each Redis command is: how many arguments it takes,
// which of them are keys, how a proxy splits it and how it merges the answers.
//
// It is data. The table in table.go is generated from redis-commands.json, the
// facts of Valkey's command definitions (BSD 3-clause, compatible with Redis 7.2;
// see README.md in this folder), so a new command is a line in that file and
// `go generate`. Code exists only for the few commands whose keys no key
// specification can find; it is all in special.go.
//
//	name ──Lookup──► *Command ──Subcommand──► *Command
//	                    │
//	                    ├─ FirstKey, OnlyKey    where to route, without a search
//	                    ├─ AppendKeys(args)     every key of this very request
//	                    └─ Request, Response    split by shard, ask all; sum, min ...
//
// The package knows no protocol, no servers and no routing. Everything in the
// table is read-only and may be used from any goroutine.
package command

import "iter"

//go:generate go run ./gen

// Command is what Redis knows of one command or subcommand.
//
// The commands of the table are shared and must not be changed. A Command for
// something the table lacks (a module, a newer server) may be built by hand:
// AppendKeys needs Arity, Flags and Keys and goes without FirstKey and OnlyKey.
type Command struct {
	// Name is lower case; a subcommand has its container before it: "config|get".
	Name string
	// Arity counts the arguments with the name (and the subcommand's name):
	// exactly Arity when positive, at least -Arity when negative.
	Arity int
	// Flags are the server's flags and the tips that are neither policy.
	Flags Flags
	// Categories are those of the server's access control lists.
	Categories Categories
	// Group is the chapter of the Redis manual.
	Group Group
	// Request says to which servers a proxy has to send the command.
	Request RequestPolicy
	// Response says how a proxy makes one answer of several.
	Response ResponsePolicy
	// Keys says where the keys stand. Read it through AppendKeys.
	Keys []KeySpec
	// Subcommands of a container such as CONFIG, sorted by name.
	Subcommands []Command
	// FirstKey is the index of the first key in the arguments (the name is argument
	// 0) when every request that satisfies Arity has it there. It is 0 when there
	// may be no key, or when only AppendKeys can find it.
	FirstKey int
	// OnlyKey says that the key at FirstKey is the one key, whatever the arguments.
	OnlyKey bool

	// ID numbers the commands and subcommands of the table from 0, for arrays that say more of them. It is below Count().
	ID int

	// finder is set where Keys do not say enough: see special.go.
	finder finder
}

// All yields the commands of the table, sorted by name; subcommands are inside
// their containers.
func All() iter.Seq[*Command] {
	return func(yield func(*Command) bool) {
		for i := range table {
			if !yield(&table[i]) {
				return
			}
		}
	}
}

// Count is the number of commands and subcommands in the table.
func Count() int { return count }

// ArityOK reports whether a request of n arguments, the name counted, has a
// count the command accepts.
func (c *Command) ArityOK(n int) bool {
	if c.Arity < 0 {
		return n >= -c.Arity
	}
	return n == c.Arity
}

// Subcommand returns the subcommand called name (without its container, any
// case) or nil. Only containers have subcommands. It does not allocate.
func (c *Command) Subcommand(name []byte) *Command {
	for i := range c.Subcommands {
		sub := &c.Subcommands[i]
		// The part of "config|get" behind the bar.
		skip := len(c.Name) + 1
		if len(sub.Name)-skip == len(name) && foldsTo(name, sub.Name[skip:]) {
			return sub
		}
	}
	return nil
}
