package command

import (
	"slices"
	"strconv"
	"strings"
)

// Flags is a set of properties of a command.
type Flags uint32

// The flags of Redis's own command table, under its names.
const (
	Write                Flags = 1 << iota // may change the data
	ReadOnly                               // reads keys and changes nothing
	DenyOOM                                // refused when the server is out of memory
	Admin                                  // for operators: CONFIG, SHUTDOWN ...
	PubSub                                 // publishing and subscribing
	NoScript                               // not allowed in scripts
	Blocking                               // may keep its connection waiting
	Loading                                // allowed while the server loads its data
	Stale                                  // allowed on a replica that lost its primary
	SkipMonitor                            // not shown by MONITOR
	SkipSlowlog                            // not kept in the slow log
	Asking                                 // implies ASKING in Redis Cluster
	Fast                                   // constant or logarithmic time
	NoAuth                                 // allowed before AUTH
	MayReplicate                           // may write, as EVAL does; neither Write nor ReadOnly
	Sentinel                               // Redis Sentinel knows it too
	OnlySentinel                           // only Redis Sentinel knows it
	NoMandatoryKeys                        // may have no keys: a numkeys of 0 is fine
	Protected                              // off unless the server's configuration allows it
	NoAsyncLoading                         // not allowed while a replica loads in the background
	NoMulti                                // not allowed between MULTI and EXEC
	AllowBusy                              // allowed while a script hangs
	TouchesArbitraryKeys                   // may touch keys it does not name
	// MovableKeys is computed as the server does it: some key cannot be found by
	// "from argument n to argument m".
	MovableKeys
	// NondeterministicOutput is a tip: two servers with equal data may answer
	// differently.
	NondeterministicOutput
	// NondeterministicOrder is a tip: equal data, but the order may differ.
	NondeterministicOrder
)

var flagNames = [...]string{
	"write", "readonly", "denyoom", "admin", "pubsub", "noscript", "blocking",
	"loading", "stale", "skip_monitor", "skip_slowlog", "asking", "fast", "no_auth",
	"may_replicate", "sentinel", "only_sentinel", "no_mandatory_keys", "protected",
	"no_async_loading", "no_multi", "allow_busy", "touches_arbitrary_keys",
	"movablekeys", "nondeterministic_output", "nondeterministic_output_order",
}

// Has reports whether every flag of want is set.
func (f Flags) Has(want Flags) bool { return f&want == want }

// String lists the flags as COMMAND and its tips name them: "readonly|fast".
func (f Flags) String() string { return joinBits(uint32(f), flagNames[:]) }

// FlagCalled returns the flag of that name, as String spells it; 0 if there is none.
func FlagCalled(name string) Flags { return Flags(bitCalled(name, flagNames[:])) }

// KeyFlags says what a command does with the keys of one KeySpec.
type KeyFlags uint16

// The flags of Redis's key specifications. One of the first four is set on
// every key; access, update, insert and delete are about the value the user put
// there, not its metadata.
const (
	KeyReadOnly      KeyFlags = 1 << iota // RO: read, not changed
	KeyReadWrite                          // RW: changed, what was there counts
	KeyOverwrite                          // OW: replaced, what was there does not count
	KeyRemove                             // RM: deleted
	KeyAccess                             // its value is returned, copied or used
	KeyUpdate                             // its value is updated
	KeyInsert                             // something is added, nothing removed or changed
	KeyDelete                             // something of it is explicitly removed
	KeyNotKey                             // not a key but routed like one: a shard channel
	KeyIncomplete                         // the specification may miss some keys
	KeyVariableFlags                      // the arguments decide which flags hold
)

var keyFlagNames = [...]string{
	"RO", "RW", "OW", "RM", "access", "update", "insert", "delete",
	"not_key", "incomplete", "variable_flags",
}

// Has reports whether every flag of want is set.
func (f KeyFlags) Has(want KeyFlags) bool { return f&want == want }

// String lists the flags as COMMAND names them: "RW|access|delete".
func (f KeyFlags) String() string { return joinBits(uint32(f), keyFlagNames[:]) }

// KeyFlagCalled returns the flag of that name, as String spells it; 0 if there is none.
func KeyFlagCalled(name string) KeyFlags { return KeyFlags(bitCalled(name, keyFlagNames[:])) }

// Group is the chapter of the Redis manual that a command stands in.
type Group uint8

// The groups of the table.
const (
	GroupUnknown Group = iota // not in the table's data
	GroupBitmap
	GroupCluster
	GroupConnection
	GroupGeneric
	GroupGeo
	GroupHash
	GroupHyperLogLog
	GroupList
	GroupPubSub
	GroupScripting
	GroupSentinel
	GroupServer
	GroupSet
	GroupSortedSet
	GroupStream
	GroupString
	GroupTransactions
)

var groupNames = [...]string{
	"unknown", "bitmap", "cluster", "connection", "generic", "geo", "hash",
	"hyperloglog", "list", "pubsub", "scripting", "sentinel", "server", "set",
	"sorted_set", "stream", "string", "transactions",
}

// String returns the group's name in the manual: "sorted_set".
func (g Group) String() string { return nameOf(int(g), groupNames[:]) }

// RequestPolicy says to which servers a proxy has to send a command.
// It is the tip request_policy, written by Redis for proxies.
type RequestPolicy uint8

// The request policies.
const (
	RequestDefault    RequestPolicy = iota // the shard of its keys; without keys, any one
	RequestAllNodes                        // every server, replicas too
	RequestAllShards                       // one server of every shard
	RequestMultiShard                      // split by key, each shard gets its own keys
	RequestSpecial                         // needs code: SCAN
)

var requestNames = [...]string{"default", "all_nodes", "all_shards", "multi_shard", "special"}

// String returns the policy as the tip spells it.
func (p RequestPolicy) String() string { return nameOf(int(p), requestNames[:]) }

// RequestPolicyCalled returns the policy that the tip spells so; ok is false if there is none.
func RequestPolicyCalled(name string) (p RequestPolicy, ok bool) {
	i := slices.Index(requestNames[:], name)
	return RequestPolicy(max(i, 0)), i >= 0
}

// ResponsePolicy says how the answers of several servers become one.
// It is the tip response_policy.
type ResponsePolicy uint8

// The response policies.
const (
	// ResponseDefault: with keys, the elements go back to the order of the keys
	// (MGET); without, the answers' elements are put together in any order (KEYS).
	ResponseDefault       ResponsePolicy = iota
	ResponseOneSucceeded                 // the first answer that is no error; else an error
	ResponseAllSucceeded                 // an answer if none is an error; else an error
	ResponseAggSum                       // the sum of the integers
	ResponseAggMin                       // the least integer
	ResponseAggMax                       // the greatest integer
	ResponseAggLogicalAnd                // logical and, element by element
	ResponseAggLogicalOr                 // logical or, element by element
	ResponseSpecial                      // needs code: INFO, RANDOMKEY
)

var responseNames = [...]string{
	"default", "one_succeeded", "all_succeeded", "agg_sum", "agg_min", "agg_max",
	"agg_logical_and", "agg_logical_or", "special",
}

// String returns the policy as the tip spells it.
func (p ResponsePolicy) String() string { return nameOf(int(p), responseNames[:]) }

// ResponsePolicyCalled returns the policy that the tip spells so; ok is false if there is none.
func ResponsePolicyCalled(name string) (p ResponsePolicy, ok bool) {
	i := slices.Index(responseNames[:], name)
	return ResponsePolicy(max(i, 0)), i >= 0
}

func nameOf(i int, names []string) string {
	if i < len(names) {
		return names[i]
	}
	return strconv.Itoa(i)
}

// bitCalled is the bit of a name, 0 if there is none.
func bitCalled(name string, names []string) uint32 {
	if i := slices.Index(names, name); i >= 0 {
		return 1 << i
	}
	return 0
}

func joinBits(bits uint32, names []string) string {
	var set []string
	for i, name := range names {
		if bits&(1<<i) != 0 {
			set = append(set, name)
		}
	}
	return strings.Join(set, "|")
}
