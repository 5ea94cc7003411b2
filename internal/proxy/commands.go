package proxy

import "nutmeg/internal/command"

// CommandRow says what becomes of a command, in words for the documentation.
type CommandRow struct {
	Name string // as in the table of commands: "config|get"
	One  string // in a pool of one server
	Many string // in a pool of several
	Note string // what else is good to know, or why it is refused; may be empty
}

// Commands explains every Redis command and subcommand, in the order of the table.
func Commands() (all []CommandRow) {
	add := func(cmd *command.Command) {
		one, many, note := explain(cmd)
		all = append(all, CommandRow{Name: cmd.Name, One: one, Many: many, Note: note})
	}
	for cmd := range command.All() {
		add(cmd)
		for i := range cmd.Subcommands {
			add(&cmd.Subcommands[i])
		}
	}
	return all
}
