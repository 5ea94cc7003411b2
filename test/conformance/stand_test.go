package conformance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"nutmeg/internal/testkit"
)

// A stand is all that cases are run at, by one goroutine: a server, the same once more, and pools of one and of three
// servers. Several stands work side by side.
type stand struct {
	direct *target
	others []*target // in the order of targetNames
}

// targetNames are the places that are compared with a server. The first is another server: a difference there means that a
// rule is missing, and that the other results mean nothing.
var targetNames = []string{"again", "one", "three"}

// dialect is what Redis and memcached differ in here.
type dialect struct {
	redis    bool
	password string
	start    func(args ...string) (*testkit.Process, error)
	args     []string // for the servers
	refusals []*regexp.Regexp
}

// buildStands starts the servers of some stands, and one proxy for all of them.
func buildStands(t testing.TB, d dialect, count int) []*stand {
	t.Helper()
	all := make([]*stand, count)
	var conf strings.Builder
	for i := range all {
		all[i] = d.servers(t, i, &conf)
	}
	startProxy(t, conf.String())
	return all
}

// servers starts the servers of a stand and describes its pools.
func (d dialect) servers(t testing.TB, number int, conf *strings.Builder) *stand {
	t.Helper()
	direct, alone := d.server(t), d.server(t)
	trio := []*testkit.Process{d.server(t), d.server(t), d.server(t)}
	return &stand{
		direct: d.plain("direct", direct),
		others: []*target{
			d.plain("again", alone),
			d.pool(t, fmt.Sprintf("one%d", number), conf, alone),
			d.pool(t, fmt.Sprintf("three%d", number), conf, trio...),
		},
	}
}

// server starts a server for t. Its log is not printed when t fails: there are many, and they say nothing.
func (d dialect) server(t testing.TB) *testkit.Process {
	t.Helper()
	args := d.args
	if d.password != "" {
		args = append(args, "--requirepass", d.password)
	}
	p, err := d.start(args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func (d dialect) plain(name string, p *testkit.Process) *target {
	return &target{name: name, addr: p.Addr(), password: d.password, processes: []*testkit.Process{p}}
}

func (d dialect) pool(t testing.TB, name string, conf *strings.Builder, servers ...*testkit.Process) *target {
	t.Helper()
	listen := fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))
	fmt.Fprintf(conf, "%s:\n  listen: %s\n  redis: %v\n  hash: fnv1a_64\n  distribution: ketama\n  hash_tag: \"{}\"\n", name, listen, d.redis)
	if d.password != "" {
		fmt.Fprintf(conf, "  redis_auth: %s\n", d.password)
	}
	conf.WriteString("  servers:\n")
	for i, p := range servers {
		fmt.Fprintf(conf, "   - %s:1 s%d\n", p.Addr(), i+1)
	}
	return &target{name: name, addr: listen, password: d.password, processes: servers, refusals: d.refusals}
}

// startProxy starts the daemon. When t ends, its log is searched for what must not be there.
func startProxy(t testing.TB, conf string) {
	t.Helper()
	binary, err := buildNutmeg()
	if err != nil {
		t.Fatal(err)
	}
	p := testkit.Proxy(t, binary, conf)
	t.Cleanup(func() {
		p.Terminate()
		log := p.Log()
		for _, bad := range []string{"DATA RACE", "panic", "fatal error", "BUG:"} {
			if strings.Contains(log, bad) {
				t.Errorf("nutmeg's log says %q:\n%s", bad, log[max(0, len(log)-4000):])
			}
		}
	})
}

// runAll runs the cases on the stands and returns a row of findings for each case, in the order of targetNames.
func runAll(t testing.TB, stands []*stand, count int, one func(s *stand, i int) ([]finding, error)) [][]finding {
	t.Helper()
	all := make([][]finding, count)
	next := make(chan int)
	var wg sync.WaitGroup
	for _, s := range stands {
		wg.Go(func() {
			for i := range next {
				found, err := one(s, i)
				if err != nil {
					t.Error(err)
				}
				all[i] = found
			}
		})
	}
	for i := range count {
		next <- i
	}
	close(next)
	wg.Wait()
	return all
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
	if output, err := exec.Command("go", append(args, "nutmeg/cmd/nutmeg")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build nutmeg: %w\n%s", err, output)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	// A daemon built with the race detector sleeps for a second before it ends, in case another goroutine still reports.
	_ = os.Setenv("GORACE", "atexit_sleep_ms=20 "+os.Getenv("GORACE"))
	code := m.Run()
	if builtDir != "" {
		_ = os.RemoveAll(builtDir)
	}
	os.Exit(code)
}
