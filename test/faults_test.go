package test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/testkit"
)

// faultBed is a daemon with a pool of two servers, of which the first is going to fail, and a pool of the other protocol
// that has nothing to do with it; and clients of all kinds that are busy all the time.
type faultBed struct {
	*Nutmeg
	servers [2]*testkit.Process
	before  figures
	admin   *rawConn // to the failing server itself; nil until it is needed
	crowd   []*rawConn

	victims    *load // ask the failing server alone
	mixed      *load // ask both, in one request too
	neighbours *load // ask the other server of the pool
	bystanders *load // ask the other pool
}

// fault is how a server fails, and what its clients see of it.
type fault struct {
	rule    string
	cache   bool     // the servers are memcached, not Redis
	args    []string // of the first server
	pool    string   // more lines of the pool
	hello   string   // what a client of the pool begins with; the answer is OK
	timeout int      // of the pool, ms; 0 = none
	errors  string   // a regular expression of what clients may be told; empty: they get their answers
	silent  bool     // clients of the server get neither answers nor errors while it lasts
	seen    bool     // strike itself has waited for the errors
	loses   bool     // what was written may be lost
	moves   bool     // old values may come back
	value   int      // bytes of a value
	proxied bool     // the server is reached through a network that can be spoilt
	strike  func(t *testing.T, b *faultBed, n *network)
	mend    func(t *testing.T, b *faultBed, n *network) // nil: strike has mended what it broke

	redisOnly bool // no memcached can fail like that
}

// The texts that clients know from twemproxy. A connection that has just been lost fails in more than one way, depending on
// what the proxy was doing.
const (
	lostTexts    = "-ERR Connection (closed by server|reset by peer)|-ERR Broken pipe"
	refusedText  = "-ERR Connection refused"
	timedOutText = "-ERR Connection timed out"
)

// startFaultBed starts servers, daemon and load, and warms up until all connections there will be are open.
func startFaultBed(t *testing.T, f fault) (*faultBed, *network) {
	t.Helper()
	b := &faultBed{}
	dialect, otherDialect := &redisLoad, &memcacheLoad
	start, startOther := testkit.Redis, testkit.Memcached
	if f.cache {
		dialect, otherDialect, start, startOther = otherDialect, dialect, startOther, start
	}
	b.servers = [2]*testkit.Process{start(t, f.args...), start(t)}
	first := b.servers[0].Addr()
	var spoilt *network
	if f.proxied {
		spoilt = startNetwork(t, first)
		first = spoilt.addr
	}
	b.Nutmeg = startNutmeg(t, fmt.Sprintf("nutmeg:\n  workers: 2\n  worker_busy: 0\n"+
		"alpha:\n  listen: {listen}\n  redis: %t\n  hash: murmur\n  distribution: modula\n  timeout: %d\n%s  servers:\n  - %s:1 s1\n  - %s:1 s2\n"+
		"beta:\n  listen: {listen}\n  redis: %t\n  servers:\n  - %s:1 m1\n",
		!f.cache, max(f.timeout, 0), f.pool, first, b.servers[1].Addr(), f.cache, startOther(t).Addr()))
	startOne := func(name, errors string, server int) *load {
		keys := func(client int) []string { return keysOf(server, fmt.Sprintf("%s%d.", name, client)) }
		o := loadOptions{addr: b.AddrOf(0), dialect: dialect, clients: 4, keys: keys, errors: errors, value: f.value, hello: f.hello}
		if server != 1 {
			o.loses, o.moves = f.loses, f.moves
		}
		return startLoad(t, o)
	}
	b.victims, b.mixed, b.neighbours = startOne("v", f.errors, 0), startOne("m", f.errors, -1), startOne("n", "", 1)
	b.bystanders = startLoad(t, loadOptions{addr: b.AddrOf(1), dialect: otherDialect, clients: 4, value: f.value})
	for _, l := range b.loads() {
		l.more(40)
	}
	b.before = b.figures()
	return b, spoilt
}

func (b *faultBed) loads() []*load {
	return []*load{b.victims, b.mixed, b.neighbours, b.bystanders}
}

// keysOf are twenty keys of one of two servers, or of both for a server below 0.
func keysOf(server int, name string) []string {
	var keys []string
	for i := 0; len(keys) < 20; i++ {
		if key := name + strconv.Itoa(i); server < 0 || ownerAmong(2, key) == server {
			keys = append(keys, key)
		}
	}
	return keys
}

// TestFaults: a server fails under load. Its clients are told so, in time and in the expected words, or wait; nobody else
// notices. When the server is well again all is as before, without a restart and with no descriptor more.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, f := range allFaults() {
		t.Run(f.rule, func(t *testing.T) {
			t.Parallel()
			b, spoilt := startFaultBed(t, f)
			f.strike(t, b, spoilt)
			b.neighbours.more(50)
			b.bystanders.more(50)
			switch {
			case f.silent:
				b.wantStandstill()
			case f.seen:
			case f.errors != "":
				b.victims.moreErrors(4)
			default:
				b.victims.more(50)
				b.mixed.more(20)
			}
			if f.mend != nil {
				f.mend(t, b, spoilt)
			}
			for _, l := range b.loads() {
				l.recovered(60)
			}
			b.noMoreDescriptors(b.before)
			for _, l := range b.loads() {
				l.stop()
			}
			t.Logf("victims: %v; both: %v; neighbours: %v; bystanders: %v", b.victims, b.mixed, b.neighbours, b.bystanders)
			b.noneLeft()
		})
	}
}

func allFaults() []fault {
	all := slices.Concat(processFaults, networkFaults, sickServers)
	for _, f := range processFaults {
		if !f.redisOnly {
			f.rule, f.cache = "memcached: "+f.rule, true
			f.errors = strings.ReplaceAll(f.errors, "-ERR ", "SERVER_ERROR ")
			all = append(all, f)
		}
	}
	return all
}

// wantStandstill waits until the victims all wait, and sees that they go on waiting.
func (b *faultBed) wantStandstill() {
	b.t.Helper()
	quiet := func() (before, after int64) {
		before = b.victims.served.Load()
		b.bystanders.more(100) // a while, in which the victims could have got something
		return before, b.victims.served.Load()
	}
	eventually(b.t, "the victims to wait", func() error {
		if before, after := quiet(); before != after {
			return fmt.Errorf("%d answers", after-before)
		}
		return nil
	})
}

// noneLeft checks that no request is left in a queue.
func (b *faultBed) noneLeft() {
	b.t.Helper()
	for _, pool := range []string{"alpha", "beta"} {
		b.waitPool(pool, "the queues to be empty", func(p PoolStats) error {
			return p.want(map[string]int64{"in_queue": 0, "in_queue_bytes": 0, "out_queue": 0, "out_queue_bytes": 0})
		})
	}
}

// processFaults are what happens to a server's process.
var processFaults = []fault{
	{
		rule: "a server is killed and comes back empty", errors: lostTexts + "|" + refusedText, loses: true,
		strike: func(_ *testing.T, b *faultBed, _ *network) { b.servers[0].Kill() },
		mend:   func(t *testing.T, b *faultBed, _ *network) { b.restart(t) },
	},
	{
		rule: "a server is killed again and again", errors: lostTexts + "|" + refusedText, loses: true,
		strike: func(t *testing.T, b *faultBed, _ *network) {
			for range 5 {
				b.servers[0].Kill()
				b.victims.moreErrors(4)
				b.restart(t)
				b.victims.recovered(10)
			}
			b.servers[0].Kill()
		},
		mend: func(t *testing.T, b *faultBed, _ *network) { b.restart(t) },
	},
	{
		rule: "a server stands still: clients wait, nothing is lost", silent: true,
		strike: stopServer, mend: contServer,
	},
	{
		rule: "a server stands still: with a time-out clients are told", timeout: 1000, errors: timedOutText,
		strike: stopServer, mend: contServer,
	},
	{
		rule: "a server stands still now and then, for less than the time-out", timeout: 20000,
		strike: func(t *testing.T, b *faultBed, n *network) {
			for range 5 {
				stopServer(t, b, n)
				b.bystanders.more(20)
				contServer(t, b, n)
				b.victims.more(10)
			}
		},
	},
	{
		rule: "a server closes connections that are in use", errors: lostTexts, redisOnly: true, seen: true,
		strike: func(t *testing.T, b *faultBed, _ *network) {
			admin := dial(t, b.servers[0].Addr())
			eventually(t, "connections to be closed while they are in use", func() error {
				admin.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
				if errors := b.victims.refused.Load(); errors < 10 && b.victims.fault() == nil {
					return fmt.Errorf("only %d errors", errors)
				}
				return nil
			})
		},
	},
	{
		rule: "a server ends in order while it is in use", errors: lostTexts + "|" + refusedText, loses: true,
		strike: func(_ *testing.T, b *faultBed, _ *network) { b.servers[0].Terminate() },
		mend:   func(t *testing.T, b *faultBed, _ *network) { b.restart(t) },
	},
}

func (b *faultBed) restart(t *testing.T) {
	t.Helper()
	if err := b.servers[0].Restart(); err != nil {
		t.Fatal(err)
	}
}

func stopServer(t *testing.T, b *faultBed, _ *network) {
	t.Helper()
	if err := b.servers[0].Stop(); err != nil {
		t.Fatal(err)
	}
}

func contServer(t *testing.T, b *faultBed, _ *network) {
	t.Helper()
	if err := b.servers[0].Cont(); err != nil {
		t.Fatal(err)
	}
}

// The expressions are put together from parts; a typing error must not make them match everything.
func TestFaultTextsAreNarrow(t *testing.T) {
	t.Parallel()
	for _, f := range allFaults() {
		if f.errors == "" {
			continue
		}
		expected := regexp.MustCompile("^(?:" + f.errors + ")$")
		for _, text := range []string{"", "-ERR", "-ERR Invalid argument", "-ERR Connection", "$3"} {
			if expected.MatchString(text) {
				t.Errorf("%s: %q is taken for an expected error", f.rule, text)
			}
		}
	}
}

// TestFullBacklogUnderLoad: a server whose kernel leaves connections unanswered. Each request gets its error when the
// time-out is over; the other server's clients do not wait for it.
func TestFullBacklogUnderLoad(t *testing.T) {
	t.Parallel()
	dead, alive := fullBacklog(t), testkit.Redis(t)
	n := startNutmeg(t, workersConf(2, "redis: true\nhash: murmur\ndistribution: modula\ntimeout: 1000", dead+" s1", alive.Addr()+" s2"))
	keys := func(server int) func(int) []string {
		return func(client int) []string { return keysOf(server, fmt.Sprintf("k%d.", client)) }
	}
	victims := startLoad(t, loadOptions{addr: n.Addr(), dialect: &redisLoad, clients: 3, keys: keys(0), errors: timedOutText})
	neighbours := startLoad(t, loadOptions{addr: n.Addr(), dialect: &redisLoad, clients: 3, keys: keys(1)})
	neighbours.more(100)
	before := n.figures()
	start := time.Now()
	victims.moreErrors(20)
	if took := time.Since(start); took < 300*time.Millisecond {
		t.Errorf("20 errors came within %v, before the time-out", took)
	}
	neighbours.more(100)
	victims.stop()
	neighbours.stop()
	n.noMoreDescriptors(before)
}
