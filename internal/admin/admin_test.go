package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"nutmeg/internal/config"
	"nutmeg/internal/stats"
)

// source answers Snapshot by calling itself.
type source func(context.Context) (*config.Config, *stats.Worker, error)

func (f source) Snapshot(ctx context.Context) (*config.Config, *stats.Worker, error) { return f(ctx) }

func ready(context.Context) (*config.Config, *stats.Worker, error) {
	return twoPools(), counted(), nil
}

func stuck(ctx context.Context) (*config.Config, *stats.Worker, error) {
	<-ctx.Done()
	return nil, nil, ctx.Err()
}

// largeFirst answers the first time with more than the kernel buffers.
func largeFirst() source {
	var asked atomic.Int32
	return func(context.Context) (*config.Config, *stats.Worker, error) {
		if asked.Add(1) == 1 {
			return manyServers(), counted(), nil
		}
		return twoPools(), counted(), nil
	}
}

// patient has limits that no test waits for; a test shortens what it is about.
func patient() limits {
	const long = time.Minute
	return limits{
		connections: 64, sort: long, counters: long, write: long, drain: long,
		control: long, request: long, idle: long, header: 8 << 10, body: 64 << 10,
	}
}

// port is a Server that runs.
type port struct {
	*Server
	ln     net.Listener
	served chan error // what Serve returned
}

// serve runs a Server on ln; nil means a free port of the loopback. When the
// test ends it is closed and must leave no goroutine behind.
func serve(t *testing.T, ln net.Listener, src source, l limits, change ...func(*Options)) *port {
	t.Helper()
	if ln == nil {
		ln = listen(t)
	}
	o := options()
	o.Source = src
	for _, f := range change {
		f(&o)
	}
	p := &port{newServer(o, l), ln, make(chan error, 1)}
	p.now = func() time.Time { return start.Add(90 * time.Second) }
	go func() { p.served <- p.Serve(ln) }()
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		checkLeaks(t)
	})
	return p
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// checkLeaks waits until no goroutine of a server is left. Close has waited for
// ours; the last steps of net/http's after the connection is closed it cannot see.
func checkLeaks(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	buf := make([]byte, 1<<20)
	for range 5000 {
		stacks := buf[:runtime.Stack(buf, true)]
		if !bytes.Contains(stacks, []byte("admin.(*Server)")) && !bytes.Contains(stacks, []byte("net/http.(*conn)")) {
			return
		}
		<-tick.C
	}
	t.Errorf("goroutines left behind:\n%s", buf[:runtime.Stack(buf, true)])
}

// dial connects to the port; all the test does there must be over in a minute.
func (p *port) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial(p.ln.Addr().Network(), p.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

// get asks for path on a connection of its own and returns the whole answer.
func (p *port) get(t *testing.T, path string) string {
	t.Helper()
	c := p.dial(t)
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", path)
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("reading the answer: %v after %q", err, answer)
	}
	return string(answer)
}

func wantJSON() string {
	return string(writeJSON(twoPools(), counted(), start.Add(90*time.Second)))
}

func closeWrite(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

// manyServers makes an answer of about 12 MB, more than the kernel buffers.
func manyServers() *config.Config {
	cfg := &config.Config{Pools: []config.Pool{{Name: "large"}}}
	for i := range 40000 {
		cfg.Pools[0].Servers = append(cfg.Pools[0].Servers, config.Server{Name: fmt.Sprint("server", i)})
	}
	return cfg
}

func TestSilentClientsHoldUpNobody(t *testing.T) {
	p := serve(t, nil, ready, patient())
	for range 20 {
		p.dial(t)
	}
	if got := p.get(t, "/stats"); !strings.HasSuffix(got, wantJSON()) {
		t.Errorf("got %q", got)
	}
}

func TestClientThatDoesNotReadHoldsUpNobody(t *testing.T) {
	p := serve(t, nil, largeFirst(), patient())
	c := p.dial(t)
	fmt.Fprint(c, "large, please\n")
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil { // it is being written now
		t.Fatal(err)
	}
	if got := p.get(t, "/stats"); !strings.HasSuffix(got, wantJSON()) {
		t.Errorf("got %q", got)
	}
}

func TestClientThatDoesNotReadIsCutOff(t *testing.T) {
	for name, hello := range map[string]string{"bare": "hello\n", "http": "GET / HTTP/1.1\r\nHost: h\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			l := patient()
			l.connections, l.write = 1, 50*time.Millisecond
			p := serve(t, nil, largeFirst(), l)
			fmt.Fprint(p.dial(t), hello)
			second := p.dial(t) // gets the only place when the first is cut off
			fmt.Fprint(second, "hello\n")
			if got, err := io.ReadAll(second); err != nil || string(got) != wantJSON() {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// countingListener counts the connections accepted and not yet closed.
type countingListener struct {
	net.Listener
	open, most atomic.Int32
}

type countedConn struct {
	net.Conn
	open *atomic.Int32
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.most.Store(max(l.most.Load(), l.open.Add(1)))
	return countedConn{c, &l.open}, nil
}

func (c countedConn) Close() error {
	c.open.Add(-1)
	return c.Conn.Close()
}

func TestConnectionsBeyondTheLimitWaitTheirTurn(t *testing.T) {
	l := patient()
	l.connections = 3
	ln := &countingListener{Listener: listen(t)}
	p := serve(t, ln, ready, l)

	var silent, asking []net.Conn
	for range 3 {
		silent = append(silent, p.dial(t))
	}
	for range 10 {
		c := p.dial(t) // in the backlog
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		asking = append(asking, c)
	}
	for _, c := range silent {
		closeWrite(t, c)
		c.Close()
	}
	for i, c := range asking {
		if got, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(got), wantJSON()) {
			t.Errorf("client %d got %q, %v", i, got, err)
		}
	}
	if most := ln.most.Load(); most != 3 {
		t.Errorf("%d connections were open at a time, want 3", most)
	}
}

func TestIdleHTTPConnectionGivesItsPlaceBack(t *testing.T) {
	l := patient()
	l.connections, l.idle = 1, 20*time.Millisecond
	p := serve(t, nil, ready, l)
	fmt.Fprint(p.dial(t), "GET / HTTP/1.1\r\nHost: h\r\n\r\n") // and stays
	if got := p.get(t, "/"); !strings.HasSuffix(got, wantJSON()) {
		t.Errorf("got %q", got)
	}
}

func TestCloseCutsEverything(t *testing.T) {
	entered := make(chan struct{}, 2)
	p := serve(t, nil, func(ctx context.Context) (*config.Config, *stats.Worker, error) {
		entered <- struct{}{}
		return stuck(ctx)
	}, patient())
	asking, bareAsking := p.dial(t), p.dial(t)
	fmt.Fprint(asking, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	fmt.Fprint(bareAsking, "hello\n")
	<-entered
	<-entered
	open := []net.Conn{asking, bareAsking, p.dial(t)}
	half := p.dial(t)
	fmt.Fprint(half, "GET / HTT")
	open = append(open, half)

	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-p.served; err != nil {
		t.Errorf("Serve returned %v", err)
	}
	for i, c := range open {
		got, err := io.ReadAll(c)
		if len(got) != 0 && !strings.HasPrefix(string(got), "HTTP/1.1 503") || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("connection %d got %q, %v", i, got, err)
		}
	}
	checkLeaks(t)
	if err := p.Close(); err != nil {
		t.Errorf("the second Close: %v", err)
	}
	ln := listen(t)
	if err := p.Serve(ln); err != nil {
		t.Errorf("Serve after Close: %v", err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve after Close left its listener open: %v", err)
	}
}

func TestCloseWithoutServe(t *testing.T) {
	if err := New(options()).Close(); err != nil {
		t.Error(err)
	}
	if err := New(options()).Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	checkLeaks(t)
}

func TestShutdownLetsAnswersOut(t *testing.T) {
	entered, release := make(chan struct{}, 2), make(chan struct{})
	l := patient()
	l.drain = 0
	p := serve(t, nil, func(context.Context) (*config.Config, *stats.Worker, error) {
		entered <- struct{}{}
		<-release
		return twoPools(), counted(), nil
	}, l)
	overHTTP, overTCP := p.dial(t), p.dial(t)
	fmt.Fprint(overHTTP, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	fmt.Fprint(overTCP, "hello\n")
	<-entered
	<-entered

	done := make(chan error, 1)
	go func() { done <- p.Shutdown(t.Context()) }()
	if err := <-p.served; err != nil { // nothing is accepted any more
		t.Errorf("Serve returned %v", err)
	}
	close(release)
	for _, c := range []net.Conn{overHTTP, overTCP} {
		if got, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(got), wantJSON()) {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if err := <-done; err != nil {
		t.Errorf("Shutdown returned %v", err)
	}
}

func TestShutdownCutsOffWhenItsTimeIsOver(t *testing.T) {
	for name, hello := range map[string]string{"bare": "hello\n", "http": "GET / HTTP/1.1\r\nHost: h\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			entered := make(chan struct{}, 1)
			p := serve(t, nil, func(ctx context.Context) (*config.Config, *stats.Worker, error) {
				entered <- struct{}{}
				return stuck(ctx)
			}, patient())
			fmt.Fprint(p.dial(t), hello)
			<-entered
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			if err := p.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Shutdown returned %v", err)
			}
		})
	}
}

// failingListener fails to accept, once with each of its errors, then accepts.
type failingListener struct {
	net.Listener
	failures []error
}

func (l *failingListener) Accept() (net.Conn, error) {
	if len(l.failures) == 0 {
		return l.Listener.Accept()
	}
	err := l.failures[0]
	l.failures = l.failures[1:]
	return nil, err
}

func TestFailureToAccept(t *testing.T) {
	t.Run("a shortage is waited out", func(t *testing.T) {
		full := &net.OpError{Op: "accept", Err: syscall.EMFILE}
		p := serve(t, &failingListener{listen(t), []error{full, full}}, ready, patient())
		if got := p.get(t, "/"); !strings.HasSuffix(got, wantJSON()) {
			t.Errorf("got %q", got)
		}
	})
	t.Run("anything else ends Serve", func(t *testing.T) {
		p := serve(t, &failingListener{listen(t), []error{syscall.EINVAL}}, ready, patient())
		if err := <-p.served; !errors.Is(err, syscall.EINVAL) {
			t.Errorf("Serve returned %v", err)
		}
	})
	t.Run("Close ends the wait", func(t *testing.T) {
		failures := make([]error, 1000) // 1000 seconds of them
		for i := range failures {
			failures[i] = syscall.ENFILE
		}
		p := serve(t, &failingListener{listen(t), failures}, ready, patient())
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if err := <-p.served; err != nil {
			t.Errorf("Serve returned %v", err)
		}
	})
}
