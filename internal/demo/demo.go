// Package demo holds what a person needs to see nutmeg at work without
// installing anything: Redis servers inside the process, and a configuration
// that puts a proxy before them.
//
//	client --> nutmeg (a process) --> Backends (in this process)
//
// The servers are miniredis: real sockets, the protocol and most commands, all
// in memory. They are for looking and trying, not for measuring and not for
// data. Only commands import this package, never the daemon.
package demo

import (
	"fmt"
	"strings"

	"github.com/alicebob/miniredis/v2"
)

// Backends are Redis servers inside this process, each on a free port of 127.0.0.1.
type Backends struct {
	servers []*miniredis.Miniredis
}

// Start starts n servers, empty. The caller must Close them. After an error
// none of them is left.
func Start(n int) (*Backends, error) {
	b := &Backends{}
	for i := range n {
		server := miniredis.NewMiniRedis()
		if err := server.Start(); err != nil {
			b.Close()
			return nil, fmt.Errorf("cannot start server %d of the demo: %w", i+1, err)
		}
		server.ClockTTL(true) // keys with a time to live expire, as in a real server
		b.servers = append(b.servers, server)
	}
	return b, nil
}

// Addresses returns host:port of each server. The slice belongs to the caller.
func (b *Backends) Addresses() []string {
	addresses := make([]string, len(b.servers))
	for i, server := range b.servers {
		addresses[i] = server.Addr()
	}
	return addresses
}

// Close ends the servers and their connections. Closing twice is harmless.
func (b *Backends) Close() {
	for _, server := range b.servers {
		server.Close()
	}
	b.servers = nil
}

// Config returns a configuration file with one pool: it listens on listen
// (host:port) and has the servers of the given addresses, which are named
// shard1, shard2 and so on. twemproxy would take it, too.
func Config(listen string, addresses []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `demo:
  listen: %s
  redis: true
  hash: murmur
  hash_tag: "{}"
  distribution: ketama
  timeout: 400
  servers:
`, listen)
	for i, address := range addresses {
		fmt.Fprintf(&b, "    - %s:1 shard%d\n", address, i+1)
	}
	return b.String()
}
