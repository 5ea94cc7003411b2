package proxy

import "nutmeg/internal/command"

// action is what the proxy does with a Redis command.
type action uint8

const (
	actUnsupported action = iota
	actSubcommand         // its subcommands differ
	actKey                // to the server of its only key
	actKeys               // to the server that has all its keys
	actSplitArray         // split by key; an element for each
	actSplitSum           // split by key; integers summed up
	actSplitPairs         // split by key and value; all must say OK
	actAnywhere           // to the server of the placeholder key
	actPing
	actEcho
	actOwn // code of its own: see handlers
)

// actions says what is done with each command of the table, by its ID. It is built once and never changed.
var actions = buildActions()

func buildActions() []action {
	all := make([]action, command.Count())
	for cmd := range command.All() {
		all[cmd.ID] = actionOf(cmd)
		for i := range cmd.Subcommands {
			sub := &cmd.Subcommands[i]
			all[sub.ID] = actionOf(sub)
		}
	}
	return all
}

func actionOf(cmd *command.Command) action {
	if stateHandlers[cmd.Name] != nil {
		return actOwn
	}
	switch cmd.Name {
	case "ping":
		return actPing
	case "echo":
		return actEcho
	case "lolwut", "command", "command|count", "command|docs", "command|getkeys", "command|getkeysandflags",
		"command|help", "command|info", "command|list":
		return actAnywhere
	case "migrate":
		return actUnsupported // it takes keys away from the server that the proxy looks for them at
	}
	switch {
	case cmd.Flags.Has(command.Blocking), cmd.Flags.Has(command.PubSub):
		return actUnsupported // they need a connection of their own
	case cmd.Group == command.GroupTransactions, cmd.Group == command.GroupConnection, cmd.Group == command.GroupPubSub:
		return actUnsupported // they change the state of a connection that others share
	case len(cmd.Keys) == 0 && len(cmd.Subcommands) > 0:
		return actSubcommand
	case cmd.Request == command.RequestMultiShard:
		return splitOf(cmd)
	case cmd.OnlyKey:
		return actKey
	case len(cmd.Keys) > 0:
		return actKeys
	}
	return actUnsupported
}

func splitOf(cmd *command.Command) action {
	switch {
	case cmd.Name == "mset":
		return actSplitPairs
	case cmd.Response == command.ResponseAggSum:
		return actSplitSum
	case cmd.Name == "mget":
		return actSplitArray
	}
	return actKeys
}
