package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestCommittedTableIsWhatTheGeneratorWrites(t *testing.T) {
	facts, err := os.ReadFile("../redis-commands.json")
	if err != nil {
		t.Fatal(err)
	}
	want, err := generate(facts)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../table.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("table.go does not match redis-commands.json; run go generate ./internal/command")
	}
}

func TestGenerateRefusesWhatItDoesNotKnow(t *testing.T) {
	const key = `"begin_search":{"index":{"pos":1}},"find_keys":{"range":{"lastkey":0,"step":1,"limit":0}}`
	for _, c := range []struct{ name, facts, want string }{
		{"no list", `{}`, "cannot read redis-commands.json"},
		{"a field", `[{"name":"A","group":"list","arity":1,"speed":9}]`, `unknown field "speed"`},
		{"a flag", `[{"name":"A","group":"list","arity":1,"flags":["SHINY"]}]`, `flag "SHINY" is unknown`},
		{"a tip", `[{"name":"A","group":"list","arity":1,"tips":["SHINY"]}]`, `tip "SHINY" is unknown`},
		{"a policy", `[{"name":"A","group":"list","arity":1,"tips":["REQUEST_POLICY:SOME"]}]`, `tip "REQUEST_POLICY:SOME" is unknown`},
		{"a group", `[{"name":"A","group":"shiny","arity":1}]`, `group "shiny" is unknown`},
		{"a key flag", `[{"name":"A","group":"list","arity":2,"keys":[{"flags":["XX"],` + key + `}]}]`, `key flag "XX" is unknown`},
		{"a container", `[{"name":"B","container":"A","group":"list","arity":2}]`, "a|b: its container is missing"},
		{"a key past the arity", `[{"name":"A","group":"list","arity":1,"keys":[{"flags":["RO"],` + key + `}]}]`, "past the arity"},
		{"a name given twice", `[{"name":"A","group":"list","arity":1},{"name":"a","group":"list","arity":1}]`, "a: stands there twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := generate([]byte(c.facts)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v; want one with %q", err, c.want)
			}
		})
	}
}
