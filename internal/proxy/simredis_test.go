package proxy

import (
	"fmt"
	"strconv"
	"strings"

	"nutmeg/internal/resp"
)

// redisLanguage is Redis for simulated servers and clients.
type redisLanguage struct{}

func (redisLanguage) protocol() string { return "redis: true" }

func (redisLanguage) isFailure(response string) bool {
	return strings.HasPrefix(response, "-ERR Conn") || strings.HasPrefix(response, "-ERR Broken") ||
		response == "-ERR Invalid argument\r\n"
}

// redisSession is one connection of a simulated Redis server.
type redisSession struct {
	data    map[string]string
	parser  resp.RequestParser
	request resp.Request
	bytes   []byte
}

func (redisLanguage) newSession(data map[string]string) session { return &redisSession{data: data} }

func (s *redisSession) feed(data []byte) (responses [][]byte, err error) {
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
		var args []string
		for _, a := range s.request.Args {
			args = append(args, string(s.bytes[a.Start:a.End]))
		}
		responses = append(responses, s.execute(args))
		s.bytes = s.bytes[:0]
		s.request.Reset()
	}
	return responses, nil
}

func (s *redisSession) execute(args []string) []byte {
	get := func(out []byte, key string) []byte {
		if v, ok := s.data[key]; ok {
			return resp.AppendBulk(out, v)
		}
		return append(out, "$-1\r\n"...)
	}
	switch strings.ToLower(args[0]) {
	case "auth", "select":
		return []byte(resp.OK)
	case "get":
		return get(nil, args[1])
	case "set":
		s.data[args[1]] = args[2]
		return []byte("+OK\r\n")
	case "mget":
		out := resp.AppendArray(nil, len(args)-1)
		for _, key := range args[1:] {
			out = get(out, key)
		}
		return out
	case "mset":
		for i := 1; i < len(args); i += 2 {
			s.data[args[i]] = args[i+1]
		}
		return []byte("+OK\r\n")
	case "del", "exists":
		n := int64(0)
		for _, key := range args[1:] {
			if _, ok := s.data[key]; ok {
				n++
				if strings.EqualFold(args[0], "del") {
					delete(s.data, key)
				}
			}
		}
		return resp.AppendInteger(nil, n)
	}
	return resp.AppendError(nil, "ERR simulated server does not know "+args[0])
}

// redisReader cuts responses.
type redisReader struct {
	parser resp.ResponseParser
	bytes  []byte
}

func (redisLanguage) newReader() responseReader { return &redisReader{} }

func (r *redisReader) feed(data []byte) (responses []string, err error) {
	for len(data) > 0 {
		n, done, err := r.parser.Parse(data)
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

func (redisLanguage) hello(*simClient) ([]byte, func(string) string) {
	return []byte("AUTH sesame\r\n"), func(response string) string {
		if response != resp.OK && response != resp.NoPassword {
			return fmt.Sprintf("AUTH answered by %.60q", response)
		}
		return ""
	}
}

func (l redisLanguage) next(c *simClient) ([]byte, func(string) string) {
	switch c.arena.Random().IntN(12) {
	case 0, 1, 2:
		return l.get(c)
	case 3, 4, 5:
		return l.set(c)
	case 6, 7:
		return l.mget(c)
	case 8:
		return l.mset(c)
	case 9:
		return l.count(c, "DEL")
	case 10:
		return l.count(c, "exists")
	}
	return l.echo(c)
}

func (l redisLanguage) get(c *simClient) ([]byte, func(string) string) {
	key := c.key()
	want := c.written[key]
	return resp.AppendCommand(nil, "GET", key), func(response string) string {
		if l.isFailure(response) {
			return ""
		}
		got, ok, rest := takeBulk(response)
		if rest != "" {
			return fmt.Sprintf("GET %s answered by %.60q", key, response)
		}
		return c.judge(key, got, ok, want)
	}
}

func (l redisLanguage) set(c *simClient) ([]byte, func(string) string) {
	key := c.key()
	value := c.value(key)
	c.written[key] = value
	return resp.AppendCommand(nil, "set", key, value), func(response string) string { return l.mustBeOK(c, response, key) }
}

func (l redisLanguage) mustBeOK(c *simClient, response string, keys ...string) string {
	c.wrote(response, keys...)
	if response != "+OK\r\n" && !l.isFailure(response) {
		return fmt.Sprintf("write of %v answered by %.60q", keys, response)
	}
	return ""
}

func (l redisLanguage) mget(c *simClient) ([]byte, func(string) string) {
	args, want := []string{"MGET"}, []string{}
	for range 1 + c.arena.Random().IntN(12) {
		key := c.key()
		args, want = append(args, key), append(want, c.written[key])
	}
	return resp.AppendCommand(nil, args...), func(response string) string {
		if l.isFailure(response) {
			return ""
		}
		head := fmt.Sprintf("*%d\r\n", len(want))
		rest, ok := strings.CutPrefix(response, head)
		if !ok {
			return fmt.Sprintf("MGET answered by %.60q", response)
		}
		for i := range want {
			var got string
			var found bool
			got, found, rest = takeBulk(rest)
			if wrong := c.judge(args[i+1], got, found, want[i]); wrong != "" {
				return wrong
			}
		}
		return rest
	}
}

func (l redisLanguage) mset(c *simClient) ([]byte, func(string) string) {
	args, keys := []string{"mset"}, []string{}
	for range 1 + c.arena.Random().IntN(6) {
		key := c.key()
		value := c.value(key)
		c.written[key] = value
		args, keys = append(args, key, value), append(keys, key)
	}
	return resp.AppendCommand(nil, args...), func(response string) string { return l.mustBeOK(c, response, keys...) }
}

// count is DEL or EXISTS.
func (l redisLanguage) count(c *simClient, name string) ([]byte, func(string) string) {
	args := []string{name}
	least := 0
	for range 1 + c.arena.Random().IntN(6) {
		key := c.key()
		args = append(args, key)
		if c.written[key] != "" {
			least++
		}
		if name == "DEL" {
			delete(c.written, key)
		}
	}
	keys := args[1:]
	return resp.AppendCommand(nil, args...), func(response string) string {
		if name == "DEL" {
			c.wrote(response, keys...)
		}
		if l.isFailure(response) {
			return ""
		}
		got, err := strconv.Atoi(strings.Trim(response, ":\r\n"))
		if err != nil {
			return fmt.Sprintf("%v answered by %.60q", args, response)
		}
		for _, key := range keys {
			if c.doubtful[key] || c.arena.loose {
				return ""
			}
		}
		if got != least {
			return fmt.Sprintf("%v gives %d, should be %d", args, got, least)
		}
		return ""
	}
}

// echo is answered by the proxy, in its turn.
func (l redisLanguage) echo(c *simClient) ([]byte, func(string) string) {
	c.seq++
	token := fmt.Sprintf("c%d:%d", c.id, c.seq)
	return []byte("ECHO " + token + "\r\n"), func(response string) string {
		if got, _, rest := takeBulk(response); got != token || rest != "" {
			return fmt.Sprintf("ECHO %s answered by %.60q", token, response)
		}
		return ""
	}
}

// takeBulk takes a bulk string off the front of a response. rest is all of it if there is none.
func takeBulk(s string) (value string, ok bool, rest string) {
	if after, null := strings.CutPrefix(s, "$-1\r\n"); null {
		return "", false, after
	}
	head, body, found := strings.Cut(s, "\r\n")
	n, err := strconv.Atoi(strings.TrimPrefix(head, "$"))
	if !found || err != nil || len(body) < n+2 || head[0] != '$' {
		return "", false, s
	}
	return body[:n], true, body[n+2:]
}
