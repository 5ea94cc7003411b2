package proxy

import (
	"fmt"
	"strings"
	"time"

	"nutmeg/internal/config"
	"nutmeg/internal/evloop"
	"nutmeg/internal/testkit/sim"
)

// simulation is one run of the engine as it is on the simulated outside, decided by its seed: pools, servers, clients,
// what goes wrong and when. What must hold whatever happens:
//
//   - A response is the client's own, in its turn, once, and says what the server found (simclient_test.go).
//   - An error has a cause: a fault of the pool that is going on, or was a moment ago.
//   - No server is asked for what no client has sent, or twice for the same thing (simledger_test.go).
//   - Every request is answered or its connection closed: nothing is left when all is mended.
//   - What is held for a client stays within its bound at every step, and nothing is held at the end (simbounds_test.go).
type simulation struct {
	*sim.World
	*scenario
	proxy     *Proxy   // the one that accepts clients
	proxies   []*Proxy // and those before it
	busy      bool     // a reload or an upgrade is going on
	draining  bool
	moves     int // of listeners
	loops     []*evloop.Loop
	outsides  []*sim.Outside
	clients   []*simClient
	forgotten int // clients of rounds before; they had the lowest numbers
	failure   string
	began     time.Duration // when the round began
	until     time.Duration // how long clients of the round begin to send
	starving  int64         // until then the proxy may be late to accept clients
	mending   bool          // all faults of the round are over
	actors    *actors       // nil: there are none
	agitation *agitation    // nil: clients stay on their workers
	count     simCount
}

// simCount is what a run was.
type simCount struct {
	requests, responses, errors, torn, faults, reloads, upgrades, clients, moves int

	virtual time.Duration
}

func (n *simCount) add(other simCount) {
	n.requests += other.requests
	n.responses += other.responses
	n.errors += other.errors
	n.torn += other.torn
	n.faults += other.faults
	n.reloads += other.reloads
	n.upgrades += other.upgrades
	n.clients += other.clients
	n.moves += other.moves
	n.virtual += other.virtual
}

func (s *simulation) fail(format string, args ...any) {
	if s.failure == "" {
		s.failure = fmt.Sprintf("seed %d, %v: %s", s.Seed(), s.Now(), fmt.Sprintf(format, args...))
	}
}

// newSimulation builds the run of a seed. change, which may be nil, has the last word on the scenario.
func newSimulation(seed uint64, change func(*scenario)) (*simulation, error) {
	w := sim.New(seed)
	s := &simulation{World: w, scenario: drawScenario(w)}
	if stateful(seed) {
		s.actors = s.newActors(seed)
	}
	if restless(seed) {
		s.agitation = s.newAgitation(seed)
		s.busyMark = 60
	}
	if change != nil {
		change(s.scenario)
	}
	conf, err := config.Parse("sim.yml", []byte(s.text()))
	if err != nil {
		return nil, fmt.Errorf("seed %d: %w\n%s", seed, err, s.text())
	}
	for _, p := range s.pools {
		s.startServers(p)
	}
	if err := s.startProxy(conf); err != nil {
		return nil, fmt.Errorf("seed %d: %w", seed, err)
	}
	return s, nil
}

func (s *simulation) startServers(p *simPool) {
	for _, plan := range p.plans {
		if plan.host != "" {
			s.SetHost(plan.host, plan.ip)
		}
		v := newSimServer(s.World, plan.place, plan.place, p.language, s.fail)
		v.password = p.password
		v.service = 5 * time.Microsecond
		v.overtax = func() { p.upset(s.Now()) }
		v.books = func(client int) *ledger {
			if i := client - s.forgotten - 1; i >= 0 && i < len(s.clients) && s.clients[i].pool == p {
				return &s.clients[i].ledger
			}
			return nil
		}
		if s.actors != nil {
			v.store.log = s
		}
		p.servers = append(p.servers, v)
	}
}

func (s *simulation) startProxy(conf *config.Config) error {
	p, err := s.newProxy(conf, s.workers)
	if err != nil {
		return err
	}
	return p.Listen(nil)
}

// plan decides when clients come and go, and when faults happen.
func (s *simulation) plan() {
	r := s.Random()
	s.began, s.until, s.mending = s.Now(), s.Now()+s.span, false
	for range s.scenario.clients {
		s.After(time.Duration(r.Int64N(int64(s.span/4))), s.newcomer)
	}
	for range s.leavers {
		s.After(time.Duration(r.Int64N(int64(s.span))), s.someoneLeaves)
	}
	for _, sp := range s.spells {
		end := sp.start + sp.length
		for range sp.faults {
			at := sp.start + time.Duration(r.Int64N(int64(sp.length)))
			s.After(at, func() { s.breakSomething(s.began + end) })
		}
		s.After(end, s.mendEverything)
	}
	for range r.IntN(4) {
		s.After(time.Duration(r.Int64N(int64(s.span)))|1, s.stray) // at no time at which anything else arrives
	}
	for range s.reloads {
		s.After(time.Duration(r.Int64N(int64(s.span))), func() { s.operate(s.pools[r.IntN(len(s.pools))], s.changePool) })
	}
	if s.drains {
		s.After(time.Duration(r.Int64N(int64(s.span))), s.drain)
	}
	s.cast()
	s.agitation.begin()
	s.After(s.span, s.end)
}

func (s *simulation) newcomer() {
	r := s.Random()
	if !s.draining {
		s.addClient(s.pools[r.IntN(len(s.pools))], drawManner(r))
	}
}

// someoneLeaves has a client leave before it has all.
func (s *simulation) someoneLeaves() {
	if len(s.clients) > 0 {
		s.clients[s.Random().IntN(len(s.clients))].leaveSomehow()
	}
}

// leaveSomehow ends the client before it has all, and has another one come for it.
func (c *simClient) leaveSomehow() {
	s := c.sim
	r := s.Random()
	if c.gone || c.halfway {
		return
	}
	switch how := r.IntN(6); {
	case how == 0 || c.greedy: // who never reads cannot get rid of all that it has to send
		c.leave(c.Reset)
	case how == 1:
		c.leave(c.Close)
	case how < 4:
		c.halfARequest()
		c.leave(c.Close)
	default:
		if c.dripping || !c.opened {
			return
		}
		c.halfway = true
		if oneIn(r, 2) {
			c.pool.language.quit(c)
		} else {
			c.CloseWrite()
		}
	}
	if len(s.clients) < 4*s.scenario.clients && s.Now() < s.until {
		s.newcomer()
	}
}

// halfARequest sends a request, but for its end.
func (c *simClient) halfARequest() {
	if c.dripping || !c.opened {
		return
	}
	units, plain := len(c.units), c.plainSent
	c.send(c.pool.language.next)
	c.plainSent = plain
	for i := range c.units[units:] {
		c.units[units+i].secret = true
	}
	c.Send(c.out[:1+c.sim.Random().IntN(len(c.out)-1)])
	c.out = c.out[:0]
}

// end is when nobody begins anything any more: what is under way must come to its end.
func (s *simulation) end() {
	s.mending = true
	s.mendEverything()
	for _, c := range s.clients {
		c.sluggish = false
		if c.greedy && !c.gone {
			c.leave(c.Reset)
		}
	}
	s.dismiss()
}

// patience is how long after the end the last response may take.
const patience = time.Minute

// run is the whole of a run. The error is what went wrong, with the last events.
func (s *simulation) run() error {
	if err := s.round(); err != nil {
		return err
	}
	s.checkTimers()
	if s.draining && !s.proxy.ended() {
		s.fail("the proxy was drained, and has not ended")
	}
	if !s.draining {
		s.proxy.Close()
	}
	s.checkClosed()
	return s.verdict(nil)
}

// poolNamed finds a pool by its name in the configuration.
func (s *simulation) poolNamed(name string) *simPool {
	index, _ := leadingNumber([]byte(strings.TrimPrefix(name, "pool")))
	return s.pools[index]
}

// round has clients come, meet what they meet, and leave.
func (s *simulation) round() error {
	s.plan()
	err := s.Run(s.loops, func() bool {
		s.checkHeld()
		return s.failure != "" || s.mending && s.satisfied()
	}, s.span+patience)
	if err = s.verdict(err); err != nil {
		return err
	}
	s.checkIdle()
	s.count.virtual += s.Now() - s.began
	s.count.clients += len(s.clients)
	s.count.moves = s.moveCount()
	for _, c := range s.clients {
		if !c.gone {
			c.leave(c.Close)
		}
	}
	s.curtain()
	if err = s.verdict(s.RunFor(s.loops, rest)); err != nil {
		return err
	}
	if !s.draining {
		checkEmpty(s.proxy, s.fail)
	}
	return s.verdict(nil)
}

// rest is how long after the clients the last of them is to be forgotten.
const rest = 2 * time.Minute

// satisfied reports whether every client has what it waits for.
func (s *simulation) satisfied() bool {
	for _, c := range s.clients {
		if !c.gone && (c.flight > 0 || c.quota > 0 && !c.halfway || len(c.out) > 0 && !c.halfway) {
			return false
		}
	}
	return s.actorsAtRest()
}

func (s *simulation) verdict(err error) error {
	switch {
	case s.failure != "":
		return fmt.Errorf("%s\n%s%s", s.failure, s.text(), s.Trace())
	case err != nil:
		return fmt.Errorf("%w\n%s%s", err, s.waiting(), s.text())
	}
	return nil
}

// waiting says who still waits for what.
func (s *simulation) waiting() (text string) {
	for _, c := range s.clients {
		if !c.gone && c.flight > 0 {
			text += fmt.Sprintf("client %d of pool%d waits for %d responses, the oldest for a request of kind %d sent at %v\n",
				c.client, c.pool.index, c.flight, c.ops[c.first].kind, time.Duration(c.ops[c.first].sentAt))
		}
	}
	return text + s.waitingActors()
}

func (s *simulation) waitingActors() (text string) {
	if s.actors == nil {
		return ""
	}
	for _, c := range s.actors.all {
		if !c.gone() && len(c.due) > 0 {
			text += fmt.Sprintf("actor %d of pool%d waits for %d responses, the first to %s sent at %v\n",
				c.id, c.pool.index, len(c.due), c.due[0].what, time.Duration(c.due[0].sentAt))
		}
	}
	return text
}
