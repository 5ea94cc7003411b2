package proxy

import (
	"strings"

	"nutmeg/internal/command"
	"nutmeg/internal/merge"
)

// row is what is done with a command for which the table of commands does not say enough: nearly all of them have no key.
type row struct {
	act  action
	rule merge.Rule // of actAll
	// whole says that all servers have to do it: one that is out is a reason to refuse, not to leave it out.
	whole bool
	note  string // for a refusal why, else what is good to know
}

// rows are by name. Commands that are not here go by their keys, or are refused.
var rows = map[string]row{
	// The data.
	"dbsize":    {act: actAll, rule: merge.Sum},
	"keys":      {act: actAll, rule: merge.Concat, note: "in the order of the servers"},
	"randomkey": {act: actAll, rule: merge.RandomNonNull, note: "a small server's keys come as often as a large one's"},
	"scan":      {act: actScan, note: "a cursor is refused when the pool's servers have changed"},
	"flushall":  {act: actAll, rule: merge.AllSucceeded, whole: true},
	"flushdb":   {act: actAll, rule: merge.AllSucceeded, whole: true},
	"swapdb":    {act: actAll, rule: merge.AllSucceeded, whole: true},
	"migrate":   {act: actOneServer, note: "it takes keys away from the server that the proxy looks for them at"},

	// Clients. What is not here is the proxy's: see stateRows.
	"client|help":    {act: actAnywhere},
	"client|pause":   {act: actAll, rule: merge.AllSucceeded, whole: true, note: "what takes longer than timeout meanwhile fails"},
	"client|unpause": {act: actAll, rule: merge.AllSucceeded},

	// Channels.
	"pubsub|channels":      {act: actAll, rule: merge.Union},
	"pubsub|numpat":        {act: actAll, rule: merge.Max, note: "patterns are subscribed to on every server"},
	"pubsub|numsub":        {act: actAll, rule: merge.SumByName},
	"pubsub|shardchannels": {act: actAll, rule: merge.Union},
	"pubsub|shardnumsub":   {act: actAll, rule: merge.SumByName},

	// Scripts and functions are on all servers.
	"script|load":      {act: actAll, rule: merge.AllSucceeded},
	"script|exists":    {act: actAll, rule: merge.And},
	"script|flush":     {act: actAll, rule: merge.AllSucceeded, whole: true},
	"script|kill":      {act: actAll, rule: merge.OneSucceeded},
	"script|show":      {act: actAll, rule: merge.OneSucceeded},
	"script|debug":     {act: actRefused, note: "it changes the state of a connection that others share"},
	"function|load":    {act: actAll, rule: merge.AllSucceeded, whole: true},
	"function|delete":  {act: actAll, rule: merge.AllSucceeded, whole: true},
	"function|flush":   {act: actAll, rule: merge.AllSucceeded, whole: true},
	"function|restore": {act: actAll, rule: merge.AllSucceeded, whole: true},
	"function|list":    {act: actAll, rule: merge.Libraries},
	"function|dump":    {act: actAnywhere, note: "all servers have the same functions, unless one was given others directly"},
	"function|stats":   {act: actAll, rule: merge.FunctionStats},
	"function|kill":    {act: actAll, rule: merge.OneSucceeded},

	// The servers themselves.
	"info":                {act: actInfo, rule: merge.Info, note: "INFO nutmeg tells of the proxy"},
	"config|get":          {act: actAll, rule: merge.ConfigGet},
	"config|set":          {act: actAll, rule: merge.AllSucceeded, whole: true},
	"config|resetstat":    {act: actAll, rule: merge.AllSucceeded, whole: true},
	"config|rewrite":      {act: actAll, rule: merge.AllSucceeded, whole: true},
	"memory|stats":        {act: actAll, rule: merge.MemoryStats},
	"memory|doctor":       {act: actAll, rule: merge.Texts},
	"memory|malloc-stats": {act: actAll, rule: merge.Texts},
	"memory|purge":        {act: actAll, rule: merge.AllSucceeded},
	"latency|latest":      {act: actAll, rule: merge.LatencyLatest},
	"latency|history":     {act: actAll, rule: merge.LatencyHistory},
	"latency|histogram":   {act: actAll, rule: merge.LatencyHistogram},
	"latency|doctor":      {act: actAll, rule: merge.Texts},
	"latency|graph":       {act: actAll, rule: merge.Texts},
	"latency|reset":       {act: actAll, rule: merge.Sum},
	"slowlog|get":         {act: actAll, rule: merge.Slowlog, note: "entries of different servers may have the same id"},
	"slowlog|len":         {act: actAll, rule: merge.Sum},
	"slowlog|reset":       {act: actAll, rule: merge.AllSucceeded},
	"time":                {act: actAnywhere},
	"lastsave":            {act: actAll, rule: merge.Min},
	"save":                {act: actAll, rule: merge.AllSucceeded, whole: true},
	"bgsave":              {act: actAll, rule: merge.AllSucceeded, whole: true},
	"bgrewriteaof":        {act: actAll, rule: merge.AllSucceeded, whole: true},
	"role":                {act: actAll, rule: merge.Same},
	"module|list":         {act: actAll, rule: merge.Same},
	"module|load":         {act: actAll, rule: merge.AllSucceeded, whole: true},
	"module|loadex":       {act: actAll, rule: merge.AllSucceeded, whole: true},
	"module|unload":       {act: actAll, rule: merge.AllSucceeded, whole: true},
	"acl|setuser":         {act: actAll, rule: merge.AllSucceeded, whole: true},
	"acl|deluser":         {act: actAll, rule: merge.Max, whole: true},
	"acl|load":            {act: actAll, rule: merge.AllSucceeded, whole: true},
	"acl|save":            {act: actAll, rule: merge.AllSucceeded, whole: true},
	"acl|list":            {act: actAll, rule: merge.Same},
	"acl|users":           {act: actAll, rule: merge.Same},
	"acl|getuser":         {act: actAll, rule: merge.Same},
	"acl|dryrun":          {act: actAll, rule: merge.Same},
	"acl|log":             {act: actAll, rule: merge.Concat, note: "a count is that of each server's entries"},
	"acl|cat":             {act: actAnywhere},
	"acl|genpass":         {act: actAnywhere},
	"acl|whoami":          {act: actAnywhere, note: "the user of the proxy's connections"},
	"pfselftest":          {act: actAnywhere},
	"lolwut":              {act: actAnywhere},
	"command":             {act: actAnywhere},

	// Redis Cluster is not what this is.
	"readonly":  {act: actNoCluster},
	"readwrite": {act: actNoCluster},
	"asking":    {act: actNoCluster},

	// What would harm others.
	"shutdown":  {act: actRefused, note: "it ends a server that others use; ask the server itself"},
	"replicaof": {act: actRefused, note: "it changes what a server is for all its clients"},
	"slaveof":   {act: actRefused, note: "it changes what a server is for all its clients"},
	"failover":  {act: actRefused, note: "it changes what a server is for all its clients"},
	"debug":     {act: actRefused, note: "it can stop a server for all its clients"},
	"sync":      {act: actRefused, note: "it makes of a connection a replica's; ask the server itself"},
	"psync":     {act: actRefused, note: "it makes of a connection a replica's; ask the server itself"},
	"replconf":  {act: actRefused, note: "it is what replicas say; ask the server itself"},
}

// rowOf is the row of a command.
func rowOf(cmd *command.Command) (row, bool) {
	if r, ok := rows[cmd.Name]; ok {
		return r, true
	}
	container, sub, ok := strings.Cut(cmd.Name, "|")
	switch {
	case !ok || container == "client" || container == "sentinel":
	case sub == "help", container == "command":
		return row{act: actAnywhere}, true
	case container == "cluster":
		return row{act: actAnywhere, note: "servers that are no cluster say so"}, true
	}
	if !cmd.InTable() {
		return rowOfStranger(cmd)
	}
	return row{}, false
}

// rowOfStranger is the row of a command that is not in the table: what its server, or the configuration, says of it decides.
func rowOfStranger(cmd *command.Command) (row, bool) {
	switch {
	case cmd.Flags.Has(command.Blocking), cmd.Flags.Has(command.PubSub), cmd.Categories&ofConnections != 0:
		return row{act: actRefused, note: "it needs a connection of its own, and nutmeg does not know the command"}, true
	case !cmd.KeysCertain():
		return row{act: actOneServer, note: "its keys cannot be told from its arguments"}, true
	case len(cmd.Keys) > 0 || len(cmd.Subcommands) > 0:
		return row{}, false
	case cmd.Request != command.RequestAllNodes && cmd.Request != command.RequestAllShards:
		return row{act: actOneServer, note: "it has no key that tells its server"}, true
	}
	r := row{act: actAll, rule: merge.Same, whole: cmd.Flags.Has(command.Write)}
	switch cmd.Response {
	case command.ResponseDefault:
		r.rule = merge.Concat
	case command.ResponseOneSucceeded:
		r.rule = merge.OneSucceeded
	case command.ResponseAllSucceeded:
		r.rule = merge.AllSucceeded
	case command.ResponseAggSum:
		r.rule = merge.Sum
	case command.ResponseAggMin:
		r.rule = merge.Min
	case command.ResponseAggMax:
		r.rule = merge.Max
	case command.ResponseAggLogicalAnd:
		r.rule = merge.And
	case command.ResponseAggLogicalOr:
		r.rule = merge.Or
	}
	return r, true
}

// ofConnections are the categories of commands that change what a connection is, or keep it.
const ofConnections = command.CategoryConnection | command.CategoryTransaction | command.CategoryPubSub | command.CategoryBlocking

// rowFor is the row of a command that has one.
func rowFor(cmd *command.Command) row {
	if cmd.InTable() {
		return rowByID[cmd.ID]
	}
	r, _ := rowOf(cmd)
	return r
}

// rowByID is rowOf by the ID of a command. It is built once and never changed.
var rowByID = buildRows()

func buildRows() []row {
	all := make([]row, command.Count())
	add := func(cmd *command.Command) {
		all[cmd.ID], _ = rowOf(cmd)
	}
	for cmd := range command.All() {
		add(cmd)
		for i := range cmd.Subcommands {
			add(&cmd.Subcommands[i])
		}
	}
	return all
}
