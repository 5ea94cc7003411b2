package config

import (
	"fmt"
	"time"

	"go.yaml.in/yaml/v4"
)

// maxWorkers is more than any machine has use for.
const maxWorkers = 1024

// defaultGlobal is the settings of a file without the mapping nutmeg.
func defaultGlobal() Global {
	return Global{DrainTimeout: 10 * time.Second, UpgradeTimeout: 30 * time.Second, ResolveInterval: time.Minute}
}

// globalKeys are the keys of the mapping nutmeg.
var globalKeys = []string{"workers"}

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
		switch {
		case key.Value == "workers":
			r.integer(path, value, 1, maxWorkers, "", &global.Workers)
		case isPoolKey(key.Value):
			r.fault(key, path, fmt.Sprintf("%s is a pool key; give a pool called %s listen and servers, or move it into a pool", quote(key.Value), globalKey))
		default:
			r.fault(key, path, fmt.Sprintf("%s is not a global setting; %s", quote(key.Value), oneOf(key.Value, globalKeys)))
		}
	}
}
