package proxy

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"nutmeg/internal/resp"
)

// redisLanguage is Redis for simulated servers and clients.
//
// The servers answer more than Redis does where that names the request: SET with its unit as a status, GETEX with the
// token of its third argument before the value; INCRBY is refused, with the token. A token in place of a key exists, and
// is its own value.
type redisLanguage struct{}

func (redisLanguage) protocol() string { return "redis: true" }

func (redisLanguage) isFailure(response []byte) bool {
	text, ok := resp.ErrorText(response)
	if !ok {
		return false
	}
	if before, whose, found := bytes.Cut(text, []byte(" (server ")); found && bytes.HasSuffix(whose, []byte(")")) {
		text = before // of several servers, one
	}
	cause, ok := bytes.CutPrefix(text, []byte("ERR "))
	return ok && isFailureText(string(cause)) || string(text) == unwellRedis
}

const unwellRedis = "LOADING simulated server is loading"

// redisSession is one connection of a simulated Redis server.
type redisSession struct {
	parser  resp.RequestParser
	request resp.Request
	bytes   []byte // of a request that has come in part
	args    [][]byte
	known   bool // the password was given
	inExec  bool
	later   []byte // what came while the connection was blocked
	state   redisState
}

func (redisLanguage) newSession() executor { return &redisSession{} }

func (c *redisSession) feed(s *simServer, data, out []byte) ([]byte, error) {
	for len(data) > 0 {
		if c.state.blocked != nil {
			c.later = append(c.later, data...)
			break
		}
		n, done, err := c.parser.Parse(data, &c.request)
		if err != nil {
			return out, err
		}
		whole := data[:n]
		data = data[n:]
		if !done || len(c.bytes) > 0 {
			c.bytes = append(c.bytes, whole...)
			whole = c.bytes
		}
		if !done {
			break
		}
		c.args = c.args[:0]
		for _, a := range c.request.Args {
			c.args = append(c.args, whole[a.Start:a.End])
		}
		out = c.execute(s, out)
		s.requests++
		c.bytes = c.bytes[:0]
		c.request.Reset()
	}
	return out, nil
}

func (c *redisSession) execute(s *simServer, out []byte) []byte {
	name := string(bytes.ToLower(c.args[0]))
	switch {
	case name == "auth":
		c.known = string(c.args[len(c.args)-1]) == s.password
		if !c.known {
			return resp.AppendError(out, "WRONGPASS invalid username-password pair or user is disabled.")
		}
		return append(out, resp.OK...)
	case name == "hello":
		return c.hello(s, out)
	case s.password != "" && !c.known:
		s.fail("server %s was sent %s before the password", s.name, name)
	case s.denied == name:
		return resp.AppendError(out, "NOPERM this user has no permissions to run the '"+name+"' command")
	case s.unwell && name != "select" && (c.state.multi || name != "multi" && name != "watch" && name != "unwatch"):
		c.state.dirty = c.state.multi && name != "discard"
		if name == "discard" {
			break
		}
		if name == "exec" && c.state.multi {
			c.endMulti()
			return resp.AppendError(out, "EXECABORT Transaction discarded because of: "+unwellRedis)
		}
		return resp.AppendError(out, unwellRedis)
	case c.queues(name):
		return c.queue(out)
	}
	return c.command(s, name, out)
}

// command executes a command that may be executed.
func (c *redisSession) command(s *simServer, name string, out []byte) []byte {
	for _, execute := range [...]func(*simServer, string, []byte) ([]byte, bool){c.stateful, c.list, c.listening} {
		if after, ok := execute(s, name, out); ok {
			return after
		}
	}
	switch name {
	case "echo":
		return resp.AppendBulk(out, c.args[1])
	case "ping":
		return append(out, resp.Pong...)
	case "get":
		return c.get(s, out, c.args[1], nil)
	case "getex":
		return c.get(s, out, c.args[1], c.args[2])
	case "set":
		return c.set(s, out, c.args[1], c.args[2])
	case "mget":
		out = resp.AppendArray(out, len(c.args)-1)
		for _, key := range c.args[1:] {
			out = c.element(s, out, key)
		}
		return out
	case "mset":
		for i := 1; i < len(c.args); i += 2 {
			c.set(s, nil, c.args[i], c.args[i+1])
		}
		return append(out, "+OK\r\n"...)
	case "del", "exists":
		return c.count(s, out, name == "del")
	case "keys":
		s.doEverywhere(c.args[1])
		return resp.AppendBulk(resp.AppendArray(out, 1), append(append(slices.Clip(c.args[1]), '@'), s.name...))
	case "scan":
		s.do(c.args[3], noKey)
		own := fmt.Sprint(s.cursor())
		if asked, _ := strconv.Atoi(string(c.args[1])); asked&cursorMark == cursorMark && string(c.args[1]) != own {
			s.fail("server %s was sent the cursor %d, which another gave", s.name, asked)
		}
		if oneIn(s.world.Random(), 2) {
			own = "0"
		}
		out = resp.AppendBulk(resp.AppendArray(out, 2), own)
		return resp.AppendBulk(resp.AppendArray(out, 1), c.args[3])
	case "command": // INFO of a name that it does not know
		return append(out, "*1\r\n*-1\r\n"...)
	case "incrby":
		if n, ok := parseKey(c.args[1]); ok {
			s.do(c.args[2], n.number)
		}
		return resp.AppendError(out, "ERR refused "+string(c.args[2]))
	}
	return resp.AppendError(out, "ERR simulated server does not know "+name)
}

func (c *redisSession) get(s *simServer, out, key, token []byte) []byte {
	n, ok := parseKey(key)
	if !ok {
		if v, there := s.data[c.state.place(key)]; there {
			return resp.AppendBulk(out, v)
		}
		return c.null(out, "$-1\r\n")
	}
	s.scratch = s.scratch[:0]
	if token != nil {
		s.scratch = append(append(s.scratch, token...), '|')
	}
	var there bool
	s.scratch, _, there = s.read(s.scratch, n, token)
	if !there && token == nil {
		return append(out, "$-1\r\n"...)
	}
	return resp.AppendBulk(out, s.scratch)
}

func (c *redisSession) set(s *simServer, out, key, value []byte) []byte {
	n, ok := parseKey(key)
	if !ok {
		if len(value) > 0 && value[0] == 'w' && !c.inExec {
			s.fail("server %s was sent %q outside of its transaction", s.name, value)
		}
		s.data[c.state.place(key)] = string(value)
		s.touch(c.state.place(key))
		return append(out, "+OK\r\n"...)
	}
	s.write(n, value)
	out = fmt.Appendf(out, "+x%d.%d\r\n", n.client, s.written[n])
	return out
}

// element appends what MGET says of a key.
func (c *redisSession) element(s *simServer, out, key []byte) []byte {
	if _, ok := parseToken(key); ok {
		s.do(key, noKey)
		return resp.AppendBulk(out, key)
	}
	var ok bool
	if n, mine := parseKey(key); !mine {
		var v string
		v, ok = s.data[c.state.place(key)]
		s.scratch = append(s.scratch[:0], v...)
	} else if l := s.books(n.client); l != nil {
		number := s.written[n]
		ok = number != 0
		if ok {
			s.scratch = l.appendValue(s.scratch[:0], number)
		}
	}
	if !ok {
		return c.null(out, "$-1\r\n")
	}
	return resp.AppendBulk(out, s.scratch)
}

// count is DEL and EXISTS.
func (c *redisSession) count(s *simServer, out []byte, remove bool) []byte {
	n := int64(0)
	for _, key := range c.args[1:] {
		if _, ok := parseToken(key); ok {
			s.do(key, noKey)
			n++
			continue
		}
		if name, ok := parseKey(key); ok {
			if s.written[name] != 0 {
				n++
			}
			if remove {
				delete(s.written, name)
			}
			continue
		}
		place := c.state.place(key)
		if _, there := s.data[place]; there {
			n++
		}
		if remove {
			delete(s.data, place)
			s.touch(place)
		}
	}
	return resp.AppendInteger(out, n)
}

// redisReader cuts responses.
type redisReader struct {
	parser resp.ResponseParser
	bytes  []byte
}

func (redisLanguage) newReader() responseReader { return &redisReader{} }

func (r *redisReader) next(data []byte) (response, rest []byte, err error) {
	n, done, err := r.parser.Parse(data)
	if err != nil {
		return nil, nil, err
	}
	return takeResponse(&r.bytes, data, n, done)
}

func (r *redisReader) within() int { return len(r.bytes) }

func (redisLanguage) hello(c *simClient, dst []byte, o *op) []byte {
	o.kind = opHello
	return resp.AppendCommand(dst, "AUTH", c.pool.password)
}

var redisMix = opMix{
	{opGet, 12},
	{opTell, 12},
	{opSet, 24},
	{opGetMany, 16},
	{opSetMany, 8},
	{opDelete, 6},
	{opExists, 6},
	{opEcho, 5},
	{opRefused, 4},
	{opUnknown, 1},
	{opList, 4},
	{opScan, 3},
}

func (l redisLanguage) next(c *simClient, dst []byte, o *op) []byte {
	r := c.sim.Random()
	o.kind = redisMix.draw(c)
	switch o.kind {
	case opGet:
		c.plainSent++
		if r.IntN(4) == 0 {
			dst = append(dst, "get "...)
			dst = c.appendKey(dst, c.want(o))
			return append(dst, "\r\n"...)
		}
		dst = append(dst, "*2\r\n$3\r\nGET\r\n"...)
		return c.bulkKey(dst, c.want(o))
	case opTell:
		dst = append(dst, "*3\r\n$5\r\ngetex\r\n"...)
		key := c.want(o)
		o.unit = c.add(key, -1)
		return c.bulkToken(c.bulkKey(dst, key), o.unit)
	case opSet:
		dst = append(dst, "*3\r\n$3\r\nSET\r\n"...)
		return l.pair(c, dst, o)
	case opSetMany:
		n := 1 + r.IntN(c.pool.most)
		dst = resp.AppendBulk(resp.AppendArray(dst, 1+2*n), "MSET")
		for range n {
			dst = l.pair(c, dst, o)
		}
		return dst
	case opGetMany:
		return l.many(c, dst, o, "mget")
	case opDelete:
		return l.many(c, dst, o, "DEL")
	case opExists:
		return l.many(c, dst, o, "exists")
	case opRefused:
		dst = append(dst, "*3\r\n$6\r\nINCRBY\r\n"...)
		key := c.want(o)
		o.unit = c.add(key, -1)
		return c.bulkToken(c.bulkKey(dst, key), o.unit)
	case opList:
		dst = append(dst, "*2\r\n$4\r\nKEYS\r\n"...)
		o.unit = c.add(noKey, -1)
		return c.bulkToken(dst, o.unit)
	case opScan:
		dst = append(dst, "*4\r\n$4\r\nScan\r\n"...)
		if c.pool.size() == 1 {
			c.cursor = "0" // it may be another server's tomorrow, and passes as it is
		}
		dst = append(resp.AppendBulk(dst, c.cursor), "$5\r\nMATCH\r\n"...)
		o.unit = c.add(noKey, -1)
		return c.bulkToken(dst, o.unit)
	case opEcho:
		dst = append(dst, "*2\r\n$4\r\nECHO\r\n"...)
		o.unit = c.add(noKey, -1)
		return c.bulkToken(dst, o.unit)
	}
	return append(dst, "NOSUCHCOMMAND x\r\n"...)
}

// pair appends a key and its new value.
func (redisLanguage) pair(c *simClient, dst []byte, o *op) []byte {
	key := c.sim.Random().IntN(keysOfClient)
	unit := c.overwrite(o, key)
	dst = c.bulkKey(dst, key)
	c.scratch = c.appendValue(c.scratch[:0], unit)
	return resp.AppendBulk(dst, c.scratch)
}

// many appends a request of several keys and a token.
func (redisLanguage) many(c *simClient, dst []byte, o *op, name string) []byte {
	r := c.sim.Random()
	n := r.IntN(c.pool.most)
	token := r.IntN(n + 1)
	dst = resp.AppendBulk(resp.AppendArray(dst, n+2), name)
	for i := range n + 1 {
		if i == token {
			o.unit = c.add(noKey, -1)
			o.keys = append(o.keys, wanted{key: noKey})
			dst = c.bulkToken(dst, o.unit)
			continue
		}
		key := c.want(o)
		if o.kind == opDelete {
			c.keys[key].last = 0
		}
		dst = c.bulkKey(dst, key)
	}
	return dst
}

// rubbish is what ends a conversation.
func (redisLanguage) rubbish(c *simClient, dst []byte, o *op) []byte {
	o.kind = opRubbish
	return append(dst, [...]string{"*1\r\n+oops\r\n", "*-5x\r\n", "Host: x\r\n\r\n", "*2\r\n$3\r\nGET\r\n$999999999999\r\n"}[c.sim.Random().IntN(4)]...)
}

func (redisLanguage) quit(c *simClient) {
	c.send(func(_ *simClient, dst []byte, o *op) []byte {
		o.kind = opQuit
		return append(dst, "*1\r\n$4\r\nQUIT\r\n"...)
	})
	c.Send(c.out)
	c.out = c.out[:0]
}

func (c *simClient) bulkKey(dst []byte, key int) []byte {
	c.scratch = c.appendKey(c.scratch[:0], key)
	return resp.AppendBulk(dst, c.scratch)
}

func (c *simClient) bulkToken(dst []byte, unit int32) []byte {
	c.scratch = c.appendToken(c.scratch[:0], unit)
	return resp.AppendBulk(dst, c.scratch)
}

func (l redisLanguage) check(c *simClient, o *op, response []byte) string {
	switch o.kind {
	case opGet:
		value, ok, rest := takeBulk(response)
		if len(rest) > 0 {
			return fmt.Sprintf("GET answered by %.60q", response)
		}
		return c.judge(o.keys[0], value, ok)
	case opTell:
		return l.checkTold(c, o, response)
	case opSet:
		return c.mustBe(response, "+x%d.%d\r\n", c.client, o.keys[0].unit)
	case opSetMany:
		if string(response) != "+OK\r\n" {
			return fmt.Sprintf("MSET answered by %.60q", response)
		}
		return c.mustBeDone(o)
	case opGetMany:
		return l.checkMany(c, o, response)
	case opDelete, opExists:
		return c.checkCount(o, response)
	case opRefused:
		return c.mustBe(response, "-ERR refused x%d.%d\r\n", c.client, o.unit)
	case opEcho:
		value, ok, rest := takeBulk(response)
		if n, is := parseToken(value); !ok || len(rest) > 0 || !is || n != (names{c.client, int(o.unit)}) {
			return fmt.Sprintf("ECHO of unit %d answered by %.60q", o.unit, response)
		}
	case opList:
		return c.checkList(o, response)
	case opScan:
		return c.checkPage(o, response)
	case opHello:
		if string(response) != resp.OK {
			return fmt.Sprintf("AUTH answered by %.60q", response)
		}
	case opQuit:
		return c.mustBe(response, resp.OK)
	case opUnknown:
		if !strings.HasPrefix(string(response), "-ERR unknown command 'NOSUCHCOMMAND'") {
			return fmt.Sprintf("unknown command answered by %.60q", response)
		}
	case opRubbish:
		if !strings.HasPrefix(string(response), "-ERR Protocol error") {
			return fmt.Sprintf("rubbish answered by %.60q", response)
		}
	}
	return ""
}

// checkTold is for a read whose response names it.
func (redisLanguage) checkTold(c *simClient, o *op, response []byte) string {
	text, ok, rest := takeBulk(response)
	head, value, found := bytes.Cut(text, []byte("|"))
	n, is := parseToken(head)
	if !ok || !found || !is || len(rest) > 0 || n != (names{c.client, int(o.unit)}) {
		return fmt.Sprintf("read of unit %d answered by %.60q", o.unit, response)
	}
	return c.judgeFound(o, value, len(value) > 0)
}

func (redisLanguage) checkMany(c *simClient, o *op, response []byte) string {
	head := fmt.Appendf(c.scratch[:0], "*%d\r\n", len(o.keys))
	rest, ok := bytes.CutPrefix(response, head)
	if !ok {
		return fmt.Sprintf("MGET of %d keys answered by %.60q", len(o.keys), response)
	}
	for _, w := range o.keys {
		value, there, after := takeBulk(rest)
		if len(after) == len(rest) {
			return fmt.Sprintf("MGET answered by %.60q", response)
		}
		rest = after
		if wrong := c.judgeOrToken(o, w, value, there); wrong != "" {
			return wrong
		}
	}
	if len(rest) > 0 {
		return fmt.Sprintf("MGET: %.60q is too much", rest)
	}
	return ""
}

// checkList is for KEYS: an element of each server that was asked, and of no other.
func (c *simClient) checkList(o *op, response []byte) string {
	asked := c.everywhere[o.unit]
	delete(c.everywhere, o.unit)
	r := resp.NewReader(response)
	head, ok := r.Next()
	if !ok || !head.IsList() || int(head.Count) != len(asked) || len(asked) == 0 {
		return fmt.Sprintf("unit %d, asked of %d servers, is answered by %.60q", o.unit, len(asked), response)
	}
	for _, s := range asked {
		v, _ := r.Next()
		token, name, _ := bytes.Cut(v.Text, []byte("@"))
		if n, is := parseToken(token); !is || n != (names{c.client, int(o.unit)}) || !slices.Contains(asked, string(name)) {
			return fmt.Sprintf("unit %d, asked of %q, is answered by %.60q", o.unit, s, response)
		}
	}
	return ""
}

// checkPage is for SCAN. The next one goes on where this one ended, whichever is sent next.
func (c *simClient) checkPage(o *op, response []byte) string {
	r := resp.NewReader(response)
	head, _ := r.Next()
	cursor, _ := r.Next()
	page, _ := r.Next()
	token, ok := r.Next()
	_, err := strconv.ParseUint(string(cursor.Text), 10, 64)
	c.cursor = "0"
	if string(response) == "-"+errScanCursor+"\r\n" || c.pool.ejects && string(response) == "*2\r\n$1\r\n0\r\n*0\r\n" {
		return "" // servers have come or gone; the last one is out
	}
	if n, is := parseToken(token.Text); !ok || r.Len() > 0 || head.Count != 2 || page.Count != 1 || err != nil || !is || n != (names{c.client, int(o.unit)}) {
		return fmt.Sprintf("page of unit %d is %.60q", o.unit, response)
	}
	c.cursor = string(cursor.Text)
	return c.mustBeDone(o)
}

// checkCount is for DEL and EXISTS: the keys that are there, and the token.
func (c *simClient) checkCount(o *op, response []byte) string {
	if wrong := c.mustBeDone(o); wrong != "" {
		return wrong
	}
	var gone [keysOfClient]bool
	want := 1
	sure := !c.pool.loose
	for _, w := range o.keys {
		if w.key == noKey {
			continue
		}
		sure = sure && !c.isDoubtful(w.key)
		if w.unit != 0 && !gone[w.key] {
			want++
		}
		gone[w.key] = gone[w.key] || o.kind == opDelete
	}
	got, rest := leadingNumber(bytes.TrimPrefix(response, []byte(":")))
	if string(rest) != "\r\n" || response[0] != ':' {
		return fmt.Sprintf("count answered by %.60q", response)
	}
	if got < 1 || got > len(o.keys) || sure && got != want {
		return fmt.Sprintf("count of %d keys gives %d, should be %d", len(o.keys), got, want)
	}
	return ""
}

// takeBulk takes a bulk string off the front of a response. rest is all of it if there is none.
func takeBulk(s []byte) (value []byte, ok bool, rest []byte) {
	if after, null := bytes.CutPrefix(s, []byte("$-1\r\n")); null {
		return nil, false, after
	}
	if len(s) == 0 || s[0] != '$' {
		return nil, false, s
	}
	n, after := leadingNumber(s[1:])
	if len(after) < n+4 || string(after[:2]) != "\r\n" || string(after[n+2:n+4]) != "\r\n" {
		return nil, false, s
	}
	return after[2 : n+2], true, after[n+4:]
}
