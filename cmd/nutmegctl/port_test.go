package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/admin"
	"nutmeg/internal/config"
	"nutmeg/internal/stats"
)

// daemon is what the statistics port of a test stands before.
type daemon struct {
	conf    *config.Config
	servers []admin.ServerState
	failure error // of a reload and of a plan
}

func (d *daemon) Snapshot(context.Context) (*config.Config, *stats.Worker, error) {
	w := stats.NewWorker([]int{2, 1})
	w.CurrConnections = 9
	w.Pools[0].ClientConnections, w.Pools[0].ForwardError, w.Pools[0].ServerEjects = 5, 17, 1
	w.Pools[0].Servers[0] = stats.Server{Connections: 2, Requests: 1234, OutQueue: 3}
	return d.conf, w, nil
}

func (d *daemon) Reload(context.Context) (string, error) { return "pool alpha changes:\n", d.failure }

func (d *daemon) Plan(_ context.Context, name string, text []byte) (string, error) {
	return fmt.Sprintf("%s of %d bytes\n", name, len(text)), d.failure
}

func (d *daemon) Servers(context.Context) ([]admin.ServerState, error) { return d.servers, nil }

func (d *daemon) Changes() admin.Changes { return admin.Changes{Reloads: 4, ReloadErrors: 1} }

// servePort runs the real statistics port before d and returns its address. control is nil to have none.
func servePort(t *testing.T, d *daemon, control admin.Control) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now().Add(-time.Hour)
	s := admin.New(admin.Options{Service: "nutmeg", Version: "1.2.3", Hostname: "proxy1", Start: start, Source: d, Control: control})
	served := make(chan error)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

const statusConf = `
alpha: {listen: "*:1", servers: ["10.0.0.1:6379:1 s1", "10.0.0.2:6379:1 s2"]}
gamma: {listen: "*:2", servers: ["/tmp/s:1 local"]}
`

func newDaemon(t *testing.T) *daemon {
	t.Helper()
	conf, err := config.Parse("f", []byte(statusConf))
	if err != nil {
		t.Fatal(err)
	}
	return &daemon{conf: conf}
}

func TestReload(t *testing.T) {
	d := newDaemon(t)
	address := servePort(t, d, d)
	if got := call(t, "reload", "-s", address); got != (outcome{stdout: "pool alpha changes:\n"}) {
		t.Errorf("got %+v", got)
	}
	d.failure = errors.New("f.yml:1:1: alpha: listen is missing\nf.yml:2:1: beta: servers is missing")
	if got := call(t, "reload", "-s", address); got != (outcome{code: 1, stderr: "nutmegctl: " + d.failure.Error() + "\n"}) {
		t.Errorf("got %+v", got)
	}
}

func TestPlanAsksNutmeg(t *testing.T) {
	d := newDaemon(t)
	address, file := servePort(t, d, d), writeFile(t, "alpha")
	if got := call(t, "plan", "-s", address, file); got != (outcome{stdout: file + " of 5 bytes\n"}) {
		t.Errorf("got %+v", got)
	}
	d.failure = errors.New("f.yml:1:1: alpha: listen is missing")
	if got := call(t, "plan", "-s", address, file); got != (outcome{code: 1, stderr: "nutmegctl: " + d.failure.Error() + "\n"}) {
		t.Errorf("got %+v", got)
	}
	if got := call(t, "plan", "-s", address, file+".gone"); got.code != 1 || !begins(got.stderr, "nutmegctl: cannot read the file: open ") {
		t.Errorf("got %+v", got)
	}
}

func TestPlanComparesFiles(t *testing.T) {
	old, file := writeFile(t, `alpha: {listen: "*:1", timeout: 400, servers: ["a:1:1"]}`), writeFile(t, `alpha: {listen: "*:1", servers: ["a:1:1"]}`)
	if got := call(t, "plan", "-c", old, file); got != (outcome{stdout: "pool alpha changes:\n  timeout: 400 -> 0\n"}) {
		t.Errorf("got %+v", got)
	}
	if got := call(t, "plan", "-c", old, old); got != (outcome{stdout: "Nothing changes.\n"}) {
		t.Errorf("got %+v", got)
	}
	bad := writeFile(t, "alpha: 1")
	for _, args := range [][]string{{"plan", "-c", bad, file}, {"plan", "-c", file, bad}} {
		if got := call(t, args...); got.code != 1 || got.stdout != "" || !strings.Contains(got.stderr, bad+":1:8: alpha: ") {
			t.Errorf("got %+v", got)
		}
	}
}

func TestStatus(t *testing.T) {
	d := newDaemon(t)
	d.servers = []admin.ServerState{
		{Pool: "alpha", Server: "s1", Address: "10.0.0.1:6379", State: "in"},
		{
			Pool: "alpha", Server: "s2", Address: "10.0.0.2:6379", State: "ejected", Since: time.Now().Add(-time.Minute).UnixMicro(),
			Cause: "Connection refused", Failures: 2, Ejections: 7, Retry: 1500,
		},
		{Pool: "gamma", Server: "local", Address: "/tmp/s", State: "failing, kept in by server_floor", Cause: "a\x1bb", Failures: 1},
		{Pool: "new", Server: "n", Address: "a:1", State: "trial"}, // came with a reload between the two answers
	}
	got := call(t, "status", "-s", servePort(t, d, d))
	// The clock goes on between two readings of it.
	text := strings.NewReplacer("1m1s ", "1m0s ", "1h0m1s", "1h0m0s").Replace(got.stdout)
	const want = `nutmeg 1.2.3 on proxy1, up 1h0m0s, 9 connections, 4 reloads, 1 failed reloads

POOL   CLIENTS  SERVERS  OUT  ERRORS  EJECTIONS
alpha  5        2        1    17      1
gamma  0        1        0    0       0
new    -        1        1    -       -

POOL   SERVER  ADDRESS        STATE                             FOR     RETRY  CONNECTIONS  REQUESTS  WAITING  EJECTIONS  FAILURES  LAST FAILURE
alpha  s1      10.0.0.1:6379  in                                1h0m0s  -      2            1234      3        0          0         -
alpha  s2      10.0.0.2:6379  ejected                           1m0s    1.5s   0            0         0        7          2         Connection refused
gamma  local   /tmp/s         failing, kept in by server_floor  1h0m0s  -      0            0         0        0          1         a\x1bb
new    n       a:1            trial                             1h0m0s  0s     -            -         -        0          0         -
`
	if text != want || got.code != 0 || got.stderr != "" {
		t.Errorf("got %d, %q\n%s\nwant\n%s", got.code, got.stderr, text, want)
	}
}

func TestWhatIsAskedMayNotAnswer(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = silent.Close()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }))
	defer other.Close()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }))
	defer page.Close()
	elsewhere := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound))
	defer elsewhere.Close()
	for _, test := range []struct {
		rule    string
		address string
		want    string
	}{
		{"nobody listens", silent.Addr().String(), "connection refused; does it run, and is this its statistics port (-s)?"},
		{"no port", "127.0.0.1", `"127.0.0.1" is not an address; write HOST:PORT, for example -s 127.0.0.1:22222`},
		{"no address", "a b", `"a b" is not an address; write HOST:PORT, for example -s 127.0.0.1:22222`},
		{"another program", strings.TrimPrefix(other.URL, "http://"), " is not nutmeg: there are no servers in its answer"},
		{"a web server", strings.TrimPrefix(page.URL, "http://"), " is not nutmeg: invalid character"},
		{"one that sends elsewhere", strings.TrimPrefix(elsewhere.URL, "http://"), " is not nutmeg: 302 Found"},
		{"a nutmeg without control", servePort(t, newDaemon(t), nil), "/servers is not available: this process cannot be controlled"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			got := call(t, "status", "-s", test.address)
			if got.code != 1 || got.stdout != "" || !strings.Contains(got.stderr, test.want) {
				t.Errorf("got %+v, want %q", got, test.want)
			}
		})
	}
}

// TestRequestThatComesTooLate: the statistics port answers who is silent for a moment with bare JSON, whatever he says then.
func TestRequestThatComesTooLate(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	const late = 3
	bodies := make(chan string, 1)
	go func() {
		for try := 1; ; try++ {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			if try <= late {
				_, _ = io.WriteString(conn, `{"service":"nutmeg", "source":"proxy1"}`)
				_ = conn.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.Close()
				continue
			}
			if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				body, _ := io.ReadAll(r.Body)
				bodies <- string(body)
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\ndone\n")
			_ = conn.Close()
		}
	}()
	file := filepath.Join(t.TempDir(), "f.yml")
	if err := os.WriteFile(file, []byte(statusConf), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := call(t, "plan", "-s", ln.Addr().String(), file); got != (outcome{stdout: "done\n"}) {
		t.Fatalf("got %+v", got)
	}
	if body := <-bodies; body != statusConf {
		t.Errorf("the file that was sent is %q", body)
	}
}
