package test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var monitorLine = regexp.MustCompile(`^\+([0-9]{10})\.[0-9]{6} \[([0-9]+) ([^ ]+)\] (.*)$`)

// shown reads a line of MONITOR and returns whose request it is, in what database, and what it says.
func (c *rawConn) shown() (of, database, text string) {
	c.t.Helper()
	line := c.line()
	parts := monitorLine.FindStringSubmatch(line)
	if parts == nil {
		c.t.Fatalf("got %s, want a line of MONITOR", short(line))
	}
	var seconds int64
	if _, _ = fmt.Sscan(parts[1], &seconds); time.Since(time.Unix(seconds, 0)).Abs() > time.Minute {
		c.t.Errorf("%s: the time is not now", short(line))
	}
	return parts[3], parts[2], parts[4]
}

// TestRedisMonitor holds what is shown of each request, beside what the same server shows of it.
func TestRedisMonitor(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 1, workers: 3})
	direct := startRedisBed(t, bedOptions{servers: 1, workers: 1})
	commands := [][]string{
		{"SET", "a", "x\n\r\t\a\b\\\"'\x00\x7f\xe9"},
		{"get", ""},
		{"AUTH", "password"},
		{"AUTH", "user", "password"},
		{"HELLO", "2", "AUTH", "default", "secret", "SETNAME", "n"},
		{"HELLO", "2", "SETNAME", "AUTH"},
		{"MIGRATE", "127.0.0.1", "1", "nokey", "0", "10", "AUTH", "secret"},
		{"MIGRATE", "127.0.0.1", "1", "nokey", "0", "10", "COPY", "AUTH2", "user", "secret"},
		{"CONFIG", "SET", "requirepass", ""},
		{"CLIENT", "LIST"},
		{"CLIENT", "SETNAME", "me"},
		{"NOSUCH"},
		{"GET"},
		{"SELECT", "1"},
		{"INCR", "n"},
		{"INFO", "nothing"},
		{"SELECT", "0"},
		{"BLPOP", "list", "0.01"},
		{"DBSIZE"},
		{"RESET"},
		{"ECHO", "end"},
	}
	read := func(monitor, c *rawConn) (all []string) {
		monitor.wantAsk(okReply, "MONITOR")
		own := c.conn.LocalAddr().String()
		for _, command := range commands {
			c.ask(command...)
		}
		for {
			of, database, text := monitor.shown()
			if of != own {
				t.Errorf("a request of %s, want %s: %s", of, own, text)
			}
			all = append(all, database+" "+text)
			if strings.HasPrefix(text, `"ECHO"`) {
				return all
			}
		}
	}
	want := read(direct.dialServer(t, 0), direct.dialServer(t, 0))
	got := read(b.dial(t), b.dial(t))
	for i := range want { // the server shows the database behind the request, nutmeg that before it
		want[i] = strings.TrimLeft(want[i], "0123456789")
		if i < len(got) {
			got[i] = strings.TrimLeft(got[i], "0123456789")
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestRedisMonitorOfAllWorkers holds that each monitor sees each request once, those of one client in order, until it ends.
func TestRedisMonitorOfAllWorkers(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 2, workers: 3})
	clients := make([]*rawConn, 7)
	for i := range clients {
		clients[i] = b.dial(t)
	}
	monitors := []*rawConn{b.dial(t), b.dial(t), b.dial(t), b.dial(t)}
	for _, m := range monitors {
		m.wantAsk(okReply, "MONITOR")
	}
	const rounds = 200
	ask := func() {
		for i, c := range clients {
			var requests strings.Builder
			for n := range rounds {
				requests.WriteString(request("ECHO", fmt.Sprintf("%d:%d", i, n)))
			}
			c.send(requests.String())
		}
		for _, c := range clients {
			for range rounds {
				c.reply()
			}
		}
	}
	see := func(m *rawConn) {
		t.Helper()
		next := make([]int, len(clients))
		for range rounds * len(clients) {
			of, _, text := m.shown()
			var i, n int
			if _, err := fmt.Sscanf(text, `"ECHO" "%d:%d"`, &i, &n); err != nil {
				t.Fatalf("got %s", text)
			}
			if n != next[i] || of != clients[i].conn.LocalAddr().String() {
				t.Fatalf("got request %d of client %d from %s, want %d", n, i, of, next[i])
			}
			next[i]++
		}
	}
	ask()
	for _, m := range monitors {
		see(m)
	}
	monitors[0].send(request("RESET"))
	if _, _, text := monitors[1].shown(); text != `"RESET"` {
		t.Errorf("got %s", text)
	}
	monitors[1].send(request("QUIT"))
	monitors[2].abort()
	eventually(t, "the others to be gone", func() error {
		if all := clients[0].list(); len(all) != len(clients)+2 {
			return fmt.Errorf("there are %d clients", len(all))
		}
		return nil
	})
	last := b.dial(t)
	last.wantAsk(okReply, "MONITOR")
	ask()
	see(last)
	monitors[0].want("+RESET\r\n")
	monitors[0].wantSilence(50 * time.Millisecond)
	monitors[0].wantAsk(nullReply, "GET", "a")
}

func TestRedisMonitorItself(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 2, workers: 2})
	m, c := b.dial(t), b.dial(t)
	m.send(request("SET", "a", "1") + request("MONITOR") + request("MONITOR") + request("GET", "a") + request("PING"))
	m.want(okReply + okReply + "-ERR Replica can't interact with the keyspace\r\n" + pongReply)
	if _, _, text := m.shown(); text != `"PING"` {
		t.Errorf("got %s, want its own PING", text)
	}
	// A long request is cut, one of many arguments too.
	c.wantAsk(okReply, "SET", "long", strings.Repeat("x", 1<<20))
	if _, _, text := m.shown(); len(text) > 70000 || !strings.HasSuffix(text, `...(983049 more bytes)`) {
		t.Errorf("a long request is shown as %s of %d bytes, ending in %s", short(text), len(text), text[len(text)-40:])
	}
	c.wantAsk(integer(0), with("DEL", named("key-", 20000)...)...)
	if _, _, text := m.shown(); len(text) > 100000 || !strings.HasSuffix(text, " more arguments)") {
		t.Errorf("a request of many arguments is shown in %d bytes, ending in %s", len(text), text[len(text)-40:])
	}
}

// TestRedisMonitorThatDoesNotRead is closed, and nobody waits for it.
func TestRedisMonitorThatDoesNotRead(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 1, workers: 2, pool: []string{"client_buffer_limit: 2mb"}})
	c := b.dial(t)
	for range 2 { // one on each worker
		b.dial(t).wantAsk(okReply, "MONITOR")
	}
	text := strings.Repeat("x", 60000)
	for i := range 2000 {
		c.wantAsk(okReply, "SET", "a", text)
		if i%100 == 99 && len(c.list()) == 1 {
			return
		}
	}
	t.Errorf("after 120 MB that they have not read the monitors are still there: %v", c.list())
}
