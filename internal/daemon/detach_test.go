//go:build unix

package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// The test binary is also the program that it tests: with roleVar set, it is a
// daemon that plays the role. It speaks to the test over a unix socket.
const (
	roleVar   = "DAEMON_TEST_ROLE"
	socketVar = "DAEMON_TEST_SOCKET"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		os.Exit(play(role))
	}
	os.Exit(m.Run())
}

// play is the program's main.
func play(role string) int {
	if role == "lingers" {
		awaitEnd(dial())
		return 0
	}
	child, ready, err := Detach()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if !child {
		return 0
	}
	switch role {
	case "works":
		conn := dial()
		ready(nil)
		ready(errors.New("too late"))
		_ = json.NewEncoder(conn).Encode(lookAround())
		awaitEnd(conn)
	case "fails":
		ready(errors.New("first line\nsecond line"))
		return 1
	case "leaves a child behind":
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), roleVar+"=lingers")
		_ = cmd.Start()
	case "is killed":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return 3
}

func dial() net.Conn {
	conn, err := net.Dial("unix", os.Getenv(socketVar))
	if err != nil {
		os.Exit(4)
	}
	return conn
}

// awaitEnd waits until the test closes the connection.
func awaitEnd(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// state is what a daemon sees of itself.
type state struct {
	PID, Umask int
	Dir        string
	Args       []string
	Null       [3]bool // stdin, stdout, stderr are /dev/null
	Leader     bool    // of a process group, as who leads a session is
	Terminal   bool
	Marked     bool
}

func lookAround() state {
	var s state
	s.PID, s.Umask = os.Getpid(), syscall.Umask(0)
	s.Leader = syscall.Kill(-s.PID, 0) == nil
	s.Dir, _ = os.Getwd()
	s.Args = os.Args[1:]
	null, _ := os.Stat(os.DevNull)
	for i, file := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		info, err := file.Stat()
		s.Null[i] = err == nil && os.SameFile(info, null)
	}
	_, s.Marked = os.LookupEnv(marker)
	tty, err := os.Open("/dev/tty")
	if s.Terminal = err == nil; s.Terminal {
		_ = tty.Close()
	}
	return s
}

// start runs the program in the role until the parent exits. It returns the
// parent's exit code and stderr.
func start(t *testing.T, role, socket, dir string, env ...string) (code int, stderr string) {
	t.Helper()
	var text bytes.Buffer
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-d", "-c", "a file")
	cmd.Env = append(os.Environ(), append(env, roleVar+"="+role, socketVar+"="+socket)...)
	cmd.Dir, cmd.Stderr = dir, &text
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), text.String()
}

// listen opens the socket that daemons dial.
func listen(t *testing.T) net.Listener {
	t.Helper()
	dir, err := os.MkdirTemp("", "daemon") //nolint:usetesting // t.TempDir is too long for a socket on darwin
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

func accept(t *testing.T, listener net.Listener) net.Conn {
	t.Helper()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestDetach(t *testing.T) {
	listener := listen(t)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	code, stderr := start(t, "works", listener.Addr().String(), dir, "PWD="+dir)
	if code != 0 || stderr != "" {
		t.Fatalf("the parent exits with %d and says %q", code, stderr)
	}
	// The parent is gone, the daemon still answers.
	var got state
	if err := json.NewDecoder(accept(t, listener)).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.PID == os.Getpid() || !got.Leader || got.Terminal {
		t.Errorf("not a session of its own: %+v", got)
	}
	if got.Umask != 0 || got.Dir != dir || got.Null != [3]bool{true, true, true} || got.Marked {
		t.Errorf("umask, directory (want %s), files or environment: %+v", dir, got)
	}
	if !slices.Equal(got.Args, []string{"-d", "-c", "a file"}) {
		t.Errorf("arguments %q", got.Args)
	}
}

func TestDetachFails(t *testing.T) {
	for _, test := range []struct {
		rule, role string
		env        []string
		want       string
	}{
		{"the parent has the child's reason", "fails", nil, "first line\nsecond line\n"},
		{"a child that exits", "exits", nil, "the daemon died before it was ready: exit status 3\n"},
		{"a child that is killed", "is killed", nil, "the daemon died before it was ready: signal: killed\n"},
		{"a marker from elsewhere", "works", []string{marker + "=1"}, "cannot daemonize: the environment variable NUTMEG_DETACHED is for the program's own use; unset it\n"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			code, stderr := start(t, test.role, "", t.TempDir(), test.env...)
			if code != 1 || stderr != test.want {
				t.Errorf("exit code %d, stderr %q, want 1, %q", code, stderr, test.want)
			}
		})
	}
	t.Run("a child that dies and leaves one of its own", func(t *testing.T) {
		listener := listen(t)
		code, stderr := start(t, "leaves a child behind", listener.Addr().String(), t.TempDir())
		accept(t, listener) // it lives: it did not hold the pipe
		if code != 1 || !strings.Contains(stderr, "died before it was ready") {
			t.Errorf("exit code %d, stderr %q", code, stderr)
		}
	})
}
