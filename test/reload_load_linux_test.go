package test

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/testkit"
)

// The long run of TestReloadsUnderLoad: "go test ./test -run ReloadsUnderLoad -reloads 100 -upgrades 10 -v" prints figures.
var (
	reloadCount  = flag.Int("reloads", 0, "how often TestReloadsUnderLoad reloads; 0: 24 times")
	upgradeCount = flag.Int("reload-upgrades", 2, "how often it upgrades in between")
)

// restlessConf writes a configuration that is another one at each step. Clients use alpha, beta and gamma; pool delta comes
// and goes, and nobody uses omega.
type restlessConf struct {
	redis, cache []string // addresses of servers
	alpha        [2]string
	beta, gamma  string
	delta, omega string
	socket       string
}

func (c *restlessConf) yaml(step int) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("nutmeg: {workers: 2, worker_busy: 5, drain_timeout: %d, client_connections: %d, max_memory: %dmb}", 10000+step, 5000+step, 512+step)

	line("alpha:\n  listen: %s\n  redis: true\n  backlog: %d", c.alpha[step/3%2], 512+step%5)
	line("  timeout: %d\n  server_connections: %d\n  tcpkeepalive: %v", 60000+step, 1+step/2%3, step%4 < 2)
	line("  client_buffer: %dkb\n  client_requests: %d\n  request_keys: %d\n  server_requests: %d", 16+step%7, 8+step%9, 100+step, 1000+step)
	line("  servers: [\"%s:1 s1\", \"%s:1 s2\"]", c.redis[0], c.redis[1])

	line("beta:\n  listen: %s\n  redis: true\n  client_idle_timeout: %d", c.beta, 600000+step)
	line("  servers: [\"%s:%d s1\", \"%s:%d s2\"]", c.redis[0], 1+step%4, c.redis[1], 1+step*7%5)

	line("gamma:\n  listen: %s\n  timeout: %d\n  preconnect: %v\n  request_timeout: %d", c.gamma, 60000+step, step%2 == 0, 60000+step)
	line("  servers: [\"%s:1 s1\", \"%s:1 s2\"]", c.cache[0], c.cache[1])

	if step%2 == 1 {
		line("delta:\n  listen: %s\n  redis: true\n  preconnect: true\n  servers: [\"%s:1\"]", c.delta, c.redis[step/2%2])
	}
	if step%6 > 2 {
		line("epsilon:\n  listen: %s 0%d\n  servers: [\"%s:1\"]", c.socket, 600+step%3*22, c.cache[0])
	}
	line("omega:\n  listen: %s\n  redis: true\n  preconnect: true\n  redis_db: %d\n  servers: [\"%s:1\"]", c.omega, step%5, c.redis[0])
	return b.String()
}

// TestReloadsUnderLoad: clients are served while everything around them changes again and again, their own pool's settings
// too, and now and then the process. No client sees an error or has to connect again.
func TestReloadsUnderLoad(t *testing.T) {
	reloads, upgrades := *reloadCount, *upgradeCount
	if reloads == 0 {
		t.Parallel()
		reloads = 24
	}
	conf := &restlessConf{
		redis: []string{testkit.Redis(t).Addr(), testkit.Redis(t).Addr()},
		cache: []string{testkit.Memcached(t, "-t", "1").Addr(), testkit.Memcached(t, "-t", "1").Addr()},
		alpha: [2]string{freeAddr(t), freeAddr(t)},
		beta:  freeAddr(t), gamma: freeAddr(t), delta: freeAddr(t), omega: freeAddr(t),
		socket: filepath.Join(shortDir(t), "s"),
	}
	l := startLineage(t, conf.yaml(0))
	loads := []*load{
		startLoad(t, loadOptions{addr: conf.alpha[0], dialect: &redisLoad, clients: 50, value: 300}),
		startLoad(t, loadOptions{addr: conf.beta, dialect: &redisLoad, clients: 20, loses: true, moves: true, keys: func(client int) []string {
			return named(fmt.Sprintf("beta%d.", client), 20) // the servers are those of alpha
		}}),
		startLoad(t, loadOptions{addr: conf.gamma, dialect: &memcacheLoad, clients: 10, value: 300}),
	}
	served := func(answers int64) {
		t.Helper()
		for _, load := range loads {
			load.more(answers)
		}
	}
	served(100)
	_ = l.ctl("status") // which builds the tool
	var longest time.Duration
	first := l.figuresOf(l.pid)
	start := time.Now()
	for step := 1; step <= reloads; step++ {
		before := time.Now()
		report := l.reload(conf.yaml(step))
		longest = max(longest, time.Since(before))
		if !strings.Contains(report, "pool alpha changes:") {
			t.Fatalf("step %d changes nothing of alpha:\n%s", step, report)
		}
		served(10)
		if upgrades > 0 && step%max(1, reloads/upgrades) == 0 {
			l.upgrade(t)
			served(10)
		}
		if step%max(1, reloads/12) == 0 {
			t.Logf("%6.1fs  step %d, process %d: %v", time.Since(start).Seconds(), step, l.pid, l.figuresOf(l.pid))
		}
	}
	// What is the same again costs the same again.
	l.reload(conf.yaml(0))
	served(100)
	eventually(t, "the descriptors of the first configuration", func() error {
		if now := l.figuresOf(l.pid); now.descriptors > first.descriptors+spareDescriptors {
			return fmt.Errorf("%v, had %v", now, first)
		}
		return nil
	})
	last := l.figuresOf(l.pid)
	if most := first.resident + first.resident/2 + 16<<20; last.resident > most && !raceEnabled {
		t.Errorf("%d bytes are resident, had %d", last.resident, first.resident)
	}
	t.Logf("%d reloads and %d upgrades in %v, the longest reload took %v\nfirst: %v\nlast:  %v", reloads, upgrades,
		time.Since(start).Round(time.Millisecond), longest.Round(time.Millisecond), first, last)
	for i, load := range loads {
		load.stop()
		t.Logf("%s: %v", []string{"alpha", "beta", "gamma"}[i], load)
	}
	if upgrades == 0 {
		l.wantReloads(int64(reloads)+1, 0)
	}
	wantNoFile(t, conf.socket)
	if line := lineWith(l.Log(), "client lost"); line != "" {
		t.Error(line)
	}
}

// spareDescriptors is for connections for large requests, and what is asked at the statistics port.
const spareDescriptors = 4
