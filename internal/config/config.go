// Package config turns a nutmeg configuration file into validated plain structs.
//
// The file is a superset of twemproxy's (nutcracker.yml): a mapping of pool
// names to mappings of keys. A valid old file is a valid file here and keeps
// its meaning; one more top-level mapping, nutmeg, holds the settings of the
// whole process. docs/configuration.md describes every key.
//
//	bytes -> yaml node tree -> reader (kinds, keys, values) -> checks -> *Config
//
// Decoding is done on the YAML node tree, so that every fault carries the line
// and column it was found at, and all faults of a file come out in one run. A
// Config exists only when the whole file is valid; it is sorted, complete with
// defaults, and read-only from then on, hence safe for concurrent use.
//
// The package refuses to know sockets, DNS and the machine: names are not
// resolved, files named in addresses are not looked at, and a worker count of 0
// is left for the application to fill in.
package config

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// Config is one validated configuration file.
type Config struct {
	File   string // name of the file, as given to Load or Parse
	Global Global
	Pools  []Pool // at least one; sorted by name, shorter names first, then by bytes
}

// Global holds the settings of the process, from the top-level key nutmeg.
type Global struct {
	Workers           int           // event loops, 1..1024; 0 = not set, one for each usable core
	WorkerBusy        int           // percent of a core from which on a worker gives clients away; 0 = clients are spread and stay
	ClientConnections int           // most clients of all pools at a time; 0 = as many as descriptors allow
	MaxMemory         int64         // bytes that clients and servers may make the process hold; 0 = half of what the machine has
	DrainTimeout      time.Duration // how long requests under way may take when the process stops
	UpgradeTimeout    time.Duration // how long a new process may take to start
	ResolveInterval   time.Duration // how often host names of connected servers are looked up again; 0 = only to connect
	Watch             bool          // reload when the file changes
}

// Protocol is what clients and servers of a pool speak.
type Protocol uint8

// The protocols. Memcache is the zero value and the default, as in twemproxy.
const (
	Memcache Protocol = iota
	Redis
)

// String returns "memcache" or "redis".
func (p Protocol) String() string {
	if p == Redis {
		return "redis"
	}
	return "memcache"
}

// Pool is a named set of servers behind one listen address.
type Pool struct {
	Name     string
	Listen   Listen
	Protocol Protocol
	Routing  Routing
	Health   Health
	Limits   Limits
	// Servers holds at least one server, sorted by name: shorter names first,
	// equal lengths by byte order. The position is the server index everywhere.
	Servers           []Server
	Timeout           time.Duration // of one request; 0 = wait for ever
	ClientConnections int           // most clients at a time; 0 = no limit
	ServerConnections int           // to each server and for each worker; at least 1
	// DedicatedConnections is how many connections to each server and for each worker may be lent to single clients; at least 1.
	DedicatedConnections int
	DedicatedTimeout     time.Duration // how long a client waits for one; 0 = as long as it wants
	Preconnect           bool          // connect to the servers at start
	TCPKeepalive         bool          // SO_KEEPALIVE on client and server sockets
	RedisAuth            string        // password for clients and servers; "" = none
	RedisDB              int           // database selected on server connections
	Commands             *Commands     // what is refused, renamed and declared; nil = nothing
}

// Listen says where a pool accepts clients and how.
type Listen struct {
	Text      string // as written in the file
	Address   Address
	Mode      os.FileMode // of a unix socket, 0..0777; 0 = no chmod
	Backlog   int         // for listen(2)
	ReusePort bool        // SO_REUSEPORT
}

// Address is an endpoint, not resolved.
type Address struct {
	Network string // "tcp" or "unix"
	Host    string // name or IP literal without brackets; "" = all interfaces (written "*")
	Port    int    // 1..65535 for tcp, 0 for unix
	Path    string // of a unix socket, else ""
}

// String returns "host:port", "[v6]:port", ":port" for all interfaces, or the
// path: the form net.Dial and net.Listen take.
func (a Address) String() string {
	return string(a.Append(nil))
}

// Append is String for a buffer.
func (a Address) Append(to []byte) []byte {
	if a.Network == "unix" {
		return append(to, a.Path...)
	}
	if strings.Contains(a.Host, ":") {
		to = append(append(append(to, '['), a.Host...), ']')
	} else {
		to = append(to, a.Host...)
	}
	return strconv.AppendInt(append(to, ':'), int64(a.Port), 10)
}

// Routing says how a key finds its server.
type Routing struct {
	Hash         string // one of hashkit.Names
	Distribution string // one of distribution.Names
	HashTag      string // "" or exactly two bytes
}

// Health says when a failing server is left out, and how it comes back.
type Health struct {
	AutoEject       bool
	FailureLimit    int           // consecutive failures until ejection; at least 1
	RetryTimeout    time.Duration // how long an ejected server stays out, the first time
	RetryTimeoutMax time.Duration // what that grows to, doubling, while the server keeps failing; 0 = it does not grow
	RetryJitter     int           // percent by which each of these times is made longer at random, 0..100
	Floor           int           // percent of the servers that are never ejected, 0..100
	Return          Return        // what an ejected server has to show to come back
}

// Return is what an ejected server has to show to come back.
type Return uint8

// The ways to come back. ReturnTime is the zero value and the default, as in twemproxy.
const (
	ReturnTime  Return = iota // nothing: its time is over
	ReturnProbe               // an answer to a PING, or to memcached's version
	ReturnTrial               // an answer to a request of a client; one worker tries
)

// String returns "time", "probe" or "trial".
func (r Return) String() string {
	switch r {
	case ReturnProbe:
		return "probe"
	case ReturnTrial:
		return "trial"
	default:
		return "time"
	}
}

// Limits bound what clients of a pool can make the process hold. Sizes are bytes.
type Limits struct {
	ClientBuffer      int           // held for one client; above it, the client is not read from
	ClientBufferLimit int           // held for one client; above it, the client is closed; 0 = no limit
	ClientRequests    int           // of one client in flight; above it, the client is not read from; at least 1
	ClientIdle        time.Duration // after it, a client that sends nothing and waits for nothing is closed; 0 = never
	RequestBytes      int           // of one request
	RequestKeys       int           // of one request
	RequestTimeout    time.Duration // from the first byte of a request to its last; 0 = no limit
	ServerBuffer      int           // requests queued on one server connection; above it, who sends to it is not read from
	ServerRequests    int           // requests in flight on one server connection, likewise
}

// Server is one entry of a pool's servers list.
type Server struct {
	Name    string // identity in the distribution and key in the stats; unique in its pool
	Address Address
	Weight  int    // at least 1
	Text    string // as written in the file
}
