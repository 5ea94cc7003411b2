package config

import (
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v4"
)

// limited is a key whose value another key limits, unless that one is 0.
type limited struct {
	key, limit  string
	value, most int64
	show        func(int64) string
	zero        string // what a limit of 0 means
}

// checkLimits reports settings that contradict each other. given has the nodes
// that the pool has, faulty the keys that were reported already.
func (r *reader) checkLimits(path string, given map[string]*yaml.Node, faulty map[string]bool, p *Pool) {
	digits := func(n int64) string { return strconv.FormatInt(n, 10) }
	for _, pair := range []limited{
		{
			"client_buffer", "client_buffer_limit",
			int64(p.Limits.ClientBuffer), int64(p.Limits.ClientBufferLimit), formatSize, "no limit",
		},
		{
			"server_retry_timeout", "server_retry_timeout_max",
			p.Health.RetryTimeout.Milliseconds(), p.Health.RetryTimeoutMax.Milliseconds(), digits, "the time does not grow",
		},
	} {
		if pair.most != 0 && pair.value > pair.most && !faulty[pair.key] && !faulty[pair.limit] {
			r.contradiction(path, given, pair)
		}
	}
}

// contradiction reports a pair at the limit, or if that is a default at the other one.
func (r *reader) contradiction(path string, given map[string]*yaml.Node, l limited) {
	at, name := given[l.limit], l.limit
	if at == nil {
		at, name = given[l.key], l.key
	}
	byDefault := func(key string) string {
		if given[key] == nil {
			return " by default"
		}
		return ""
	}
	r.fault(at, join(path, name), fmt.Sprintf("%s is %s%s, less than %s, which is %s%s; raise %s, or set it to 0: %s",
		l.limit, l.show(l.most), byDefault(l.limit), l.key, l.show(l.value), byDefault(l.key), l.limit, l.zero))
}
