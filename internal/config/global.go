package config

import (
	"fmt"
	"strconv"
	"time"

	"go.yaml.in/yaml/v4"
)

// maxWorkers is more than any machine has use for.
const maxWorkers = 1024

// defaultGlobal is the settings of a file without the mapping nutmeg.
func defaultGlobal() Global {
	return Global{WorkerBusy: 70, DrainTimeout: 10 * time.Second, UpgradeTimeout: 30 * time.Second, ResolveInterval: time.Minute}
}

// globalKeys are the keys of the mapping nutmeg, in the order of docs/configuration.md.
var globalKeys = []key[Global]{
	{"workers", (*reader).workers, showWorkers},
	percentKey("worker_busy", func(g *Global) *int { return &g.WorkerBusy }),
	integerKey("client_connections", atLeast(0), func(g *Global) *int { return &g.ClientConnections }),
	sizeKey("max_memory", bounds{low: 64 << 20, high: maxSize, zero: true}, func(g *Global) *int64 { return &g.MaxMemory }),
	millisecondsKey("drain_timeout", atLeast(0), func(g *Global) *time.Duration { return &g.DrainTimeout }),
	millisecondsKey("upgrade_timeout", atLeast(1000), func(g *Global) *time.Duration { return &g.UpgradeTimeout }),
	millisecondsKey("resolve_interval", atLeast(1000).orZero(), func(g *Global) *time.Duration { return &g.ResolveInterval }),
	booleanKey("watch", func(g *Global) *bool { return &g.Watch }),
}

// isGlobal tells whether the value of the top-level key nutmeg is the global
// section. With a listener or servers it is a pool of that name.
func isGlobal(value *yaml.Node) bool {
	if value.Kind != yaml.MappingNode {
		return true // no pool either; readGlobal says so
	}
	for i := 0; i < len(value.Content); i += 2 {
		switch resolve(value.Content[i]).Value {
		case "listen", "servers":
			return false
		}
	}
	return true
}

func (r *reader) readGlobal(value *yaml.Node, global *Global) {
	if value.Kind != yaml.MappingNode {
		r.fault(value, globalKey, fmt.Sprintf("the global settings are %s; write a mapping, for example {workers: 2}", kindName(value)))
		return
	}
	for key, value := range r.entries(value, globalKey, "the name of a setting") {
		path := join(globalKey, key.Value)
		i := keyIndex(globalKeys, key.Value)
		switch {
		case i >= 0:
			globalKeys[i].read(r, path, value, global)
		case isPoolKey(key.Value):
			r.fault(key, path, fmt.Sprintf("%s is a pool key; give a pool called %s listen and servers, or move it into a pool", quote(key.Value), globalKey))
		default:
			r.fault(key, path, fmt.Sprintf("%s is not a global setting; %s", quote(key.Value), oneOf(key.Value, keyNames(globalKeys))))
		}
	}
}

func (r *reader) workers(path string, n *yaml.Node, g *Global) {
	r.integer(path, n, bounds{low: 1, high: maxWorkers}, "", &g.Workers)
}

// showWorkers knows that no file can hold the default.
func showWorkers(g *Global) string {
	if g.Workers == 0 {
		return ""
	}
	return strconv.Itoa(g.Workers)
}
