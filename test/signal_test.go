package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"nutmeg/internal/testkit"
)

// waitLog waits until the daemon's log has a text.
func (n *Nutmeg) waitLog(text string) {
	n.t.Helper()
	eventually(n.t, fmt.Sprintf("%q in the log", text), func() error {
		if !strings.Contains(n.Log(), text) {
			return fmt.Errorf("the log is:\n%s", n.Log())
		}
		return nil
	})
}

func TestSignalsThatDoNotEnd(t *testing.T) {
	t.Parallel()
	a := serveScript(t, sayName("a"))
	n := startNutmeg(t, poolConf("redis: true", a.addr+" a"), "-v", "9")
	c := dial(t, n.Addr())
	for _, test := range []struct {
		signal syscall.Signal
		lines  []string
	}{
		{syscall.SIGTTIN, []string{"signal 21 (SIGTTIN) received, up logging level", "up log level to 10"}},
		{syscall.SIGTTIN, []string{"up log level to 11"}},
		{syscall.SIGTTOU, []string{"signal 22 (SIGTTOU) received, down logging level", "down log level to 10"}},
		{syscall.SIGHUP, []string{"signal 1 (SIGHUP) received, reopening log file"}},
		{syscall.SIGUSR1, []string{"signal 10 (SIGUSR1) received, reloading", "configuration reloaded"}},
		{syscall.SIGPIPE, nil},
	} {
		n.Signal(test.signal)
		for _, line := range test.lines {
			n.waitLog(line)
		}
		c.wantAll("k", 1, bulk("a"))
	}
}

// The level decides what is logged: closing inside a request is worth a line at level 6.
func TestLogLevelAtRunTime(t *testing.T) {
	t.Parallel()
	n := startNutmeg(t, poolConf("redis: true", "127.0.0.1:1 a"))
	const line = "client closed inside a request"
	half := func() {
		c := dial(t, n.Addr())
		c.send("*2\r\n$3\r\nGET")
		c.finish()
		c.wantGone()
	}
	half()
	n.Signal(syscall.SIGTTIN)
	n.waitLog("up log level to 6")
	if strings.Contains(n.Log(), line) {
		t.Error("logged at level 5")
	}
	half()
	n.waitLog(line)
}

// After a rename and SIGHUP the log goes on in a new file.
func TestLogIsReopened(t *testing.T) {
	t.Parallel()
	n := startNutmeg(t, poolConf("redis: true", "127.0.0.1:1 a"))
	n.waitLog("started on pid " + strconv.Itoa(n.PID()))
	if err := os.Rename(n.path("log"), n.path("log.old")); err != nil {
		t.Fatal(err)
	}
	n.Signal(syscall.SIGUSR1)
	eventually(t, "all lines of a reload in the renamed file", func() error { return fileHas(n.path("log.old"), "Nothing changes") })
	n.Signal(syscall.SIGHUP)
	eventually(t, "a new file", func() error { _, err := os.Stat(n.path("log")); return err })
	n.Signal(syscall.SIGUSR2)
	eventually(t, "a line in the new file", func() error { return fileHas(n.path("log"), "SIGUSR2") })
	if fileHas(n.path("log.old"), "SIGUSR2") == nil {
		t.Error("the renamed file is still written to")
	}
	if fileHas(n.path("log"), "SIGUSR1") == nil {
		t.Error("the new file has old lines")
	}
	if info, err := os.Stat(n.path("log")); err != nil || info.Mode().Perm()&^0o644 != 0 {
		t.Errorf("the new file is %v, %v", info.Mode(), err)
	}
}

func fileHas(path, text string) error {
	all, err := os.ReadFile(path)
	if err == nil && !strings.Contains(string(all), text) {
		err = fmt.Errorf("%s has no %q", path, text)
	}
	return err
}

// The daemon ends with clients connected and requests under way, and leaves nothing behind. After SIGTERM those requests have
// no time here.
func TestSignalsThatEnd(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		signal   syscall.Signal
		exitCode int
		line     string
	}{
		{syscall.SIGTERM, 0, "signal 15 (SIGTERM) received, exiting"},
		{syscall.SIGINT, 1, "signal 2 (SIGINT) received, exiting"},
	} {
		t.Run(test.signal.String(), func(t *testing.T) {
			t.Parallel()
			server := serveScript(t, hang)
			path := filepath.Join(shortDir(t), "sock")
			conf := strings.Replace(workersConf(2, "redis: true", server.addr+" a"), "{listen}", path+" 0660", 1)
			conf = strings.Replace(conf, "nutmeg:\n", "nutmeg:\n  drain_timeout: 0\n", 1)
			n := startNutmeg(t, conf)
			pid, err := os.ReadFile(n.path("pid"))
			if err != nil || string(pid) != strconv.Itoa(n.PID()) {
				t.Errorf("the pid file is %q, %v; want %d", pid, err, n.PID())
			}
			idle, waiting := dial(t, n.Addr()), dial(t, n.Addr())
			if got := idle.ask("PING"); got != "+PONG\r\n" {
				t.Errorf("PING: %q", got)
			}
			waiting.send(request("GET", "k"))
			n.waitPool("alpha", "the request to be under way", func(p PoolStats) error { return p.want(map[string]int64{"out_queue": 1}) })
			if exitCode := n.End(test.signal); exitCode != test.exitCode {
				t.Errorf("exit code %d, want %d", exitCode, test.exitCode)
			}
			idle.wantGone()
			waiting.wantGone()
			wantNoFile(t, n.path("pid"))
			wantNoFile(t, path)
			lines := strings.Split(strings.TrimSpace(n.Log()), "\n")
			if !strings.Contains(n.Log(), test.line) || !strings.HasSuffix(lines[len(lines)-1], " done") {
				t.Errorf("the log does not end with the signal and done:\n%s", n.Log())
			}
			for _, line := range lines {
				if strings.Contains(line, " WARN ") && strings.Contains(line, "requests=0") {
					t.Errorf("a warning about an orderly end: %s", line)
				}
			}
		})
	}
}

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	a := serveScript(t, sayName("a"))
	path := filepath.Join(shortDir(t), "sock")
	conf := strings.Replace(poolConf("redis: true", a.addr+" a"), "{listen}", path+" 0606", 1)
	first := startNutmeg(t, conf)
	dial(t, first.Addr()).wantAll("k", 1, bulk("a"))
	if info, err := os.Stat(path); err != nil || info.Mode() != os.ModeSocket|0o606 {
		t.Errorf("the socket is %v, %v", info.Mode(), err)
	}
	// A socket that a dead process left behind is replaced.
	first.End(syscall.SIGKILL)
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("the killed daemon removed its socket: %v", err)
	}
	second := startNutmeg(t, conf)
	dial(t, second.Addr()).wantAll("k", 1, bulk("a"))
	second.End(syscall.SIGTERM)
	wantNoFile(t, path)
}

// A socket that another process has made its own in the meantime is not removed.
func TestUnixSocketThatWasTakenOver(t *testing.T) {
	t.Parallel()
	path := filepath.Join(shortDir(t), "sock")
	conf := strings.Replace(poolConf("redis: true", "127.0.0.1:1 a"), "{listen}", path, 1)
	old := startNutmeg(t, conf)
	second := writeFile(t, t.TempDir(), "nutmeg.yml", conf)
	port := strconv.Itoa(testkit.FreePort(t))
	if _, stderr, code := runNutmeg(t, t.TempDir(), "-c", second, "-s", port); code != 1 || !strings.Contains(stderr, "address already in use") {
		t.Errorf("a second process at the same socket: exit code %d, %q", code, stderr)
	}
	if got := dial(t, old.Addr()).ask("PING"); got != "+PONG\r\n" {
		t.Errorf("PING to the first: %q", got)
	}
	if err := os.Remove(path); err != nil { // as a careless operator does
		t.Fatal(err)
	}
	successor := startNutmeg(t, conf)
	old.End(syscall.SIGTERM)
	if got := dial(t, successor.Addr()).ask("PING"); got != "+PONG\r\n" {
		t.Errorf("PING: %q", got)
	}
}
