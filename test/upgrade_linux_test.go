package test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"nutmeg/internal/testkit"
)

var upgrades = flag.Int("upgrades", 10, "how many processes take over one after the other under load")

// Processes one after the other serve the same clients, who notice nothing.
func TestUpgradeUnderLoad(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) {
			server, cache := testkit.Redis(t), testkit.Memcached(t)
			socket := filepath.Join(shortDir(t), "s")
			yaml := fmt.Sprintf("nutmeg:\n  workers: %d\n  worker_busy: 0\nalpha:\n  listen: {listen}\n  redis: true\n  servers: [\"%s:1\"]\n", workers, server.Addr())
			yaml += fmt.Sprintf("beta:\n  listen: %s 0666\n  redis: true\n  servers: [\"%s:1\"]\n", socket, server.Addr())
			yaml += fmt.Sprintf("gamma:\n  listen: {listen}\n  servers: [\"%s:1\"]\n", cache.Addr())
			l := startLineage(t, yaml)
			c := newCrowd(t)
			defer c.end()
			for i := range 100 {
				c.redis(l.Addr(), i)
			}
			for i := range 60 {
				c.redis(socket, 1000+i)
			}
			for i := range 40 {
				c.memcached(l.AddrOf(2), i)
			}
			c.library(l.Addr())
			for range *upgrades {
				c.served(300)
				l.upgrade(t)
				if t.Failed() {
					return
				}
			}
			c.served(300)
			if n := strings.Count(l.Log(), "all clients have moved to the new process"); n != *upgrades {
				t.Errorf("the log tells of %d upgrades", n)
			}
			if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o666 {
				t.Errorf("the unix socket: %v, %v", info, err)
			}
		})
	}
}

// holdRequests opens clients that wait for the gate, and returns when their requests are under way.
func (l *lineage) holdRequests(t testing.TB, count int) []*rawConn {
	t.Helper()
	clients := make([]*rawConn, count)
	for i := range clients {
		clients[i] = dial(t, l.Addr())
		clients[i].send(request("GET", "held"))
	}
	l.waitPool("alpha", "the requests to be under way", func(p PoolStats) error { return p.want(map[string]int64{"out_queue": int64(count)}) })
	return clients
}

// wantServing checks that everybody is served: clients that were there, and new ones.
func (l *lineage) wantServing(t testing.TB, clients ...*rawConn) {
	t.Helper()
	for _, c := range append(clients, dial(t, l.Addr())) {
		c.wantAsk(bulk("k"), "GET", "k")
	}
	if pid, err := l.pidInFile(); err != nil || pid != l.pid {
		t.Errorf("the pid file says %d, %v; want %d", pid, err, l.pid)
	}
	_ = l.Stats() // the port answers
}

// A new process that does not become ready leaves everything as it was.
func TestUpgradeThatFails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		program string // what lies in the program's place; "" is what lay there
		old     string // in the configuration becomes
		new     string
		want    string // in the log
	}{
		{"a bad configuration", "", "redis: true", "redos: true", "\"redos\" is not a pool key"},
		{"another address is taken", "", "alpha:", "omegas: {listen: \"{taken}\", servers: [\"127.0.0.1:1:1\"]}\nalpha:", "address already in use"},
		{"a program that ends", "#!/bin/sh\nexit 3\n", "", "", "the new process died before it was ready: exit status 3"},
		{"a program that hangs", "#!/bin/sh\nexec sleep 600\n", "", "", "was not ready within 1s, and was killed"},
		{"no program", "-", "", "", "no such file"},
		{"no program at all", "text", "", "", "exec format error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			program := filepath.Join(t.TempDir(), "nutmeg")
			copyFile(t, nutmegBinary(t), program)
			socket := filepath.Join(shortDir(t), "s")
			server := serveScript(t, newGate(t).serve)
			conf := strings.Replace(poolConf("redis: true", server.addr+" a"), "{listen}", socket, 1)
			conf = strings.Replace(conf, "nutmeg:\n", "nutmeg:\n  upgrade_timeout: 1000\n", 1)
			l := startLineageAt(t, program, conf)
			c := dial(t, l.Addr())
			l.wantServing(t, c)
			switch test.program {
			case "":
				changed := strings.Replace(test.new, "{taken}", server.addr, 1)
				writeFile(t, l.dir, "nutmeg.yml", strings.Replace(conf, test.old, changed, 1))
			case "-":
				_ = os.Remove(program)
			default:
				writeFile(t, l.dir, "program", test.program)
				if err := os.Chmod(l.path("program"), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(l.path("program"), program); err != nil {
					t.Fatal(err)
				}
			}
			l.Signal(syscall.SIGUSR2)
			l.waitLog("upgrade failed, this process goes on")
			if !strings.Contains(l.Log(), test.want) {
				t.Errorf("the log does not say %q", test.want)
			}
			l.wantServing(t, c)

			// What was wrong is mended, and the next attempt succeeds.
			writeFile(t, l.dir, "nutmeg.yml", conf)
			_ = os.Remove(program)
			copyFile(t, nutmegBinary(t), program)
			l.upgrade(t)
			l.wantServing(t, c)
		})
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A new process that dies, or hangs, before it has all clients: the old one serves again, and no client of its own is lost.
func TestSuccessorThatFails(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 2} {
		for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
			t.Run(fmt.Sprintf("%v with %d workers", sig, workers), func(t *testing.T) {
				t.Parallel()
				g := newGate(t)
				conf := workersConf(workers, "redis: true", serveScript(t, g.serve).addr+" a")
				l := startLineage(t, strings.Replace(conf, "nutmeg:\n", "nutmeg:\n  upgrade_timeout: 3000\n", 1))
				clients := l.holdRequests(t, 50)
				first := l.pid
				l.startUpgrade(t)
				l.waitLog("a new process has taken over")
				l.Signal(syscall.SIGUSR2)
				l.waitLog("no upgrade: one is under way")
				if err := syscall.Kill(l.pid, sig); err != nil {
					t.Fatal(err)
				}
				if sig == syscall.SIGSTOP {
					eventually(t, "the new process to stand still", func() error { return testkit.StandsStill(l.pid) })
					g.lift()
				}
				l.waitLog("this process serves again")
				g.lift()
				l.pid = first
				for _, c := range clients {
					c.want(bulk("held"))
				}
				eventually(t, "the pid file", func() error {
					if pid, err := l.pidInFile(); pid != first {
						return fmt.Errorf("%d, %w", pid, err)
					}
					return nil
				})
				l.wantServing(t, clients...)
				l.upgrade(t)
				l.wantServing(t, clients...)
			})
		}
	}
}

// Whoever of the two is told to stop while clients move, stops; those that still wait get their responses.
func TestStopWhileClientsMove(t *testing.T) {
	t.Parallel()
	for _, who := range []string{"the old process", "the new process"} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			g := newGate(t)
			l := startLineage(t, poolConf("redis: true", serveScript(t, g.serve).addr+" a"))
			idle := dial(t, l.Addr())
			idle.wantAsk(bulk("k"), "GET", "k")
			waiting := l.holdRequests(t, 3)
			first := l.pid
			l.startUpgrade(t)
			l.waitLog("a new process has taken over")
			told := l.pid
			if who == "the old process" {
				told = first
			}
			if err := syscall.Kill(told, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			l.waitLog("signal 15 (SIGTERM)")
			if who == "the new process" {
				idle.wantGone()
				idle.close()
				eventually(t, "the new process to end", func() error { // which its parent, the old one, learns of
					if err := syscall.Kill(told, 0); !errors.Is(err, syscall.ESRCH) {
						return fmt.Errorf("process %d: %w", told, err)
					}
					return nil
				})
				l.pid = first
			}
			g.lift()
			for _, c := range waiting {
				c.want(bulk("held"))
			}
			l.wantEnd(t, first)
			if who == "the old process" {
				l.wantServing(t, append(waiting, idle)...)
				return
			}
			for _, c := range waiting {
				c.wantGone()
			}
			wantNoFile(t, l.path("pid"))
			l.pid = l.PID()
		})
	}
}

// A client whose response never comes does not keep the old process, and with it the next upgrade, for ever.
func TestUpgradeEndsWithoutTheLast(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	conf := workersConf(2, "redis: true", serveScript(t, g.serve).addr+" a")
	l := startLineage(t, strings.Replace(conf, "nutmeg:\n", "nutmeg:\n  upgrade_timeout: 2000\n", 1))
	idle := dial(t, l.Addr())
	idle.wantAsk(bulk("k"), "GET", "k")
	waiting := l.holdRequests(t, 1)
	l.upgrade(t)
	waiting[0].wantGone()
	idle.wantAsk(bulk("k"), "GET", "k")
	l.upgrade(t)
	l.wantServing(t, idle)
	g.lift()
}

// What a client has said before the upgrade counts after it: its password, the half of a request.
func TestClientStateMoves(t *testing.T) {
	t.Parallel()
	server := serveScript(t, newGate(t).serve)
	l := startLineage(t, poolConf("redis: true\nredis_auth: sesame", server.addr+" a"))
	known, stranger, halfway := dial(t, l.Addr()), dial(t, l.Addr()), dial(t, l.Addr())
	known.wantAsk(okReply, "AUTH", "sesame")
	halfway.wantAsk(okReply, "AUTH", "sesame")
	whole := request("GET", strings.Repeat("k", 3000))
	halfway.send(whole[:1000])
	for range 2 {
		l.upgrade(t)
		known.wantAsk(bulk("k"), "GET", "k")
		stranger.wantAsk("-NOAUTH Authentication required.\r\n", "GET", "k")
	}
	halfway.send(whole[1000:])
	halfway.want(bulk(strings.Repeat("k", 3000)))
}

// A daemon stays one: the new process does not leave the session that it is born into.
func TestUpgradeOfADetachedDaemon(t *testing.T) {
	t.Parallel()
	server := serveScript(t, newGate(t).serve)
	dir, addr := shortDir(t), "127.0.0.1:"+strconv.Itoa(testkit.FreePort(t))
	writeFile(t, dir, "nutmeg.yml", strings.Replace(poolConf("redis: true", server.addr+" a"), "{listen}", addr, 1))
	pid := startDetached(t, dir, "-c", "nutmeg.yml", "-o", "log", "-s", strconv.Itoa(testkit.FreePort(t)), "-a", "127.0.0.1")
	c := dial(t, addr)
	for range 2 {
		c.wantAsk(bulk("k"), "GET", "k")
		if err := syscall.Kill(pid, syscall.SIGUSR2); err != nil {
			t.Fatal(err)
		}
		if code := exitOf(t, pid); code != 0 {
			t.Errorf("exit code %d", code)
		}
		text, err := os.ReadFile(filepath.Join(dir, "pid"))
		if err != nil {
			t.Fatal(err)
		}
		if pid, err = strconv.Atoi(string(text)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	}
	c.wantAsk(bulk("k"), "GET", "k")
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := exitOf(t, pid); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
