package test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// clientLibraries are the folders of what the scripts of other languages import.
var clientLibraries = map[string]func() (string, error){
	"python": sync.OnceValues(func() (string, error) { return obtainClients("python") }),
	"node":   sync.OnceValues(func() (string, error) { return obtainClients("node") }),
}

// errUnobtainable says that this machine cannot have a library; the error around it says why.
var errUnobtainable = errors.New("cannot be had here")

func obtainClients(kind string) (folder string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute) // a registry may be slow the first time
	defer cancel()
	cmd := exec.CommandContext(ctx, "../scripts/install-test-clients.sh", kind)
	defer tie(cmd)()
	cmd.WaitDelay = time.Second // what it started may hold its output open
	output, err := cmd.CombinedOutput()
	said := strings.TrimSpace(string(output))
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 75 {
		return "", errors.Join(errUnobtainable, errors.New(said))
	}
	if err != nil {
		return "", errors.Join(err, errors.New(said))
	}
	return filepath.Abs(filepath.Join("../.cache/clients", kind))
}

// runForeign runs a script of testdata/clients against an address. The script judges by itself; it says "ok" at its end.
func runForeign(t *testing.T, kind, script, addr string, args ...string) {
	t.Helper()
	folder, err := clientLibraries[kind]()
	if errors.Is(err, errUnobtainable) {
		t.Skipf("NOT TESTED: %s: %v", script, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	path, err := filepath.Abs(filepath.Join("testdata/clients", script))
	if err != nil {
		t.Fatal(err)
	}
	program := map[string]string{"python": "python3", "node": "node"}[kind]
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append([]string{path, host, port}, args...)...)
	cmd.Dir = folder // node finds its modules from there
	cmd.Env = append(os.Environ(), "PYTHONPATH="+folder, "PYTHONDONTWRITEBYTECODE=1")
	defer tie(cmd)()
	output, err := cmd.CombinedOutput()
	said := strings.TrimSpace(string(output))
	if err != nil || !strings.HasSuffix(said, " ok") {
		t.Errorf("%s: %v\n%s", script, err, lastLines(said, 20))
	}
}

func TestRedisPy(t *testing.T) {
	t.Parallel()
	overServers(t, func(t *testing.T, b *redisBed) { runForeign(t, "python", "redis_py.py", b.Addr()) })
}

func TestIoredis(t *testing.T) {
	t.Parallel()
	overServers(t, func(t *testing.T, b *redisBed) {
		for _, protocol := range []string{"2", "3"} {
			runForeign(t, "node", "ioredis.mjs", b.Addr(), protocol)
		}
	})
}

func TestNodeRedis(t *testing.T) {
	t.Parallel()
	overServers(t, func(t *testing.T, b *redisBed) {
		for _, protocol := range []string{"2", "3"} {
			runForeign(t, "node", "node_redis.mjs", b.Addr(), protocol)
		}
	})
}

func TestPymemcache(t *testing.T) {
	t.Parallel()
	for _, servers := range []int{1, 3} {
		n, _ := startCaches(t, servers, "")
		runForeign(t, "python", "pymemcache_client.py", n.Addr())
	}
}
