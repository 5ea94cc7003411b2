package test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"nutmeg/internal/testkit"
)

// script is what a scripted server does with one connection, on a goroutine of its own. The connection is closed in
// order when it returns.
type script func(c *scriptedConn)

// scriptedServer is a server that does what a test says. It is gone with its test.
type scriptedServer struct {
	t    testing.TB
	addr string

	mu       sync.Mutex // guards the rest
	script   script
	listener net.Listener
	conns    map[*scriptedConn]struct{}
	accepted int
}

// scriptedConn is one connection to a scripted server.
type scriptedConn struct {
	net.Conn
	r      *bufio.Reader
	number int // of the server's connections, from 1
}

// serveScript starts a scripted server on a free port.
func serveScript(t testing.TB, run script) *scriptedServer {
	t.Helper()
	s := &scriptedServer{t: t, addr: "127.0.0.1:" + strconv.Itoa(testkit.FreePort(t)), script: run, conns: map[*scriptedConn]struct{}{}}
	s.up()
	t.Cleanup(s.down)
	return s
}

// up begins to accept connections, also after down.
func (s *scriptedServer) up() {
	s.t.Helper()
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.listener = listener
	s.mu.Unlock()
	go s.accept(listener)
}

func (s *scriptedServer) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_ = conn.SetDeadline(time.Now().Add(2 * patience))
		s.mu.Lock()
		s.accepted++
		c := &scriptedConn{Conn: conn, r: bufio.NewReader(conn), number: s.accepted}
		run := s.script
		if s.listener != listener {
			s.mu.Unlock()
			_ = conn.Close()
			return
		}
		s.conns[c] = struct{}{}
		s.mu.Unlock()
		go func() {
			run(c)
			_ = c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		}()
	}
}

// down refuses connections from now on and closes those there are.
func (s *scriptedServer) down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		_ = s.listener.Close()
		s.listener = nil
	}
	for c := range s.conns {
		_ = c.Close()
	}
}

// connections is how many have been accepted so far.
func (s *scriptedServer) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

// request reads one Redis command. It is nil when the connection is over.
func (c *scriptedConn) request() []string {
	count, err := c.lengthAfter('*')
	if err != nil {
		return nil
	}
	words := make([]string, count)
	for i := range words {
		size, err := c.lengthAfter('$')
		if err != nil {
			return nil
		}
		word := make([]byte, size+2)
		if _, err := io.ReadFull(c.r, word); err != nil {
			return nil
		}
		words[i] = string(word[:size])
	}
	return words
}

// lengthAfter reads a line that is a mark and a number.
func (c *scriptedConn) lengthAfter(mark byte) (int, error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if line[0] != mark {
		return 0, fmt.Errorf("%q does not begin with %q", line, mark)
	}
	return strconv.Atoi(strings.TrimSpace(line[1:]))
}

// line reads one line, without its end. It is empty when the connection is over.
func (c *scriptedConn) line() string {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(line, "\r\n")
}

// say writes. What happens when nobody listens is no concern of a script.
func (c *scriptedConn) say(text string) { _, _ = io.WriteString(c, text) }

// reset ends the connection with a reset.
func (c *scriptedConn) reset() {
	_ = c.Conn.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
}

// hang reads and never answers.
func hang(c *scriptedConn) { _, _ = io.Copy(io.Discard, c.r) }

// sayName answers each Redis command with the server's name, so that a client sees which server has a key.
func sayName(name string) script {
	return func(c *scriptedConn) {
		for c.request() != nil {
			c.say(bulk(name))
		}
	}
}

// afterOne answers the first request with text and goes on with then.
func afterOne(text string, then script) script {
	return func(c *scriptedConn) {
		if c.request() != nil {
			c.say(text)
			then(c)
		}
	}
}

// poolConf is the configuration of one pool with one worker, in which servers are "address name". The options are lines
// such as "timeout: 400".
func poolConf(options string, servers ...string) string { return workersConf(1, options, servers...) }

// workersConf is poolConf with several workers, over which clients are spread.
func workersConf(workers int, options string, servers ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "nutmeg:\n  workers: %d\n  worker_busy: 0\nalpha:\n  listen: {listen}\n", workers)
	for line := range strings.Lines(options) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString("  " + line + "\n")
		}
	}
	b.WriteString("  servers:\n")
	for _, server := range servers {
		addr, name, _ := strings.Cut(server, " ")
		fmt.Fprintf(&b, "  - %s:1 %s\n", addr, name)
	}
	return b.String()
}
