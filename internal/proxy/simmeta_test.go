package proxy

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"

	"nutmeg/internal/memcache"
)

// The meta commands of simulated servers and clients. The opaque token of a request is its unit, and the answers name it.

// shownAnyway says that a server answers a quiet write although all went well. Versions of memcached differ in that: the
// proxy must not need to know.
func shownAnyway(unit int32) bool { return unit%4 == 0 }

// flag returns what follows a flag of the current request, a meta command.
func (c *memcacheSession) flag(whole []byte, letter byte) (rest []byte, ok bool) {
	for word := range bytes.FieldsSeq(whole[c.request.Keys[0].End:c.request.LineEnd]) {
		if word[0] == letter {
			return word[1:], true
		}
	}
	return nil, false
}

// metaNames returns whose key the current request is about.
func (c *memcacheSession) metaNames(whole []byte) (names, bool) {
	key := c.request.Keys[0].Of(whole)
	if _, encoded := c.flag(whole, 'b'); encoded {
		decoded, err := base64.StdEncoding.DecodeString(string(key))
		if err != nil {
			return names{}, false
		}
		key = decoded
	}
	return parseKey(key)
}

func (c *memcacheSession) metaGet(s *simServer, whole, out []byte) []byte {
	n, ok := c.metaNames(whole)
	opaque, named := c.flag(whole, 'O')
	l := s.books(n.client)
	if !ok || !named || l == nil {
		s.fail("server %s was sent %.60q", s.name, whole)
		return out
	}
	s.scratch = append(strconv.AppendInt(append(s.scratch[:0], 'x'), int64(n.client), 10), '.')
	s.scratch = append(s.scratch, opaque...)
	u := s.do(s.scratch, n.number)
	number := s.written[n]
	if u != nil {
		u.found = number
	}
	switch {
	case number != 0:
		s.scratch = l.appendValue(s.scratch[:0], number)
		out = fmt.Appendf(out, "VA %d O%s\r\n", len(s.scratch), opaque)
		return append(append(out, s.scratch...), "\r\n"...)
	case c.request.Quiet:
		return out
	}
	return fmt.Appendf(out, "EN O%s\r\n", opaque)
}

func (c *memcacheSession) metaSet(s *simServer, whole, out []byte) []byte {
	n, ok := c.metaNames(whole)
	opaque, named := c.flag(whole, 'O')
	if !ok && !named { // the proxy's question
		return append(out, "CLIENT_ERROR invalid flag\r\n"...)
	}
	s.write(n, c.request.Value.Of(whole))
	unit, _ := leadingNumber(opaque)
	if c.request.Quiet && !shownAnyway(int32(unit)) {
		return out
	}
	return fmt.Appendf(out, "HD O%s\r\n", opaque)
}

func (memcacheLanguage) meta(c *simClient, dst []byte, o *op) []byte {
	isGet := o.kind == opMetaGet || o.kind == opMetaGetQuietly
	if isGet {
		o.unit = c.add(c.want(o), -1)
		dst = append(dst, "mg "...)
	} else {
		o.unit = c.overwrite(o, c.sim.Random().IntN(keysOfClient))
		dst = append(dst, "ms "...)
	}
	key := o.keys[0].key
	c.scratch = c.appendKey(c.scratch[:0], key)
	encoded := oneIn(c.sim.Random(), 3)
	if encoded {
		dst = base64.StdEncoding.AppendEncode(dst, c.scratch)
	} else {
		dst = append(dst, c.scratch...)
	}
	if isGet {
		dst = append(dst, " v"...)
	} else {
		c.scratch = c.appendValue(c.scratch[:0], o.unit)
		dst = strconv.AppendInt(append(dst, ' '), int64(len(c.scratch)), 10)
	}
	dst = strconv.AppendInt(append(dst, " O"...), int64(o.unit), 10)
	if encoded {
		dst = append(dst, " b"...)
	}
	if o.kind.quiet() {
		dst = append(dst, " q"...)
	}
	dst = c.lineEnd(dst)
	if isGet {
		return dst
	}
	return append(append(dst, c.scratch...), "\r\n"...)
}

func (memcacheLanguage) checkMetaGet(c *simClient, o *op, response []byte) string {
	if len(response) == 0 {
		return c.judgeFound(o, nil, false)
	}
	head, body, _ := bytes.Cut(response, []byte("\r\n"))
	if string(head) == fmt.Sprintf("EN O%d", o.unit) && o.kind == opMetaGet {
		return c.judgeFound(o, nil, false)
	}
	value, ended := bytes.CutSuffix(body, []byte("\r\n"))
	if !ended || string(head) != fmt.Sprintf("VA %d O%d", len(value), o.unit) {
		return fmt.Sprintf("mg of unit %d answered by %.60q", o.unit, response)
	}
	return c.judgeFound(o, value, true)
}

func (memcacheLanguage) checkMetaSet(c *simClient, o *op, response []byte) string {
	if o.kind == opMetaSet || shownAnyway(o.unit) {
		if wrong := c.mustBe(response, "HD O%d\r\n", o.unit); wrong != "" {
			return wrong
		}
	} else if response != nil {
		return fmt.Sprintf("quiet ms of unit %d answered by %.60q", o.unit, response)
	}
	return c.mustBeDone(o)
}

// fuzzMeta is memcached for strangers that ask quietly for one key at a time.
var fuzzMeta = fuzzDialect{
	option:    fuzzMemcache.option,
	get:       func(keys ...string) string { return "mg " + keys[0] + " v q\r\n" },
	answer:    func(keys ...string) string { return string(appendFuzzMetaValue(nil, keys[0])) },
	newServer: fuzzMemcache.newServer,
	newReader: fuzzMemcache.newReader,
}

func appendFuzzMetaValue(out []byte, key string) []byte {
	value := "value of " + key
	return fmt.Appendf(out, "VA %d\r\n%s\r\n", len(value), value)
}

// answerFuzzMeta answers like a server that answers quiet requests, too.
func answerFuzzMeta(out []byte, request *memcache.Request, bytes []byte) []byte {
	switch request.Kind {
	case memcache.MetaSet:
		if string(bytes[:request.LineEnd]) == "ms nutmeg 2 !\r\n" {
			return append(out, "CLIENT_ERROR invalid flag\r\n"...)
		}
	case memcache.MetaGet:
		return appendFuzzMetaValue(out, string(request.Keys[0].Of(bytes)))
	case memcache.MetaDebug:
		return append(out, "EN\r\n"...)
	}
	return append(out, "HD\r\n"...)
}
