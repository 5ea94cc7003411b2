package proxy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"nutmeg/internal/testkit/sim"
)

// scenario is what a seed decides about a run before it begins.
type scenario struct {
	workers int
	pools   []*simPool
	spells  []spell
	span    time.Duration // how long clients begin to send
	clients int
	leavers int // of the clients, how many leave before they have all
	reloads int // and upgrades
	drains  bool

	busyMark int // worker_busy; 0: clients stay on their workers
}

// spell is a time of faults.
type spell struct {
	start, length time.Duration
	faults        int
}

// simPool is a pool: what the proxy is told of it, its servers, and what its clients may meet.
type simPool struct {
	index       int
	language    language
	servers     []*simServer
	plans       []serverPlan
	listen      string // what clients dial
	listens     string // what the configuration says; the same but for a moment
	settings    string // that stay as they are
	limits      string // settings that reloads change
	password    string
	database    int // redis_db
	ejects      bool
	preconnects bool          // or did before
	roomy       bool          // has no small limits, and never had
	buffer      int           // client_buffer, the largest so far
	bufferLimit int           // client_buffer_limit, likewise: who is above a new one is closed when the next response comes
	idle        time.Duration // client_idle_timeout, the smallest so far; 0: never
	timeout     time.Duration // 0: none
	retry       time.Duration
	keyForm     int // of keys on the wire
	most        int // keys of one request, at most
	big         int // a value of so many has up to maxFiller bytes; 0: none

	out       bool  // of the configuration
	absent    bool  // clients may find nobody
	limited   bool  // client_buffer_limit is small
	overloads bool  // server connections may have too many requests, which are refused then
	loose     bool  // keys may have moved, or been lost: what was written may be missing
	echoUntil int64 // until then errors have a cause

	largestRequest, largestValue int // so far
}

// serverPlan is a server as the configuration has it.
type serverPlan struct {
	name    string // in the pool
	address string // as configured
	host    string // to be resolved; "" if the address has none
	ip      netip.Addr
	place   string // where it really listens
	weight  int
	out     bool // of the configuration
}

// explains reports whether an error of a request that was sent at a time has a cause.
func (p *simPool) explains(sentAt int64) bool { return p.echoUntil >= sentAt }

// size is how many servers the pool has.
func (p *simPool) size() (n int) {
	for _, v := range p.plans {
		if !v.out {
			n++
		}
	}
	return n
}

// aftermath is how long faults show after they are mended: late responses, dials that are repeated, servers that are out.
func (p *simPool) aftermath() time.Duration {
	d := 2*p.timeout + 50*time.Millisecond
	if p.timeout == 0 || p.preconnects {
		d += 1100 * time.Millisecond // a dial is repeated each second, and nobody hurries it
	}
	if p.ejects {
		d += 2 * (2*p.retry + p.timeout) // with all jitter; a probe may have begun when nothing could come of it yet
	}
	return d
}

// length makes up the length of a value.
func (p *simPool) length(r *rand.Rand) int {
	n := r.IntN(100)
	switch chance := r.IntN(1000); {
	case chance < p.big:
		n = r.IntN(maxFiller)
	case chance < 30:
		n = r.IntN(6000)
	}
	return n
}

func oneIn(r *rand.Rand, n int) bool { return r.IntN(n) == 0 }

func pickOne[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// milliseconds draws from [low, high).
func milliseconds(r *rand.Rand, low, high int) time.Duration {
	return time.Duration(low+r.IntN(high-low)) * time.Millisecond
}

// drawScenario makes up a run.
func drawScenario(w *sim.World) *scenario {
	r := w.Random()
	c := &scenario{workers: 1 + r.IntN(4), clients: 3 + r.IntN(12)}
	drawNetwork(w)
	for i := range 1 + r.IntN(3) {
		c.pools = append(c.pools, drawPool(w, i))
	}
	at := milliseconds(r, 20, 200)
	if !oneIn(r, 6) { // a sixth of all runs has no faults: nothing is forgiven there
		for range 1 + r.IntN(3) {
			s := spell{start: at, length: milliseconds(r, 50, 500), faults: 1 + r.IntN(14)}
			if oneIn(r, 3) {
				s.length *= 4
			}
			c.spells = append(c.spells, s)
			at += s.length + milliseconds(r, 10, 300)
			for _, p := range c.pools {
				at = max(at, s.start+s.length+p.aftermath()+milliseconds(r, 0, 200))
			}
		}
	}
	c.span = at
	c.leavers = r.IntN(c.clients + 1)
	if oneIn(r, 2) {
		c.reloads = 1 + r.IntN(8)
	}
	c.drains = oneIn(r, 8)
	return c
}

func drawNetwork(w *sim.World) {
	r := w.Random()
	w.Net.CutPercent = pickOne(r, 0, 10, 30, 60)
	w.Net.ShortWritePercent = pickOne(r, 0, 5, 30)
	w.Net.MaxLatency = time.Duration(pickOne(r, 50, 100, 300)) * time.Microsecond
	w.Net.SendBytes = pickOne(r, 8<<10, 64<<10)
	w.Net.ReceiveBytes = pickOne(r, 8<<10, 64<<10)
	w.Net.InstantPercent = pickOne(r, 0, 10, 100)
}

func drawPool(w *sim.World, index int) *simPool {
	r := w.Random()
	p := &simPool{index: index, language: pickOne[language](r, redisLanguage{}, redisLanguage{}, memcacheLanguage{}), most: pickOne(r, 3, 12)}
	p.listen = fmt.Sprintf("127.0.0.1:%d", 22121+index)
	if oneIn(r, 6) {
		p.listen = fmt.Sprintf("/sim/pool%d.sock", index)
	}
	if w.Net.SendBytes == 64<<10 && w.Net.ReceiveBytes == 64<<10 {
		p.big = pickOne(r, 0, 0, 4)
	}
	var text strings.Builder
	set := func(key string, value any) { fmt.Fprintf(&text, "  %s: %v\n", key, value) }
	text.WriteString("  " + p.language.protocol() + "\n")
	set("hash", pickOne(r, "murmur", "fnv1a_64", "one_at_a_time", "crc16", "md5"))
	distribution := pickOne(r, "ketama", "ketama", "ketama", "modula", "modula", "random")
	set("distribution", distribution)
	if oneIn(r, 3) {
		set("hash_tag", `"{}"`)
		p.keyForm = 1
	}
	if !oneIn(r, 4) {
		p.timeout = milliseconds(r, 100, 300)
		set("timeout", p.timeout.Milliseconds())
	}
	if oneIn(r, 2) {
		p.ejects, p.retry = true, milliseconds(r, 30, 300)
		set("auto_eject_hosts", true)
		set("server_failure_limit", 1+r.IntN(3))
		set("server_retry_timeout", p.retry.Milliseconds())
		set("server_return", pickOne(r, "time", "probe", "trial"))
		set("server_retry_jitter", pickOne(r, 0, 100))
		set("server_floor", pickOne(r, 0, 50))
	}
	if _, ok := p.language.(redisLanguage); ok && oneIn(r, 3) {
		p.password = "sesame"
		set("redis_auth", p.password)
	}
	if _, ok := p.language.(redisLanguage); ok && oneIn(r, 3) {
		p.database = 1 + r.IntN(3)
		set("redis_db", p.database)
	}
	p.settings = text.String()
	p.listens = p.listen
	p.roomy = true
	p.drawLimits(r)
	for i := range 1 + r.IntN(6) {
		p.plans = append(p.plans, drawServer(r, index, i))
		p.plans[i].out = i > 0 && oneIn(r, 5)
	}
	p.loose = distribution == "random" && len(p.plans) > 1
	return p
}

// drawLimits makes up the settings that may change.
func (p *simPool) drawLimits(r *rand.Rand) {
	var text strings.Builder
	set := func(key string, value any) { fmt.Fprintf(&text, "  %s: %v\n", key, value) }
	set("server_connections", 1+r.IntN(3))
	preconnect := oneIn(r, 3)
	p.preconnects = p.preconnects || preconnect
	set("preconnect", preconnect)
	buffer := pickOne(r, 1<<20, 1<<20, 64<<10, 16<<10, 16<<10)
	p.buffer = max(p.buffer, buffer)
	p.roomy = p.roomy && buffer == 1<<20
	set("client_buffer", buffer)
	if oneIn(r, 5) {
		p.roomy = false
		set("client_requests", 1+r.IntN(40))
	}
	if oneIn(r, 8) {
		p.overloads, p.roomy = true, false
		set("server_requests", 1+r.IntN(200))
	}
	if oneIn(r, 8) {
		p.overloads, p.roomy = true, false
		set("server_buffer", 64<<10)
	}
	switch {
	case oneIn(r, 8):
		p.limited = true
		p.bufferLimit = max(p.bufferLimit, buffer)
		set("client_buffer_limit", buffer)
	default:
		p.bufferLimit = 256 << 20
	}
	if oneIn(r, 6) {
		idle := milliseconds(r, 200, 600)
		if p.idle == 0 || idle < p.idle {
			p.idle = idle
		}
		set("client_idle_timeout", idle.Milliseconds())
	}
	p.limits = text.String()
}

func drawServer(r *rand.Rand, pool, i int) serverPlan {
	v := serverPlan{name: fmt.Sprintf("s%d", i), weight: 1 + r.IntN(3)}
	v.ip = netip.AddrFrom4([4]byte{10, byte(pool), 0, byte(i + 1)})
	v.place = netip.AddrPortFrom(v.ip, 6379).String()
	v.address = v.place
	switch r.IntN(6) {
	case 0:
		v.host = fmt.Sprintf("s%d.pool%d.test", i, pool)
		v.address = v.host + ":6379"
	case 1:
		v.address = fmt.Sprintf("/sim/pool%d-s%d.sock", pool, i)
		v.place = v.address
	}
	return v
}

// text is the configuration file.
func (c *scenario) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "nutmeg: {worker_busy: %d}\n", c.busyMark)
	for _, p := range c.pools {
		if p.out {
			continue
		}
		fmt.Fprintf(&b, "pool%d:\n  listen: %s\n%s%s  servers:\n", p.index, p.listens, p.settings, p.limits)
		for _, v := range p.plans {
			if !v.out {
				fmt.Fprintf(&b, "   - %s:%d %s\n", v.address, v.weight, v.name)
			}
		}
	}
	return b.String()
}

// drawManner makes up how a client behaves.
func drawManner(r *rand.Rand) manner {
	m := manner{depth: 1 + r.IntN(64), bursts: 1 + r.IntN(8), rude: oneIn(r, 12), fickle: oneIn(r, 4)}
	m.burst = 1 + r.IntN(3*m.depth)
	switch r.IntN(12) {
	case 0:
		m.dribbles, m.depth, m.burst, m.rude = true, 4, 6, false
	case 1, 2:
		m.sluggish = true
	case 3:
		m = manner{greedy: true, depth: 1, bursts: 1, burst: 3000}
	case 4, 5:
		m.depth = 1
	}
	return m
}
