package proxy

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"nutmeg/internal/config"
	"nutmeg/internal/evloop"
	"nutmeg/internal/testkit/sim"
)

// The engine as it is, on the simulated outside: virtual time, random cuts and latencies, servers that die and hang,
// clients that leave. Every client checks every response that it gets: its own, in its turn, with a value that names its
// key and its writer. A failure prints its seed; -sim.seed runs that one again.
var (
	simSeed  = flag.Uint64("sim.seed", 0, "run this one seed of the simulation")
	simSeeds = flag.Int("sim.seeds", 60, "how many seeds of the simulation to run")
)

const proxyAddress = "127.0.0.1:22121"

// arena is one simulated run.
type arena struct {
	*sim.World
	t        *testing.T
	language language
	proxy    *Proxy
	loops    []*evloop.Loop
	servers  []*simServer
	clients  []*simClient
	loose    bool // keys may move: what was written may be missing
	faults   bool // errors in place of responses are to be expected
	failure  string
	answered int
	nextID   int
}

// language is what differs between simulated Redis and memcached.
type language interface {
	protocol() string
	// newSession is the server's side of one connection: feed takes bytes and returns the responses to what is complete.
	newSession(data map[string]string) session
	// newReader cuts a client's input into responses.
	newReader() responseReader
	// hello is what a client sends first, if anything.
	hello(c *simClient) (request []byte, check func(response string) string)
	// next makes up the next request of a client, and what its response must be.
	next(c *simClient) (request []byte, check func(response string) string)
	// isFailure recognises an error that a client may get when servers fail.
	isFailure(response string) bool
}

type session interface {
	feed(data []byte) (responses [][]byte, err error)
}

type responseReader interface {
	feed(data []byte) (responses []string, err error)
}

func (a *arena) fail(format string, args ...any) {
	if a.failure == "" {
		a.failure = fmt.Sprintf("seed %d, %v: %s", a.Seed(), a.Now(), fmt.Sprintf(format, args...))
	}
}

// simServer is a server whose data outlives its process.
type simServer struct {
	*sim.Service
	name string
	data map[string]string
}

func newArena(t *testing.T, seed uint64, l language, servers, workers int, settings string) *arena {
	t.Helper()
	a := &arena{World: sim.New(seed), t: t, language: l}
	var text strings.Builder
	fmt.Fprintf(&text, "p:\n  listen: %s\n  %s\n  hash: murmur\n%s  servers:\n", proxyAddress, l.protocol(), settings)
	for i := range servers {
		address := fmt.Sprintf("10.0.0.%d:6379", i+1)
		fmt.Fprintf(&text, "   - %s:1 s%d\n", address, i)
		a.addServer(address)
	}
	conf, err := config.Parse("sim.yml", []byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	outsides := make([]evloop.Outside, workers)
	for i := range outsides {
		outsides[i] = a.Outside(fmt.Sprintf("worker%d", i))
	}
	if a.proxy, err = New(conf, outsides, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if err := a.proxy.Listen(nil); err != nil {
		t.Fatal(err)
	}
	a.loops = a.proxy.Loops()
	if seed%2 == 0 {
		for _, w := range a.proxy.workers {
			w.heldMark = 4 << 10 // hold clients back often
		}
	}
	return a
}

func (a *arena) addServer(address string) {
	s := &simServer{name: address, data: map[string]string{}}
	s.Service = a.Listen(address, func(p *sim.Peer) {
		session := a.language.newSession(s.data)
		var free time.Duration // when the server is done with what came before
		p.OnData = func(p *sim.Peer, data []byte) {
			responses, err := session.feed(data)
			if err != nil {
				a.fail("server %s was sent rubbish: %v", address, err)
			}
			for _, response := range responses {
				free = max(free, a.Now()) + time.Duration(a.Random().IntN(20_000))
				a.After(free-a.Now(), func() { p.Send(response) })
			}
		}
		p.OnClose = func(p *sim.Peer, _ error) { p.Close() }
	})
	a.servers = append(a.servers, s)
}

// simClient is a client that keeps requests in flight and checks what comes back.
type simClient struct {
	*sim.Peer
	arena    *arena
	id       int
	depth    int
	toSend   int
	pending  []func(response string) string
	reader   responseReader
	seq      int
	written  map[string]string // by key: what must be there; "" = nothing
	doubtful map[string]bool   // keys that a failed write may have changed, now or later
	gone     bool              // has left on purpose
	halfway  bool              // sends no more, and waits for the rest
}

func (a *arena) addClient(requests int) {
	a.nextID++
	c := &simClient{
		Peer: a.Connect(proxyAddress), arena: a, id: a.nextID, depth: 1 + a.Random().IntN(40), toSend: requests,
		reader: a.language.newReader(), written: map[string]string{}, doubtful: map[string]bool{},
	}
	c.OnOpen = func(*sim.Peer) { c.begin() }
	c.OnData = func(_ *sim.Peer, data []byte) { c.received(data) }
	c.OnClose = func(_ *sim.Peer, err error) {
		if !c.gone && (!c.halfway || len(c.pending) > 0 || err != io.EOF) { //nolint:errorlint // the simulation's own value
			a.fail("client %d lost its connection (%v) with %d requests pending", c.id, err, len(c.pending))
		}
		c.gone = true
		c.Close()
	}
	a.clients = append(a.clients, c)
}

// begin is called once the connection is there.
func (c *simClient) begin() {
	if c.gone || c.halfway {
		return // left before it was there
	}
	if hello, check := c.arena.language.hello(c); check != nil {
		c.pending = append(c.pending, check)
		c.Send(hello)
	}
	c.fill()
}

func (c *simClient) fill() {
	if c.gone || c.halfway {
		return
	}
	for len(c.pending) < c.depth && c.toSend > 0 {
		c.toSend--
		request, check := c.arena.language.next(c)
		if check != nil {
			c.pending = append(c.pending, check)
		}
		c.Send(request)
	}
}

func (c *simClient) received(data []byte) {
	a := c.arena
	responses, err := c.reader.feed(data)
	if err != nil {
		a.fail("client %d was sent rubbish: %v", c.id, err)
	}
	for _, response := range responses {
		if len(c.pending) == 0 {
			a.fail("client %d got a response that it did not ask for: %.80q", c.id, response)
			return
		}
		check := c.pending[0]
		c.pending = c.pending[1:]
		a.answered++
		if a.language.isFailure(response) && !a.faults {
			a.fail("client %d: error %.80q without a cause", c.id, response)
		}
		if wrong := check(response); wrong != "" {
			a.fail("client %d: %s", c.id, wrong)
		}
	}
	c.fill()
}

// key is one of the client's own keys, and some text for a new value of it.
func (c *simClient) key() string { return fmt.Sprintf("c%d:k%d", c.id, c.arena.Random().IntN(30)) }

func (c *simClient) value(key string) string {
	r := c.arena.Random()
	c.seq++
	length := r.IntN(120)
	switch r.IntN(400) {
	case 0:
		length = r.IntN(300_000)
	case 1, 2, 3:
		length = r.IntN(20_000)
	}
	return fmt.Sprintf("%s|%d|%s", key, c.seq, strings.Repeat(string(rune('a'+c.seq%26)), length))
}

// judge says what is wrong with a value read for key, "" if nothing: got is the value, ok whether there was one, want
// what was written last when the request was sent.
func (c *simClient) judge(key, got string, ok bool, want string) string {
	if ok && !strings.HasPrefix(got, key+"|") {
		return fmt.Sprintf("asked for %s and got %.60q", key, got)
	}
	if c.doubtful[key] || c.arena.loose {
		return ""
	}
	if got != want {
		return fmt.Sprintf("%s should be %.60q, got %.60q", key, want, got)
	}
	return ""
}

// wrote says that a write of keys was answered.
func (c *simClient) wrote(response string, keys ...string) {
	if c.arena.language.isFailure(response) {
		for _, key := range keys {
			c.doubtful[key] = true
		}
	}
}

// run lets things happen until every client has what it waits for.
func (a *arena) run(limit time.Duration) {
	a.t.Helper()
	err := a.Run(a.loops, func() bool {
		if a.failure != "" {
			return true
		}
		for _, c := range a.clients {
			if !c.gone && (c.toSend > 0 && !c.halfway || len(c.pending) > 0) {
				return false
			}
		}
		return true
	}, limit)
	if a.failure != "" {
		a.t.Fatalf("%s\n%s", a.failure, a.Trace())
	}
	if err != nil {
		a.t.Fatal(err)
	}
}

// finish has all clients leave and checks that nothing is left of them.
func (a *arena) finish() {
	a.t.Helper()
	for _, c := range a.clients {
		if !c.gone {
			c.gone = true
			c.Close()
		}
	}
	if err := a.RunFor(a.loops, 10*time.Second); err != nil {
		a.t.Fatal(err)
	}
	if a.failure != "" {
		a.t.Fatalf("%s\n%s", a.failure, a.Trace())
	}
	for i, w := range a.proxy.workers {
		if w.clients != nil || w.load.Load() != 0 {
			a.t.Errorf("seed %d: worker %d still has clients", a.Seed(), i)
		}
		conns := 0
		for _, p := range w.pools {
			for _, s := range p.servers {
				for _, conn := range s.lane.conns {
					if conn == nil {
						continue
					}
					conns++
					if conn.queue.oldest != nil || conn.waiting.Len() > 0 || conn.conn.Unsent() > 0 {
						a.t.Errorf("seed %d: worker %d still has requests for %s", a.Seed(), i, s.conf.Name)
					}
				}
			}
		}
		if i == 0 {
			conns++ // the listener
		}
		if w.loop.Open() != conns {
			a.t.Errorf("seed %d: worker %d has %d sockets open, should have %d", a.Seed(), i, w.loop.Open(), conns)
		}
		st := w.snapshot().Pools[0]
		if st.ClientConnections != 0 {
			a.t.Errorf("seed %d: worker %d counts %d clients", a.Seed(), i, st.ClientConnections)
		}
		for _, s := range st.Servers {
			if s.InQueue != 0 || s.OutQueue != 0 {
				a.t.Errorf("seed %d: worker %d counts %d requests in flight", a.Seed(), i, s.InQueue+s.OutQueue)
			}
		}
	}
}

// forSeeds runs a test over the seeds that were asked for.
func forSeeds(t *testing.T, run func(t *testing.T, seed uint64)) {
	if *simSeed != 0 {
		run(t, *simSeed)
		return
	}
	for seed := range *simSeeds {
		run(t, uint64(seed)+1)
	}
}

var languages = []language{redisLanguage{}, memcacheLanguage{}}

func TestSimulatedPipelinesInRandomCuts(t *testing.T) {
	for _, l := range languages {
		t.Run(l.protocol(), func(t *testing.T) {
			forSeeds(t, func(t *testing.T, seed uint64) {
				a := newArena(t, seed, l, 3, 1+int(seed%3), "")
				for range 6 {
					a.addClient(150)
				}
				a.run(time.Minute)
				a.finish()
				if a.answered < 6*100 {
					t.Fatalf("seed %d: only %d responses were checked", seed, a.answered)
				}
			})
		})
	}
}

func TestSimulatedClientsLeave(t *testing.T) {
	for _, l := range languages {
		t.Run(l.protocol(), func(t *testing.T) {
			forSeeds(t, func(t *testing.T, seed uint64) {
				a := newArena(t, seed, l, 3, 1+int(seed%2), "  server_connections: 2\n")
				for range 8 {
					a.addClient(150)
				}
				a.loiter(200, a.leaveSomehow)
				a.run(time.Minute)
				a.finish()
			})
		})
	}
}

func TestSimulatedServersFail(t *testing.T) {
	for _, l := range languages {
		t.Run(l.protocol(), func(t *testing.T) {
			forSeeds(t, func(t *testing.T, seed uint64) {
				settings := "  timeout: 50\n"
				eject := seed%3 == 0
				if l == (redisLanguage{}) && seed%2 == 1 {
					settings += "  redis_auth: sesame\n  redis_db: 3\n"
				}
				if eject {
					settings += "  auto_eject_hosts: true\n  server_failure_limit: 2\n  server_retry_timeout: 100\n"
				}
				a := newArena(t, seed, l, 3, 1+int(seed%3), settings)
				a.faults, a.loose = true, eject
				for range 6 {
					a.addClient(200)
				}
				a.loiter(60, a.breakSomething)
				a.loiter(20, a.leaveSomehow)
				a.After(2*time.Second, a.mendEverything)
				a.run(time.Minute)
				a.mendEverything()
				a.finish()
			})
		})
	}
}

// loiter does something now and then, times times.
func (a *arena) loiter(times int, something func()) {
	if times == 0 {
		return
	}
	a.After(time.Duration(a.Random().Int64N(int64(8*time.Millisecond))), func() {
		something()
		a.loiter(times-1, something)
	})
}

// leaveSomehow has a client leave, or stop reading for a while, and another one come for it.
func (a *arena) leaveSomehow() {
	r := a.Random()
	c := a.clients[r.IntN(len(a.clients))]
	if c.gone || c.halfway {
		return
	}
	switch r.IntN(6) {
	case 0:
		c.gone = true
		c.Close()
		a.addClient(50)
	case 1:
		c.gone = true
		c.Reset()
		a.addClient(50)
	case 2:
		c.halfway = true
		c.CloseWrite()
		a.addClient(50)
	default:
		c.Pause()
		a.After(time.Duration(r.Int64N(int64(30*time.Millisecond))), c.Resume)
	}
}

// breakSomething makes a server fail in some way for some time.
func (a *arena) breakSomething() {
	r := a.Random()
	s := a.servers[r.IntN(len(a.servers))]
	duration := time.Duration(r.Int64N(int64(150 * time.Millisecond)))
	switch r.IntN(6) {
	case 0:
		s.Kill()
		a.After(duration, s.Revive)
	case 1:
		s.Freeze()
		a.After(duration, s.Thaw)
	case 2:
		for _, p := range s.Peers() {
			if r.IntN(2) == 0 {
				p.Reset()
			}
		}
	case 3:
		for _, p := range s.Peers() {
			p.Close()
		}
	case 4:
		for _, p := range s.Peers() {
			p.SendString("\x00rubbish\r\n")
		}
	case 5:
		a.Hang(s.name)
		a.After(duration, func() { a.Restore(s.name) })
	}
}

func (a *arena) mendEverything() {
	for _, s := range a.servers {
		s.Thaw()
		s.Revive()
		a.Restore(s.name)
	}
}

// TestLateResponseReachesNobody holds what a time-out is for: a response that comes after it must not meet the next request.
func TestLateResponseReachesNobody(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "  timeout: 50\n")
	var got []string
	client := a.Connect(proxyAddress)
	reader := redisLanguage{}.newReader()
	client.OnData = func(_ *sim.Peer, data []byte) {
		responses, err := reader.feed(data)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, responses...)
	}
	a.servers[0].data["a"], a.servers[0].data["b"] = "value of a", "value of b"
	wait := func(n int) {
		t.Helper()
		if err := a.Run(a.loops, func() bool { return len(got) == n }, time.Second); err != nil {
			t.Fatal(err)
		}
	}
	client.SendString("GET b\r\n")
	wait(1)
	a.servers[0].Freeze()
	client.SendString("GET a\r\n")
	wait(2)
	a.servers[0].Thaw()
	client.SendString("GET b\r\n")
	wait(3)
	want := []string{"$10\r\nvalue of b\r\n", "-ERR Connection timed out\r\n", "$10\r\nvalue of b\r\n"}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("response %d is %q, want %q", i, got[i], want[i])
		}
	}
}

// TestErrnoTexts holds the words that clients match on.
func TestErrnoTexts(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.ECONNREFUSED: "Connection refused", syscall.ETIMEDOUT: "Connection timed out",
		syscall.ECONNRESET: "Connection reset by peer", syscall.EPIPE: "Broken pipe", syscall.ENOENT: "No such file or directory",
	} {
		if got := failureOf(errno).text; got != want {
			t.Errorf("%v: %q, want %q", errno, got, want)
		}
	}
}

// TestGreedyClientIsHeldBack has a client ask for large values and never read. What the proxy collects for it is bounded.
func TestGreedyClientIsHeldBack(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	a.servers[0].data["a"] = strings.Repeat("x", 100_000)
	client := a.Connect(proxyAddress)
	client.Pause()
	for range 5000 {
		client.SendString("GET a\r\n")
	}
	most := 0
	for range 200 {
		if err := a.RunFor(a.loops, 10*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if c := a.proxy.workers[0].clients; c != nil {
			most = max(most, c.held+c.conn.Unsent())
		}
	}
	if most < heldBytes || most > 14*heldBytes {
		t.Errorf("%d bytes are held for a client whose mark is %d", most, heldBytes)
	}
}
