package main

import (
	"bytes"
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
	"sync"
	"syscall"
	"testing"
	"time"

	"nutmeg/internal/testkit"
)

// demoWithin is generous: machines that test many things at once are slow.
const demoWithin = time.Minute

// programs builds nutmeg and nutmegctl once, into a folder that TestMain removes.
var programs = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "nutmegctl-test-"); err != nil {
		return "", err
	}
	builtDir = dir
	out, err := exec.Command("go", "build", "-o", dir, "nutmeg/cmd/nutmeg", "nutmeg/cmd/nutmegctl").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, nil
})

var builtDir string

func TestMain(m *testing.M) {
	code := m.Run()
	if builtDir != "" {
		_ = os.RemoveAll(builtDir)
	}
	os.Exit(code)
}

func built(t *testing.T, name string) string {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// The demo, run as a user does: as a process, ended by Ctrl-C.
func TestDemo(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			temp, port := t.TempDir(), testkit.FreePort(t)
			cmd := exec.Command(built(t, "nutmegctl"), "demo", "--port", strconv.Itoa(port))
			cmd.Env = append(os.Environ(), "TMPDIR="+temp)
			var output lockedBuffer
			cmd.Stdout, cmd.Stderr = &output, &output
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = cmd.Process.Kill() }()
			waitFor(t, &output, "Ctrl-C ends the demo.")

			pid := number(t, output.String(), `as process (\d+)`)
			checkDemo(t, port, output.String())
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			late := time.AfterFunc(demoWithin, func() { _ = cmd.Process.Kill() })
			defer late.Stop()
			if err := cmd.Wait(); err != nil {
				t.Errorf("the demo ends with %v, want exit code 0; it printed\n%s", err, output.String())
			}
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("nutmeg is still there: signal 0 to process %d gives %v", pid, err)
			}
			if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
				t.Errorf("the demo leaves %v behind (%v)", left, err)
			}
		})
	}
}

// checkDemo does what the demo tells its user to do.
func checkDemo(t *testing.T, port int, text string) {
	t.Helper()
	p := strconv.Itoa(port)
	for _, step := range []struct{ words, want string }{
		{"set greeting hello", "OK\n"},
		{"get greeting", "\"hello\"\n"},
		{"mset a 1 b 2 c 3", "OK\n"},
		{"mget a b c", "1) \"1\"\n2) \"2\"\n3) \"3\"\n"},
	} {
		got := call(t, append([]string{"exec", "-p", p}, strings.Fields(step.words)...)...)
		if got != (outcome{stdout: step.want}) {
			t.Errorf("%s gives %+v", step.words, got)
		}
		if !strings.Contains(text, "-p "+p+" "+step.words+"\n") {
			t.Errorf("the demo does not tell of %q; it printed\n%s", step.words, text)
		}
	}
	where := regexp.MustCompile(`where -c (\S+) (.*)`).FindStringSubmatch(text)
	if where == nil {
		t.Fatalf("the demo does not tell of where; it printed\n%s", text)
	}
	got := call(t, append([]string{"where", "-c", where[1]}, strings.Fields(where[2])...)...)
	for _, server := range []string{"shard1", "shard2", "shard3"} {
		if !strings.Contains(got.stdout, server) {
			t.Errorf("no key of the demo is on %s: %+v", server, got)
		}
	}
}

func TestDemoTakesAnotherPortIfTheDefaultIsTaken(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	if l, err := net.Listen("tcp", loopback(defaultPort)); err == nil {
		defer func() { _ = l.Close() }() // else another program has it, which does as well
	}
	ctx, cancel := context.WithTimeout(t.Context(), demoWithin)
	defer cancel()
	var stdout, stderr lockedBuffer
	p := program{name: "nutmegctl", stdout: &stdout, stderr: &stderr}
	code := make(chan int)
	go func() { code <- p.run(ctx, []string{"demo", "--nutmeg", built(t, "nutmeg")}) }()
	waitFor(t, &stdout, "Ctrl-C ends the demo.")
	other := number(t, stdout.String(), fmt.Sprintf(`Port %d is taken by another process, so the demo uses (\d+)\.`, defaultPort))
	if got := call(t, "exec", "-p", strconv.Itoa(other), "set", "k", "v"); got.stdout != "OK\n" {
		t.Errorf("exec gives %+v", got)
	}
	cancel()
	if got := <-code; got != 0 || stderr.String() != "" {
		t.Errorf("exit code %d, stderr %q", got, stderr.String())
	}
}

func TestDemoRefuses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	taken := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("PATH", "")
	for _, test := range []struct {
		rule string
		args []string
		want string
	}{
		{"a port that was asked for and is taken", []string{"--nutmeg", "nutmeg", "--port", taken}, "the port is taken"},
		{"to start without nutmeg", nil, `run "make build"`},
		{"a program that is none", []string{"--nutmeg", "./nobody"}, "cannot start nutmeg"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			got := call(t, append([]string{"demo"}, test.args...)...)
			if got.code != 1 || !strings.Contains(got.stderr, test.want) {
				t.Errorf("got %+v", got)
			}
		})
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Errorf("the demo leaves %v behind (%v)", left, err)
	}
}

// number returns what the group of pattern matches in text.
func number(t *testing.T, text, pattern string) int {
	t.Helper()
	match := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("no %q in\n%s", pattern, text)
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// waitFor returns when text has been written to b.
func waitFor(t *testing.T, b *lockedBuffer, text string) {
	t.Helper()
	deadline := time.After(demoWithin)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(b.String(), text) {
		select {
		case <-deadline:
			t.Fatalf("%q is not printed in %v, but\n%s", text, demoWithin, b.String())
		case <-tick.C:
		}
	}
}

// lockedBuffer is a buffer for any goroutine.
type lockedBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
