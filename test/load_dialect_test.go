package test

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// loadDialect is a protocol as a load speaks it.
type loadDialect struct {
	set    func(key, value string) string
	stored string // the response to set
	get    func(keys ...string) string
	// own is a request that the proxy answers by itself, in its turn among the others.
	own  func(token string) (request, want string)
	read func(r *bufio.Reader) (response string, err error)
	// values takes a response to get apart, one value for each key; "" for an absent key.
	values  func(response string, keys []string) ([]string, error)
	isError func(response string) bool
}

var redisLoad = loadDialect{
	set:    func(key, value string) string { return request("SET", key, value) },
	stored: okReply,
	get: func(keys ...string) string {
		if len(keys) == 1 {
			return request("GET", keys[0])
		}
		return request(with("MGET", keys...)...)
	},
	own:     func(token string) (string, string) { return request("ECHO", token), bulk(token) },
	read:    readReply,
	values:  redisValues,
	isError: func(response string) bool { return strings.HasPrefix(response, "-") },
}

func redisValues(response string, keys []string) ([]string, error) {
	rest := response
	if len(keys) > 1 {
		var ok bool
		if rest, ok = strings.CutPrefix(response, fmt.Sprintf("*%d\r\n", len(keys))); !ok {
			return nil, fmt.Errorf("MGET of %d keys was answered by %s", len(keys), short(response))
		}
	}
	values := make([]string, len(keys))
	for i := range keys {
		head, body, _ := strings.Cut(rest, "\r\n")
		size, err := strconv.Atoi(strings.TrimPrefix(head, "$"))
		switch {
		case err != nil || !strings.HasPrefix(head, "$"):
			return nil, fmt.Errorf("GET of %v was answered by %s", keys, short(response))
		case size < 0:
			rest = body
		default:
			values[i], rest = body[:size], body[size+2:]
		}
	}
	if rest != "" {
		return nil, fmt.Errorf("GET of %v was answered by %s", keys, short(response))
	}
	return values, nil
}

var memcacheLoad = loadDialect{
	set:    set,
	stored: "STORED\r\n",
	get:    func(keys ...string) string { return "get " + strings.Join(keys, " ") + "\r\n" },
	own:    func(token string) (string, string) { return "unknown " + token + "\r\n", "ERROR\r\n" },
	read:   readCacheReply,
	values: cacheValues,
	isError: func(response string) bool {
		return strings.Contains(response, "ERROR") && !strings.HasPrefix(response, "VALUE")
	},
}

// readCacheReply reads one memcached response and returns its bytes.
func readCacheReply(r *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			return b.String(), err
		}
		words := strings.Fields(line)
		if len(words) < 4 || words[0] != "VALUE" {
			return b.String(), nil
		}
		size, err := strconv.ParseInt(words[3], 10, 64)
		if err != nil {
			return b.String(), err
		}
		if _, err := io.CopyN(&b, r, size+2); err != nil {
			return b.String(), err
		}
	}
}

func cacheValues(response string, keys []string) ([]string, error) {
	values := make([]string, len(keys))
	rest := response
	for i, key := range keys {
		after, there := strings.CutPrefix(rest, "VALUE "+key+" 7 ")
		if !there {
			continue
		}
		digits, body, _ := strings.Cut(after, "\r\n")
		size, err := strconv.Atoi(digits)
		if err != nil || len(body) < size+2 {
			return nil, fmt.Errorf("get of %v was answered by %s", keys, short(response))
		}
		values[i], rest = body[:size], body[size+2:]
	}
	if rest != "END\r\n" {
		return nil, fmt.Errorf("get of %v was answered by %s", keys, short(response))
	}
	return values, nil
}
