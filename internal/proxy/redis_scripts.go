package proxy

import (
	"bytes"

	"nutmeg/internal/buffer"
	"nutmeg/internal/command"
	"nutmeg/internal/resp"
)

// eval runs a script, and remembers it.
func (p *redisProtocol) eval(c *client, m *message, cmd *command.Command) {
	c.pool.seen.remember(&c.pool.census.scripts, m.Arg(1))
	p.forwardKeys(c, m, cmd)
}

// loadScript has all servers remember a script, and remembers it too: one of them may lose it.
func (p *redisProtocol) loadScript(c *client, m *message, cmd *command.Command) {
	c.pool.seen.remember(&c.pool.census.scripts, m.Arg(2))
	p.forwardToAll(c, m, cmd)
}

// flushScripts has all forget their scripts.
func (p *redisProtocol) flushScripts(c *client, m *message, cmd *command.Command) {
	c.pool.census.scripts.flush()
	p.forwardToAll(c, m, cmd)
}

// evalSHA runs a script by its name. A server that may not have it is told it first, on the same connection; and one that has lost it
// since is told it again.
func (p *redisProtocol) evalSHA(c *client, m *message, cmd *command.Command) {
	name, ok := asScriptName(m.Arg(1))
	if !ok {
		p.forwardKeys(c, m, cmd)
		return
	}
	sv, _ := p.locate(c, m, cmd)
	if sv == nil {
		return
	}
	conn := sv.connFor(c, m.size())
	body, had := conn.scripts.needs(&c.pool.census.scripts, name)
	if body != nil {
		conn.sendSilently(p.scriptLoad(body))
	}
	var again *encore
	if had && m.size() <= flattenBytes {
		again = c.worker.newEncore()
		again.name = name
		m.copyTo(c.worker, &again.request)
	}
	r := c.forward(m, sv, 0)
	switch {
	case r != nil:
		r.encore = again
	case again != nil:
		c.worker.freeEncore(again)
	}
}

// scriptLoad is the request that tells a server a script.
func (p *redisProtocol) scriptLoad(body []byte) []byte {
	return p.command(nil, "SCRIPT", "LOAD", string(body))
}

// queueScript queues EVALSHA in a transaction as EVAL if the proxy has the script: there nobody could tell the server first.
func (p *redisProtocol) queueScript(c *client, m *message, cmd *command.Command) bool {
	name, ok := asScriptName(m.Arg(1))
	if !ok {
		return false
	}
	body := c.pool.census.scripts.find(name)
	if body == nil {
		return false
	}
	as := "EVAL"
	if cmd.Name == "evalsha_ro" {
		as = "EVAL_RO"
	}
	array := resp.AppendBulk(resp.AppendArray(nil, m.Len()), as)
	array = resp.AppendBulk(array, body)
	for i := 2; i < m.Len(); i++ {
		array = resp.AppendBulk(array, m.Arg(i))
	}
	w := c.worker
	in := w.newIntake()
	defer w.freeIntake(in)
	if _, done, err := in.redis.parser.Parse(array, &in.redis.request); !done || err != nil {
		return false // too large
	}
	eval := command.Lookup([]byte(as))
	m.flat, m.rope, m.args, m.sendAs = array, nil, in.redis.request.Args, p.rules.serverName(eval)
	p.queueKeys(c, m, eval)
	return true
}

// encore is a request once more, for a server that turns out to lack its script.
type encore struct {
	name    scriptName
	request buffer.Buffer
	next    *encore
}

func (w *worker) newEncore() *encore {
	e := w.freeEncores
	if e == nil {
		return &encore{}
	}
	w.freeEncores, e.next = e.next, nil
	return e
}

func (w *worker) freeEncore(e *encore) {
	e.request.Reset(&w.loop.Chunks)
	w.freeEncores, e.next = e, w.freeEncores
}

var noScript = []byte("-NOSCRIPT ")

// playEncore sends a request again whose server says that it lacks the script, behind the script. It does not if later requests
// of the client are on their way: they would come first. Then the client is told, and the next request is preceded by the script.
func (w *worker) playEncore(s *serverConn, r *request, flat []byte) bool {
	e := r.encore
	r.encore = nil
	defer w.freeEncore(e)
	if flat == nil || !bytes.HasPrefix(flat, noScript) {
		return false
	}
	s.scripts.known = nil
	c := r.sender()
	if c == nil || c.gone || s.dead || s.slot == slotRetired {
		return false
	}
	if last := c.queue.newest == r || r.client == nil && c.requests == 1; !last {
		return false
	}
	p, ok := c.pool.protocol.(*redisProtocol)
	body := c.pool.census.scripts.find(e.name)
	if body == nil || !ok {
		return false
	}
	s.scripts.needs(&c.pool.census.scripts, e.name)
	s.sendSilently(p.scriptLoad(body))
	n := e.request.Len()
	s.appended += uint64(n)
	s.output().Take(s.chunks(), &e.request)
	s.enqueue(r, n)
	return true
}
