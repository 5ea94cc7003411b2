package proxy

import (
	"bytes"
	"fmt"
	"strconv"

	"nutmeg/internal/memcache"
)

// memcacheLanguage is memcached for simulated servers and clients.
//
// Where memcached has room for a number in a request, that is its unit, and the servers answer with it: the time of gat
// becomes the flags of the value, incr answers with what shall be added. A token in place of a key is its own value.
type memcacheLanguage struct{}

func (memcacheLanguage) protocol() string { return "redis: false" }

func (memcacheLanguage) isFailure(response []byte) bool {
	text, ok := bytes.CutPrefix(response, []byte("SERVER_ERROR "))
	cause, ended := bytes.CutSuffix(text, []byte("\r\n"))
	return ok && ended && (isFailureText(string(cause)) || string(cause) == unwellMemcache)
}

const unwellMemcache = "out of memory storing object"

// memcacheSession is one connection of a simulated memcached.
type memcacheSession struct {
	parser  memcache.RequestParser
	request memcache.Request
	bytes   []byte
}

func (memcacheLanguage) newSession() executor { return &memcacheSession{} }

func (c *memcacheSession) feed(s *simServer, data, out []byte) ([]byte, error) {
	for len(data) > 0 {
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
		out = c.execute(s, whole, out)
		s.requests++
		c.bytes = c.bytes[:0]
	}
	return out, nil
}

func (c *memcacheSession) execute(s *simServer, whole, out []byte) []byte {
	r := &c.request
	if r.Problem != memcache.NoProblem || r.NoReply || r.BareLine {
		s.fail("server %s was sent %.60q, which nobody may answer", s.name, whole)
		return out
	}
	if s.unwell && r.Kind != memcache.MetaNoop {
		return append(out, "SERVER_ERROR "+unwellMemcache+"\r\n"...)
	}
	switch r.Kind {
	case memcache.Get, memcache.Gets, memcache.Gat:
		return c.get(s, whole, out)
	case memcache.Set:
		key := r.Keys[0].Of(whole)
		if n, ok := parseKey(key); ok {
			s.write(n, r.Value.Of(whole))
		} else {
			s.data[string(key)] = string(r.Value.Of(whole))
		}
		return append(out, "STORED\r\n"...)
	case memcache.Delete:
		return c.remove(s, r.Keys[0].Of(whole), out)
	case memcache.Touch:
		c.doNumbered(s, whole, r.Exptime.Of(whole))
		return append(out, "TOUCHED\r\n"...)
	case memcache.Incr:
		delta := bytes.TrimSpace(whole[r.Keys[0].End:r.LineEnd])
		c.doNumbered(s, whole, delta)
		return append(append(out, delta...), "\r\n"...)
	case memcache.MetaGet:
		return c.metaGet(s, whole, out)
	case memcache.MetaSet:
		return c.metaSet(s, whole, out)
	case memcache.MetaNoop:
		return append(out, "MN\r\n"...)
	case memcache.Version:
		return append(out, "VERSION 1.6.18\r\n"...)
	case memcache.Admin:
		return append(out, memcache.OKReply...)
	}
	return append(out, "ERROR\r\n"...)
}

// doNumbered does the unit of the request's only key that a number stands for.
func (c *memcacheSession) doNumbered(s *simServer, whole, number []byte) {
	n, ok := parseKey(c.request.Keys[0].Of(whole))
	if ok {
		s.scratch = append(strconv.AppendInt(append(s.scratch[:0], 'x'), int64(n.client), 10), '.')
		s.scratch = append(s.scratch, number...)
		s.do(s.scratch, n.number)
	}
}

func (c *memcacheSession) get(s *simServer, whole, out []byte) []byte {
	r := &c.request
	for _, span := range r.Keys {
		key := span.Of(whole)
		if n, ok := parseKey(key); ok {
			out = c.value(s, whole, out, key, n)
		} else if _, ok := parseToken(key); ok {
			s.do(key, noKey)
			out = appendValueLine(out, key, nil, len(key), r.Kind)
			out = append(append(out, key...), "\r\n"...)
		} else if v, ok := s.data[string(key)]; ok {
			out = appendValueLine(out, key, nil, len(v), r.Kind)
			out = append(append(out, v...), "\r\n"...)
		}
	}
	return append(out, memcache.EndReply...)
}

// value appends the value of a client's key, if there is one.
func (c *memcacheSession) value(s *simServer, whole, out, key []byte, n names) []byte {
	r := &c.request
	var flags []byte
	if r.Kind == memcache.Gat {
		flags = r.Exptime.Of(whole)
		c.doNumbered(s, whole, flags)
	}
	number := s.written[n]
	l := s.books(n.client)
	if number == 0 || l == nil {
		return out
	}
	if r.Kind == memcache.Gat {
		unit, _ := leadingNumber(flags)
		l.units[unit].found = number
	}
	s.scratch = l.appendValue(s.scratch[:0], number)
	out = appendValueLine(out, key, flags, len(s.scratch), r.Kind)
	return append(append(out, s.scratch...), "\r\n"...)
}

func appendValueLine(out, key, flags []byte, size int, kind memcache.Kind) []byte {
	out = append(append(append(out, "VALUE "...), key...), ' ')
	if flags == nil {
		flags = []byte("0")
	}
	out = append(append(out, flags...), ' ')
	out = strconv.AppendInt(out, int64(size), 10)
	if kind == memcache.Gets {
		out = append(out, " 77"...)
	}
	return append(out, "\r\n"...)
}

func (c *memcacheSession) remove(s *simServer, key, out []byte) []byte {
	n, mine := parseKey(key)
	_, there := s.data[string(key)]
	if mine {
		there = s.written[n] != 0
		if l := s.books(n.client); l != nil {
			s.plain(l)
		}
	}
	delete(s.written, n)
	delete(s.data, string(key))
	if there {
		return append(out, "DELETED\r\n"...)
	}
	return append(out, "NOT_FOUND\r\n"...)
}

// memcacheReader cuts responses.
type memcacheReader struct {
	parser   memcache.ResponseParser
	response memcache.Response
	bytes    []byte
}

func (memcacheLanguage) newReader() responseReader { return &memcacheReader{} }

func (r *memcacheReader) next(data []byte) (response, rest []byte, err error) {
	n, done, err := r.parser.Parse(data, &r.response)
	if err != nil {
		return nil, nil, err
	}
	return takeResponse(&r.bytes, data, n, done)
}

func (r *memcacheReader) within() int { return len(r.bytes) }

func (memcacheLanguage) hello(_ *simClient, dst []byte, _ *op) []byte { return dst }

var memcacheMix = opMix{
	{opGet, 10},
	{opTell, 12},
	{opSet, 24},
	{opGetMany, 14},
	{opDelete, 6},
	{opCount, 8},
	{opTouch, 4},
	{opSetSilently, 8},
	{opCountSilently, 4},
	{opDeleteSilently, 3},
	{opVersion, 2},
	{opVerbosity, 1},
	{opUnknown, 1},
	{opMetaGet, 4},
	{opMetaGetQuietly, 6},
	{opMetaSet, 4},
	{opMetaSetQuietly, 6},
}

func (l memcacheLanguage) next(c *simClient, dst []byte, o *op) []byte {
	r := c.sim.Random()
	o.kind = memcacheMix.draw(c)
	switch o.kind {
	case opGet:
		dst = append(dst, [...]string{"get ", "gets "}[r.IntN(2)]...)
		return c.lineEnd(c.appendKey(dst, c.want(o)))
	case opTell:
		key := c.want(o)
		o.unit = c.add(key, -1)
		dst = strconv.AppendInt(append(dst, "gat "...), int64(o.unit), 10)
		return c.lineEnd(c.appendKey(append(dst, ' '), key))
	case opGetMany:
		return l.many(c, dst, o)
	case opSet, opSetSilently:
		return l.set(c, dst, o)
	case opDelete, opDeleteSilently:
		c.plainSent++
		key := c.want(o)
		c.keys[key].last = 0
		return c.ending(c.appendKey(append(dst, "delete "...), key), o, key)
	case opCount, opCountSilently:
		return l.numbered(c, dst, o, "incr ")
	case opTouch:
		return l.numbered(c, dst, o, "touch ")
	case opMetaGet, opMetaGetQuietly, opMetaSet, opMetaSetQuietly:
		return l.meta(c, dst, o)
	case opVersion:
		return append(dst, "version\r\n"...)
	case opVerbosity:
		return append(dst, "verbosity 1\r\n"...)
	}
	return append(dst, "nosuchcommand x\r\n"...)
}

// lineEnd ends a line, now and then as a client by hand does.
func (c *simClient) lineEnd(dst []byte) []byte {
	if len(dst)%8 == 0 {
		return append(dst, '\n')
	}
	return append(dst, "\r\n"...)
}

// ending ends a line; a request without a response says so there.
func (c *simClient) ending(dst []byte, o *op, key int) []byte {
	if o.kind.silent() {
		c.isDoubtful(key) // for what was sent silently before
		c.keys[key].silentAt = int64(c.sim.Now())
		dst = append(dst, " noreply"...)
	}
	return c.lineEnd(dst)
}

func (memcacheLanguage) numbered(c *simClient, dst []byte, o *op, name string) []byte {
	key := c.sim.Random().IntN(keysOfClient)
	o.unit = c.add(key, -1)
	dst = append(c.appendKey(append(dst, name...), key), ' ')
	dst = strconv.AppendInt(dst, int64(o.unit), 10)
	if o.kind == opCountSilently {
		dst = append(dst, " noreply"...)
	}
	return c.lineEnd(dst)
}

func (memcacheLanguage) set(c *simClient, dst []byte, o *op) []byte {
	key := c.sim.Random().IntN(keysOfClient)
	unit := c.overwrite(o, key)
	c.scratch = c.appendValue(c.scratch[:0], unit)
	dst = append(c.appendKey(append(dst, "set "...), key), " 5 0 "...)
	dst = c.ending(strconv.AppendInt(dst, int64(len(c.scratch)), 10), o, key)
	return append(append(dst, c.scratch...), "\r\n"...)
}

// many appends a retrieval of several keys and a token.
func (memcacheLanguage) many(c *simClient, dst []byte, o *op) []byte {
	r := c.sim.Random()
	n := 1 + r.IntN(c.pool.most)
	token := r.IntN(n + 1)
	dst = append(dst, [...]string{"get", "gets"}[r.IntN(2)]...)
	for i := range n + 1 {
		dst = append(dst, ' ')
		if i == token {
			o.unit = c.add(noKey, -1)
			o.keys = append(o.keys, wanted{key: noKey})
			dst = c.appendToken(dst, o.unit)
			continue
		}
		dst = c.appendKey(dst, c.want(o))
	}
	return c.lineEnd(dst)
}

func (memcacheLanguage) rubbish(_ *simClient, dst []byte, o *op) []byte {
	o.kind = opRubbish
	return append(dst, "\x80get x\r\n"...)
}

func (memcacheLanguage) quit(c *simClient) { c.SendString("quit\r\n") }

func (l memcacheLanguage) check(c *simClient, o *op, response []byte) string {
	switch o.kind {
	case opGet, opGetMany:
		return l.checkMany(c, o, response)
	case opTell:
		return l.checkTold(c, o, response)
	case opSet:
		if string(response) != "STORED\r\n" {
			return fmt.Sprintf("set answered by %.60q", response)
		}
		return c.mustBeDone(o)
	case opTouch:
		if string(response) != "TOUCHED\r\n" {
			return fmt.Sprintf("touch answered by %.60q", response)
		}
		return c.mustBeDone(o)
	case opCount:
		return c.mustBe(response, "%d\r\n", int(o.unit))
	case opDelete:
		w := o.keys[0]
		sure := !c.pool.loose && !c.isDoubtful(w.key)
		text := string(response)
		if text != "DELETED\r\n" && text != "NOT_FOUND\r\n" || sure && (text == "DELETED\r\n") != (w.unit != 0) {
			return fmt.Sprintf("delete of key %d, written by unit %d, answered by %.60q", w.key, w.unit, response)
		}
	case opMetaGet, opMetaGetQuietly:
		return l.checkMetaGet(c, o, response)
	case opMetaSet, opMetaSetQuietly:
		return l.checkMetaSet(c, o, response)
	case opMetaEnd:
		return c.mustBe(response, "MN\r\n")
	case opVersion:
		return c.mustBe(response, "VERSION 1.6.18\r\n")
	case opVerbosity:
		return c.mustBe(response, "OK\r\n")
	case opUnknown:
		return c.mustBe(response, "ERROR\r\n")
	case opRubbish:
		if !bytes.Contains(response, []byte("ERROR")) {
			return fmt.Sprintf("rubbish answered by %.60q", response)
		}
	}
	return ""
}

// takeValue takes a value with the given key off the front of a response. ok is false if another thing stands there.
func takeValue(response, key []byte) (value []byte, flags int, ok bool, rest []byte) {
	head, body, _ := bytes.Cut(response, []byte("\r\n"))
	words := bytes.Fields(head)
	if len(words) < 4 || string(words[0]) != "VALUE" || !bytes.Equal(words[1], key) {
		return nil, 0, false, response
	}
	flags, _ = leadingNumber(words[2])
	size, _ := leadingNumber(words[3])
	if len(body) < size+2 {
		return nil, 0, false, response
	}
	return body[:size], flags, true, body[size+2:]
}

func (memcacheLanguage) checkMany(c *simClient, o *op, response []byte) string {
	for _, w := range o.keys {
		if w.key == noKey {
			c.scratch = c.appendToken(c.scratch[:0], o.unit)
		} else {
			c.scratch = c.appendKey(c.scratch[:0], w.key)
		}
		value, _, ok, rest := takeValue(response, c.scratch)
		response = rest
		if wrong := c.judgeOrToken(o, w, value, ok); wrong != "" {
			return wrong
		}
	}
	return c.mustBe(response, "END\r\n")
}

func (memcacheLanguage) checkTold(c *simClient, o *op, response []byte) string {
	c.scratch = c.appendKey(c.scratch[:0], o.keys[0].key)
	value, flags, ok, rest := takeValue(response, c.scratch)
	if ok && flags != int(o.unit) || string(rest) != "END\r\n" {
		return fmt.Sprintf("gat of unit %d answered by %.60q", o.unit, response)
	}
	return c.judgeFound(o, value, ok)
}
