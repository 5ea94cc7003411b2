//go:build unix

package handover

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const patience = 20 * time.Second

// start starts the test binary in a role.
func start(t *testing.T, role string, timeout time.Duration, listeners ...Listener) (*Successor, error) {
	t.Helper()
	s, err := Start(t.Context(), Options{
		Program: os.Args[0], Args: os.Args[:1], Timeout: timeout, Listeners: listeners,
		Env: append(os.Environ(), roleVar+"="+role, "LISTEN_PID=1", "LISTEN_FDS=3", "WATCHDOG_PID=1", marker+"=77"),
	})
	if s != nil {
		t.Cleanup(func() { s.process.kill(0) })
	}
	return s, err
}

// openFDs counts this process's descriptors; -1 where that cannot be asked.
func openFDs() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(entries)
}

// wantNoLeak makes the test fail if there are more descriptors at its end than now.
func wantNoLeak(t *testing.T) {
	t.Helper()
	before := openFDs()
	t.Cleanup(func() {
		eventually(t, func() error {
			if now := openFDs(); now > before {
				return fmt.Errorf("%d descriptors, %d before", now, before)
			}
			return nil
		})
	})
}

func eventually(t *testing.T, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	err := check()
	for ; err != nil && time.Now().Before(deadline); err = check() {
		time.Sleep(time.Millisecond) // between two looks
	}
	if err != nil {
		t.Error(err)
	}
}

// client is a connection whose far end the test holds.
type client struct {
	near  Client
	far   net.Conn
	taken chan bool
}

func newClient(t *testing.T, pool string, state []byte) *client {
	t.Helper()
	near, far, err := socketpair()
	if err != nil {
		t.Fatal(err)
	}
	c := &client{near: Client{FD: dup(t, near), Pool: pool, State: state}, taken: make(chan bool, 2)}
	if c.far, err = net.FileConn(far); err != nil {
		t.Fatal(err)
	}
	_, _ = near.Close(), far.Close()
	_ = c.far.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { _ = c.far.Close() })
	return c
}

func dup(t *testing.T, f *os.File) int {
	t.Helper()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	return fd
}

// give hands the client over, and closes this process's copy when it is taken.
func (c *client) give(s *Successor) {
	s.Give(c.near, func(taken bool) {
		if taken {
			_ = syscall.Close(c.near.FD)
		}
		c.taken <- taken
	})
}

func (c *client) wantTaken(t *testing.T, want bool) {
	t.Helper()
	select {
	case taken := <-c.taken:
		if taken != want {
			t.Errorf("taken is %v", taken)
		}
	case <-time.After(patience):
		t.Error("no outcome")
	}
}

// wantGreeting checks that the new process has the client, and all of its state.
func (c *client) wantGreeting(t *testing.T) {
	t.Helper()
	line, err := bufio.NewReader(c.far).ReadString('\n')
	if want := describe(c.near); err != nil || line != want {
		t.Errorf("got %q, %v; want %q", line, err, want)
	}
}

// wantUntouched checks that the client is this process's alone, with all that it sent.
func (c *client) wantUntouched(t *testing.T, sent string) {
	t.Helper()
	got := make([]byte, len(sent)+1)
	_ = syscall.SetNonblock(c.near.FD, true)
	if n, err := syscall.Read(c.near.FD, got); string(got[:max(n, 0)]) != sent || (err != nil) != (sent == "") {
		t.Errorf("read %q, %v; want %q", got[:max(n, 0)], err, sent)
	}
	if err := syscall.Close(c.near.FD); err != nil {
		t.Error(err)
	}
	if n, err := c.far.Read(got); !errors.Is(err, io.EOF) {
		t.Errorf("closed here, and still open elsewhere: %q, %v", got[:n], err)
	}
}

func (s *Successor) wait(t *testing.T) error {
	t.Helper()
	select {
	case <-s.Done():
	case <-time.After(patience):
		t.Fatal("the hand-over does not end")
	}
	return s.Err()
}

func listen(t *testing.T, name string) (Listener, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = f.Close(), l.Close() })
	return Listener{Name: name, FD: int(f.Fd())}, l.Addr().String()
}

func TestListenersAndClientsMove(t *testing.T) {
	wantNoLeak(t)
	one, oneAddress := listen(t, "one")
	two, twoAddress := listen(t, strings.Repeat("two", 1000))
	s, err := start(t, "serves", patience, one, two)
	if err != nil {
		t.Fatal(err)
	}
	for name, address := range map[string]string{one.Name: oneAddress, two.Name: twoAddress} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(conn); string(text) != name+" " || err != nil {
			t.Errorf("the listener and its process say %q, %v", text, err)
		}
		_ = conn.Close()
	}
	var clients []*client
	for i := range 300 {
		size := i * 31
		if i%100 == 7 {
			size = 3 << 20
		}
		clients = append(clients, newClient(t, "pool"+strconv.Itoa(i%3), bytes.Repeat([]byte{byte(i)}, size)))
	}
	var givers sync.WaitGroup
	for part := range 3 {
		givers.Go(func() {
			for i := part; i < len(clients); i += 3 {
				clients[i].give(s)
			}
		})
	}
	givers.Wait()
	s.End()
	if err := s.wait(t); err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		c.wantTaken(t, true)
		c.wantGreeting(t)
	}
	<-s.process.exited
	if s.process.err != nil {
		t.Errorf("the new process saw no end: %v", s.process.err)
	}
	if s.Err() != nil {
		t.Errorf("its exit after the end counts as failure: %v", s.Err())
	}
}

func TestClientTooLargeStays(t *testing.T) {
	wantNoLeak(t)
	s, err := start(t, "serves", patience)
	if err != nil {
		t.Fatal(err)
	}
	large, small := newClient(t, "p", make([]byte, MaxState+1)), newClient(t, "p", nil)
	_, _ = large.far.Write([]byte("unread"))
	large.give(s)
	small.give(s)
	large.wantTaken(t, false)
	large.wantUntouched(t, "unread")
	small.wantTaken(t, true)
	small.wantGreeting(t)
	s.End()
	if err := s.wait(t); err != nil {
		t.Error(err)
	}
}

func TestNoListenersNoClients(t *testing.T) {
	wantNoLeak(t)
	s, err := start(t, "serves", patience)
	if err != nil {
		t.Fatal(err)
	}
	s.End()
	if err := s.wait(t); err != nil {
		t.Error(err)
	}
}

func TestStartFails(t *testing.T) {
	for _, row := range []struct {
		role    string
		timeout time.Duration
		want    string
	}{
		{"fails", patience, "the new process cannot start: first line\nsecond line"},
		{"exits without a word", patience, "the new process died before it was ready: exit status 3"},
		{"is killed", patience, "the new process died before it was ready: signal: killed"},
		{"hangs", 100 * time.Millisecond, "the new process was not ready within 100ms, and was killed"},
		{"breaks the connection and lives", patience, "the new process broke off before it was ready, and was killed"},
	} {
		t.Run(row.role, func(t *testing.T) {
			wantNoLeak(t)
			listener, address := listen(t, "one")
			s, err := start(t, row.role, row.timeout, listener)
			if s != nil || err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
			if conn, err := net.Dial("tcp", address); err != nil {
				t.Errorf("the listener is gone: %v", err)
			} else {
				_ = conn.Close()
			}
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); !errors.Is(err, syscall.ECHILD) {
				t.Errorf("the new process is still there: %d, %v", pid, err)
			}
		})
	}
	t.Run("no such program", func(t *testing.T) {
		wantNoLeak(t)
		_, err := Start(t.Context(), Options{Program: filepath.Join(t.TempDir(), "none"), Timeout: patience})
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("broken off", func(t *testing.T) {
		wantNoLeak(t)
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		_, err := Start(ctx, Options{Program: os.Args[0], Args: os.Args[:1], Env: append(os.Environ(), roleVar+"=hangs"), Timeout: patience})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// Whatever the new process does, a client has one owner, and one without a receipt has lost nothing.
func TestFailureWhileClientsGo(t *testing.T) {
	for _, row := range []struct {
		role  string
		taken int
		lives bool
		want  string
	}{
		{"dies after 5", 5, false, "the new process died while it was given clients: signal: killed"},
		{"hangs after 5", 5, false, "the new process did not take a client within 300ms, and was killed"},
		{"stops after 5", 5, true, "the new process takes no more clients"},
		{"goes wrong after 5", 5, true, "the new process takes no more clients"},
	} {
		t.Run(row.role, func(t *testing.T) {
			wantNoLeak(t)
			s, err := start(t, row.role, 300*time.Millisecond*timeFactor)
			if err != nil {
				t.Fatal(err)
			}
			var clients []*client
			for i := range 100 {
				clients = append(clients, newClient(t, "p", bytes.Repeat([]byte{1}, 100000)))
				_, _ = clients[i].far.Write([]byte("unread"))
				clients[i].give(s)
			}
			err = s.wait(t)
			want := strings.ReplaceAll(row.want, "300ms", (300 * time.Millisecond * timeFactor).String())
			if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, ErrRefused) != row.lives {
				t.Errorf("got %v, want %q", err, want)
			}
			select {
			case <-s.process.exited:
				if row.lives {
					t.Error("the new process was killed")
				}
			default:
				if !row.lives {
					t.Error("the new process is there")
				}
			}
			for i, c := range clients {
				c.wantTaken(t, i < row.taken)
				if i >= row.taken {
					c.wantUntouched(t, "unread")
				}
			}
			late := newClient(t, "p", nil)
			late.give(s)
			late.wantTaken(t, false)
			late.wantUntouched(t, "")
			for _, c := range append(clients, late) {
				if len(c.taken) != 0 {
					t.Error("two outcomes for one client")
				}
			}
		})
	}
}

func TestProgramIsFoundAgain(t *testing.T) {
	dir := t.TempDir()
	link, first, second := filepath.Join(dir, "program"), filepath.Join(dir, "first"), filepath.Join(dir, "second")
	for _, file := range []string{first, second} {
		if err := os.WriteFile(file, []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(first, link); err != nil {
		t.Fatal(err)
	}
	p := Program{called: link, file: first}
	if p.called == "" || !sameFile(link, first) || sameFile(link, second) {
		t.Error("the link's target is not told")
	}
	if err := errors.Join(os.Remove(link), os.Symlink(second, link)); err != nil {
		t.Fatal(err)
	}
	if got := p.Path(); !sameFile(got, second) {
		t.Errorf("%s is not the new program", got)
	}
	t.Setenv("PATH", dir)
	if got := (Program{called: "program", file: first}).Path(); !sameFile(got, second) {
		t.Errorf("%s is not the program in PATH", got)
	}
	_ = os.Remove(link)
	if got := p.Path(); got != first {
		t.Errorf("got %s, want the file that was started", got)
	}

	own, err := FindProgram()
	if err != nil {
		t.Fatal(err)
	}
	if own.called != os.Args[0] || !sameFile(own.Path(), os.Args[0]) {
		t.Errorf("this program is %+v", own)
	}
	name := os.Args[0]
	defer func() { os.Args[0] = name }()
	os.Args[0] = "sh" // a name that the caller made up
	if own, err = FindProgram(); err != nil || own.called != "" || !sameFile(own.Path(), name) {
		t.Errorf("this program is %+v, %v", own, err)
	}
	if runtime.GOOS == "linux" && own.file != own.Path() {
		t.Errorf("%s is not %s", own.Path(), own.file)
	}
}
