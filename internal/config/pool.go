package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"nutmeg/internal/distribution"
	"nutmeg/internal/hashkit"
)

// poolKeys are the keys of a pool, in the order of docs/configuration.md. A
// new key is one row here, its default in defaultPool, and its documentation.
var poolKeys = []key[Pool]{
	{"listen", (*reader).listen, showListen},
	integerKey("backlog", atLeast(0), func(p *Pool) *int { return &p.Listen.Backlog }),
	booleanKey("reuseport", func(p *Pool) *bool { return &p.Listen.ReusePort }),
	integerKey("client_connections", atLeast(0), func(p *Pool) *int { return &p.ClientConnections }),
	booleanKey("tcpkeepalive", func(p *Pool) *bool { return &p.TCPKeepalive }),
	sizeKey("client_buffer", sizeFrom(16<<10), func(p *Pool) *int { return &p.Limits.ClientBuffer }),
	sizeKey("client_buffer_limit", sizeFrom(16<<10).orZero(), func(p *Pool) *int { return &p.Limits.ClientBufferLimit }),
	integerKey("client_requests", atLeast(1), func(p *Pool) *int { return &p.Limits.ClientRequests }),
	millisecondsKey("client_idle_timeout", atLeast(0), func(p *Pool) *time.Duration { return &p.Limits.ClientIdle }),
	sizeKey("request_size", sizeFrom(16<<10), func(p *Pool) *int { return &p.Limits.RequestBytes }),
	integerKey("request_keys", atLeast(1), func(p *Pool) *int { return &p.Limits.RequestKeys }),
	millisecondsKey("request_timeout", atLeast(0), func(p *Pool) *time.Duration { return &p.Limits.RequestTimeout }),
	{"redis", (*reader).redis, func(p *Pool) string { return strconv.FormatBool(p.Protocol == Redis) }},
	{"redis_auth", (*reader).redisAuth, func(p *Pool) string { return p.RedisAuth }},
	integerKey("redis_db", atLeast(0), func(p *Pool) *int { return &p.RedisDB }),
	{"commands", (*reader).commands, showCommands},
	{"servers", (*reader).servers, nil},
	integerKey("server_connections", atLeast(1), func(p *Pool) *int { return &p.ServerConnections }),
	integerKey("dedicated_connections", atLeast(1), func(p *Pool) *int { return &p.DedicatedConnections }),
	millisecondsKey("dedicated_timeout", atLeast(0), func(p *Pool) *time.Duration { return &p.DedicatedTimeout }),
	booleanKey("preconnect", func(p *Pool) *bool { return &p.Preconnect }),
	millisecondsKey("timeout", atLeast(0), func(p *Pool) *time.Duration { return &p.Timeout }),
	sizeKey("server_buffer", sizeFrom(64<<10), func(p *Pool) *int { return &p.Limits.ServerBuffer }),
	integerKey("server_requests", atLeast(1), func(p *Pool) *int { return &p.Limits.ServerRequests }),
	{"hash", (*reader).hash, func(p *Pool) string { return p.Routing.Hash }},
	{"hash_tag", (*reader).hashTag, func(p *Pool) string { return p.Routing.HashTag }},
	{"distribution", (*reader).distribution, func(p *Pool) string { return p.Routing.Distribution }},
	booleanKey("auto_eject_hosts", func(p *Pool) *bool { return &p.Health.AutoEject }),
	{"server_failure_limit", (*reader).failureLimit, func(p *Pool) string { return strconv.Itoa(p.Health.FailureLimit) }},
	millisecondsKey("server_retry_timeout", atLeast(0), func(p *Pool) *time.Duration { return &p.Health.RetryTimeout }),
	millisecondsKey("server_retry_timeout_max", atLeast(0), func(p *Pool) *time.Duration { return &p.Health.RetryTimeoutMax }),
	percentKey("server_retry_jitter", func(p *Pool) *int { return &p.Health.RetryJitter }),
	{"server_return", (*reader).serverReturn, func(p *Pool) string { return p.Health.Return.String() }},
	percentKey("server_floor", func(p *Pool) *int { return &p.Health.Floor }),
}

func isPoolKey(name string) bool {
	return keyIndex(poolKeys, name) >= 0
}

// defaultPool is a pool in which only the required keys are missing.
func defaultPool(name string) Pool {
	return Pool{
		Name:                 name,
		Listen:               Listen{Backlog: 512},
		Routing:              Routing{Hash: "fnv1a_64", Distribution: "ketama"},
		Health:               Health{FailureLimit: 2, RetryTimeout: 30 * time.Second},
		ServerConnections:    1,
		DedicatedConnections: 1024,
		DedicatedTimeout:     5 * time.Second,
		Limits:               defaultLimits(),
	}
}

// defaultLimits are far above what clients need, and low enough for a crowd of bad ones.
func defaultLimits() Limits {
	return Limits{
		ClientBuffer:      1 << 20,
		ClientBufferLimit: 256 << 20,
		ClientRequests:    1024,
		RequestBytes:      1 << 30,
		RequestKeys:       1 << 20,
		RequestTimeout:    5 * time.Minute,
		ServerBuffer:      64 << 20,
		ServerRequests:    64 << 10,
	}
}

// listener is where an address was first listened on, to report the second.
type listener struct {
	pool string
	line int
}

// readPool reads one pool.
func (r *reader) readPool(e *poolEntry) {
	path := join("", e.name.Value)
	if e.value.Kind != yaml.MappingNode {
		r.fault(e.value, path, fmt.Sprintf("the pool is %s; write a mapping with at least listen and servers", kindName(e.value)))
		return
	}
	e.pool, e.ok = defaultPool(e.name.Value), true
	pool := &e.pool
	given := make(map[string]*yaml.Node) // values by key, of slips the key that was meant
	faulty := make(map[string]bool)
	for key, value := range r.entries(e.value, path, "the name of a setting") {
		i := keyIndex(poolKeys, key.Value)
		if i < 0 {
			if meant := r.unknownKey(path, key); given[meant] == nil {
				given[meant] = value
			}
			continue
		}
		before := len(r.faults)
		poolKeys[i].read(r, join(path, key.Value), value, pool)
		given[key.Value] = value
		faulty[key.Value] = len(r.faults) > before
	}
	r.checkRequired(path, e.name, given)
	r.checkLimits(path, given, faulty, pool)
	if auth := given["redis_auth"]; auth != nil && pool.RedisAuth != "" && pool.Protocol != Redis && !faulty["redis"] {
		r.fault(auth, path+".redis_auth", "only a redis pool has a password; add redis: true, or remove the key")
	}
	if commands := given["commands"]; commands != nil && pool.Protocol != Redis && !faulty["redis"] {
		r.fault(commands, path+".commands", "only a redis pool has a list of commands; add redis: true, or remove the key")
	}
	e.listen = given["listen"]
}

// unknownKey reports a key that pools do not have, and returns the one that it
// is probably a slip of, or "".
func (r *reader) unknownKey(path string, key *yaml.Node) (meant string) {
	path = join(path, key.Value)
	switch {
	case key.Value == "<<":
		r.fault(key, path, "merge keys are not supported; write the settings out in each pool")
		return ""
	case keyIndex(globalKeys, key.Value) >= 0:
		r.fault(key, path, fmt.Sprintf("%s is a global setting; move it into the top-level mapping %s", quote(key.Value), globalKey))
		return ""
	}
	names := keyNames(poolKeys)
	r.fault(key, path, fmt.Sprintf("%s is not a pool key; %s", quote(key.Value), oneOf(key.Value, names)))
	return nearest(key.Value, names)
}

// checkRequired reports missing keys, except those that a slip stands for.
func (r *reader) checkRequired(path string, key *yaml.Node, given map[string]*yaml.Node) {
	if given["listen"] == nil {
		r.fault(key, path, "listen is missing; add for example listen: 127.0.0.1:22121")
	}
	if given["servers"] == nil {
		r.fault(key, path, "servers is missing; add a list of host:port:weight entries")
	}
}

// checkListener reports a second pool on one address. Addresses are compared
// after parsing, so [::1]:1 and ::1:1 are the same.
func (r *reader) checkListener(path string, n *yaml.Node, pool *Pool, listeners map[Address]listener) {
	first, taken := listeners[pool.Listen.Address]
	if taken {
		r.fault(n, path+".listen", fmt.Sprintf("%s is also the address of pool %s on line %d; give each pool its own", quote(pool.Listen.Text), first.pool, first.line))
		return
	}
	listeners[pool.Listen.Address] = listener{pool: path, line: n.Line}
}

func (r *reader) redis(path string, n *yaml.Node, p *Pool) {
	var redis bool
	r.boolean(path, n, &redis)
	if redis {
		p.Protocol = Redis
	}
}

func (r *reader) redisAuth(path string, n *yaml.Node, p *Pool) {
	if text, ok := r.scalar(path, n); ok {
		p.RedisAuth = text
	}
}

func (r *reader) hash(path string, n *yaml.Node, p *Pool) {
	r.choice(path, n, "a hash function", hashkit.Names(), &p.Routing.Hash)
}

func (r *reader) distribution(path string, n *yaml.Node, p *Pool) {
	r.choice(path, n, "a distribution", distribution.Names(), &p.Routing.Distribution)
}

func (r *reader) hashTag(path string, n *yaml.Node, p *Pool) {
	text, ok := r.scalar(path, n)
	switch {
	case !ok:
	case len(text) != 2:
		r.fault(n, path, quote(text)+` is not two bytes long; write two ASCII characters, for example "{}"`)
	default:
		p.Routing.HashTag = text
	}
}

// failureLimit takes 0 for 1, which is how twemproxy acts on it.
func (r *reader) failureLimit(path string, n *yaml.Node, p *Pool) {
	r.integer(path, n, atLeast(0), "", &p.Health.FailureLimit)
	p.Health.FailureLimit = max(p.Health.FailureLimit, 1)
}

func (r *reader) serverReturn(path string, n *yaml.Node, p *Pool) {
	ways := []Return{ReturnTime, ReturnProbe, ReturnTrial}
	names := make([]string, len(ways))
	for i, way := range ways {
		names[i] = way.String()
	}
	name := p.Health.Return.String()
	r.choice(path, n, "a way to come back", names, &name)
	p.Health.Return = ways[slices.Index(names, name)]
}

// sortByName sorts shorter names first, equal lengths by bytes: the order of
// twemproxy, on which the placement of keys depends.
func sortByName[T any](items []T, name func(T) string) {
	slices.SortFunc(items, func(a, b T) int {
		return cmp.Or(cmp.Compare(len(name(a)), len(name(b))), strings.Compare(name(a), name(b)))
	})
}
