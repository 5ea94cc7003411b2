package proxy

import (
	"cmp"

	"nutmeg/internal/command"
)

// actionTexts say in a few words what becomes of a request: in a pool of one server, and in one of several.
var actionTexts = [numActions]struct{ one, many string }{
	actUnsupported: {"not supported", "not supported"},
	actSubcommand:  {"by subcommand", "by subcommand"},
	actKey:         {"as it is", "to the server of its key"},
	actKeys:        {"as it is", "to the server of its keys, if they have the same one"},
	actSplitArray:  {"as it is", "split by key; the values in the order of the keys"},
	actSplitSum:    {"as it is", "split by key; the sum"},
	actSplitPairs:  {"as it is", "split by key; all servers must say OK"},
	actAnywhere:    {"as it is", "to any server"},
	actAll:         {"as it is", "to all servers: "},
	actInfo:        {"as it is", "to all servers: "},
	actScan:        {"as it is", "to one server after the other, with cursors of the pool"},
	actOneServer:   {"as it is", "refused"},
	actNoCluster:   {"answered as by a server that is no cluster's", "likewise"},
	actRefused:     {"refused", "refused"},
	actPing:        {"answered by the proxy", "answered by the proxy"},
	actEcho:        {"answered by the proxy", "answered by the proxy"},
}

// explain says for the documentation what is done with a command: in a pool of one server, in one of several, and what
// else is good to know.
func explain(cmd *command.Command) (one, many, note string) {
	act, r := actions[cmd.ID], &rowByID[cmd.ID]
	if act == actOwn {
		row := stateRows[cmd.Name]
		return row.one, cmp.Or(row.many, row.one), row.note
	}
	one, many, note = actionTexts[act].one, actionTexts[act].many, r.note
	if act == actAll || act == actInfo {
		many += r.rule.Text()
	}
	if r.whole {
		if note != "" {
			note += "; "
		}
		note += "refused while a server is out"
	}
	if act == actKeys && cmd.Flags.Has(command.NoMandatoryKeys) {
		note = "without a key only in a pool of one server"
	}
	return one, many, note
}
