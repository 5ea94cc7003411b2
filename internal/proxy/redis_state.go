package proxy

import (
	"strings"

	"nutmeg/internal/command"
	"nutmeg/internal/merge"
)

// handler is code of its own for a command.
type handler func(p *redisProtocol, c *client, m *message, cmd *command.Command)

// stateRow is a command that reads or changes a client's session.
type stateRow struct {
	run             handler
	one, many, note string // as explain returns them; many "" is the same as one
}

const (
	asIs        = "as it is"
	keyServer   = "to the server of its keys, if they have the same one"
	noKeyScript = "without a key only in a pool of one server"

	byProxy = "answered by the proxy"
	bySelf  = "as it is, on a connection of the client's own"
	toOwn   = "to the server of its keys, if they have the same one, on a connection of the client's own"
)

// stateRows are by name.
var stateRows = map[string]stateRow{
	"auth":   {plain((*redisProtocol).auth), byProxy, "", "of users but the pool's own a server is asked; servers see the client's user"},
	"hello":  {plain((*redisProtocol).hello3), byProxy, "", "a server is asked once"},
	"select": {plain((*redisProtocol).selectDatabase), byProxy, "", "a server is asked once"},
	"reset":  {plain((*redisProtocol).reset), byProxy, "", ""},
	"quit":   {plain((*redisProtocol).quit), byProxy, "", ""},

	"client|id":           {plain((*redisProtocol).clientID), byProxy, "", "an id of the proxy's, not of a server"},
	"client|getname":      {plain((*redisProtocol).clientGetName), byProxy, "", ""},
	"client|setname":      {plain((*redisProtocol).clientSetName), byProxy, "", "servers do not see it"},
	"client|setinfo":      {plain((*redisProtocol).clientSetInfo), byProxy, "", "servers do not see it"},
	"client|info":         {plain((*redisProtocol).clientInfo), byProxy, "", lineNote},
	"client|list":         {plain((*redisProtocol).clientList), byProxy, "", "the clients of the pool; " + lineNote},
	"client|kill":         {plain((*redisProtocol).clientKill), byProxy, "", "the clients of the pool"},
	"client|unblock":      {plain((*redisProtocol).clientUnblock), byProxy, "", "the server on which the client blocks is asked"},
	"client|reply":        {plain((*redisProtocol).clientReply), byProxy, "", ""},
	"client|no-evict":     {plain((*redisProtocol).clientNoEvict), byProxy, "", "of no effect: nobody is evicted"},
	"client|no-touch":     {plain((*redisProtocol).clientNoTouch), byProxy, "", "a server is asked once; from Redis 7.2"},
	"client|getredir":     {plain((*redisProtocol).clientGetRedir), byProxy, "", ""},
	"client|trackinginfo": {plain((*redisProtocol).clientTrackingInfo), byProxy, "", ""},
	"client|tracking":     {plain((*redisProtocol).clientTracking), byProxy, "", "ON is refused: server connections are shared"},
	"client|caching":      {plain((*redisProtocol).clientCaching), byProxy, "", "an error: nothing is tracked"},

	"monitor": {plain((*redisProtocol).monitor), byProxy, "", "the requests to the pool, of clients of all workers, when they come; of long ones the beginning"},

	"multi":   {plain((*redisProtocol).multi), bySelf, "on the server of the first key", "the other keys must have the same server"},
	"exec":    {plain((*redisProtocol).exec), bySelf, "on the server of the first key", ""},
	"discard": {plain((*redisProtocol).discard), bySelf, "on the server of the first key", ""},
	"watch":   {(*redisProtocol).watch, bySelf, toOwn, ""},
	"unwatch": {plain((*redisProtocol).unwatch), bySelf, "on the server of the watched keys", ""},

	"blpop": blocking, "brpop": blocking, "blmpop": blocking, "brpoplpush": blocking, "blmove": blocking,
	"bzpopmin": blocking, "bzpopmax": blocking, "bzmpop": blocking,
	"xread":      {(*redisProtocol).block, bySelf, toOwn, "without BLOCK on a shared connection"},
	"xreadgroup": {(*redisProtocol).block, bySelf, toOwn, "without BLOCK on a shared connection"},

	"eval":         {(*redisProtocol).eval, asIs, keyServer, noKeyScript},
	"eval_ro":      {(*redisProtocol).eval, asIs, keyServer, noKeyScript},
	"evalsha":      {(*redisProtocol).evalSHA, asIs, keyServer, "a server that lacks the script is told it, if the proxy has seen it; " + noKeyScript},
	"evalsha_ro":   {(*redisProtocol).evalSHA, asIs, keyServer, "as evalsha"},
	"script|load":  {(*redisProtocol).loadScript, asIs, "to all servers: " + merge.AllSucceeded.Text(), ""},
	"script|flush": {(*redisProtocol).flushScripts, asIs, "to all servers: " + merge.AllSucceeded.Text(), "refused while a server is out"},

	"wait":    {(*redisProtocol).wait, bySelf, "to all servers, each on a connection of the client's own: the least number", "refused while a server is out"},
	"waitaof": {(*redisProtocol).wait, bySelf, "to all servers, each on a connection of the client's own: the least numbers", "refused while a server is out"},

	"subscribe":    {subscribeTo(scopeChannel), bySelf, "on the server of each channel's name", "channels of key space events: on all servers"},
	"psubscribe":   {subscribeTo(scopePattern), bySelf, "on all servers", ""},
	"ssubscribe":   {subscribeTo(scopeShard), bySelf, "on the server of each channel's name", ""},
	"unsubscribe":  {unsubscribeFrom(scopeChannel), bySelf, "on the server of each channel's name", ""},
	"punsubscribe": {unsubscribeFrom(scopePattern), bySelf, "on all servers", ""},
	"sunsubscribe": {unsubscribeFrom(scopeShard), bySelf, "on the server of each channel's name", ""},
	"publish":      {(*redisProtocol).publish, asIs, "to the server of the channel's name", ""},
	"spublish":     {(*redisProtocol).publish, asIs, "to the server of the channel's name", ""},
}

var blocking = stateRow{(*redisProtocol).block, bySelf, toOwn, ""}

// plain is for commands that need no more than the request.
func plain(run func(*redisProtocol, *client, *message)) handler {
	return func(p *redisProtocol, c *client, m *message, _ *command.Command) { run(p, c, m) }
}

func subscribeTo(of scope) handler {
	return func(p *redisProtocol, c *client, m *message, _ *command.Command) { p.subscribe(c, m, of) }
}

func unsubscribeFrom(of scope) handler {
	return func(p *redisProtocol, c *client, m *message, _ *command.Command) { p.unsubscribe(c, m, of) }
}

// handlers are the same by the command's ID.
var handlers = buildHandlers()

func buildHandlers() []handler {
	all := make([]handler, command.Count())
	for cmd := range command.All() {
		all[cmd.ID] = stateRows[cmd.Name].run
		for i := range cmd.Subcommands {
			sub := &cmd.Subcommands[i]
			all[sub.ID] = stateRows[sub.Name].run
		}
	}
	return all
}

// quit closes the client behind an OK.
func (p *redisProtocol) quit(c *client, _ *message) {
	c.reply(okText)
	c.leave()
}

// publish sends a message to where its channel is at home.
func (p *redisProtocol) publish(c *client, m *message, _ *command.Command) {
	c.forward(m, c.pool.homes(scopeChannel, m.Arg(1))[0], 0)
}

// overreaching are the commands answered without a server by which one client learns of others, or ends them. Servers say what
// a user of theirs may do, and are not asked here.
var overreaching = map[string]bool{"monitor": true, "client|list": true, "client|kill": true, "client|unblock": true}

// named reports whether the client has a user of the servers, and not the default one.
func (c *client) named() bool {
	id := c.identity()
	return id != nil && id.user != "" && id.user != nobody && id.user != "default"
}

// stateTakes takes a command that a client's session does not let pass as usual.
func (p *redisProtocol) stateTakes(c *client, m *message, cmd *command.Command, act action) bool {
	switch {
	case c.session.monitoring && replicaMustNot(cmd):
		p.reject(c, "ERR Replica can't interact with the keyspace")
		return true
	case p.subscribedOnly(c, cmd.Name):
		p.refuse(c, "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context", cmd.Name)
		return true
	case c.named() && overreaching[cmd.Name]:
		p.reject(c, "NOPERM nutmeg answers '%s' itself, and cannot tell whether user '%s' may ask; the user default may",
			cmd.Name, printable([]byte(c.identity().user)))
		return true
	case c.session.transaction.open:
		return p.transactionTakes(c, m, cmd, act)
	}
	return false
}

// transactionTakes takes a command between MULTI and EXEC, but those that are not queued.
func (p *redisProtocol) transactionTakes(c *client, m *message, cmd *command.Command, act action) bool {
	switch cmd.Name {
	case "multi", "exec", "discard", "watch", "unwatch", "quit", "reset":
		return false
	case "publish", "spublish":
		p.queue(c, m, c.pool.homes(scopeChannel, m.Arg(1))[0], m.Arg(1))
		return true
	case "wait", "waitaof": // they do not wait there
		p.queue(c, m, nil, nil)
		return true
	}
	switch act {
	case actKey:
		if sv := c.pool.pick(m.Arg(cmd.FirstKey)); sv != nil {
			p.queue(c, m, sv, m.Arg(cmd.FirstKey))
			return true
		}
		c.spoil()
		c.replyFailure(failRefused)
	case actKeys, actSplitArray, actSplitSum, actSplitPairs:
		p.queueKeys(c, m, cmd)
	case actAnywhere, actPing, actEcho:
		p.queue(c, m, nil, nil)
	case actOwn:
		switch {
		case strings.HasPrefix(cmd.Name, "evalsha") && p.queueScript(c, m, cmd):
			return true
		case len(cmd.Keys) > 0 && !cmd.Keys[0].Flags.Has(command.KeyNotKey): // those that block do not there
			p.queueKeys(c, m, cmd)
			return true
		case strings.HasPrefix(cmd.Name, "script|") && len(c.pool.servers) == 1:
			p.queue(c, m, nil, nil)
			return true
		}
		p.reject(c, "ERR '%s' inside MULTI is not supported by nutmeg", cmd.Name)
	case actRefused:
		c.spoil()
		p.refuseFor(c, cmd)
	default:
		if len(c.pool.servers) == 1 && act != actUnsupported {
			p.queue(c, m, nil, nil)
			return true
		}
		p.reject(c, "ERR '%s' is not for one server and cannot be part of a transaction", cmd.Name)
	}
	return true
}

func (p *redisProtocol) queueKeys(c *client, m *message, cmd *command.Command) {
	sv, at := p.locate(c, m, cmd)
	if sv == nil {
		c.spoil()
		return
	}
	if at == 0 {
		p.queue(c, m, nil, nil)
		return
	}
	p.queue(c, m, sv, m.Arg(at))
}

// reject is refuse, and makes an open transaction fail.
func (p *redisProtocol) reject(c *client, format string, args ...any) {
	c.spoil()
	p.refuse(c, format, args...)
}

// replyNullArray answers with what stands for an array that is not there.
func (c *client) replyNullArray() {
	if c.version() == 3 {
		c.reply([]byte("_\r\n"))
		return
	}
	c.reply([]byte("*-1\r\n"))
}

// replyNull answers with what stands for a value that is not there.
func (c *client) replyNull() {
	if c.version() == 3 {
		c.reply([]byte("_\r\n"))
		return
	}
	c.reply([]byte("$-1\r\n"))
}

var okText = []byte("+OK\r\n")
