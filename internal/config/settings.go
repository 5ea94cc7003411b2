package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Setting is a key and its value as a file would hold it, whether the file has
// it or it is the default.
type Setting struct {
	Key   string
	Value string // "" = none, where a key has no default
	// Secret: Value is a password. It may be compared, and must not be shown.
	Secret bool
}

// Settings returns all settings of the process, in the order of the
// documentation. The slice is the caller's.
func (g *Global) Settings() []Setting { return settings(globalKeys, g) }

// Settings returns all settings of the pool but its servers, in the order of
// the documentation. Two pools mean the same if their settings and servers are
// equal, however they are written. The slice is the caller's.
func (p *Pool) Settings() []Setting {
	return append(settings(poolKeys, p), Setting{Key: "commands.rename", Value: showRenamed(p), Secret: true})
}

func settings[T any](keys []key[T], of *T) []Setting {
	var list []Setting
	for _, k := range keys {
		if k.show != nil {
			list = append(list, Setting{Key: k.name, Value: k.show(of), Secret: k.name == "redis_auth"})
		}
	}
	return list
}

// showListen is the address in one spelling, whatever the file has.
func showListen(p *Pool) string {
	text := p.Listen.Address.String()
	if strings.HasPrefix(text, ":") {
		text = "*" + text
	}
	if p.Listen.Mode != 0 {
		text += fmt.Sprintf(" 0%s", strconv.FormatUint(uint64(p.Listen.Mode), 8))
	}
	return text
}
