package proxy

import (
	"math"
	"strings"
	"testing"

	"nutmeg/internal/command"
	"nutmeg/internal/config"
	"nutmeg/internal/merge"
)

// Every row belongs to a command, and every command is explained.
func TestRowsAreOfCommands(t *testing.T) {
	left := map[string]bool{}
	for name := range rows {
		left[name] = true
	}
	check := func(cmd *command.Command) {
		delete(left, cmd.Name)
		if one, many, _ := explain(cmd); one == "" || many == "" || strings.HasSuffix(many, ": ") {
			t.Errorf("%s: with one server %q, with several %q", cmd.Name, one, many)
		}
		if r := rowByID[cmd.ID]; (r.act == actRefused || r.act == actOneServer) && r.note == "" {
			t.Errorf("%s is refused without a reason", cmd.Name)
		}
	}
	for cmd := range command.All() {
		check(cmd)
		for i := range cmd.Subcommands {
			check(&cmd.Subcommands[i])
		}
	}
	for name := range left {
		t.Errorf("%s is no command of the table", name)
	}
}

// The rows follow what the table says of policies, but where they know better.
func TestRowsFollowThePolicies(t *testing.T) {
	rules := map[command.ResponsePolicy]merge.Rule{
		command.ResponseOneSucceeded: merge.OneSucceeded, command.ResponseAllSucceeded: merge.AllSucceeded, command.ResponseAggSum: merge.Sum,
		command.ResponseAggMin: merge.Min, command.ResponseAggMax: merge.Max, command.ResponseAggLogicalAnd: merge.And, command.ResponseAggLogicalOr: merge.Or,
	}
	better := map[string]string{"acl|deluser": "its answer is a count"}
	check := func(cmd *command.Command) {
		if cmd.Request != command.RequestAllNodes && cmd.Request != command.RequestAllShards {
			return
		}
		if cmd.Group == command.GroupConnection || cmd.Group == command.GroupCluster || cmd.Flags.Has(command.Blocking) {
			return
		}
		r := rowByID[cmd.ID]
		if r.act != actAll && r.act != actInfo {
			t.Errorf("%s is for all servers", cmd.Name)
		}
		if want, ok := rules[cmd.Response]; ok && r.rule != want && better[cmd.Name] == "" {
			t.Errorf("%s has the rule %s, its policy says %s", cmd.Name, r.rule, want)
		}
	}
	for cmd := range command.All() {
		check(cmd)
		for i := range cmd.Subcommands {
			check(&cmd.Subcommands[i])
		}
	}
}

func TestCursors(t *testing.T) {
	servers := func(names ...string) (all []config.Server) {
		for _, name := range names {
			all = append(all, config.Server{Name: name})
		}
		return all
	}
	three := newCursors(servers("a", "b", "c"))
	for index := range 3 {
		for _, own := range []uint64{0, 1, 5, 1 << 20, 1<<50 - 1} {
			if index == 0 && own == 0 {
				continue // where a scan begins: no server gives it
			}
			cursor, fits := three.encode(index, own)
			gotIndex, gotOwn, ok := three.decode(cursor)
			if !fits || cursor == 0 || !ok || gotIndex != index || gotOwn != own {
				t.Errorf("server %d, cursor %d: %d means server %d, cursor %d, %v", index, own, cursor, gotIndex, gotOwn, ok)
			}
			for _, other := range []cursors{newCursors(servers("a", "c", "b")), newCursors(servers("a", "b")), newCursors(servers("a", "b", "c", "d"))} {
				if _, _, ok := other.decode(cursor); ok {
					t.Errorf("other servers take the cursor %d", cursor)
				}
			}
		}
	}
	if index, own, ok := three.decode(0); index != 0 || own != 0 || !ok {
		t.Errorf("a scan begins at server %d, cursor %d, %v", index, own, ok)
	}
	if _, fits := three.encode(1, math.MaxUint64); fits {
		t.Error("a cursor of 64 bits fits beside a server")
	}
	// Languages whose numbers are doubles must be able to read the cursors of large servers.
	if cursor, _ := three.encode(2, 1<<36); cursor > 1<<53 {
		t.Errorf("the cursor %d of a server with 2^36 keys is no integer of 53 bits", cursor)
	}
}
