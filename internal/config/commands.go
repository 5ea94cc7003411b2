package config

import (
	"slices"
	"strings"

	"nutmeg/internal/command"
)

// Commands is what a pool says of commands: which it refuses, what its servers call them, and which ones there are besides
// those that everybody knows. All names are in lower case; that of a subcommand is "config|get".
type Commands struct {
	// Deny and Allow are names and, with an @ before them, categories, sorted. A name stands for its subcommands, too.
	Deny, Allow []string // no Allow = all that is not denied
	// Rename is sorted by name.
	Rename []Rename
	// Declare is sorted by name and complete.
	Declare []*command.Command
}

// Rename says that servers have another name for a command than clients.
type Rename struct {
	Name   string // what clients call it
	Server string // what servers call it, as written in the file
}

// Denies reports whether the pool refuses a command or subcommand. Clients may always log in and leave: what servers let
// everybody do before AUTH is never refused. c may be nil: nothing is refused.
func (c *Commands) Denies(cmd *command.Command) bool {
	switch {
	case c == nil || cmd.Flags.Has(command.NoAuth):
		return false
	case matches(c.Deny, cmd):
		return true
	}
	return len(c.Allow) > 0 && !matches(c.Allow, cmd)
}

// matches reports whether one of names means cmd.
func matches(names []string, cmd *command.Command) bool {
	container, _, _ := strings.Cut(cmd.Name, "|")
	return slices.ContainsFunc(names, func(name string) bool {
		if category, is := strings.CutPrefix(name, "@"); is {
			return cmd.Categories&command.CategoryCalled(category) != 0
		}
		return name == cmd.Name || name == container
	})
}

// declared returns the command of that name that the pool declares, or nil.
func (c *Commands) declared(name string) *command.Command {
	i := slices.IndexFunc(c.Declare, func(cmd *command.Command) bool { return cmd.Name == name })
	if i < 0 {
		return nil
	}
	return c.Declare[i]
}

// showCommands is what a file would hold, but for what servers call commands: see showRenamed.
func showCommands(p *Pool) string {
	c := p.Commands
	if c == nil {
		return ""
	}
	var parts []string
	list := func(key string, items []string) {
		if len(items) > 0 {
			parts = append(parts, key+": ["+strings.Join(items, ", ")+"]")
		}
	}
	list("deny", quoteAll(c.Deny))
	list("allow", quoteAll(c.Allow))
	var renamed, declared []string
	for _, r := range c.Rename {
		renamed = append(renamed, r.Name)
	}
	for _, cmd := range c.Declare {
		declared = append(declared, showDeclared(cmd))
	}
	list("rename", renamed)
	list("declare", declared)
	return "{" + strings.Join(parts, ", ") + "}"
}

// showRenamed is the names that servers have, which operators keep from those who can reach the servers.
func showRenamed(p *Pool) string {
	if p.Commands == nil || len(p.Commands.Rename) == 0 {
		return ""
	}
	var pairs []string
	for _, r := range p.Commands.Rename {
		pairs = append(pairs, r.Name+": "+r.Server)
	}
	return "{" + strings.Join(pairs, ", ") + "}"
}

// quoteAll puts the names of categories into quotes: YAML has a meaning for a word that begins with @.
func quoteAll(names []string) []string {
	quoted := slices.Clone(names)
	for i, name := range quoted {
		if strings.HasPrefix(name, "@") {
			quoted[i] = `"` + name + `"`
		}
	}
	return quoted
}
