//go:build linux

package systemd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const roleVar = "SYSTEMD_TEST_ROLE"

// TestMain is also the program of the socket test: it says what it was passed.
func TestMain(m *testing.M) {
	if os.Getenv(roleVar) == "" {
		os.Exit(m.Run())
	}
	_ = os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid())) // which who starts it cannot know
	for range 2 {
		for _, s := range Sockets() {
			_, err := syscall.Getsockname(s.FD)
			fmt.Printf("%s %v %v\n", s.Name, s.FD > 2, err)
		}
	}
	_, there := os.LookupEnv("LISTEN_FDS")
	fmt.Println("left:", there)
	os.Exit(0)
}

// manager is a service manager's socket.
func manager(t *testing.T) *net.UnixConn {
	t.Helper()
	dir, err := os.MkdirTemp("", "systemd") //nolint:usetesting // t.TempDir is too long for a socket on darwin
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	t.Setenv("NOTIFY_SOCKET", path)
	return conn
}

func next(t *testing.T, m *net.UnixConn) string {
	t.Helper()
	text := make([]byte, 4096)
	n, err := m.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(text[:n])
}

func TestStates(t *testing.T) {
	m := manager(t)
	for _, row := range []struct {
		tell func() error
		want string
	}{
		{func() error { return Ready("serving\n2 pools") }, `^READY=1\nSTATUS=serving 2 pools$`},
		{func() error { return Status("busy") }, `^STATUS=busy$`},
		{Reloading, `^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]+$`},
		{func() error { return Stopping("draining") }, `^STOPPING=1\nSTATUS=draining$`},
		{func() error { return MainPID(77, "upgraded") }, `^MAINPID=77\nREADY=1\nSTATUS=upgraded$`},
	} {
		if err := row.tell(); err != nil {
			t.Error(err)
		}
		if got := next(t, m); !regexp.MustCompile(row.want).MatchString(got) {
			t.Errorf("got %q, want %s", got, row.want)
		}
	}
}

func TestWithoutAManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := errors.Join(Ready(""), Status(""), Reloading(), Stopping(""), MainPID(1, "")); err != nil {
		t.Error(err)
	}
	Watch(t.Context(), func(context.Context) error { t.Error("asked"); return nil }, func(err error) { t.Error(err) })
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	if err := Ready(""); err == nil || !strings.Contains(err.Error(), `"READY=1"`) {
		t.Errorf("a manager that is gone: %v", err)
	}
}

// A manager that hangs does not hang the process.
func TestManagerThatDoesNotRead(t *testing.T) {
	m := manager(t)
	var err error
	told := 0
	for ; err == nil && told < 10000; told++ {
		err = Status("busy")
	}
	if !errors.Is(err, errNotRead) {
		t.Fatalf("after %d messages: %v", told, err)
	}
	for range told {
		next(t, m)
	}
	if err := Ready("fine"); err != nil {
		t.Error(err)
	}
}

func TestWatchdogBarksOnlyWhileAlive(t *testing.T) {
	m := manager(t)
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	hangs := make(chan bool, 1)
	asked, failures, ended := make(chan bool), make(chan error, 8), make(chan bool)
	go func() {
		Watch(ctx, func(within context.Context) error {
			select {
			case <-hangs:
				<-within.Done()
				return within.Err()
			case asked <- true:
			case <-ctx.Done():
			}
			return nil
		}, func(err error) { failures <- err })
		close(ended)
	}()
	for range 3 {
		<-asked
		if got := next(t, m); got != "WATCHDOG=1" {
			t.Errorf("got %q", got)
		}
	}
	hangs <- true
	if err := <-failures; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	<-asked // it goes on looking
	if got := next(t, m); got != "WATCHDOG=1" {
		t.Errorf("got %q", got)
	}
	cancel()
	<-ended
	_ = m.SetReadDeadline(time.Now())
	if n, err := m.Read(make([]byte, 100)); err == nil && n > 0 {
		// One more may have been under way.
		if _, err := m.Read(make([]byte, 100)); err == nil {
			t.Error("it went on after a hang")
		}
	}
}

func TestWatchdogOfAnotherProcess(t *testing.T) {
	manager(t)
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", "1")
	Watch(t.Context(), func(context.Context) error { t.Error("asked"); return nil }, func(err error) { t.Error(err) })
	t.Setenv("WATCHDOG_USEC", "often")
	var failure error
	Watch(t.Context(), func(context.Context) error { t.Error("asked"); return nil }, func(err error) { failure = err })
	if failure == nil {
		t.Error("a bad interval is no error")
	}
}

func TestSocketsArePassedOnce(t *testing.T) {
	var files []*os.File
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVar+"=1", "LISTEN_FDS=2", "LISTEN_FDNAMES=one:two")
	cmd.ExtraFiles = files
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := "one true <nil>\ntwo true <nil>\nleft: false\n"
	if got := string(out); got != want {
		lines := bufio.NewScanner(strings.NewReader(got))
		for lines.Scan() {
			t.Log(lines.Text())
		}
		t.Errorf("want %q", want)
	}
}
