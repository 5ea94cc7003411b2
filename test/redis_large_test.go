package test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// noise is n bytes that look random, the same for a seed.
func noise(n int, seed uint64) string {
	var key [32]byte
	key[0] = byte(seed)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b) // it never fails
	return string(b)
}

func TestRedisLargeBinaryValues(t *testing.T) {
	t.Parallel()
	const size = 16<<20 + 1<<10
	c := startRedisBed(t, bedOptions{servers: 3}).dial(t)
	var keys, values []string
	for i := range 5 {
		keys = append(keys, fmt.Sprintf("large-%d", i), fmt.Sprintf("empty-%d", i))
		values = append(values, noise(size+i, uint64(i)), "")
	}
	go func() {
		// A client may send on while it reads; one that does not must not be needed.
		_, _ = io.WriteString(c.conn, request(with("MSET", pairs(keys, values)...)...)+request(with("MGET", keys...)...))
	}()
	c.want(okReply)
	c.wantBulks(values)
	for i, key := range keys {
		c.send(request("GET", key))
		c.wantBulk(values[i])
	}
	c.wantAsk(integer(10), with("DEL", keys...)...)
	c.wantAsk(nulls(10), with("MGET", keys...)...)
}

func TestRedisValueOf100MB(t *testing.T) {
	t.Parallel()
	c := startRedisBed(t, bedOptions{}).dial(t)
	value := noise(100<<20, 7)
	c.send(request("SET", "huge", value))
	c.want(okReply)
	c.send(request("GET", "huge") + request("STRLEN", "huge"))
	c.wantBulk(value)
	c.want(integer(len(value)))
}

// TestRedisValuesOfAllSizes goes around the sizes of buffers and of length lines.
func TestRedisValuesOfAllSizes(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 3})
	c := b.dial(t)
	for _, around := range []int{0, 9, 99, 512, 999, 1 << 10, 4 << 10, 9999, 16 << 10, 32 << 10, 64 << 10, 99999, 128 << 10, 256 << 10, 999999, 1 << 20, 1 << 21} {
		for _, size := range []int{around - 33, around - 3, around - 2, around - 1, around, around + 1, around + 2, around + 33} {
			if size < 0 {
				continue
			}
			value := noise(size, uint64(size))
			k0, k1 := b.key(size%3, "all"), b.key((size+1)%3, "all")
			c.send(request("SET", k0, value) + request("GET", k0) + request("MSET", k0, value, k1, value))
			c.want(okReply)
			c.wantBulk(value)
			c.want(okReply)
			c.send(request("MGET", k1, k0) + request("ECHO", value))
			c.wantBulks([]string{value, value})
			c.wantBulk(value)
		}
	}
}

// wantBulk reads a bulk string and compares it; unlike want it is made for large ones.
func (c *rawConn) wantBulk(want string) {
	c.t.Helper()
	c.want(fmt.Sprintf("$%d\r\n", len(want)))
	piece := make([]byte, 256<<10)
	for at := 0; at < len(want); {
		part := piece[:min(len(piece), len(want)-at)]
		if n, err := io.ReadFull(c.r, part); err != nil {
			c.t.Fatalf("%v after %d of %d bytes", err, at+n, len(want))
		}
		if string(part) != want[at:at+len(part)] {
			i := 0
			for part[i] == want[at+i] {
				i++
			}
			c.t.Fatalf("byte %d of %d differs: got %q", at+i, len(want), part[i:min(len(part), i+100)])
		}
		at += len(part)
	}
	c.want("\r\n")
}

func (c *rawConn) wantBulks(want []string) {
	c.t.Helper()
	c.want(fmt.Sprintf("*%d\r\n", len(want)))
	for _, value := range want {
		c.wantBulk(value)
	}
}

// TestRedisLargeValuesOfManyClients has them all at the same servers at once, in pieces that mix on the way.
func TestRedisLargeValuesOfManyClients(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 2})
	failed := make(chan error, 8)
	for i := range cap(failed) {
		c := b.dial(t)
		go func() {
			value := strings.Repeat(fmt.Sprintf("client %d ", i), 100000)
			key := fmt.Sprintf("many-%d", i)
			failed <- func() error {
				for round := range 5 {
					value := value + fmt.Sprint(round)
					send := request("SET", key, value) + request("MGET", key, "none", key) + request("GET", key)
					sent := make(chan error, 1)
					go func() { _, err := io.Copy(c.conn, bytes.NewReader([]byte(send))); sent <- err }()
					if err := c.exchange("", okReply+array(bulk(value), nullReply, bulk(value))+bulk(value)); err != nil {
						return fmt.Errorf("client %d, round %d: %w", i, round, err)
					}
					if err := <-sent; err != nil {
						return err
					}
				}
				return nil
			}()
		}()
	}
	for range cap(failed) {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}
