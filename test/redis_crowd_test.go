package test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestRedisCrowd has many clients at once, each with keys of its own and values that name it: a reply that went to the
// wrong client, or to the wrong place, shows.
func TestRedisCrowd(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		o    bedOptions
	}{
		{"one worker", bedOptions{servers: 3, workers: 1}},
		{"three workers", bedOptions{servers: 3, workers: 3}},
		{"three workers, several connections to a server", bedOptions{servers: 3, workers: 3, pool: []string{"server_connections: 2"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := startRedisBed(t, tc.o)
			const clients = 50
			var wait sync.WaitGroup
			for i := range clients {
				c := b.dial(t)
				wait.Go(func() {
					if err := beOneOfTheCrowd(c, b, i); err != nil {
						t.Errorf("client %d: %v", i, err)
					}
				})
			}
			wait.Wait()
			if err := b.Pool("alpha").want(map[string]int64{
				"forward_error": 0, "server_err": 0, "server_eof": 0, "in_queue": 0, "out_queue": 0,
			}); err != nil {
				t.Error(err)
			}
		})
	}
}

// beOneOfTheCrowd sends bursts of requests, and at times leaves in the middle of one to come back as another connection.
func beOneOfTheCrowd(c *rawConn, b *redisBed, i int) error {
	random := rand.New(rand.NewPCG(uint64(i), 3))
	m := newModel(random, fmt.Sprintf("client-%d", i))
	for round := range 20 {
		m.requests.Reset()
		m.commands, m.replies = nil, nil
		for range 1 + random.IntN(40) {
			m.step()
		}
		if err := c.exchange(m.requests.String(), strings.Join(m.replies, "")); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		if random.IntN(4) == 0 {
			if err := leaveEarly(b.Addr(), i, random); err != nil {
				return err
			}
		}
	}
	return nil
}

// leaveEarly is a client that does not wait for what it asked. Its replies must not reach anybody.
func leaveEarly(addr string, i int, random *rand.Rand) error {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	text := strings.Repeat(request("EVAL", "return 'left by "+fmt.Sprint(i)+"'", "1", fmt.Sprint("left", random.IntN(100)))+request("MGET", "l1", "l2", "l3"), 5)
	_, err = io.WriteString(conn, text[:random.IntN(len(text))])
	return err
}

func TestRedisHalfClosedClientGetsItsReplies(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{listen: filepath.Join(shortDir(t), "half.sock")})
	tcp := startNutmeg(t, bedYAML(bedOptions{}, b.servers))
	for _, addr := range []string{tcp.Addr(), b.Addr()} {
		t.Run(networkOf(addr), func(t *testing.T) {
			k0, k1 := b.key(0, "half"), b.key(1, "half")
			send := request("MSET", k0, "0", k1, "1") + request("MGET", k1, k0) + strings.Repeat(request("GET", k1)+request("GET", k0), 500)
			want := okReply + bulks("1", "0") + strings.Repeat(bulk("1")+bulk("0"), 500)
			for _, tail := range []string{"", "*2\r\n$3\r\nSET", "*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$5\r\nno", "SET half in"} {
				c := dial(t, addr)
				c.send(send + tail)
				c.finish()
				c.want(want)
				c.wantClosed()
			}
			c := dial(t, addr)
			c.finish()
			c.wantClosed()
			c = dial(t, addr)
			c.wantAsk(nullReply, "GET", "half")
		})
	}
}

// TestRedisHalfClosedClientWaitsForAServer is the same with replies that are not there yet.
func TestRedisHalfClosedClientWaitsForAServer(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{})
	k0, k1 := b.key(0, "half"), b.key(1, "half")
	c := b.dial(t)
	c.wantAsk(okReply, "MSET", k0, "0", k1, "1")
	if err := b.servers[0].Stop(); err != nil {
		t.Fatal(err)
	}
	c.send(request("MGET", k0, k1) + request("GET", k1))
	c.finish()
	b.waitPool("alpha", "the requests to be on their way", func(p PoolStats) error {
		return p.want(map[string]int64{"requests": 5, "out_queue": 1})
	})
	if err := b.servers[0].Cont(); err != nil {
		t.Fatal(err)
	}
	c.want(bulks("0", "1") + bulk("1"))
	c.wantClosed()
}

// TestRedisClientThatNeverReads sends until it is not read from any more. Everybody else is served.
func TestRedisClientThatNeverReads(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{workers: 1})
	other := b.dial(t)
	value := noise(10<<10, 1)
	k0, k1 := b.key(0, "never"), b.key(1, "never")
	other.wantAsk(okReply, "MSET", k0, value, k1, value)

	const silent = 3
	var wait sync.WaitGroup
	stuck := make(chan struct{}, silent)
	clients := make([]*rawConn, silent)
	for i := range clients {
		c := b.dial(t)
		clients[i] = c
		wait.Go(func() {
			text := strings.Repeat(request("GET", k0)+request("MGET", k0, k1)+request("ECHO", value), 20)
			for {
				_ = c.conn.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
				if _, err := io.WriteString(c.conn, text); err != nil {
					stuck <- struct{}{}
					return
				}
			}
		})
	}
	for range silent {
		for done := false; !done; {
			select {
			case <-stuck:
				done = true
			default:
				other.wantAsk(bulk(value), "GET", k0)
				other.wantAsk(bulks(value, value), "MGET", k1, k0)
			}
		}
	}
	wait.Wait()
	for range 100 {
		other.wantAsk(bulk(value), "GET", k1)
	}
	// One of them reads after all: it has not missed a byte.
	clients[0].want(bulk(value) + bulks(value, value) + bulk(value) + bulk(value) + bulks(value, value))
	for _, c := range clients {
		c.abort()
	}
	b.waitPool("alpha", "the silent clients to be gone", func(p PoolStats) error { return p.want(map[string]int64{"client_connections": 1}) })
	other.wantAsk(bulks(value, value), "MGET", k0, k1)
}

// TestRedisSlowReaderGetsEverything stalls and goes on many times: what was held back must all come, in order.
func TestRedisSlowReaderGetsEverything(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 3, workers: 1})
	c := b.dial(t)
	if tcp, ok := c.conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(16 << 10)
	}
	const n = 3000
	var send, want strings.Builder
	for i := range n {
		key, value := fmt.Sprintf("slow-%d", i%30), noise(i%5000, uint64(i))
		send.WriteString(request("SET", key, value) + request("GET", key) + request("MGET", key, "none") + request("ECHO", value))
		want.WriteString(okReply + bulk(value) + array(bulk(value), nullReply) + bulk(value))
	}
	sent := make(chan error, 1)
	go func() { _, err := io.WriteString(c.conn, send.String()); sent <- err }()
	rest := want.String()
	for size := 1; len(rest) > 0; size = size*2%99991 + 1 {
		part := rest[:min(size, len(rest))]
		c.want(part)
		rest = rest[len(part):]
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// shortDir is a folder whose name is short enough for the paths of unix sockets.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "nutmeg-") //nolint:usetesting // names of t.TempDir are too long for the paths of sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestRedisUnixSockets(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, mode string
		want       os.FileMode
	}{
		{"0660", " 0660", 0o660},
		{"0600", " 0600", 0o600},
		{"0777", " 0777", 0o777},
	} {
		t.Run("listen with mode "+tc.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(shortDir(t), "n.sock")
			b := startRedisBed(t, bedOptions{servers: 3, unix: true, listen: path + tc.mode})
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode(); got.Perm() != tc.want || got.Type() != os.ModeSocket {
				t.Errorf("mode is %v, want a socket with %v", got, tc.want)
			}
			c := b.dial(t)
			setGetDelete(c, named("unix-", 100), named("v-", 100))
			p := b.Pool("alpha")
			if err := p.want(map[string]int64{"server_connections": 3, "client_connections": 1}); err != nil {
				t.Error(err)
			}
			if code := b.End(syscall.SIGTERM); code != 0 {
				t.Errorf("exit code is %d, want 0", code)
			}
			if _, err := os.Stat(path); !os.IsNotExist(err) {
				t.Errorf("the socket is still there: %v", err)
			}
		})
	}
}

func TestRedisLimitOfClients(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) {
			t.Parallel()
			b := startRedisBed(t, bedOptions{workers: workers, pool: []string{"client_connections: 3"}})
			connected := func(n int64) {
				t.Helper()
				b.waitPool("alpha", "the clients that left to be gone", func(p PoolStats) error { return p.want(map[string]int64{"client_connections": n}) })
			}
			connected(0)
			clients := []*rawConn{b.dial(t), b.dial(t), b.dial(t)}
			for _, c := range clients {
				c.wantAsk(pongReply, "PING")
			}
			for range 3 {
				c := b.dial(t)
				c.want("-ERR max number of clients reached\r\n")
				c.wantClosed()
			}
			for _, c := range clients {
				c.wantAsk(nulls(2), "MGET", b.key(0, "k"), b.key(1, "k"))
			}
			clients[1].close()
			connected(2)
			c := b.dial(t)
			c.wantAsk(pongReply, "PING")
			connected(3)
		})
	}
}
