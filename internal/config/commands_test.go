package config

import (
	"strings"
	"testing"

	"nutmeg/internal/command"
)

func commandsOf(t *testing.T, text string) *Commands {
	t.Helper()
	cfg, err := Parse("f", []byte(`alpha: {listen: "*:1", redis: true, servers: ["a:1:1"], commands: `+text+"}"))
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Pools[0].Commands
}

func TestDenies(t *testing.T) {
	for _, c := range []struct{ name, commands, denied, allowed string }{
		{"a name", "{deny: [Get]}", "get", "set mget"},
		{"a container and its subcommands", "{deny: [config]}", "config config|get config|set", "client|list"},
		{"a subcommand", "{deny: [config|set]}", "config|set", "config config|get"},
		{"a category", `{deny: ["@dangerous"]}`, "keys flushall config|set debug", "get config|help config"},
		{"nothing but", "{allow: [get, config|get, object]}", "set config|set config ping", "get config|get object|encoding object"},
		{"nothing but, without", `{allow: ["@string"], deny: [set]}`, "set hget", "get append"},
		{"who logs in and leaves", `{allow: [get], deny: ["@connection", "@fast"]}`, "ping echo client|list", "auth hello reset quit"},
		{"a declared command", "{deny: [x.y], declare: [{name: x.y, arity: 1}, {name: x.z, arity: 1}]}", "x.y", "x.z"},
		{"a declared command that is not allowed", "{allow: [get], declare: [{name: x.y, arity: 1}]}", "x.y", "get"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rules := commandsOf(t, c.commands)
			for want, names := range map[bool]string{true: c.denied, false: c.allowed} {
				for name := range strings.FieldsSeq(names) {
					cmd := (&commandsReader{Commands: *rules}).find(name)
					if cmd == nil {
						t.Fatalf("%s is unknown", name)
					}
					if rules.Denies(cmd) != want {
						t.Errorf("%s: denied %v", name, !want)
					}
				}
			}
		})
	}
	if (*Commands)(nil).Denies(command.Lookup([]byte("get"))) {
		t.Error("no rules deny GET")
	}
}

// What a plan shows of commands without a rename is what a file may hold, and means the same.
func TestCommandsAreShownAsAFileHoldsThem(t *testing.T) {
	for _, text := range []string{
		`{deny: ["@scripting", config|set, flushall, json.del]}`,
		`{deny: [keys], allow: ["@read", config]}`,
		`{declare: [{name: a.b, arity: -2, first_key: 1, last_key: -1, step: 2, flags: [write, denyoom]}, {name: c.d, arity: 1}]}`,
	} {
		cfg, err := Parse("f", []byte(`alpha: {listen: "*:1", redis: true, servers: ["a:1:1"], commands: `+text+"}"))
		if err != nil {
			t.Fatal(err)
		}
		if got := showCommands(&cfg.Pools[0]); got != text {
			t.Errorf("got %s, want %s", got, text)
		}
	}
}

// Operators hide behind a rename what must not be called: the names are in no setting that is shown.
func TestServersNamesAreSecret(t *testing.T) {
	p := Pool{Commands: commandsOf(t, "{deny: [keys], rename: {config: CONFIG_b840fc}}")}
	found := false
	for _, s := range p.Settings() {
		if strings.Contains(s.Value, "b840fc") {
			found = true
			if !s.Secret {
				t.Errorf("%s shows %s", s.Key, s.Value)
			}
		}
	}
	if !found {
		t.Error("a change of the names is in no setting")
	}
}
