package test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"nutmeg/internal/testkit"
)

// poolYAML is the text of a Redis pool. Options are lines such as "timeout: 400", servers such as "127.0.0.1:1:1 a".
func poolYAML(name, listen string, options []string, servers ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:\n  listen: %s\n  redis: true\n", name, listen)
	for _, line := range options {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	b.WriteString("  servers:\n")
	for _, server := range servers {
		fmt.Fprintf(&b, "  - %s\n", server)
	}
	return b.String()
}

// The operator's way: look what would change, change it, be told. Clients stay.
func TestReloadByNutmegctl(t *testing.T) {
	t.Parallel()
	a, b := serveScript(t, sayName("a")), serveScript(t, sayName("b"))
	at, more := freeAddr(t), freeAddr(t)
	before := poolYAML("alpha", at, []string{"timeout: 4000"}, a.addr+":1 a")
	after := poolYAML("alpha", at, []string{"timeout: 5000"}, a.addr+":1 a", b.addr+":1 b") +
		poolYAML("beta", more, []string{"distribution: modula"}, b.addr+":1 b")
	n := startNutmeg(t, before)
	c := dial(t, at)
	c.wantAll("k", 1, bulk("a"))
	changes := []string{
		"pool alpha changes:\n  timeout: 4000 -> 5000\n  server b is added: " + b.addr + ", weight 1\n", " % of keys move: a -> b ",
		"pool beta is added: redis, 1 server, modula\n", "listeners:\n  " + more + " is opened (pool beta)\n",
	}

	got := n.ctl("plan", writeFile(t, t.TempDir(), "next.yml", after))
	if got.code != 0 || got.stderr != "" {
		t.Errorf("plan: %+v", got)
	}
	wantLines(t, got.stdout, changes...)
	wantRefused(t, more)
	n.wantReloads(0, 0)

	if report := n.reload(after); report != got.stdout {
		t.Errorf("the plan was\n%s\nthe reload says\n%s", got.stdout, report)
	}
	n.wantReloads(1, 0)
	wantLines(t, n.Log(), "configuration reloaded", "why=\"asked for at the stats port\"", "change:   timeout: 4000 -> 5000")
	dial(t, more).wantAll("k", 1, bulk("b"))
	if key := aKeyOf(c, "b"); key == "" {
		t.Error("no key is on the new server")
	}

	if report := n.reload(after); report != "Nothing changes.\n" {
		t.Errorf("the same file again: %q", report)
	}
	n.wantReloads(2, 0)
	status := n.ctl("status")
	wantLines(t, status.stdout, " 2 reloads, 0 failed reloads\n", "\nalpha  1        2        0 ", "\nbeta ")
}

// A file with faults changes nothing: all of them are printed, counted and logged.
func TestReloadOfABadFile(t *testing.T) {
	t.Parallel()
	a := serveScript(t, sayName("a"))
	at := freeAddr(t)
	good := poolYAML("alpha", at, nil, a.addr+":1 a")
	bad := poolYAML("alpha", at, []string{"timeout: -1", "hash: fnv"}, a.addr+":1 a", a.addr)
	n := startNutmeg(t, good)
	c := dial(t, at)
	faults := []string{":4:12: alpha.timeout: ", ":5:9: alpha.hash: ", ":8:5: alpha.servers[1]: "}

	got := n.ctl("plan", writeFile(t, t.TempDir(), "next.yml", bad))
	if got.code != 1 || got.stdout != "" {
		t.Errorf("plan of a bad file: %+v", got)
	}
	wantLines(t, got.stderr, faults...)
	n.wantReloads(0, 0)

	wantLines(t, n.reloadFails(bad), faults...)
	n.wantReloads(0, 1)
	wantLines(t, n.Log(), "cannot reload, the old configuration stays in force")
	wantLines(t, n.Log(), faults...)
	c.wantAll("k", 1, bulk("a"))

	if err := os.Remove(n.path("nutmeg.yml")); err != nil {
		t.Fatal(err)
	}
	if got := n.ctl("reload"); got.code != 1 || !strings.Contains(got.stderr, "no such file") {
		t.Errorf("reload without a file: %+v", got)
	}
	n.wantReloads(0, 2)
	c.wantAll("k", 1, bulk("a"))
	n.reload(good)
	n.wantReloads(1, 2)
	wantLines(t, n.ctl("status").stdout, " 1 reloads, 2 failed reloads\n")
}

// What answers, or does not, at the port where the daemon should be.
func TestNutmegctlWithoutADaemon(t *testing.T) {
	t.Parallel()
	nobody := freeAddr(t)
	server := testkit.Redis(t).Addr()
	conf := writeFile(t, t.TempDir(), "nutmeg.yml", poolYAML("alpha", freeAddr(t), nil, "127.0.0.1:1:1 a"))
	for _, test := range []struct{ name, addr, want string }{
		{"nobody", nobody, "cannot ask nutmeg at " + nobody + ": "},
		{"a redis-server", server, server},
		{"no address", "nonsense", "\"nonsense\" is not an address"},
	} {
		for _, command := range [][]string{{"reload"}, {"plan", conf}, {"status"}} {
			t.Run(test.name+" "+command[0], func(t *testing.T) {
				t.Parallel()
				got := runCtl(t, append([]string{command[0], "-s", test.addr}, command[1:]...)...)
				if got.code != 1 || got.stdout != "" || !strings.HasPrefix(got.stderr, "nutmegctl: ") || !strings.Contains(got.stderr, test.want) {
					t.Errorf("got %+v", got)
				}
			})
		}
	}
}

// A plan says which share of the keys moves and from where to where; a reload does not disturb the health of servers.
func TestPlanAndStatusOfServers(t *testing.T) {
	t.Parallel()
	a, b := serveScript(t, sayName("a")), serveScript(t, sayName("b"))
	at := freeAddr(t)
	conf := func(timeout int, servers ...string) string {
		return poolYAML("alpha", at, []string{
			"auto_eject_hosts: true", "server_failure_limit: 2", "server_retry_timeout: 3600000", fmt.Sprintf("timeout: %d", timeout),
		}, servers...)
	}
	n := startNutmeg(t, conf(5000, a.addr+":1 a", b.addr+":1 b"))
	c := dial(t, at)
	key := aKeyOf(c, "a")
	goDown(n, a, "a")
	c.wantAll(key, 2, refusedReply)
	c.wantAll(key, 1, bulk("b"))

	ejected := func() {
		t.Helper()
		got := n.ctl("status")
		row := lineWith(got.stdout, a.addr)
		if words := strings.Fields(row); got.code != 0 || len(words) < 11 || words[3] != "ejected" || words[9] != "1" {
			t.Errorf("the row of the ejected server is %q in\n%s%s", row, got.stdout, got.stderr)
		}
		wantLines(t, row, "Connection refused")
		wantLines(t, lineWith(got.stdout, b.addr), "  in  ")
		wantLines(t, got.stdout, "\nalpha  1        2        1    2       1\n")
	}
	ejected()
	n.reload(conf(6000, a.addr+":1 a", b.addr+":1 b"))
	ejected()
	c.wantAll(key, 1, bulk("b"))

	got := n.ctl("plan", writeFile(t, t.TempDir(), "next.yml", conf(6000, b.addr+":1 b")))
	wantLines(t, got.stdout, "server a is removed: "+a.addr, " % of keys move: a -> b ")
	got = n.ctl("plan", writeFile(t, t.TempDir(), "next.yml", conf(6000, a.addr+":3 a", b.addr+":1 b")))
	wantLines(t, got.stdout, "server a: weight 1 -> 3", " % of keys move: b -> a ")
	if strings.Contains(got.stdout, "a -> b ") {
		t.Errorf("a server that gets more weight loses keys:\n%s", got.stdout)
	}
}

// lineWith is the first line of a text that has a part.
func lineWith(text, part string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			return strings.TrimRight(line, "\n")
		}
	}
	return ""
}

// No output and no log holds a password, however it is written and whatever is wrong with it.
func TestPasswordsAreNotShown(t *testing.T) {
	t.Parallel()
	at := freeAddr(t)
	const secret = "sesame"
	conf := func(auth string) string { return poolYAML("alpha", at, []string{auth}, "127.0.0.1:1:1 a") }
	n := startNutmeg(t, conf("redis_auth: "+secret+"0"), "-v", "11")
	c := dial(t, at)
	c.wantAsk(okReply, "AUTH", secret+"0")
	var said strings.Builder
	try := func(yaml string, code int) (stdout string) {
		t.Helper()
		n.rewrite(yaml)
		for _, args := range [][]string{{"plan", n.path("nutmeg.yml")}, {"reload"}, {"status"}} {
			got := n.ctl(args[0], args[1:]...)
			said.WriteString(got.stdout + got.stderr)
			if args[0] != "status" && got.code != code {
				t.Errorf("%s with %q: %+v, want exit code %d", args[0], yaml, got, code)
			}
			stdout += got.stdout
		}
		return stdout
	}
	wantLines(t, try(conf("redis_auth: "+secret+"1"), 0), "redis_auth: (a password) -> (another password)")
	for _, auth := range []string{
		"redis_auth: *" + secret, "redis_auth: @" + secret, "redis_auth: %" + secret, "redis_auth: \"" + secret, "redis_auth: \"\\z" + secret + "\"",
		"redis_auth: [" + secret + "]", "redis_auth: {" + secret + ": 1}", "redis_auth: &" + secret, "redis_auth: !" + secret,
		"redis_auht: " + secret, "redis_auth: " + secret + ": 1", "redis_auth: a\n  redis_auth: " + secret, "redis_auth: " + secret + "\n  timeout: x",
	} {
		try(conf(auth), 1)
	}
	try("nutmeg: {redis_auth: "+secret+"}\n"+conf("timeout: 1"), 1)
	try(strings.Replace(conf("redis_auth: "+secret), "redis: true", "redis: false", 1), 1)
	wantLines(t, try(conf("timeout: 500"), 0), "redis_auth: (a password) -> (not set)")
	for _, text := range []string{said.String(), n.Log(), n.Stats().Raw} {
		if line := lineWith(text, secret); line != "" {
			t.Errorf("the password is in %q", line)
		}
	}
}

func TestReloadBySignal(t *testing.T) {
	t.Parallel()
	a, b := serveScript(t, sayName("a")), serveScript(t, sayName("b"))
	at := freeAddr(t)
	n := startNutmeg(t, poolYAML("alpha", at, nil, a.addr+":1 only"))
	c := dial(t, at)
	c.wantAll("k", 1, bulk("a"))
	n.rewrite(poolYAML("alpha", at, nil, b.addr+":1 only"))
	n.Signal(syscall.SIGUSR1)
	n.waitReloads(1, 0)
	c.wantAll("k", 1, bulk("b"))
	wantLines(t, n.Log(), "why=SIGUSR1")
	n.rewrite("alpha: 1\n")
	n.Signal(syscall.SIGUSR1)
	n.waitReloads(1, 1)
	c.wantAll("k", 1, bulk("b"))

	// Signals that come thick and fast are obeyed one after the other, and the last file is in force in the end.
	for i := range 20 {
		n.rewrite(poolYAML("alpha", at, []string{"timeout: " + strconv.Itoa(1000+i)}, a.addr+":1 only"))
		n.Signal(syscall.SIGUSR1)
	}
	eventually(t, "the last file to be in force", func() error {
		if got := n.ctl("plan", n.path("nutmeg.yml")); got.stdout != "Nothing changes.\n" {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})
	c.wantAll("k", 1, bulk("a"))
	if _, failed := n.reloads(); failed != 1 {
		t.Errorf("%d reloads failed, want 1", failed)
	}
}

// The file is watched: it may be replaced or written in place, and be wrong in between.
func TestReloadByWatching(t *testing.T) {
	t.Parallel()
	a, b := serveScript(t, sayName("a")), serveScript(t, sayName("b"))
	at := freeAddr(t)
	conf := func(server *scriptedServer) string {
		return "nutmeg: {watch: true}\n" + poolYAML("alpha", at, nil, server.addr+":1 only")
	}
	n := startNutmeg(t, conf(a))
	c := dial(t, at)
	c.wantAll("k", 1, bulk("a"))
	n.rewrite(conf(b))
	n.waitReloads(1, 0)
	c.wantAll("k", 1, bulk("b"))

	writeFile(t, n.dir, "nutmeg.yml", conf(a)) // in place
	n.waitReloads(2, 0)
	c.wantAll("k", 1, bulk("a"))

	n.rewrite(strings.Replace(conf(b), "redis: true", "redis: maybe", 1))
	n.waitReloads(2, 1)
	wantLines(t, n.Log(), "why=\"the file has changed\"", "alpha.redis")
	c.wantAll("k", 1, bulk("a"))
	writeFile(t, n.dir, "nutmeg.yml", conf(b))
	n.waitReloads(3, 1)
	c.wantAll("k", 1, bulk("b"))
}
