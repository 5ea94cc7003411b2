package proxy

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"nutmeg/internal/resp"
	"nutmeg/internal/testkit/sim"
)

// Actors are clients with state, besides those with ledgers: they select databases, execute transactions, block, subscribe. Half of all
// seeds have them (stateful). They draw from a generator of their own, so that they change nothing else of a run but its moments.
//
// What must hold for each kind stands with it. A connection that ends and an error need a cause, as for other clients.
type actors struct {
	random  *rand.Rand
	all     []*actor
	txns    map[string]*simTxn
	heap    map[string]*element
	strays  map[*simPool]int64 // when a server last said something that nobody asked for
	changes map[*simPool]int64 // when keys or channels may last have moved
}

// stateful reports whether the run of a seed has actors. Kept seeds are older than they.
func stateful(seed uint64) bool { return seed%2 == 0 && !slices.Contains(keptSeeds, seed) }

// actor is one connection of a client with state.
type actor struct {
	*sim.Peer
	s       *simulation
	pool    *simPool
	id      int
	reader  redisReader
	out     []byte
	due     []expected // responses, oldest first
	hears   func(response []byte) bool
	then    func() // called when all is answered
	onGone  func()
	version int

	openedAt int64
	goneAt   int64 // -1: it is there
	halfway  bool
	doomed   bool
}

// expected is a response that is due.
type expected struct {
	what   string
	sentAt int64
	check  func(response []byte)
}

func (s *simulation) newActor(p *simPool, id int) *actor {
	c := &actor{Peer: s.Connect(p.listen), s: s, pool: p, id: id, goneAt: -1, version: 2, openedAt: int64(s.Now()), doomed: p.absent}
	c.OnData = func(_ *sim.Peer, data []byte) { c.received(data) }
	c.OnClose = func(_ *sim.Peer, err error) { c.closed(err) }
	s.actors.all = append(s.actors.all, c)
	if p.password != "" {
		c.login()
	}
	return c
}

func (c *actor) login() {
	c.say("AUTH", func(response []byte) {
		if string(response) != resp.OK {
			c.wrong("AUTH", response)
		}
	}, c.pool.password)
}

// say adds a request to what is sent next.
func (c *actor) say(command string, check func(response []byte), args ...string) {
	c.out = resp.AppendCommand(c.out, append([]string{command}, args...)...)
	c.due = append(c.due, expected{command, int64(c.s.Now()), check})
	c.s.count.requests++
}

// utter sends what has been said.
func (c *actor) utter() {
	c.Send(c.out)
	c.out = c.out[:0]
}

func (c *actor) gone() bool { return c.goneAt >= 0 }

// exit is the end of the actor, on purpose.
func (c *actor) exit(how func()) {
	if c.gone() {
		return
	}
	c.goneAt = int64(c.s.Now())
	c.due, c.then = nil, nil
	how()
	if c.onGone != nil {
		c.onGone()
	}
}

func (c *actor) received(data []byte) {
	for len(data) > 0 && !c.gone() {
		response, rest, err := c.reader.next(data)
		if err != nil {
			c.fail("was sent rubbish: %v", err)
			return
		}
		data = rest
		if response != nil {
			c.answered(response)
		}
	}
	if c.then != nil && len(c.due) == 0 && !c.gone() {
		c.then()
	}
}

func (c *actor) answered(response []byte) {
	if c.hears != nil && c.hears(response) {
		return
	}
	if len(c.due) == 0 {
		c.fail("got a response that it did not ask for: %.80q", response)
		return
	}
	e := c.due[0]
	c.due = c.due[1:]
	c.s.count.responses++
	if c.isFailure(response) {
		c.s.count.errors++
		moved := c.pool.loose && strings.HasPrefix(string(response), "-CROSSSLOT the server of") // since WATCH
		aborted := strings.HasPrefix(string(response), "-EXECABORT")                             // which its transaction checks
		late := strings.Contains(string(response), "became free in time")
		refused := c.pool.overloads && (isOverload(string(response)) || strings.HasPrefix(string(response), "-"+tooMuchEarly))
		if !c.excused(e.sentAt) && !moved && !aborted && !late && !refused {
			c.fail("%s: error %.80q without a cause; it was sent at %v", e.what, response, time.Duration(e.sentAt))
		}
	}
	e.check(response)
}

// isFailure recognises an error that servers, or the lack of them, are the cause of.
func (c *actor) isFailure(response []byte) bool {
	text, ok := resp.ErrorText(response)
	return ok && (redisLanguage{}.isFailure(response) || bytes.Contains(text, []byte(isOverloadWords)) ||
		slices.ContainsFunc(refusals, func(r string) bool { return bytes.HasPrefix(text, []byte(r)) }))
}

const (
	isOverloadWords = "has too many requests waiting"
	tooMuchEarly    = "ERR too much in a transaction before its first key"
)

var refusals = []string{"ERR no connection of its own", "ERR cannot block", "EXECABORT", "CROSSSLOT", tooMuchEarly}

// excused reports whether what happened since a time has a cause.
func (c *actor) excused(since int64) bool {
	return c.pool.explains(since) || c.s.actors.strays[c.pool] >= since || c.s.actors.changes[c.pool] >= since || c.s.draining
}

func (c *actor) fail(format string, args ...any) {
	c.s.fail("actor %d of pool%d: %s", c.id, c.pool.index, fmt.Sprintf(format, args...))
}

func (c *actor) wrong(what string, response []byte) {
	if !c.isFailure(response) {
		c.fail("%s is answered %.80q", what, response)
	}
}

func (c *actor) closed(err error) {
	fine := c.gone() || c.halfway && err == io.EOF //nolint:errorlint // the simulation's own value
	if !fine && !c.mayLose() {
		c.fail("lost its connection (%v) with %d responses due", err, len(c.due))
	}
	c.exit(func() {})
	c.Close()
}

func (c *actor) mayLose() bool {
	return c.doomed || c.pool.absent || c.pool.limited || c.pool.idle > 0 || c.excused(c.openedAt)
}

// null is what stands for nothing; old is that of version 2.
func (c *actor) null(old string) string {
	if c.version == 3 {
		return "_\r\n"
	}
	return old
}

// cast decides which actors a round has.
func (s *simulation) cast() {
	if s.actors == nil {
		return
	}
	r := s.actors.random
	for _, p := range s.pools {
		if _, ok := p.language.(redisLanguage); !ok {
			continue
		}
		for range 2 + r.IntN(8) {
			begin := pickOne(r, s.selects, s.transacts, s.blocks, s.subscribes)
			s.After(time.Duration(r.Int64N(int64(s.span*3/4))), func() {
				if !s.draining && !p.absent && !p.out {
					begin(p, len(s.actors.all)+1)
				}
			})
		}
	}
}

// actorsAtRest reports whether no actor waits for anything.
func (s *simulation) actorsAtRest() bool {
	if s.actors == nil {
		return true
	}
	for _, c := range s.actors.all {
		if !c.gone() && (len(c.due) > 0 || c.then != nil) {
			return false
		}
	}
	return true
}

// while makes up how long an actor rests, so that faults, reloads and upgrades meet it in every state.
func (s *simulation) while() time.Duration {
	r := s.actors.random
	return time.Duration(r.Int64N(int64(s.span / time.Duration(pickOne(r, 8, 30, 200)))))
}

// over says that nothing is begun any more.
func (s *simulation) over() bool { return s.Now() >= s.until }

// dismiss ends what would never end by itself: an actor that blocks for as long as it takes.
func (s *simulation) dismiss() {
	if s.actors == nil {
		return
	}
	for _, c := range s.actors.all {
		if len(c.due) > 0 && c.due[0].what == "BLPOP" {
			c.exit(c.Close)
		}
	}
}

// curtain has all actors leave, and settles their accounts.
func (s *simulation) curtain() {
	if s.actors == nil {
		return
	}
	for _, c := range s.actors.all {
		c.exit(c.Close)
	}
	s.checkElements()
	s.actors.all = s.actors.all[:0]
}

func (s *simulation) newActors(seed uint64) *actors {
	a := &actors{
		random: rand.New(rand.NewPCG(seed, 0xac7025)), txns: map[string]*simTxn{}, heap: map[string]*element{},
		strays: map[*simPool]int64{}, changes: map[*simPool]int64{},
	}
	for _, p := range s.pools {
		a.strays[p], a.changes[p] = -1, -1
		if _, ok := p.language.(redisLanguage); ok {
			p.settings += fmt.Sprintf("  dedicated_connections: %d\n  dedicated_timeout: %d\n", pickOne(a.random, 1, 1, 2, 4), 50+a.random.IntN(400))
		}
	}
	return a
}
