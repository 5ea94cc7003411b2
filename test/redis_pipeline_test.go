package test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

func TestRedisPipeline(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{})
	t.Run("replies come in order", func(t *testing.T) {
		c := b.dial(t)
		c.send(request("SET", "a", "a1") + request("GET", "a") + request("ZADD", "z", "1", "z1") + request("ZADD", "z", "4", "z2") +
			request("ZINCRBY", "z", "1", "z1") + request("ZRANGE", "z", "0", "-1", "WITHSCORES"))
		c.want(okReply + bulk("a1") + integer(1) + integer(1) + bulk("2") + bulks("z1", "2", "z2", "4"))
	})
	t.Run("an error of a server stands alone", func(t *testing.T) {
		c := b.dial(t)
		c.send(request("SET", "b", "1") + request("LPUSH", "b", "2") + request("SET", "c", "3") + request("GET", "c"))
		c.want(okReply + "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n" + okReply + bulk("3"))
		c.wantAsk(bulk("1"), "GET", "b")
	})
	t.Run("an error of the proxy stands alone", func(t *testing.T) {
		c := b.dial(t)
		c.send(request("SET", "d", "1") + request("ZREM", "d") + request("GET", "d") + request("NONSENSE") + request("PING"))
		c.want(okReply + "-ERR wrong number of arguments for 'zrem' command\r\n" + bulk("1") + unknown("NONSENSE") + pongReply)
		c.wantAsk(bulk("1"), "GET", "d")
	})
}

// TestRedisPipelineOf10000 sends 10,000 requests cut anywhere, without waiting for a reply, and wants every reply in its place.
func TestRedisPipelineOf10000(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		o    bedOptions
	}{
		{"one worker", bedOptions{servers: 3, workers: 1}},
		{"three workers", bedOptions{servers: 3, workers: 3}},
		{"several connections to a server", bedOptions{servers: 3, pool: []string{"server_connections: 3"}}},
		{"unix sockets", bedOptions{servers: 3, unix: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := startRedisBed(t, tc.o)
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			model := newModel(random, "deep")
			for range 10000 {
				model.step()
			}
			c := b.dial(t)
			sent := make(chan error, 1)
			go func() { sent <- sendRandomly(c, model.requests.String(), random) }()
			for i, want := range model.replies {
				got, err := readReply(c.r)
				if err != nil || got != want {
					t.Fatalf("reply %d, to %s: got %s and error %v, want %s", i, short(model.commands[i]), short(got), err, short(want))
				}
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			c.wantAsk(bulk("the end"), "ECHO", "the end")
		})
	}
}

// sendRandomly sends text in pieces of 1 byte to 64 KiB, small ones as often as large ones.
func sendRandomly(c *rawConn, text string, random *rand.Rand) error {
	for len(text) > 0 {
		n := min(1+random.IntN(1<<random.IntN(17)), len(text))
		if _, err := io.WriteString(c.conn, text[:n]); err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}

// model is a client that makes up requests and knows what the replies must be: its keys are its own.
type model struct {
	random   *rand.Rand
	name     string // in front of all its keys and values
	values   map[string]string
	counters map[string]int
	serial   int

	requests strings.Builder
	commands []string
	replies  []string
}

func newModel(random *rand.Rand, name string) *model {
	return &model{random: random, name: name, values: map[string]string{}, counters: map[string]int{}}
}

// step makes up one request.
func (m *model) step() {
	switch m.random.IntN(12) {
	case 0, 1, 2:
		key, value := m.key(), m.value()
		m.values[key] = value
		m.add(okReply, "SET", key, value)
	case 3, 4, 5:
		key := m.key()
		m.add(m.get(key), "GET", key)
	case 6:
		key := fmt.Sprintf("%s-counter-%d", m.name, m.random.IntN(50))
		m.counters[key]++
		m.add(integer(m.counters[key]), "INCR", key)
	case 7:
		m.mget()
	case 8:
		m.mset()
	case 9:
		m.remove()
	case 10:
		text := m.value()
		m.add(bulk(text), "ECHO", text)
	case 11:
		m.oddity()
	}
}

func (m *model) add(reply string, args ...string) {
	m.requests.WriteString(request(args...))
	m.commands = append(m.commands, strings.Join(args, " "))
	m.replies = append(m.replies, reply)
}

func (m *model) key() string { return m.name + "-" + strconv.Itoa(m.random.IntN(200)) }

// value names its writer and is like no other. Some are long, many are not.
func (m *model) value() string {
	m.serial++
	return fmt.Sprintf("%s wrote %d %s", m.name, m.serial, strings.Repeat("\r\n$", m.random.IntN(1<<m.random.IntN(11))))
}

func (m *model) get(key string) string {
	if value, ok := m.values[key]; ok {
		return bulk(value)
	}
	return nullReply
}

func (m *model) keys() []string {
	keys := make([]string, 1+m.random.IntN(20))
	for i := range keys {
		keys[i] = m.key()
	}
	return keys
}

func (m *model) mget() {
	keys := m.keys()
	replies := make([]string, len(keys))
	for i, key := range keys {
		replies[i] = m.get(key)
	}
	m.add(array(replies...), with("MGET", keys...)...)
}

func (m *model) mset() {
	keys := m.keys()
	values := make([]string, len(keys))
	for i, key := range keys {
		values[i] = m.value()
		m.values[key] = values[i]
	}
	m.add(okReply, with("MSET", pairs(keys, values)...)...)
}

func (m *model) remove() {
	keys, existed := m.keys(), 0
	command := []string{"DEL", "UNLINK", "EXISTS", "TOUCH"}[m.random.IntN(4)]
	for _, key := range keys {
		if _, ok := m.values[key]; ok {
			existed++
		}
		if command == "DEL" || command == "UNLINK" {
			delete(m.values, key)
		}
	}
	m.add(integer(existed), with(command, keys...)...)
}

// oddity is a request that the proxy answers by itself, or a server refuses.
func (m *model) oddity() {
	switch m.random.IntN(5) {
	case 0:
		m.add(pongReply, "PING")
	case 1:
		value := m.value()
		m.add(unknown("NONSENSE", value), "NONSENSE", value)
	case 2:
		m.add("-ERR wrong number of arguments for 'get' command\r\n", "GET")
	case 3:
		key := m.key()
		m.values[key] = "text"
		m.add(okReply, "SET", key, "text")
		m.add("-ERR value is not an integer or out of range\r\n", "INCR", key)
	case 4:
		key := m.key()
		m.add(array(bulk(key), integer(2)), "EVAL", "return {KEYS[1], #ARGV}", "1", key, "a", m.value())
	}
}
