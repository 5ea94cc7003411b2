package proxy

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"nutmeg/internal/command"
	"nutmeg/internal/learn"
	"nutmeg/internal/resp"
)

// redisProtocol is what the engine does for a pool of Redis servers, on one worker. It has no state besides its configuration and
// what it has learned of commands.
type redisProtocol struct {
	password string
	database int
	rules    *commandRules // nil if the configuration has none

	memory     learn.Memory // of commands that servers have told of
	complained bool         // that they do not
	asked      int          // the server that was asked last

	hello []byte // of the pool's own connections
	steps []greeting
}

func newRedisProtocol(password string, database int, rules *commandRules) *redisProtocol {
	p := &redisProtocol{password: password, database: database, rules: rules}
	if password != "" {
		p.hello = p.command(p.hello, "AUTH", password)
		p.steps = append(p.steps, greeting{name: "AUTH"}) // the server refuses what follows, and says why
	}
	if database != 0 {
		p.hello = p.command(p.hello, "SELECT", strconv.Itoa(database))
		p.steps = append(p.steps, greeting{name: "SELECT", essential: true})
	}
	return p
}

func (p *redisProtocol) probe() (string, uint8) {
	return string(p.command(nil, "PING")), 0
}

func (p *redisProtocol) tooManyClients() string { return "-ERR max number of clients reached\r\n" }

func (p *redisProtocol) request(c *client, data []byte, source input) int {
	w := c.worker
	in := w.intakeOf(c)
	n, done, err := in.redis.parser.Parse(data, &in.redis.request)
	if err != nil {
		in.redis.parser = resp.RequestParser{}
		in.redis.request.Reset()
		p.breakOff(c, err)
		return len(data)
	}
	if !done {
		w.keep(c, in, data, source)
		p.boundCut(c, in)
		return n
	}
	if in.skips {
		p.refuse(c, "%s", in.redis.refusal)
		w.release(c, in)
		return n
	}
	m := w.gather(c, in, data[:n], source)
	switch {
	case m.size() > c.pool.conf.Limits.RequestBytes:
		p.tooLarge(c)
	case in.redis.request.Inline:
		p.inline(c, m)
	default:
		m.args = in.redis.request.Args
		p.dispatch(c, m, &in.redis.request)
	}
	w.release(c, in)
	return n
}

// inline turns a line of words into an array of them and goes on with that.
func (p *redisProtocol) inline(c *client, m *message) {
	w := c.worker
	array, err := resp.AppendInline(w.inline[:0], m.bytes(0, uint32(m.size())))
	w.inline = array[:0]
	if err != nil {
		p.breakOff(c, err)
		return
	}
	in := w.newIntake()
	defer w.freeIntake(in)
	if _, _, err := in.redis.parser.Parse(array, &in.redis.request); err != nil {
		p.breakOff(c, err)
		return
	}
	m.flat, m.rope, m.args = array, nil, in.redis.request.Args
	if m.Len() > 0 && speaksHTTP(m.Arg(0)) {
		p.breakOff(c, &resp.SyntaxError{Text: "this is a Redis server, not HTTP"})
		return
	}
	p.dispatch(c, m, &in.redis.request)
}

// speaksHTTP recognises what web browsers send. A page must not be able to make a browser run commands: see Redis's own check.
func speaksHTTP(word []byte) bool {
	switch string(word) {
	case "POST", "post", "Host:", "host:", "HOST:":
		return true
	}
	return false
}

// breakOff tells a client that what it sent is not understood, and closes it: nobody knows where its next request begins.
func (p *redisProtocol) breakOff(c *client, err error) {
	text := err.Error()
	if syntax, ok := err.(*resp.SyntaxError); ok { //nolint:errorlint // the codec returns its own type, unwrapped
		text = syntax.Text
	}
	w := c.worker
	w.log.Info("client sent what is not the protocol", "pool", c.pool.name(), "client", c.conn.Peer(), "cause", text)
	w.scratch = resp.AppendError(w.scratch[:0], "ERR Protocol error: "+text)
	c.broken = true
	c.reply(w.scratch)
	c.leave()
}

// again dispatches a request that was held.
func (p *redisProtocol) again(c *client, m *message) {
	p.dispatch(c, m, &resp.Request{Args: m.args})
}

// dispatch sends a whole request on its way.
func (p *redisProtocol) dispatch(c *client, m *message, request *resp.Request) {
	if m.Len() == 0 {
		return
	}
	cmd := command.Lookup(m.Arg(0))
	if cmd == nil || len(cmd.Subcommands) > 0 || p.rules != nil {
		if cmd == nil && isOwn(m.Arg(0)) {
			p.own(c, m, request)
			return
		}
		if cmd = p.resolve(c, m, cmd); cmd == nil {
			return
		}
	}
	if !cmd.ArityOK(m.Len()) {
		p.wrongArity(c, cmd)
		return
	}
	act := actionFor(cmd)
	if p.strange(c) && !cmd.Flags.Has(command.NoAuth) && act != actUnsupported {
		c.spoil()
		c.reply([]byte(resp.NoAuth))
		return
	}
	if p.rules.denies(cmd) {
		p.denied(c, cmd)
		return
	}
	if c.worker.pressure == pressureStarved && act != actPing && !cmd.Flags.Has(command.NoAuth) && c.worker.starving() {
		c.hit(limitMemoryRefuse)
		p.reject(c, errOutOfMemory)
		return
	}
	if c.pool.audience != nil {
		p.show(c, m, cmd)
	}
	if c.session != nil && p.stateTakes(c, m, cmd, act) {
		return
	}
	switch act {
	case actKey:
		p.forwardKey(c, m, m.Arg(cmd.FirstKey))
	case actKeys:
		p.forwardKeys(c, m, cmd)
	case actSplitArray:
		p.split(c, m, request, cmd, mergeArray, 1)
	case actSplitSum:
		p.split(c, m, request, cmd, mergeSum, 1)
	case actSplitPairs:
		p.splitPairs(c, m, request, cmd)
	case actAnywhere:
		p.forwardAnywhere(c, m)
	case actAll, actInfo:
		p.forwardToAll(c, m, cmd)
	case actScan:
		p.scan(c, m, request, cmd)
	case actOneServer:
		p.forwardToOnly(c, m, cmd)
	case actNoCluster:
		c.reply([]byte(resp.NoCluster))
	case actRefused:
		p.refuseFor(c, cmd)
	case actPing:
		p.ping(c, m)
	case actEcho:
		c.worker.scratch = resp.AppendBulk(c.worker.scratch[:0], m.Arg(1))
		c.reply(c.worker.scratch)
	case actOwn:
		handlers[cmd.ID](p, c, m, cmd)
	default:
		p.reject(c, "ERR unknown command '%s': nutmeg does not support it", printable(m.Arg(0)))
	}
}

// placeholder is the key by which requests without a key find their server.
var placeholder = []byte("placeholder")

func (p *redisProtocol) ping(c *client, m *message) {
	switch {
	case m.Len() <= 2 && c.subscribed() && c.version() == 2:
		p.pongInSubscription(c, m)
	case m.Len() == 1:
		c.reply([]byte(resp.Pong))
	case m.Len() == 2:
		c.worker.scratch = resp.AppendBulk(c.worker.scratch[:0], m.Arg(1))
		c.reply(c.worker.scratch)
	default:
		p.wrongArity(c, command.Lookup(m.Arg(0)))
	}
}

// refuse answers with an error; the connection lives on.
func (p *redisProtocol) refuse(c *client, format string, args ...any) {
	w := c.worker
	w.scratch = resp.AppendError(w.scratch[:0], fmt.Sprintf(format, args...))
	c.reply(w.scratch)
}

// forwardKey sends the request to the server of a key.
func (p *redisProtocol) forwardKey(c *client, m *message, key []byte) {
	sv := c.pool.pick(key)
	if sv == nil {
		c.replyFailure(failRefused)
		return
	}
	c.forward(m, sv, 0)
}

// forwardKeys sends a request of several keys to the server that has them all.
func (p *redisProtocol) forwardKeys(c *client, m *message, cmd *command.Command) {
	if sv, _ := p.locate(c, m, cmd); sv != nil {
		c.forward(m, sv, 0)
	}
}

// locate finds the server that has all keys of a request, and the argument that is the first of them; that is 0 if any server
// will do. It returns nil if it has refused the request.
func (p *redisProtocol) locate(c *client, m *message, cmd *command.Command) (sv *server, at int) {
	w := c.worker
	positions, err := cmd.AppendKeys(w.positions[:0], m)
	w.positions = positions[:0]
	switch {
	case err != nil:
		return p.refuser(c, cmd, err), 0
	case len(positions) > c.pool.conf.Limits.RequestKeys:
		p.tooManyKeys(c)
		return nil, 0
	case len(positions) == 0 && len(c.pool.servers) == 1:
		return c.pool.servers[0], 0
	case len(positions) == 0:
		p.refuse(c, "ERR '%s' without a key cannot be routed; name a key whose server shall run it", cmd.Name)
		return nil, 0
	}
	first := c.pool.pick(m.Arg(positions[0]))
	if first == nil {
		c.replyFailure(failRefused)
		return nil, 0
	}
	for _, i := range positions[1:] {
		if c.pool.random {
			break // a key has no server of its own
		}
		if sv := c.pool.pick(m.Arg(i)); sv != first && sv != nil {
			p.crossShard(c, m, positions[0], i)
			return nil, 0
		}
	}
	return first, positions[0]
}

func (p *redisProtocol) crossShard(c *client, m *message, i, j int) {
	one := printable(m.Arg(i))
	p.refuse(c, "CROSSSLOT Keys in request don't belong to the same server: '%s' and '%s'; "+
		"give them a common hash tag (hash_tag in the pool's configuration)", one, printable(m.Arg(j)))
}

// response takes a response. Where nobody has asked for version 3 it is of version 2: a push would be taken for the
// response of the oldest request.
func (p *redisProtocol) response(s *serverConn, data []byte) (n int, done bool, err error) {
	n, done, err = s.redis.Parse(data)
	if done && err == nil && !s.pushes {
		switch s.redis.Kind() {
		case resp.SimpleString, resp.SimpleError, resp.Integer, resp.BulkString, resp.Array:
		default:
			err = errNotVersion2
		}
	}
	return n, done, err
}

var errNotVersion2 = &resp.SyntaxError{Text: "response of protocol version 3"}

// flows is for what has a body: errors are looked into, and pushes are no responses.
func (p *redisProtocol) flows(s *serverConn, _ *request) bool {
	switch s.redis.Kind() {
	case resp.BulkString, resp.Array:
		return true
	case resp.VerbatimString, resp.Map, resp.Set:
		return s.pushes
	}
	return false
}

// inspect notes what a fragment's response is, and says what ails its server by what it answers.
func (p *redisProtocol) inspect(s *serverConn, r *request, flat []byte) (unwell string) {
	r.kind, r.elements = byte(s.redis.Kind()), s.redis.Count()
	if s.redis.Kind() != resp.SimpleError {
		return ""
	}
	if flat == nil {
		flat = r.response.First().Bytes()
	}
	return ailment(flat)
}

// full is what a Redis with no room for another client says to it, and then closes.
const full = "ERR max number of clients"

// ailment says what ails a server that answers so, "" if nothing does: the code of an error that means that it cannot
// serve now.
func ailment(response []byte) string {
	text, ok := resp.ErrorText(response)
	if !ok {
		return ""
	}
	if strings.HasPrefix(string(text[:min(len(text), len(full))]), full) {
		return full
	}
	code, _, _ := bytes.Cut(text, []byte(" "))
	switch string(code) {
	case "OOM", "LOADING", "BUSY":
		return string(code)
	}
	return ""
}

func (p *redisProtocol) appendFailure(dst []byte, cause *failure) []byte {
	if cause.verbatim {
		return resp.AppendError(dst, cause.text)
	}
	return resp.AppendError(dst, "ERR "+cause.text)
}

// printable is text that a client sent, fit for an error or a log.
func printable(text []byte) string {
	const most = 64
	quoted := strconv.QuoteToASCII(string(text[:min(len(text), most)]))
	quoted = quoted[1 : len(quoted)-1]
	if len(text) > most {
		quoted += "..."
	}
	return quoted
}
