package proxy

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nutmeg/internal/config"
	"nutmeg/internal/evloop"
)

// TestMovesOnThreads has clients sent to and fro between workers on real threads, while they talk, while somebody asks for all of them,
// and while the proxy hands them over and takes them back. The simulation steps one worker after the other: what two do at the
// same moment is seen here, with the race detector above all.
func TestMovesOnThreads(t *testing.T) {
	const clients, workers, rounds = 24, 3, 150
	dir, err := os.MkdirTemp("", "nutmeg-") //nolint:usetesting // t.TempDir is too long for a socket on some systems
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "socket")
	conf, err := config.Parse("test", []byte("nutmeg: {worker_busy: 100}\np:\n  listen: "+path+"\n  redis: true\n  servers: [\"127.0.0.1:1:1\"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	var outsides []evloop.Outside
	for range workers {
		o, err := evloop.NewSystem()
		if err != nil {
			t.Fatal(err)
		}
		outsides = append(outsides, o)
	}
	p, err := New(conf, outsides, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	p.pace = pace{tick: int64(time.Millisecond), settle: int64(time.Millisecond), keep: int64(time.Millisecond), rest: int64(time.Second), coax: int64(time.Millisecond)}
	if err := p.Listen(nil); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Run() }()

	stirring := stir(p)
	var talking sync.WaitGroup
	var stop atomic.Bool
	talkers := make([]*threadTalker, clients)
	for i := range talkers {
		talkers[i] = newThreadTalker(t, path)
		talkers[i].ask("PING\r\n", "+PONG\r\n")
	}
	asker := newThreadTalker(t, path)
	for _, c := range talkers {
		talking.Go(func() {
			for !stop.Load() && c.ask("PING\r\nECHO x\r\n", "+PONG\r\n$1\r\nx\r\n") {
			}
		})
	}
	for round := range rounds {
		if n := strings.Count(asker.list(), "id="); n != clients+1 {
			t.Errorf("round %d: %d clients are listed, not %d", round, n, clients+1)
			break
		}
	}
	for round := range 2 * rounds {
		if n := handOverAndBack(t, p); n != clients+1 {
			t.Errorf("round %d: %d clients were handed over, not %d", round, n, clients+1)
			break
		}
	}
	stop.Store(true)
	talking.Wait()
	moved := p.moved.Load()
	p.Drain()
	for _, c := range append(talkers, asker) {
		c.ends()
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the proxy was drained, and does not end")
	}
	stirring.Store(true)
	if moved < rounds/5 {
		t.Errorf("only %d parcels of clients went", moved)
	}
}

// stir has workers give each other all that they have, until it is told to stop.
func stir(p *Proxy) (stop *atomic.Bool) {
	stop = &atomic.Bool{}
	var again func()
	again = func() {
		if stop.Load() || p.ended() {
			return
		}
		from, to := p.workers[rand.IntN(len(p.workers))], p.workers[rand.IntN(len(p.workers))]
		from.loop.Post(func() {
			if m := from.mover; m.to == nil && to != from {
				m.to, m.left, m.all, m.until = to, 1000, true, from.loop.Now()+int64(2*time.Millisecond)
			}
		})
		time.AfterFunc(200*time.Microsecond, again)
	}
	again()
	return stop
}

// handOverAndBack takes all clients out of the proxy and puts them back. It returns how many they were.
func handOverAndBack(t *testing.T, p *Proxy) int {
	t.Helper()
	var mu sync.Mutex // guards out
	var out []Handed
	gone := make(chan bool, 2)
	p.HandOver(func(h Handed) {
		mu.Lock()
		defer mu.Unlock()
		out = append(out, h)
	}, func() { gone <- true })
	select {
	case <-gone:
	case <-time.After(30 * time.Second):
		t.Fatal("the last client is never gone")
	}
	mu.Lock()
	defer mu.Unlock()
	p.Resume()
	for _, h := range out {
		if err := p.Adopt(h); err != nil {
			t.Error(err)
		}
	}
	if len(gone) > 0 {
		t.Error("the last client is gone twice")
	}
	return len(out)
}

// threadTalker is a client that waits for what it asks for.
type threadTalker struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func newThreadTalker(t *testing.T, path string) *threadTalker {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return &threadTalker{t, conn, bufio.NewReader(conn)}
}

func (c *threadTalker) ask(request, want string) bool {
	_, err := io.WriteString(c.conn, request)
	got := make([]byte, len(want))
	if err == nil {
		_, err = io.ReadFull(c.in, got)
	}
	if err != nil || string(got) != want {
		c.t.Errorf("asked %q: got %q and %v, want %q", request, got, err, want)
		return false
	}
	return true
}

// list is the answer to CLIENT LIST.
func (c *threadTalker) list() string {
	_, _ = io.WriteString(c.conn, "CLIENT LIST\r\n")
	head, err := c.in.ReadString('\n')
	n := 0
	if _, scanErr := fmt.Sscanf(head, "$%d\r\n", &n); err != nil || scanErr != nil {
		c.t.Errorf("CLIENT LIST: got %q, %v", head, err)
		return ""
	}
	text := make([]byte, n+2)
	if _, err := io.ReadFull(c.in, text); err != nil {
		c.t.Errorf("CLIENT LIST: %v", err)
	}
	return string(text)
}

// ends waits for the end of the connection.
func (c *threadTalker) ends() {
	if b, err := c.in.ReadByte(); err != io.EOF {
		c.t.Errorf("instead of the end of the connection: %q, %v", b, err)
	}
}
