package proxy

import (
	"fmt"
	"strconv"
	"strings"

	"nutmeg/internal/memcache"
)

// memcacheLanguage is memcached for simulated servers and clients.
type memcacheLanguage struct{}

func (memcacheLanguage) protocol() string { return "redis: false" }

func (memcacheLanguage) isFailure(response string) bool {
	return strings.HasPrefix(response, "SERVER_ERROR Conn") || strings.HasPrefix(response, "SERVER_ERROR Broken") ||
		response == "SERVER_ERROR Invalid argument\r\n"
}

// memcacheSession is one connection of a simulated memcached.
type memcacheSession struct {
	data    map[string]string
	parser  memcache.RequestParser
	request memcache.Request
	bytes   []byte
}

func (memcacheLanguage) newSession(data map[string]string) session {
	return &memcacheSession{data: data}
}

func (s *memcacheSession) feed(data []byte) (responses [][]byte, err error) {
	for len(data) > 0 {
		n, done, err := s.parser.Parse(data, &s.request)
		if err != nil {
			return responses, err
		}
		s.bytes = append(s.bytes, data[:n]...)
		data = data[n:]
		if !done {
			break
		}
		responses = append(responses, s.execute())
		s.bytes = s.bytes[:0]
	}
	return responses, nil
}

func (s *memcacheSession) execute() []byte {
	r := &s.request
	if r.Problem != memcache.NoProblem || r.NoReply {
		return fmt.Appendf(nil, "SERVER_ERROR simulated server refuses %q\r\n", s.bytes)
	}
	var keys []string
	for _, span := range r.Keys {
		keys = append(keys, string(span.Of(s.bytes)))
	}
	switch r.Kind {
	case memcache.Get:
		var out []byte
		for _, key := range keys {
			if v, ok := s.data[key]; ok {
				out = fmt.Appendf(out, "VALUE %s 0 %d\r\n%s\r\n", key, len(v), v)
			}
		}
		return append(out, "END\r\n"...)
	case memcache.Set:
		s.data[keys[0]] = string(r.Value.Of(s.bytes))
		return []byte("STORED\r\n")
	case memcache.Delete:
		if _, ok := s.data[keys[0]]; !ok {
			return []byte("NOT_FOUND\r\n")
		}
		delete(s.data, keys[0])
		return []byte("DELETED\r\n")
	}
	return []byte("ERROR\r\n")
}

// memcacheReader cuts responses.
type memcacheReader struct {
	parser   memcache.ResponseParser
	response memcache.Response
	bytes    []byte
}

func (memcacheLanguage) newReader() responseReader { return &memcacheReader{} }

func (r *memcacheReader) feed(data []byte) (responses []string, err error) {
	for len(data) > 0 {
		n, done, err := r.parser.Parse(data, &r.response)
		if err != nil {
			return responses, err
		}
		r.bytes = append(r.bytes, data[:n]...)
		data = data[n:]
		if done {
			responses = append(responses, string(r.bytes))
			r.bytes = r.bytes[:0]
		}
	}
	return responses, nil
}

func (memcacheLanguage) hello(*simClient) ([]byte, func(string) string) { return nil, nil }

func (l memcacheLanguage) next(c *simClient) ([]byte, func(string) string) {
	switch c.arena.Random().IntN(8) {
	case 0, 1, 2:
		return l.get(c, 1)
	case 3:
		return l.get(c, 1+c.arena.Random().IntN(12))
	case 4:
		return l.remove(c)
	case 5:
		return l.setSilently(c)
	}
	return l.set(c)
}

func (l memcacheLanguage) get(c *simClient, n int) ([]byte, func(string) string) {
	var keys, want []string
	for range n {
		key := c.key()
		keys, want = append(keys, key), append(want, c.written[key])
	}
	return []byte("get " + strings.Join(keys, " ") + "\r\n"), func(response string) string {
		if l.isFailure(response) {
			return ""
		}
		for i, key := range keys {
			got, ok := "", false
			if head := "VALUE " + key + " 0 "; strings.HasPrefix(response, head) {
				length, rest, _ := strings.Cut(response[len(head):], "\r\n")
				size, err := strconv.Atoi(length)
				if err != nil || len(rest) < size+2 {
					return fmt.Sprintf("get answered by %.60q", response)
				}
				got, ok, response = rest[:size], true, rest[size+2:]
			}
			if wrong := c.judge(key, got, ok, want[i]); wrong != "" {
				return wrong
			}
		}
		if response != "END\r\n" {
			return fmt.Sprintf("get %v: unexpected %.60q", keys, response)
		}
		return ""
	}
}

func (l memcacheLanguage) set(c *simClient) ([]byte, func(string) string) {
	key := c.key()
	value := c.value(key)
	c.written[key] = value
	return fmt.Appendf(nil, "set %s 0 0 %d\r\n%s\r\n", key, len(value), value), func(response string) string {
		c.wrote(response, key)
		if response != "STORED\r\n" && !l.isFailure(response) {
			return fmt.Sprintf("set %s answered by %.60q", key, response)
		}
		return ""
	}
}

// setSilently writes without a response; when servers fail nobody knows what became of it.
func (l memcacheLanguage) setSilently(c *simClient) ([]byte, func(string) string) {
	key := c.key()
	value := c.value(key)
	c.written[key] = value
	if c.arena.faults {
		c.doubtful[key] = true
	}
	return fmt.Appendf(nil, "set %s 0 0 %d noreply\r\n%s\r\n", key, len(value), value), nil
}

func (l memcacheLanguage) remove(c *simClient) ([]byte, func(string) string) {
	key := c.key()
	want := "NOT_FOUND\r\n"
	if c.written[key] != "" {
		want = "DELETED\r\n"
	}
	delete(c.written, key)
	return []byte("delete " + key + "\r\n"), func(response string) string {
		c.wrote(response, key)
		if response == want || l.isFailure(response) {
			return ""
		}
		if (c.doubtful[key] || c.arena.loose) && (response == "DELETED\r\n" || response == "NOT_FOUND\r\n") {
			return ""
		}
		return fmt.Sprintf("delete %s answered by %.60q, want %q", key, response, want)
	}
}
