package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"nutmeg/bench/load"
	"nutmeg/internal/testkit"
)

// keyName is a key; all have the same length.
func keyName(i int) string { return fmt.Sprintf("key:%012d", i) }

// value is what is stored under a key, 16 bytes or more. It begins with the
// key's number, so that the response to another request does not look right,
// and has no line ends.
func value(i, size int) string {
	const filler = "-nutmeg-0123456789abcdef"
	return (fmt.Sprintf("%012d", i) + strings.Repeat(filler, size/len(filler)+1))[:size]
}

// keyspace is what a server holds: keys, and how large their values are.
type keyspace struct{ keys, size int }

// makers of the exchanges of one key.
type maker func(i, size int) load.Exchange

func redisGet(i, size int) load.Exchange {
	return load.Exchange{Request: redisRequest("GET", keyName(i)), Response: bulk(nil, value(i, size))}
}

func redisSet(i, size int) load.Exchange {
	return load.Exchange{Request: redisRequest("SET", keyName(i), value(i, size)), Response: []byte("+OK\r\n")}
}

func memcacheGet(i, size int) load.Exchange {
	return load.Exchange{
		Request:  fmt.Appendf(nil, "get %s\r\n", keyName(i)),
		Response: fmt.Appendf(nil, "%sEND\r\n", memcacheValue(i, size)),
	}
}

func memcacheSet(i, size int) load.Exchange {
	return load.Exchange{
		Request:  fmt.Appendf(nil, "set %s 0 0 %d\r\n%s\r\n", keyName(i), size, value(i, size)),
		Response: []byte("STORED\r\n"),
	}
}

func memcacheValue(i, size int) string {
	return fmt.Sprintf("VALUE %s 0 %d\r\n%s\r\n", keyName(i), size, value(i, size))
}

// redisRequest is a command as clients send it.
func redisRequest(words ...string) []byte {
	request := fmt.Appendf(nil, "*%d\r\n", len(words))
	for _, w := range words {
		request = bulk(request, w)
	}
	return request
}

func bulk(b []byte, text string) []byte {
	return fmt.Appendf(b, "$%d\r\n%s\r\n", len(text), text)
}

// exchanges makes one exchange for each key.
func (k keyspace) exchanges(with maker) []load.Exchange {
	all := make([]load.Exchange, k.keys)
	for i := range all {
		all[i] = with(i, k.size)
	}
	return all
}

// mixed makes one exchange for each key: a SET for every fifth, a GET for the others.
func (k keyspace) mixed() []load.Exchange {
	all := k.exchanges(redisGet)
	for i := 0; i < len(all); i += 5 {
		all[i] = redisSet(i, k.size)
	}
	return all
}

// several makes exchanges with n different random keys each.
func (k keyspace) several(n int, with func(keys []int, size int) load.Exchange) []load.Exchange {
	r := rand.New(rand.NewPCG(4, uint64(n)))
	all := make([]load.Exchange, 1000)
	for i := range all {
		var keys []int
		for len(keys) < n {
			if key := r.IntN(k.keys); !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
		all[i] = with(keys, k.size)
	}
	return all
}

func redisMGet(keys []int, size int) load.Exchange {
	words, response := []string{"MGET"}, fmt.Appendf(nil, "*%d\r\n", len(keys))
	for _, i := range keys {
		words, response = append(words, keyName(i)), bulk(response, value(i, size))
	}
	return load.Exchange{Request: redisRequest(words...), Response: response}
}

func redisMSet(keys []int, size int) load.Exchange {
	words := []string{"MSET"}
	for _, i := range keys {
		words = append(words, keyName(i), value(i, size))
	}
	return load.Exchange{Request: redisRequest(words...), Response: []byte("+OK\r\n")}
}

// memcacheMGet has the values of the servers in any order, as memcached allows.
func memcacheMGet(keys []int, size int) load.Exchange {
	request, response := []byte("get"), []byte(nil)
	for _, i := range keys {
		request = append(append(request, ' '), keyName(i)...)
		response = append(response, memcacheValue(i, size)...)
	}
	return load.Exchange{
		Request: append(request, "\r\n"...), Response: append(response, "END\r\n"...),
		Blocks: len(keys), BlockSize: len(response) / len(keys),
	}
}

// fillRedis empties both servers and gives each of them all keys: whatever the
// distribution, every GET is a hit, and the direct subject needs only one
// server. What is there already stays.
func (b *bed) fillRedis(ctx context.Context, k keyspace) error {
	flush := load.Exchange{Request: []byte("FLUSHALL\r\n"), Response: []byte("+OK\r\n")}
	return fill(ctx, b.redis, &b.inRedis, k, flush, redisSet)
}

// fillMemcached is fillRedis for memcached.
func (b *bed) fillMemcached(ctx context.Context, k keyspace) error {
	flush := load.Exchange{Request: []byte("flush_all\r\n"), Response: []byte("OK\r\n")}
	return fill(ctx, b.memcached, &b.inMemcached, k, flush, memcacheSet)
}

func fill(ctx context.Context, servers [2]*testkit.Process, there *keyspace, k keyspace, flush load.Exchange, set maker) error {
	if *there == k && k.keys > 0 {
		return nil
	}
	*there = keyspace{}
	sets := k.exchanges(set)
	for _, s := range servers {
		if err := pipeline(ctx, s.Addr(), slices.Concat([]load.Exchange{flush}, sets)); err != nil {
			return fmt.Errorf("cannot fill %s: %w", s.Addr(), err)
		}
	}
	*there = k
	return nil
}

// kinds describes the exchanges to the floor program, as floor.c wants them:
// each length of a request once, known by its first bytes. It returns nil if
// the requests cannot be told apart in that way.
func kinds(all []load.Exchange) []byte {
	const head = 4
	var text bytes.Buffer
	known := map[string]load.Exchange{}
	for _, e := range all {
		k, there := known[string(e.Request[:head])]
		switch {
		case !there:
			known[string(e.Request[:head])] = e
			fmt.Fprintf(&text, "%d %d\n%s%s", len(e.Request), len(e.Response), e.Request[:head], e.Response)
		case len(k.Request) != len(e.Request) || len(k.Response) != len(e.Response):
			return nil
		}
	}
	return text.Bytes()
}
