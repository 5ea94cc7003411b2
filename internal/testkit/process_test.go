package testkit

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ask sends one line to a server and returns the first line of its answer.
func ask(p *Process, line string, limit time.Duration) (string, error) {
	c, err := net.DialTimeout(p.Network(), p.Addr(), limit)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(limit))
	if _, err := fmt.Fprintf(c, "%s\r\n", line); err != nil {
		return "", err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimRight(answer, "\r\n"), err
}

func wantAnswer(t *testing.T, p *Process, line, want string) {
	t.Helper()
	got, err := ask(p, line, 10*time.Second)
	if err != nil || got != want {
		t.Errorf("%q to %s: got %q, %v; want %q", line, p.Addr(), got, err, want)
	}
}

func TestServersAnswer(t *testing.T) {
	cases := []struct {
		name       string
		start      func(testing.TB, ...string) *Process
		line, want string
		network    string
	}{
		{"redis on a port", Redis, "PING", "+PONG", "tcp"},
		{"redis on a unix socket", RedisUnix, "PING", "+PONG", "unix"},
		{"memcached on a port", Memcached, "get nothing", "END", "tcp"},
		{"memcached on a unix socket", MemcachedUnix, "get nothing", "END", "unix"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := c.start(t)
			wantAnswer(t, p, c.line, c.want)
			if p.Network() != c.network {
				t.Errorf("network is %q, want %q", p.Network(), c.network)
			}
			inRange := p.Port() >= firstPort && p.Port() <= lastPort
			if inRange != (c.network == "tcp") {
				t.Errorf("port is %d", p.Port())
			}
		})
	}
}

func TestServerTakesArguments(t *testing.T) {
	t.Parallel()
	p := Redis(t, "--requirepass", "secret")
	wantAnswer(t, p, "GET a", "-NOAUTH Authentication required.")
}

func TestProxyForwards(t *testing.T) {
	t.Parallel()
	server := Redis(t)
	listen := fmt.Sprintf("127.0.0.1:%d", FreePort(t))
	proxy := Nutcracker(t, fmt.Sprintf("alpha:\n  listen: %s\n  redis: true\n  servers:\n   - %s:1\n", listen, server.Addr()))
	if proxy.Addr() != listen {
		t.Errorf("address is %s, want %s", proxy.Addr(), listen)
	}
	wantAnswer(t, proxy, "*2\r\n$3\r\nGET\r\n$1\r\na", "$-1")
	stats, err := net.Dial("tcp", proxy.StatsAddr())
	if err != nil {
		t.Fatal(err)
	}
	_ = stats.Close()
}

func TestRestartKeepsTheAddressAndLosesTheData(t *testing.T) {
	t.Parallel()
	p := Redis(t)
	addr, pid := p.Addr(), p.PID()
	wantAnswer(t, p, "SET a 1", "+OK")
	if err := p.Restart(); err != nil {
		t.Fatal(err)
	}
	if p.Addr() != addr || p.PID() == pid {
		t.Errorf("after the restart: address %s, process %d; before: %s, %d", p.Addr(), p.PID(), addr, pid)
	}
	wantAnswer(t, p, "EXISTS a", ":0")
}

func TestRestartIsTimedUntilTheServerIsReady(t *testing.T) {
	t.Parallel()
	p, asked, notYet := Redis(t), 0, errors.New("not yet")
	took, err := p.TimeRestart(func() error {
		if asked++; asked < 3 {
			return notYet
		}
		_, err := ask(p, "PING", 10*time.Second)
		return err
	})
	if err != nil || took < 2*closePoll || asked < 3 {
		t.Errorf("took %v and %d questions, error %v", took, asked, err)
	}
	if _, err := p.TimeRestart(func() error { p.Kill(); return notYet }); !errors.Is(err, errExited) {
		t.Errorf("a server that ends while it starts: got %v", err)
	}
}

func TestKilledServerRefusesConnections(t *testing.T) {
	t.Parallel()
	p := Memcached(t)
	p.Kill()
	p.Kill() // and once more, which does nothing
	if c, err := net.Dial("tcp", p.Addr()); err == nil {
		_ = c.Close()
		t.Errorf("somebody still listens on %s", p.Addr())
	}
	if p.Signal(syscall.SIGCONT) == nil {
		t.Error("a dead server took a signal")
	}
}

func TestTerminatedServerEndsByItself(t *testing.T) {
	t.Parallel()
	p := Redis(t)
	p.Terminate()
	if !strings.Contains(p.Log(), "ready to exit, bye bye") {
		t.Errorf("the log does not say goodbye:\n%s", p.Log())
	}
}

func TestStoppedServerAcceptsButDoesNotAnswer(t *testing.T) {
	t.Parallel()
	p := Redis(t)
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	answer, err := ask(p, "PING", 100*time.Millisecond)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %q, %v; want a time-out", answer, err)
	}
	if err := p.Cont(); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, p, "PING", "+PONG")
	if err := p.Stop(); err != nil { // Close has to cope with it
		t.Fatal(err)
	}
}

func TestFailedStartShowsWhatTheServerSaid(t *testing.T) {
	t.Parallel()
	p, err := StartRedis("--no-such-option", "1")
	if err == nil {
		p.Close()
		t.Fatal("redis-server started with a wrong option")
	}
	if !strings.Contains(err.Error(), "no-such-option") {
		t.Errorf("the error does not say why: %v", err)
	}
}

func TestCommandFindsItsFiles(t *testing.T) {
	t.Parallel()
	port := FreePort(t)
	p, err := StartCommand("redis-server", []string{"own.conf"}, []string{fmt.Sprintf("127.0.0.1:%d", port)},
		map[string]string{"own.conf": fmt.Sprintf("port %d\nbind 127.0.0.1\nsave \"\"\n", port)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	wantAnswer(t, p, "PING", "+PONG")
	if _, err := StartCommand("redis-server", nil, nil, nil); err == nil {
		t.Error("a command that listens nowhere was started")
	}
}

func TestMissingBinaryNamesThePackage(t *testing.T) {
	t.Parallel()
	_, err := StartProxy("no-such-proxy", "a:\n  listen: 127.0.0.1:1\n")
	want := `no-such-proxy is not installed; install it with "apt-get install nutcracker" or run scripts/install-test-tools.sh`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	p, err := StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	p.Close()
	select {
	case <-p.Exited():
	default:
		t.Error("the server still runs")
	}
	if _, err := os.Stat(p.Dir()); !os.IsNotExist(err) {
		t.Errorf("its folder is still there: %v", err)
	}
}

func TestFreePortsDiffer(t *testing.T) {
	t.Parallel()
	seen := make(map[int]bool)
	for range 100 {
		port := FreePort(t)
		if seen[port] {
			t.Fatalf("port %d came twice", port)
		}
		seen[port] = true
	}
}

func TestListenAddresses(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, conf string
		want       []endpoint
	}{
		{"each pool has one", "a:\n  listen: 127.0.0.1:1\nb:\n  listen: 127.0.0.1:2 # two\n", []endpoint{{"tcp", "127.0.0.1:1"}, {"tcp", "127.0.0.1:2"}}},
		{"a path is a unix socket, its mode is left out", "a:\n  listen: /tmp/a.sock 0666\n", []endpoint{{"unix", "/tmp/a.sock"}}},
		{"quotes are not part of it", "a:\n  listen: \"127.0.0.1:1\"\n", []endpoint{{"tcp", "127.0.0.1:1"}}},
		{"a comment is none", "a:\n  # listen: 127.0.0.1:1\n", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := listenAddresses(c.conf)
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
