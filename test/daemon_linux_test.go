package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nutmeg/internal/testkit"
)

// adoptOrphans makes this process the parent of daemons, whose own parent has ended: so their exit codes can be had.
var adoptOrphans = sync.OnceValue(func() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) })

// startDetached runs "nutmeg -d" and returns the process id of the daemon that it leaves behind.
func startDetached(t *testing.T, dir string, args ...string) (pid int) {
	t.Helper()
	if err := adoptOrphans(); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, exitCode := runNutmeg(t, dir, append([]string{"-d", "-p", "pid"}, args...)...)
	if stdout != "" || stderr != "" || exitCode != 0 {
		t.Fatalf("nutmeg -d: exit code %d, %q, %q", exitCode, stdout, stderr)
	}
	// No waiting: when the parent has ended, the daemon serves.
	text, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	if pid, err = strconv.Atoi(string(text)); err != nil {
		t.Fatalf("the pid file is %q", text)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	return pid
}

// exitOf waits until an adopted process has ended and returns its exit code.
func exitOf(t *testing.T, pid int) int {
	t.Helper()
	var status syscall.WaitStatus
	eventually(t, "the daemon to end", func() error {
		ended, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
		if err != nil {
			t.Fatal(err)
		}
		if ended != pid {
			return fmt.Errorf("process %d runs", pid)
		}
		return nil
	})
	return status.ExitStatus()
}

func TestDaemonize(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		signal   syscall.Signal
		exitCode int
	}{{syscall.SIGTERM, 0}, {syscall.SIGINT, 1}} {
		t.Run(test.signal.String(), func(t *testing.T) {
			t.Parallel()
			a := serveScript(t, sayName("a"))
			dir := shortDir(t)
			addr := "127.0.0.1:" + strconv.Itoa(testkit.FreePort(t))
			writeFile(t, dir, "nutmeg.yml", strings.Replace(poolConf("redis: true", a.addr+" a"), "{listen}", addr, 1))
			pid := startDetached(t, dir, "-c", "nutmeg.yml", "-o", "log", "-s", strconv.Itoa(testkit.FreePort(t)), "-a", "127.0.0.1")
			dial(t, addr).wantAll("k", 1, bulk("a"))

			if session, err := unix.Getsid(pid); err != nil || session != pid {
				t.Errorf("its session is %d, %v; want its own, %d", session, err, pid)
			}
			proc := fmt.Sprintf("/proc/%d/", pid)
			for fd := range 3 {
				if to, err := os.Readlink(proc + "fd/" + strconv.Itoa(fd)); err != nil || to != "/dev/null" {
					t.Errorf("descriptor %d is %s, %v", fd, to, err)
				}
			}
			if cwd, err := os.Readlink(proc + "cwd"); err != nil || cwd != dir {
				t.Errorf("its folder is %s, %v; want %s", cwd, err, dir)
			}
			if err := fileHas(filepath.Join(dir, "log"), fmt.Sprintf("started on pid %d", pid)); err != nil {
				t.Error(err)
			}
			if err := syscall.Kill(pid, test.signal); err != nil {
				t.Fatal(err)
			}
			if code := exitOf(t, pid); code != test.exitCode {
				t.Errorf("exit code %d, want %d", code, test.exitCode)
			}
			wantNoFile(t, filepath.Join(dir, "pid"))
			if log, err := os.ReadFile(filepath.Join(dir, "log")); err != nil || strings.Contains(string(log), "DATA RACE") {
				t.Errorf("the log is %s, %v", log, err)
			}
		})
	}
}

// The daemon minds signals from the moment that it says it is at work.
func TestSignalRightAfterTheStart(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	path := filepath.Join(dir, "sock")
	writeFile(t, dir, "nutmeg.yml", strings.Replace(poolConf("redis: true", "127.0.0.1:1 a"), "{listen}", path, 1))
	stats := strconv.Itoa(testkit.FreePort(t))
	for range 10 {
		pid := startDetached(t, dir, "-c", "nutmeg.yml", "-o", "log", "-s", stats, "-a", "127.0.0.1")
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if code := exitOf(t, pid); code != 0 {
			t.Errorf("exit code %d, want 0", code)
		}
		wantNoFile(t, filepath.Join(dir, "pid"))
		wantNoFile(t, path)
	}
}

// With -d a broken configuration is told at once, where twemproxy ends with 0 and says nothing.
func TestDaemonizeWithABrokenConfiguration(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	writeFile(t, dir, "bad.yml", badConf)
	_, stderr, exitCode := runNutmeg(t, dir, "-d", "-c", "bad.yml", "-p", "pid", "-o", "log")
	if exitCode != 1 || !strings.HasPrefix(stderr, "nutmeg: "+faultsOfBadConf) {
		t.Errorf("exit code %d:\n%s", exitCode, stderr)
	}
	wantNoFile(t, filepath.Join(dir, "pid"))
}

// limitFiles sets a running daemon's limit of open files. From the limit that it starts with follows how many clients it
// takes at most, so that it does not come to this by itself.
func limitFiles(t *testing.T, pid, files int) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = uint64(files)
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		t.Fatal(err)
	}
}

// cpuTime is the processor time that a process has used.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	ticks := 0
	for _, field := range fields[11:13] { // utime and stime
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// Without descriptors the daemon serves the clients that it has, rests, and takes the others when it can.
func TestOutOfDescriptors(t *testing.T) {
	t.Parallel()
	const limit = 40
	a := serveScript(t, sayName("a"))
	addr := "127.0.0.1:" + strconv.Itoa(testkit.FreePort(t))
	conf := strings.Replace(poolConf("redis: true\ntimeout: 20000", a.addr+" a"), "{listen}", addr, 1)
	p := testkit.Proxy(t, nutmegBinary(t), conf)
	limitFiles(t, p.PID(), limit)
	start := time.Now()

	clients := make([]*rawConn, limit+10)
	for i := range clients {
		clients[i] = dial(t, addr)
		clients[i].send(request("PING"))
	}
	// The second line comes when descriptors have been short for a second: what the start had open for a moment is closed.
	eventually(t, "the log to tell", func() error {
		if !strings.Contains(p.Log(), `cause="too many open files" more_since_last=`) {
			return fmt.Errorf("the log is:\n%s", p.Log())
		}
		return nil
	})
	served := clients[0]
	served.want("+PONG\r\n")
	if got := served.ask("GET", "k"); got != "-ERR Too many open files\r\n" {
		t.Errorf("GET without a descriptor for the server: %q", got)
	}
	last := clients[len(clients)-1]
	before := cpuTime(t, p.PID())
	const span = time.Second
	last.wantSilence(span)
	if used := cpuTime(t, p.PID()) - before; used > span/4 {
		t.Errorf("the daemon used %v of processor time within %v of waiting", used, span)
	}
	served.send(request("PING"))
	served.want("+PONG\r\n")

	for _, c := range clients[1 : len(clients)-1] {
		c.close()
	}
	last.want("+PONG\r\n")
	for _, c := range []*rawConn{served, last} {
		if got := c.ask("GET", "k"); got != bulk("a") {
			t.Errorf("GET after all: %q", got)
		}
	}
	text, err := readStats(p.StatsAddr())
	if err != nil {
		t.Fatal(err)
	}
	st, err := parseStats(text)
	if err != nil {
		t.Fatalf("the statistics do not come back: %v: %q", err, text)
	}
	if st.Pools["alpha"].Counters["accept_failed"] == 0 {
		t.Error("accept_failed is 0")
	}
	if lines, most := strings.Count(p.Log(), "cannot accept clients"), 1+int(time.Since(start)/time.Second); lines > most {
		t.Errorf("%d lines in the log within %v", lines, time.Since(start))
	}
	p.Terminate()
	if strings.Contains(p.Log(), "DATA RACE") || strings.Contains(p.Log(), "panic") {
		t.Error("the daemon did not end well")
	}
}

// The statistics port, too, rests without descriptors.
func TestStatsPortOutOfDescriptors(t *testing.T) {
	t.Parallel()
	const limit = 40
	addr := "127.0.0.1:" + strconv.Itoa(testkit.FreePort(t))
	p := testkit.Proxy(t, nutmegBinary(t), strings.Replace(poolConf("redis: true", "127.0.0.1:1 a"), "{listen}", addr, 1))
	limitFiles(t, p.PID(), limit)
	var clients []*rawConn
	for range limit {
		clients = append(clients, dial(t, addr))
	}
	eventually(t, "the log to tell", func() error {
		if !strings.Contains(p.Log(), "cannot accept clients for a moment") {
			return fmt.Errorf("the log is:\n%s", p.Log())
		}
		return nil
	})
	const span = time.Second
	var reader *rawConn
	for {
		// Those that have asked whether the daemon listens may leave a descriptor or two: then a reader gets its answer.
		reader = dial(t, p.StatsAddr())
		before := cpuTime(t, p.PID())
		_ = reader.conn.SetReadDeadline(time.Now().Add(span))
		_, err := reader.r.Peek(1)
		if used := cpuTime(t, p.PID()) - before; used > span/4 {
			t.Errorf("the daemon used %v of processor time within %v of waiting", used, span)
		}
		if err != nil {
			break
		}
		reader.close()
		clients = append(clients, dial(t, addr))
	}
	_ = reader.conn.SetReadDeadline(time.Now().Add(patience))
	for _, c := range clients {
		c.close()
	}
	if line := reader.line(); !strings.HasPrefix(line, `{"service":"nutmeg"`) {
		t.Errorf("got %q", line)
	}
}

// A star is all interfaces, of both families.
func TestListenOnAllInterfaces(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	port := strconv.Itoa(testkit.FreePort(t))
	writeFile(t, dir, "nutmeg.yml", strings.Replace(poolConf("redis: true", "127.0.0.1:1 a"), "{listen}", `"*:`+port+`"`, 1))
	pid := startDetached(t, dir, "-c", "nutmeg.yml", "-o", "log", "-s", strconv.Itoa(testkit.FreePort(t)), "-a", "127.0.0.1")
	hosts := []string{"127.0.0.1", "127.0.0.2"}
	if _, err := os.Stat("/proc/net/if_inet6"); err == nil {
		hosts = append(hosts, "[::1]")
	}
	for _, host := range hosts {
		if got := dial(t, host+":"+port).ask("PING"); got != "+PONG\r\n" {
			t.Errorf("%s: got %q", host, got)
		}
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := exitOf(t, pid); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}
