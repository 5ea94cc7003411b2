package test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"nutmeg/internal/testkit"
)

// buildCtl builds nutmegctl beside the daemon, once for all tests of a run.
var buildCtl = sync.OnceValues(func() (path string, err error) {
	daemon, err := buildNutmeg()
	if err != nil {
		return "", err
	}
	path = filepath.Join(filepath.Dir(daemon), "nutmegctl")
	args := []string{"build", "-o", path}
	if raceEnabled {
		args = append(args, "-race")
	}
	if output, err := exec.Command("go", append(args, "nutmeg/cmd/nutmegctl")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build nutmegctl: %w\n%s", err, output)
	}
	return path, nil
})

// outcome is what a program printed, and how it ended.
type outcome struct {
	stdout, stderr string
	code           int
}

// runCtl runs nutmegctl.
func runCtl(t testing.TB, args ...string) outcome {
	t.Helper()
	path, err := buildCtl()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	defer tie(cmd)()
	failure := cmd.Run()
	if exit := (*exec.ExitError)(nil); failure != nil && !errors.As(failure, &exit) || ctx.Err() != nil {
		t.Fatalf("nutmegctl %q: %v", args, failure)
	}
	return outcome{out.String(), complaints.String(), cmd.ProcessState.ExitCode()}
}

// ctl runs one of nutmegctl's commands against the daemon.
func (n *Nutmeg) ctl(command string, args ...string) outcome {
	n.t.Helper()
	return runCtl(n.t, slices.Concat([]string{command, "-s", n.statsAddr}, args)...)
}

// rewrite puts another configuration in the place of the daemon's file, as editors do it: by a rename.
func (n *Nutmeg) rewrite(yaml string) {
	n.t.Helper()
	if err := os.WriteFile(n.path("next.yml"), []byte(yaml), 0o600); err != nil {
		n.t.Fatal(err)
	}
	if err := os.Rename(n.path("next.yml"), n.path("nutmeg.yml")); err != nil {
		n.t.Fatal(err)
	}
}

// reload puts a configuration in force, which has to succeed, and returns what has changed.
func (n *Nutmeg) reload(yaml string) (report string) {
	n.t.Helper()
	n.rewrite(yaml)
	got := n.ctl("reload")
	if got.code != 0 || got.stderr != "" {
		n.t.Fatalf("reload: exit code %d, it printed\n%s%s", got.code, got.stdout, got.stderr)
	}
	return got.stdout
}

// reloadFails is reload of a configuration that must be refused, and returns the reasons.
func (n *Nutmeg) reloadFails(yaml string) (complaint string) {
	n.t.Helper()
	n.rewrite(yaml)
	got := n.ctl("reload")
	if got.code != 1 || got.stdout != "" || got.stderr == "" {
		n.t.Fatalf("reload: exit code %d, it printed %q and complained %q", got.code, got.stdout, got.stderr)
	}
	return got.stderr
}

// reloads is what the daemon has counted: reloads that were done, and those that failed.
func (n *Nutmeg) reloads() (done, failed int64) {
	n.t.Helper()
	var counters struct {
		Done   int64 `json:"reloads"`
		Failed int64 `json:"reload_errors"`
	}
	if err := json.Unmarshal([]byte(n.Stats().Raw), &counters); err != nil {
		n.t.Fatal(err)
	}
	return counters.Done, counters.Failed
}

func (n *Nutmeg) wantReloads(done, failed int64) {
	n.t.Helper()
	if d, f := n.reloads(); d != done || f != failed {
		n.t.Errorf("%d reloads and %d errors are counted, want %d and %d", d, f, done, failed)
	}
}

// waitReloads waits until the daemon has counted so many.
func (n *Nutmeg) waitReloads(done, failed int64) {
	n.t.Helper()
	eventually(n.t, "reloads", func() error {
		if d, f := n.reloads(); d != done || f != failed {
			return fmt.Errorf("%d were done, %d failed; want %d and %d", d, f, done, failed)
		}
		return nil
	})
}

// wantLines checks that a text has each of some lines or parts of lines.
func wantLines(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
}

// freeAddr is an address for a listener of a configuration that is written more than once.
func freeAddr(t testing.TB) string {
	t.Helper()
	return "127.0.0.1:" + strconv.Itoa(testkit.FreePort(t))
}

// wantRefused checks that nobody listens at an address.
func wantRefused(t testing.TB, addr string) {
	t.Helper()
	if conn, err := net.DialTimeout(networkOf(addr), addr, patience); err == nil {
		_ = conn.Close()
		t.Errorf("somebody listens on %s", addr)
	}
}
