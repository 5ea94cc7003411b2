package main

import "fmt"

// The facts' words and the Go names they become.

var flags = map[string]string{
	"WRITE":                  "Write",
	"READONLY":               "ReadOnly",
	"DENYOOM":                "DenyOOM",
	"ADMIN":                  "Admin",
	"PUBSUB":                 "PubSub",
	"NOSCRIPT":               "NoScript",
	"BLOCKING":               "Blocking",
	"LOADING":                "Loading",
	"STALE":                  "Stale",
	"SKIP_MONITOR":           "SkipMonitor",
	"SKIP_SLOWLOG":           "SkipSlowlog",
	"ASKING":                 "Asking",
	"FAST":                   "Fast",
	"NO_AUTH":                "NoAuth",
	"MAY_REPLICATE":          "MayReplicate",
	"SENTINEL":               "Sentinel",
	"ONLY_SENTINEL":          "OnlySentinel",
	"NO_MANDATORY_KEYS":      "NoMandatoryKeys",
	"PROTECTED":              "Protected",
	"NO_ASYNC_LOADING":       "NoAsyncLoading",
	"NO_MULTI":               "NoMulti",
	"ALLOW_BUSY":             "AllowBusy",
	"TOUCHES_ARBITRARY_KEYS": "TouchesArbitraryKeys",
}

var tips = map[string]string{
	"NONDETERMINISTIC_OUTPUT":       "NondeterministicOutput",
	"NONDETERMINISTIC_OUTPUT_ORDER": "NondeterministicOrder",
}

var keyFlags = map[string]string{
	"RO":             "KeyReadOnly",
	"RW":             "KeyReadWrite",
	"OW":             "KeyOverwrite",
	"RM":             "KeyRemove",
	"ACCESS":         "KeyAccess",
	"UPDATE":         "KeyUpdate",
	"INSERT":         "KeyInsert",
	"DELETE":         "KeyDelete",
	"NOT_KEY":        "KeyNotKey",
	"INCOMPLETE":     "KeyIncomplete",
	"VARIABLE_FLAGS": "KeyVariableFlags",
}

var categories = map[string]string{
	"KEYSPACE":    "CategoryKeyspace",
	"READ":        "CategoryRead",
	"WRITE":       "CategoryWrite",
	"SET":         "CategorySet",
	"SORTEDSET":   "CategorySortedSet",
	"LIST":        "CategoryList",
	"HASH":        "CategoryHash",
	"STRING":      "CategoryString",
	"BITMAP":      "CategoryBitmap",
	"HYPERLOGLOG": "CategoryHyperLogLog",
	"GEO":         "CategoryGeo",
	"STREAM":      "CategoryStream",
	"PUBSUB":      "CategoryPubSub",
	"ADMIN":       "CategoryAdmin",
	"FAST":        "CategoryFast",
	"SLOW":        "CategorySlow",
	"BLOCKING":    "CategoryBlocking",
	"DANGEROUS":   "CategoryDangerous",
	"CONNECTION":  "CategoryConnection",
	"TRANSACTION": "CategoryTransaction",
	"SCRIPTING":   "CategoryScripting",
}

var groups = map[string]string{
	"bitmap":       "GroupBitmap",
	"cluster":      "GroupCluster",
	"connection":   "GroupConnection",
	"generic":      "GroupGeneric",
	"geo":          "GroupGeo",
	"hash":         "GroupHash",
	"hyperloglog":  "GroupHyperLogLog",
	"list":         "GroupList",
	"pubsub":       "GroupPubSub",
	"scripting":    "GroupScripting",
	"sentinel":     "GroupSentinel",
	"server":       "GroupServer",
	"set":          "GroupSet",
	"sorted_set":   "GroupSortedSet",
	"stream":       "GroupStream",
	"string":       "GroupString",
	"transactions": "GroupTransactions",
}

var requests = map[string]string{
	"ALL_NODES":   "RequestAllNodes",
	"ALL_SHARDS":  "RequestAllShards",
	"MULTI_SHARD": "RequestMultiShard",
	"SPECIAL":     "RequestSpecial",
}

var responses = map[string]string{
	"ONE_SUCCEEDED":   "ResponseOneSucceeded",
	"ALL_SUCCEEDED":   "ResponseAllSucceeded",
	"AGG_SUM":         "ResponseAggSum",
	"AGG_MIN":         "ResponseAggMin",
	"AGG_MAX":         "ResponseAggMax",
	"AGG_LOGICAL_AND": "ResponseAggLogicalAnd",
	"AGG_LOGICAL_OR":  "ResponseAggLogicalOr",
	"SPECIAL":         "ResponseSpecial",
}

// finders names the commands with code of their own in special.go.
var finders = map[string]string{
	"sort":              "findSort",
	"georadius":         "findGeoRadius",
	"georadiusbymember": "findGeoMember",
	"migrate":           "findMigrate",
	"xreadgroup":        "findGroupReads",
}

// translate returns the Go names of words, in their order.
func translate(words []string, names map[string]string, what string) ([]string, error) {
	var out []string
	for _, word := range words {
		name, ok := names[word]
		if !ok {
			return nil, fmt.Errorf("%s %q is unknown; add it to the package and to the generator", what, word)
		}
		out = append(out, name)
	}
	return out, nil
}
