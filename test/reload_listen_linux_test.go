package test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"nutmeg/internal/testkit"
)

// A pool that is removed answers what its clients have asked, and closes them then. Clients of other pools notice nothing.
func TestRemovedPoolAnswersFirst(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) {
			t.Parallel()
			g := newGate(t)
			held, other := serveScript(t, g.serve), serveScript(t, sayName("b"))
			going, staying := freeAddr(t), freeAddr(t)
			stays := fmt.Sprintf("nutmeg: {workers: %d, worker_busy: 0}\n", workers) + poolYAML("beta", staying, nil, other.addr+":1 b")
			n := startNutmeg(t, stays+poolYAML("alpha", going, nil, held.addr+":1 a"))
			var waiting, idle, others []*rawConn
			for range 6 {
				waiting, idle, others = append(waiting, dial(t, going)), append(idle, dial(t, going)), append(others, dial(t, staying))
			}
			for _, c := range waiting {
				c.send(request("GET", "first") + request("GET", "held") + request("GET", "last"))
			}
			for i := range others {
				others[i].wantAll("k", 1, bulk("b"))
				idle[i].wantAsk(pongReply, "PING")
			}
			n.waitPool("alpha", "the requests to be under way", func(p PoolStats) error {
				if p.Counters["client_connections"] != 12 || p.Sum("requests") < 18 {
					return fmt.Errorf("%v", p)
				}
				return nil
			})
			had := n.figuresAtRest()

			wantLines(t, n.reload(stays), "pool alpha is removed; its clients are closed when they have their responses", going+" is closed (pool alpha)")
			wantRefused(t, going)
			for _, c := range idle {
				c.wantClosed()
				c.close()
			}
			for _, c := range others {
				c.wantAll("k", 1, bulk("b"))
			}
			g.lift()
			for _, c := range waiting {
				c.want(bulk("first") + bulk("held") + bulk("last"))
				c.wantClosed()
				c.close()
			}
			had.descriptors -= 12 + 1 // clients, and the listener at least
			n.noMoreDescriptors(had)
			if n.Stats().Pools["alpha"].Counters != nil {
				t.Error("the statistics still have the pool")
			}

			// The same name again is another pool, and works.
			n.reload(stays + poolYAML("alpha", going, nil, held.addr+":1 a"))
			dial(t, going).wantAll("k", 1, bulk("k"))
		})
	}
}

// A listener may pass to another pool, and a pool take another listener: clients that are there stay with their pool.
func TestListenersChangeHands(t *testing.T) {
	t.Parallel()
	a, b := serveScript(t, sayName("a")), serveScript(t, sayName("b"))
	one, two, three := freeAddr(t), freeAddr(t), freeAddr(t)
	conf := func(alpha, beta string) string {
		return "nutmeg: {workers: 2, worker_busy: 0}\n" + poolYAML("alpha", alpha, nil, a.addr+":1 a") + poolYAML("beta", beta, nil, b.addr+":1 b")
	}
	n := startNutmeg(t, conf(one, two))
	var early []*rawConn
	for range 4 {
		early = append(early, dial(t, one))
	}
	stay := func() {
		t.Helper()
		for _, c := range early {
			c.wantAll("k", 1, bulk("a"))
		}
	}
	stay()
	wantLines(t, n.reload(conf(two, one)), one+" passes from pool alpha to pool beta", two+" passes from pool beta to pool alpha")
	stay()
	dial(t, one).wantAll("k", 1, bulk("b"))
	dial(t, two).wantAll("k", 1, bulk("a"))

	wantLines(t, n.reload(conf(three, one)), two+" is closed (pool alpha)", three+" is opened (pool alpha)")
	stay()
	wantRefused(t, two)
	dial(t, three).wantAll("k", 1, bulk("a"))

	// Another name is another pool: its clients come anew.
	report := n.reload(strings.Replace(conf(three, one), "alpha:", "omega:", 1))
	wantLines(t, report, three+" passes from pool alpha to pool omega")
	for _, c := range early {
		c.wantClosed()
	}
	c := dial(t, three)
	c.wantAll("k", 1, bulk("a"))
	n.waitPool("omega", "one client", func(p PoolStats) error { return p.want(map[string]int64{"client_connections": 1}) })
}

// A pool that goes over to the other protocol closes its clients, since they speak the old one.
func TestPoolChangesItsProtocol(t *testing.T) {
	t.Parallel()
	a := serveScript(t, sayName("a"))
	at := freeAddr(t)
	conf := poolYAML("alpha", at, nil, a.addr+":1 a")
	n := startNutmeg(t, conf)
	c := dial(t, at)
	c.wantAll("k", 1, bulk("a"))
	wantLines(t, n.reload(strings.Replace(conf, "redis: true", "redis: false", 1)), "redis: true -> false (its clients are closed when they have their responses)")
	c.wantClosed()
	other := dial(t, at)
	other.send("unknown\r\n")
	other.want("ERROR\r\n")
}

// An address that another process has makes the reload fail as a whole.
func TestReloadToAnAddressInUse(t *testing.T) {
	t.Parallel()
	a, b := serveScript(t, sayName("a")), serveScript(t, sayName("b"))
	at, free := freeAddr(t), freeAddr(t)
	n := startNutmeg(t, "nutmeg: {workers: 1}\n"+poolYAML("alpha", at, nil, a.addr+":1 only"))
	c := dial(t, at)
	c.wantAll("k", 1, bulk("a"))
	had := n.figuresAtRest()
	occupied := filepath.Join(shortDir(t), "s")
	l, err := net.Listen("unix", occupied)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for _, test := range []struct{ name, addr, want string }{
		{"a port", b.addr, "address already in use"},
		{"a unix socket", occupied, "address already in use"},
		{"a file", writeFile(t, t.TempDir(), "precious", "text"), ""},
		{"a folder that is not there", "/nonexistent/folder/s", "no such file"},
		{"an address of another machine", "192.0.2.1:6379", "cannot assign requested address"},
	} {
		_, failed := n.reloads()
		complaint := n.reloadFails(poolYAML("alpha", at, nil, b.addr+":1 only") +
			poolYAML("beta", free, nil, b.addr+":1 b") + poolYAML("gamma", test.addr, nil, b.addr+":1 c"))
		wantLines(t, complaint, "cannot listen on "+test.addr+" (pool gamma): ", test.want, "change \"listen\"")
		c.wantAll("k", 1, bulk("a"))
		other := dial(t, at)
		other.wantAll("k", 1, bulk("a"))
		other.close()
		wantRefused(t, free)
		n.wantReloads(0, failed+1)
		if strings.HasSuffix(test.addr, "precious") {
			if text, err := os.ReadFile(test.addr); string(text) != "text" {
				t.Errorf("the file is %q, %v", text, err)
			}
		}
	}
	if conn, err := net.Dial("unix", occupied); err != nil {
		t.Errorf("the socket of the other process: %v", err)
	} else {
		_ = conn.Close()
	}
	n.noMoreDescriptors(had)
}

// A unix socket comes and goes, and changes its mode and backlog in place.
func TestReloadOfUnixSockets(t *testing.T) {
	t.Parallel()
	a := serveScript(t, sayName("a"))
	at, path := freeAddr(t), filepath.Join(shortDir(t), "s")
	tcp := poolYAML("alpha", at, nil, a.addr+":1 a")
	both := func(mode string, backlog int) string {
		return tcp + poolYAML("beta", path+mode, []string{fmt.Sprintf("backlog: %d", backlog)}, a.addr+":1 a")
	}
	n := startNutmeg(t, tcp)
	had := n.figuresAtRest()

	wantLines(t, n.reload(both(" 0600", 512)), path+" is opened (pool beta)")
	wantMode(t, path, 0o600)
	c := dial(t, path)
	c.wantAll("k", 1, bulk("a"))
	before, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}

	wantLines(t, n.reload(both(" 0666", 1)), "listen: "+path+" 0600 -> "+path+" 0666", "backlog: 512 -> 1")
	wantMode(t, path, 0o666)
	if now, err := os.Lstat(path); err != nil || !os.SameFile(before, now) {
		t.Errorf("the socket was made anew: %v", err)
	}
	c.wantAll("k", 1, bulk("a"))
	if got := n.backlog(path); got > 2 {
		t.Errorf("%d clients wait at a backlog of 1", got)
	}
	n.reload(both(" 0666", 20))
	if got := n.backlog(path); got < 20 || got > 21 {
		t.Errorf("%d clients wait at a backlog of 20", got)
	}
	c.wantAll("k", 1, bulk("a"))

	wantLines(t, n.reload(tcp), path+" is closed (pool beta)")
	c.wantClosed()
	c.close()
	wantNoFile(t, path)
	n.reload(both("", 512))
	dial(t, path).wantAll("k", 1, bulk("a"))
	n.reload(tcp)
	wantNoFile(t, path)
	n.noMoreDescriptors(had)
}

func wantMode(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if info, err := os.Lstat(path); err != nil || info.Mode() != os.ModeSocket|mode {
		t.Errorf("%s is %v, %v; want a socket of mode %v", path, info, err, mode)
	}
}

// backlog is how many clients, 100 at most, can connect to a unix socket while the daemon stands still.
func (n *Nutmeg) backlog(path string) (count int) {
	n.t.Helper()
	n.Signal(syscall.SIGSTOP)
	defer n.Signal(syscall.SIGCONT)
	eventually(n.t, "the daemon to stand still", func() error { return testkit.StandsStill(n.PID()) })
	for range 100 {
		conn, err := net.Dial("unix", path)
		if errors.Is(err, syscall.EAGAIN) {
			return count
		}
		if err != nil {
			n.t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		count++
	}
	return count
}
