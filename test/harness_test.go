// Package test runs the daemon as its users do: the real binary, real servers, real clients.
//
//	n := startNutmeg(t, "alpha:\n  listen: {listen}\n  redis: true\n  servers:\n  - "+redis.Addr()+":1 a\n")
//	c := dial(t, n.Addr())
//	c.send("PING\r\n")
//	c.want("+PONG\r\n")
//
// Everything has a deadline and belongs to its test: it ends with it. A daemon that does not end well (a panic, a data
// race, another exit code than 0 after SIGTERM) fails the test that started it.
package test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"nutmeg/internal/testkit"
)

// patience bounds whatever a test waits for. It is generous: under the race detector a loaded machine is slow, and
// nobody waits that long when all is well.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	// A daemon built with the race detector sleeps for a second before it ends, in case another goroutine still reports.
	_ = os.Setenv("GORACE", "atexit_sleep_ms=20 "+os.Getenv("GORACE"))
	code := m.Run()
	if dir := builtDir; dir != "" {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// builtDir is the folder of the binary, for TestMain to remove; buildNutmeg writes it.
var builtDir string

// buildNutmeg builds the daemon, once for all tests of a run.
var buildNutmeg = sync.OnceValues(func() (path string, err error) {
	builtDir, err = os.MkdirTemp("", "nutmeg-build-")
	if err != nil {
		return "", err
	}
	path = filepath.Join(builtDir, "nutmeg")
	args := []string{"build", "-o", path}
	if raceEnabled {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "nutmeg/cmd/nutmeg")...)
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build nutmeg: %w\n%s", err, output)
	}
	return path, nil
})

// nutmegBinary is the path of the daemon.
func nutmegBinary(t testing.TB) string {
	t.Helper()
	path, err := buildNutmeg()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Nutmeg is a running daemon. Its methods may be called from any goroutine, except those that end it.
type Nutmeg struct {
	t         testing.TB
	files     []*os.File
	dir       string
	listening []string // addresses of the pools, in the order of the configuration
	statsAddr string
	cmd       *exec.Cmd
	exited    chan struct{} // closed when the process has ended
	ended     bool          // the test has ended it: stop has nothing left to do
}

// startNutmeg starts the daemon with a configuration and waits until it serves. Each "{listen}" in the configuration
// becomes an address on a free port; args are added to the command line. The daemon ends with t, and has to end well.
func startNutmeg(t testing.TB, yaml string, args ...string) *Nutmeg {
	t.Helper()
	return startNutmegBy(t, []string{nutmegBinary(t)}, yaml, args...)
}

// startNutmegBy is startNutmeg by another command: a program at a path of its own, or one that becomes the daemon. The
// daemon's command line is appended to it.
func startNutmegBy(t testing.TB, command []string, yaml string, args ...string) *Nutmeg {
	t.Helper()
	return startNutmegWith(t, nil, command, yaml, args...)
}

// startNutmegWith is startNutmegBy with files that the command gets as descriptors from 3 on.
func startNutmegWith(t testing.TB, files []*os.File, command []string, yaml string, args ...string) *Nutmeg {
	t.Helper()
	for strings.Contains(yaml, "{listen}") {
		yaml = strings.Replace(yaml, "{listen}", "127.0.0.1:"+strconv.Itoa(testkit.FreePort(t)), 1)
	}
	dir := shortDir(t)
	n := &Nutmeg{t: t, files: files, dir: dir, exited: make(chan struct{})}
	for _, m := range listenLine.FindAllStringSubmatch(yaml, -1) {
		n.listening = append(n.listening, m[1])
	}
	if err := os.WriteFile(n.path("nutmeg.yml"), []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(testkit.FreePort(t))
	n.statsAddr = "127.0.0.1:" + port
	own := []string{"-c", n.path("nutmeg.yml"), "-o", n.path("log"), "-p", n.path("pid"), "-s", port, "-a", "127.0.0.1"}
	n.start(slices.Concat(command, own, args))
	t.Cleanup(n.stop)
	n.waitReady()
	return n
}

var listenLine = regexp.MustCompile(`(?m)^[ \t]*listen:[ \t]*["']?([^\s"'#]+)`)

func (n *Nutmeg) start(args []string) {
	n.t.Helper()
	output, err := os.Create(n.path("output"))
	if err != nil {
		n.t.Fatal(err)
	}
	defer func() { _ = output.Close() }() // the daemon has a descriptor of its own
	n.cmd = exec.Command(args[0], args[1:]...)
	n.cmd.Dir, n.cmd.Stdout, n.cmd.Stderr = n.dir, output, output
	n.cmd.ExtraFiles = n.files
	n.cmd.SysProcAttr = dieWithParent()
	started := make(chan error)
	go func() {
		// The thread that started it is its "parent": it must live as long.
		runtime.LockOSThread()
		defer close(n.exited)
		err := n.cmd.Start()
		started <- err
		if err == nil {
			_ = n.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		n.t.Fatalf("cannot start nutmeg: %v", err)
	}
}

// tie makes a program that a test runs die with the test. "Parent" means the thread that starts it, so the caller keeps its
// thread until the program has ended: it calls free then.
func tie(cmd *exec.Cmd) (free func()) {
	runtime.LockOSThread()
	cmd.SysProcAttr = dieWithParent()
	return runtime.UnlockOSThread
}

// waitReady returns when all pools and the statistics port accept connections.
func (n *Nutmeg) waitReady() {
	n.t.Helper()
	for _, addr := range append([]string{n.statsAddr}, n.listening...) {
		eventually(n.t, "nutmeg to accept connections on "+addr, func() error {
			select {
			case <-n.exited:
				n.t.Fatalf("nutmeg has ended, %v:\n%s", n.cmd.ProcessState, n.Log())
			default:
			}
			c, err := net.DialTimeout(networkOf(addr), addr, time.Second)
			if err != nil {
				return err
			}
			return c.Close()
		})
	}
}

// networkOf is the network of an address: the path of a unix socket begins with a slash.
func networkOf(addr string) string {
	if strings.HasPrefix(addr, "/") {
		return "unix"
	}
	return "tcp"
}

// path is the path of a file in the daemon's folder: nutmeg.yml, log, output, pid.
func (n *Nutmeg) path(name string) string { return filepath.Join(n.dir, name) }

// Addr is where the first pool of the configuration listens: host:port, or the path of a unix socket.
func (n *Nutmeg) Addr() string { return n.listening[0] }

// AddrOf is where pool i of the configuration, counted from 0, listens.
func (n *Nutmeg) AddrOf(i int) string { return n.listening[i] }

// StatsAddr is the address of the statistics port.
func (n *Nutmeg) StatsAddr() string { return n.statsAddr }

// PID is the daemon's process id.
func (n *Nutmeg) PID() int { return n.cmd.Process.Pid }

// Log is all that the daemon has logged, and what it has printed.
func (n *Nutmeg) Log() string {
	var all strings.Builder
	for _, name := range []string{"output", "log"} {
		if text, err := os.ReadFile(n.path(name)); err == nil {
			all.Write(text)
		}
	}
	return all.String()
}

// Signal sends a signal to the daemon.
func (n *Nutmeg) Signal(sig os.Signal) {
	n.t.Helper()
	if err := n.cmd.Process.Signal(sig); err != nil {
		n.t.Fatalf("cannot signal nutmeg: %v", err)
	}
}

// End sends a signal that ends the daemon, and returns its exit code. The test then judges that itself; for races and
// panics the log is looked at nevertheless.
func (n *Nutmeg) End(sig os.Signal) (exitCode int) {
	n.t.Helper()
	n.ended = true
	n.Signal(sig)
	n.waitExit()
	return n.cmd.ProcessState.ExitCode()
}

func (n *Nutmeg) waitExit() {
	n.t.Helper()
	select {
	case <-n.exited:
	case <-time.After(patience):
		_ = n.cmd.Process.Kill()
		<-n.exited
		n.t.Errorf("nutmeg did not end within %v", patience)
	}
}

// stop ends the daemon if the test has not, and judges how it went.
func (n *Nutmeg) stop() {
	select {
	case <-n.exited:
		if !n.ended {
			n.t.Errorf("nutmeg has ended by itself: %v", n.cmd.ProcessState)
		}
	default:
		if code := n.End(syscall.SIGTERM); code != 0 {
			n.t.Errorf("nutmeg ended with exit code %d after SIGTERM, want 0", code)
		}
	}
	log := n.Log()
	for _, bad := range []string{"DATA RACE", "panic", "fatal error", "BUG:"} {
		if strings.Contains(log, bad) {
			n.t.Errorf("nutmeg's log says %q", bad)
		}
	}
	if n.t.Failed() {
		n.t.Logf("nutmeg printed:\n%s", lastLines(log, 80))
	}
}

// lastLines returns the last lines of a text.
func lastLines(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// eventually tries until try returns nil, and fails t when patience is over. Call it from the test's goroutine only.
func eventually(t testing.TB, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s: %v", patience, what, err)
		}
		<-tick.C
	}
}
