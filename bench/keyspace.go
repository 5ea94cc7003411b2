package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"nutmeg/internal/testkit"
)

// keyName is how redis-benchmark writes a key.
func keyName(i int) string { return fmt.Sprintf("key:%012d", i) }

// value is what the benchmark stores: nothing that compresses to a pattern, and
// no line ends, so that a shifted response cannot look right.
func value(size int) string {
	return strings.Repeat("nutmeg-0123456789abcdef", size/23+1)[:size]
}

func redisGet(key, value string) exchange {
	return exchange{
		request:  fmt.Appendf(nil, "*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n", len(key), key),
		response: fmt.Appendf(nil, "$%d\r\n%s\r\n", len(value), value),
	}
}

func redisSet(key, value string) exchange {
	return exchange{
		request:  fmt.Appendf(nil, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(key), key, len(value), value),
		response: []byte("+OK\r\n"),
	}
}

func memcacheGet(key, value string) exchange {
	return exchange{
		request:  fmt.Appendf(nil, "get %s\r\n", key),
		response: fmt.Appendf(nil, "VALUE %s 0 %d\r\n%s\r\nEND\r\n", key, len(value), value),
	}
}

func memcacheSet(key, value string) exchange {
	return exchange{
		request:  fmt.Appendf(nil, "set %s 0 0 %d\r\n%s\r\n", key, len(value), value),
		response: []byte("STORED\r\n"),
	}
}

// exchanges makes one exchange for each of n keys.
func exchanges(n, valueSize int, with func(key, value string) exchange) []exchange {
	all := make([]exchange, n)
	for i := range all {
		all[i] = with(keyName(i), value(valueSize))
	}
	return all
}

// fillRedis empties both servers and gives each of them all keys: whatever the
// distribution, every GET is a hit, and the direct subject needs only one server.
func (b *bed) fillRedis(ctx context.Context, keys, valueSize int) error {
	flush := exchange{request: []byte("FLUSHALL\r\n"), response: []byte("+OK\r\n")}
	return fill(ctx, b.redis, flush, exchanges(keys, valueSize, redisSet))
}

// fillMemcached is fillRedis for memcached.
func (b *bed) fillMemcached(ctx context.Context, keys, valueSize int) error {
	flush := exchange{request: []byte("flush_all\r\n"), response: []byte("OK\r\n")}
	return fill(ctx, b.memcached, flush, exchanges(keys, valueSize, memcacheSet))
}

func fill(ctx context.Context, servers [2]*testkit.Process, flush exchange, sets []exchange) error {
	for _, s := range servers {
		if err := pipeline(ctx, s.Addr(), slices.Concat([]exchange{flush}, sets)); err != nil {
			return fmt.Errorf("cannot fill %s: %w", s.Addr(), err)
		}
	}
	return nil
}

// pipeline sends the exchanges over one connection, many at a time.
func pipeline(ctx context.Context, addr string, all []exchange) error {
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	var buf []byte
	for chunk := range slices.Chunk(all, 128) {
		var requests, responses bytes.Buffer
		for _, e := range chunk {
			requests.Write(e.request)
			responses.Write(e.response)
		}
		if buf, err = (exchange{requests.Bytes(), responses.Bytes()}).do(c, buf); err != nil {
			return contextOr(ctx, err)
		}
	}
	return nil
}
