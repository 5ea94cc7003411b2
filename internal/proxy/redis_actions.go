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
	actAll                // to all servers; one response by a rule
	actInfo               // likewise, and the proxy's own section
	actScan               // to one server after the other
	actOneServer          // to the server of a pool of one
	actNoCluster          // answered like a server that is not part of a cluster
	actRefused            // refused for the reason of its row
	actPing
	actEcho
	actOwn // code of its own: see stateRows

	numActions
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
	if cmd.InTable() && stateRows[cmd.Name].run != nil { // a server may give any name to what it tells of
		return actOwn
	}
	if r, ok := rowOf(cmd); ok {
		return r.act
	}
	switch cmd.Name {
	case "ping":
		return actPing
	case "echo":
		return actEcho
	}
	switch {
	case len(cmd.Keys) == 0 && len(cmd.Subcommands) > 0:
		return actSubcommand
	case cmd.Flags.Has(command.Blocking), cmd.Flags.Has(command.PubSub):
		return actUnsupported // they need a connection of their own
	case cmd.Group == command.GroupTransactions, cmd.Group == command.GroupConnection, cmd.Group == command.GroupPubSub:
		return actUnsupported // they change the state of a connection that others share
	case cmd.Request == command.RequestMultiShard && cmd.InTable(): // of others nobody has said how
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
