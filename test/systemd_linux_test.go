package test

import (
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

	"golang.org/x/sys/unix"

	"nutmeg/internal/testkit"
)

// manager plays the service manager: it reads what a daemon tells, and knows from which process it came.
type manager struct {
	t    testing.TB
	conn *net.UnixConn
	path string
}

func newManager(t testing.TB) *manager {
	t.Helper()
	m := &manager{t: t, path: filepath.Join(shortDir(t), "notify")}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	m.conn = conn
	raw, err := conn.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// next is the next message, with WATCHDOG=1 left out, and its sender.
func (m *manager) next() (text string, pid int) {
	m.t.Helper()
	for {
		if text, pid = m.any(); text != "WATCHDOG=1" {
			return text, pid
		}
	}
}

func (m *manager) any() (text string, pid int) {
	m.t.Helper()
	_ = m.conn.SetReadDeadline(time.Now().Add(patience))
	buf, oob := make([]byte, 4096), make([]byte, 256)
	n, oobn, _, _, err := m.conn.ReadMsgUnix(buf, oob)
	if err != nil {
		m.t.Fatalf("the manager is told nothing: %v", err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) == 0 {
		m.t.Fatalf("no sender: %v", err)
	}
	sender, err := unix.ParseUnixCredentials(&messages[0])
	if err != nil {
		m.t.Fatal(err)
	}
	return string(buf[:n]), int(sender.Pid)
}

func (m *manager) want(pid int, pattern string) {
	m.t.Helper()
	if text, from := m.next(); from != pid || !regexp.MustCompile("(?s)^"+pattern+"$").MatchString(text) {
		m.t.Errorf("process %d tells %q, want %s of process %d", from, text, pattern, pid)
	}
}

// managed starts a daemon in the way of a service manager, with sockets that it listens on.
func managed(t testing.TB, m *manager, yaml string, sockets ...syscall.Conn) *lineage {
	t.Helper()
	var files []*os.File
	for _, s := range sockets {
		raw, err := s.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Control(func(fd uintptr) {
			own, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3)
			if err != nil {
				t.Error(err)
				return
			}
			files = append(files, os.NewFile(uintptr(own), "socket"))
		}); err != nil {
			t.Fatal(err)
		}
	}
	// LISTEN_PID is known only in the process itself: a shell that becomes the daemon writes it.
	script := filepath.Join(t.TempDir(), "start")
	text := fmt.Sprintf("#!/bin/sh\nexport NOTIFY_SOCKET=%s WATCHDOG_USEC=200000 WATCHDOG_PID=$$ LISTEN_PID=$$ LISTEN_FDS=%d\nexec %s \"$@\"\n",
		m.path, len(files), nutmegBinary(t))
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return startLineageWith(t, script, files, yaml)
}

func TestServiceManagerIsTold(t *testing.T) {
	t.Parallel()
	m, g := newManager(t), newGate(t)
	l := managed(t, m, poolConf("redis: true", serveScript(t, g.serve).addr+" a"))
	m.want(l.pid, "READY=1\nSTATUS=serving 1 pools")
	for range 3 {
		if text, from := m.any(); text != "WATCHDOG=1" || from != l.pid {
			t.Errorf("process %d tells %q", from, text)
		}
	}
	old := l.pid
	waiting := l.holdRequests(t, 1)
	l.startUpgrade(t)
	// The two are told by two processes, in any order; the manager listens to the old one first.
	told := map[int]string{}
	for range 2 {
		text, from := m.next()
		told[from] = text
	}
	if want := fmt.Sprintf("MAINPID=%d\nREADY=1\nSTATUS=upgraded", l.pid); told[old] != want || !strings.HasPrefix(told[l.pid], "READY=1\n") {
		t.Errorf("got %v, want %q of process %d and READY of process %d", told, want, old, l.pid)
	}
	g.lift()
	waiting[0].want(bulk("held"))
	l.wantEnd(t, old)
	for m.anyFrom(l.pid) != "WATCHDOG=1" { // the new process has a watchdog of its own
	}
	if err := syscall.Kill(l.pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	m.want(l.pid, "STOPPING=1\nSTATUS=draining")
	waiting[0].close()
	l.wantEnd(t, l.pid)
	l.pid = l.PID()
}

// anyFrom is the next message of a process.
func (m *manager) anyFrom(pid int) string {
	m.t.Helper()
	for {
		if text, from := m.any(); from == pid {
			return text
		}
	}
}

// What the manager listens on is used, by every process in turn, and its paths stay.
func TestSocketsOfTheServiceManager(t *testing.T) {
	t.Parallel()
	listen := func(address string) net.Listener {
		l, err := net.Listen(networkOf(address), address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	path := filepath.Join(shortDir(t), "s")
	tcp, local := listen("127.0.0.1:0"), listen(path)
	spare := listen("127.0.0.1:" + strconv.Itoa(testkit.FreePort(t)))
	local.(*net.UnixListener).SetUnlinkOnClose(false)
	server := serveScript(t, newGate(t).serve).addr
	yaml := fmt.Sprintf("alpha:\n  listen: %s\n  redis: true\n  servers: [\"%s:1\"]\n", tcp.Addr(), server)
	yaml += fmt.Sprintf("beta:\n  listen: %s\n  redis: true\n  servers: [\"%s:1\"]\n", path, server)
	m := newManager(t)
	l := managed(t, m, yaml, tcp.(*net.TCPListener), local.(*net.UnixListener), spare.(*net.TCPListener))
	l.waitLog("no pool listens at the address of a socket that the service manager passed address=" + spare.Addr().String())
	_, _, _ = tcp.Close(), local.Close(), spare.Close()
	for range 3 {
		for _, addr := range []string{tcp.Addr().String(), path} {
			dial(t, addr).wantAsk(bulk("k"), "GET", "k")
		}
		l.upgrade(t)
	}
	last := l.pid
	l.pid = l.PID()
	l.endOf(t, last, syscall.SIGTERM)
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the manager's path is gone: %v", err)
	}
}

// The unit files say what systemd understands.
func TestUnitFiles(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	out, err := exec.Command(analyze, "verify", "--man=no", "../deploy/systemd/nutmeg.socket", "../deploy/systemd/nutmeg.service").CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "nutmeg") || strings.Contains(line, "is not executable") {
			continue // another unit, or nutmeg is not installed here
		}
		t.Errorf("%s%v", line, err)
	}
}
