package test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// cacheModel says what memcached answers to requests of one client about keys that are its own.
type cacheModel struct {
	random *rand.Rand
	prefix string
	values map[string]string
}

// key picks one of a few keys; small numbers are counters.
func (m *cacheModel) key() string { return m.prefix + strconv.Itoa(m.random.IntN(40)) }

func (m *cacheModel) text() string {
	size := m.random.IntN(60)
	if m.random.IntN(30) == 0 {
		size = m.random.IntN(100 << 10)
	}
	text := make([]byte, size)
	for i := range text {
		text[i] = byte(m.random.IntN(256))
	}
	return string(text)
}

// next is a request and its answer.
func (m *cacheModel) next() (request, want string) {
	key := m.key()
	old, present := m.values[key]
	noreply := m.random.IntN(4) == 0
	quiet := func(request, value, want string) (string, string) {
		if noreply {
			return request + " noreply" + value, ""
		}
		return request + value, want
	}
	switch m.random.IntN(10) {
	case 0, 1, 2:
		text := m.text()
		m.values[key] = text
		return quiet(fmt.Sprintf("set %s 7 0 %d", key, len(text)), "\r\n"+text+"\r\n", "STORED\r\n")
	case 3:
		if !present {
			return quiet("append "+key+" 0 0 1", "\r\nx\r\n", "NOT_STORED\r\n")
		}
		m.values[key] = old + "\r\nEND\r\n"
		return quiet("append "+key+" 0 0 7", "\r\n\r\nEND\r\n\r\n", "STORED\r\n")
	case 4:
		delete(m.values, key)
		if !present {
			return quiet("delete "+key, "\r\n", "NOT_FOUND\r\n")
		}
		return quiet("delete "+key, "\r\n", "DELETED\r\n")
	case 5:
		return "bogus " + key + "\r\n", "ERROR\r\n"
	case 6, 7:
		return "get " + key + "\r\n", m.found([]string{key})
	default:
		keys := make([]string, 1+m.random.IntN(60))
		for i := range keys {
			keys[i] = m.key()
		}
		return "get " + strings.Join(keys, " ") + "\r\n", m.found(keys)
	}
}

func (m *cacheModel) found(keys []string) string {
	var b strings.Builder
	for _, key := range keys {
		if text, ok := m.values[key]; ok {
			b.WriteString(value(key, text))
		}
	}
	return b.String() + "END\r\n"
}

// Several clients send long pipelines in random pieces over shared server connections; every byte of the answers is
// foretold. The seed is in the log.
func TestMemcachePipelinesInRandomCuts(t *testing.T) {
	t.Parallel()
	n, _ := startCaches(t, 3, "server_connections: 2")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var clients sync.WaitGroup
	for i := range 6 {
		c := dial(t, n.Addr())
		clients.Go(func() {
			m := &cacheModel{random: rand.New(rand.NewPCG(seed, uint64(i))), prefix: fmt.Sprintf("client%d:", i), values: map[string]string{}}
			if err := m.run(c); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	clients.Wait()
	n.waitPool("alpha", "counters", func(p PoolStats) error {
		return p.want(map[string]int64{"forward_error": 0, "client_err": 0, "server_err": 0, "server_eof": 0, "in_queue": 0, "out_queue": 0})
	})
}

func (m *cacheModel) run(c *rawConn) error {
	for range 8 {
		var requests, answers strings.Builder
		for range 150 {
			request, want := m.next()
			requests.WriteString(request)
			answers.WriteString(want)
		}
		sent := make(chan error, 1)
		cuts := rand.New(rand.NewPCG(m.random.Uint64(), 1))
		go func() { sent <- writeCut(c.conn, requests.String(), cuts) }()
		want := answers.String()
		got := make([]byte, len(want))
		if n, err := io.ReadFull(c.r, got); err != nil {
			return fmt.Errorf("%d of %d bytes came: %w", n, len(want), err)
		}
		if string(got) != want {
			at := 0
			for got[at] == want[at] {
				at++
			}
			return fmt.Errorf("byte %d: got %s, want %s", at, short(string(got[at:])), short(want[at:]))
		}
		if err := <-sent; err != nil {
			return err
		}
	}
	return nil
}

// writeCut writes text in pieces, most of them small.
func writeCut(w io.Writer, text string, random *rand.Rand) error {
	for len(text) > 0 {
		size := 1 + random.IntN(40)
		if random.IntN(3) == 0 {
			size = 1 + random.IntN(20000)
		}
		size = min(size, len(text))
		if _, err := io.WriteString(w, text[:size]); err != nil {
			return err
		}
		text = text[size:]
	}
	return nil
}

// One request, every cut in two.
func TestMemcacheRequestCutAnywhere(t *testing.T) {
	t.Parallel()
	n, _ := startCaches(t, 2, "")
	c := dial(t, n.Addr())
	text := set("cut", "a value\r\nget x\r\n") + "get cut none cut\r\ntouch cut 0\r\nincr none 1 noreply\r\ndelete cut\r\n"
	shown := value("cut", "a value\r\nget x\r\n")
	for i := 1; i < len(text); i++ {
		c.send(text[:i])
		if i < len(set("cut", "a value\r\nget x\r\n")) {
			// Nothing is answered yet: a request of another client shows that the first part has been read.
			c.roundTrip(n)
		}
		c.send(text[i:])
		c.want("STORED\r\n" + shown + shown + "END\r\nTOUCHED\r\nDELETED\r\n")
	}
}

// roundTrip returns when the daemon, which has one worker, has read what c sent before.
func (c *rawConn) roundTrip(n *Nutmeg) {
	c.t.Helper()
	other := dial(c.t, n.Addr())
	other.send("get other\r\n")
	other.want("END\r\n")
	other.close()
}

// A client that pipelines and does not read is held back, and gets all when it reads; others are served meanwhile.
func TestMemcacheClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	n, _ := startCaches(t, 2, "")
	lazy, other := dial(t, n.Addr()), dial(t, n.Addr())
	text := strings.Repeat("x", 100<<10)
	lazy.askCache(set("large", text), "STORED\r\n")
	const gets = 300
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(lazy.conn, strings.Repeat("get large\r\n", gets))
		sent <- err
	}()
	for range 200 {
		other.askCache(set("k", "v")+"get k\r\n", "STORED\r\n"+value("k", "v")+"END\r\n")
	}
	answer := value("large", text) + "END\r\n"
	for range gets {
		lazy.want(answer)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}
