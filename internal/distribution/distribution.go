// Package distribution says which server owns a hash.
//
// A Distribution is immutable: when a server is ejected or returns, a new one
// is built from the servers that are live and takes the old one's place. All of
// them follow twemproxy 0.5.0 to the last rounding, since a fleet's data lies
// where that program put it.
//
//	key --hashkit--> hash --Locate--> index of a server
//
// The package knows neither keys nor clocks nor addresses; ejection is the
// business of package pool.
package distribution

import (
	"fmt"
	"strings"
)

// Server is what a distribution needs to know of a server.
type Server struct {
	Name   string // identity on the continuum
	Weight int    // share of the keys relative to the others, at least 1
}

// Distribution maps hashes to servers.
type Distribution interface {
	// Locate returns the index of the server that owns hash, counted along
	// the slice given to New; it is always a live one. It allocates nothing
	// and is safe for concurrent use.
	Locate(hash uint32) int
}

// kinds lists every distribution in the order of twemproxy's documentation. It
// is never written to.
var kinds = [...]struct {
	name  string
	build func(live []member) Distribution
}{
	{"ketama", func(live []member) Distribution { return newKetama(live) }},
	{"modula", newModula},
	{"random", func(live []member) Distribution { return newRandom(live) }},
}

// Names returns the kinds that New accepts, in the order of twemproxy's
// documentation. The slice belongs to the caller.
func Names() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}

// member is a live server and its index among all servers.
type member struct {
	Server
	index uint32
}

// New builds the distribution called kind over the servers that are live.
//
// The order of servers is part of the result: pass them in the pool's order
// (shorter names first, equal lengths by bytes). live holds one flag a server;
// nil means that all are live. Neither slice is kept. An error says that kind
// is unknown, a weight is below 1, live has the wrong length, or no server is
// live.
func New(kind string, servers []Server, live []bool) (Distribution, error) {
	members, err := choose(servers, live)
	if err != nil {
		return nil, err
	}
	build, err := makerOf(kind)
	if err != nil {
		return nil, err
	}
	return build(members), nil
}

// makerOf returns what builds distributions of a kind.
func makerOf(kind string) (build func(live []member) Distribution, err error) {
	for _, k := range kinds {
		if k.name == kind {
			return k.build, nil
		}
	}
	return nil, fmt.Errorf("distribution: %q is not a distribution; use one of %s", kind, strings.Join(Names(), ", "))
}

// choose returns the live among servers, at least one. Its errors are New's.
func choose(servers []Server, live []bool) ([]member, error) {
	if live != nil && len(live) != len(servers) {
		return nil, fmt.Errorf("distribution: %d live flags for %d servers; give one flag a server", len(live), len(servers))
	}
	members := make([]member, 0, len(servers))
	for i, server := range servers {
		if server.Weight < 1 {
			return nil, fmt.Errorf("distribution: server %q has weight %d; use 1 or more", server.Name, server.Weight)
		}
		if live == nil || live[i] {
			members = append(members, member{server, uint32(i)})
		}
	}
	if len(members) == 0 {
		return nil, fmt.Errorf("distribution: none of %d servers is live; at least one has to be", len(servers))
	}
	return members, nil
}

// totalWeight is the sum of the members' weights.
func totalWeight(live []member) (total uint64) {
	for _, m := range live {
		total += uint64(m.Weight)
	}
	return total
}
