package proxy

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"nutmeg/internal/config"
	"nutmeg/internal/pool"
	"nutmeg/internal/stats"
)

// generation is one configuration as all workers share it. It is immutable. A reload makes the next one, and each worker
// goes over to it between two batches.
type generation struct {
	conf     *config.Config
	pools    []sharedPool // in the order of conf
	hasNames bool         // there are servers with a host name
}

// sharedPool is what all workers share of a pool in one generation.
type sharedPool struct {
	conf   *config.Pool
	health *pool.Pool
	census *census
	rules  *commandRules // of the commands of a Redis pool; nil = none

	hasNames bool // there are servers with a host name

	cursors cursors
	before  *pool.Pool // of the generation before, until its health has been taken over
	same    []int      // for each server, its index in the generation before, or -1; nil if the pool is new

	returned func(server, worker int, now int64) // logs that a server is back
}

// census counts the clients of a pool, over all workers and for as long as the pool exists, and keeps what they share. It is also how a worker
// knows that two generations mean the same pool: one with the same name and the same protocol.
type census struct {
	clients atomic.Int64
	scripts scriptCache
}

// newGeneration is what conf describes, not prepared yet.
func newGeneration(conf *config.Config, seed uint64, log *slog.Logger) (*generation, error) {
	g := &generation{conf: conf, pools: make([]sharedPool, len(conf.Pools))}
	failures := make([]error, len(conf.Pools))
	g.forEach(runtime.GOMAXPROCS(0), func(i int) {
		failures[i] = g.pools[i].setUp(&conf.Pools[i], seed+uint64(i), log)
	})
	for i, err := range failures {
		if err != nil {
			return nil, fmt.Errorf("pool %s: %w", conf.Pools[i].Name, err)
		}
		g.hasNames = g.hasNames || g.pools[i].hasNames
	}
	return g, nil
}

// setUp makes sp what c describes.
func (sp *sharedPool) setUp(c *config.Pool, seed uint64, log *slog.Logger) (err error) {
	sp.conf, sp.census, sp.rules, sp.cursors = c, &census{}, newCommandRules(c.Commands), newCursors(c.Servers)
	sp.hasNames = slices.ContainsFunc(c.Servers, func(s config.Server) bool { return hasName(&s) })
	sp.returned = func(server, _ int, _ int64) {
		log.Warn("server returned", "pool", c.Name, "server", c.Servers[server].Name)
	}
	sp.health, err = pool.New(c, pool.Options{Seed: seed, Returned: sp.returned})
	return err
}

// forEach calls do for each pool, on so many goroutines.
func (g *generation) forEach(parallel int, do func(pool int)) {
	var group sync.WaitGroup
	var next atomic.Int64
	for range min(parallel, len(g.pools)) {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(g.pools)); i = next.Add(1) - 1 {
				do(int(i))
			}
		})
	}
	group.Wait()
}

// prepare builds what takes a while if there are many servers, the pools' distributions, on as many goroutines as may run at
// a time. Without it each pool does so when it is first asked, on a worker's time. Any goroutine may call it.
func (g *generation) prepare(parallel int) {
	g.forEach(parallel, func(pool int) { g.pools[pool].health.Prepare() })
}

// match finds the pools and servers that were there in the generation before, and takes over what was built for them. It takes
// a while if there are many, so workers should not do it.
func (g *generation) match(before *generation) {
	olds := make(map[poolKey]*sharedPool, len(before.pools))
	for i := range before.pools {
		olds[before.pools[i].key()] = &before.pools[i]
	}
	for i := range g.pools {
		sp := &g.pools[i]
		old := olds[sp.key()]
		if old == nil {
			continue
		}
		sp.before, sp.census = old.health, old.census
		sp.same = pool.SameServers(sp.conf, old.conf)
		sp.health.Reuse(old.health)
	}
}

// follow takes over the health of the servers from the generation that this one was matched with.
func (g *generation) follow(now int64) {
	for i := range g.pools {
		sp := &g.pools[i]
		if sp.before == nil {
			continue
		}
		for _, server := range sp.health.Inherit(sp.before, sp.same, now) {
			sp.returned(server, 0, now)
		}
		sp.before = nil
	}
}

// poolKey is what makes pools of two generations the same.
type poolKey struct {
	name     string
	protocol config.Protocol
}

func (sp *sharedPool) key() poolKey { return poolKey{sp.conf.Name, sp.conf.Protocol} }

var errLeaving = errors.New("the process is about to end, or hands its clients over to another")

// Apply goes over to a new configuration: see Change. It waits until all workers have. It must not be called by a worker.
func (p *Proxy) Apply(conf *config.Config) error {
	done := make(chan error, 1)
	p.Change(conf, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-p.stopped:
		return errStopping
	}
}

// Change goes over to a new configuration without disturbing clients, and calls done on the goroutine of a worker. If it
// fails, nothing has changed. Any goroutine may call it, but not before the last call is done.
//
// A pool survives if its name and its protocol stay. Its clients stay connected. A server of it survives if its name and
// its address stay: it keeps its health, and its connections unless they have to be made in another way now. Whatever
// goes finishes what is in flight first.
//
// The number of workers, and SO_REUSEPORT of an address that is listened on already, stay as they are.
func (p *Proxy) Change(conf *config.Config, done func(error)) {
	first := p.workers[0]
	next, err := newGeneration(conf, p.seeds.Uint64(), p.log)
	if err == nil {
		next.match(p.current.Load())
		next.prepare(runtime.GOMAXPROCS(0))
	}
	first.loop.Post(func() {
		if err == nil && first.departure != nil {
			err = errLeaving
		}
		if err != nil {
			done(err)
			return
		}
		opened, err := p.open(next, nil)
		if err != nil {
			done(err)
			return
		}
		next.follow(first.loop.Now())
		p.current.Store(next)
		// The first worker is the last to change: it accepts, and what it hands to the others they must know by then.
		p.still.Store(true)
		var waiting atomic.Int32
		waiting.Store(int32(len(p.workers)))
		change := func(w *worker) {
			w.enter(next)
			w.preconnect()
			if waiting.Add(-1) == 0 {
				p.still.Store(false)
				done(nil)
			}
		}
		for _, w := range p.workers[1:] {
			w.loop.Post(func() { change(w) })
		}
		p.setLimits(&conf.Global)
		p.listenTo(next, opened)
		change(first)
	})
}

// enter makes a generation the worker's own. The pools that it has already go on with new settings.
func (w *worker) enter(next *generation) {
	counts := make([]int, len(next.pools))
	for i := range next.pools {
		counts[i] = len(next.pools[i].conf.Servers)
	}
	counters := stats.NewWorker(counts)
	counters.TotalConnections, counters.ClientMoves = w.stats.TotalConnections, w.stats.ClientMoves
	w.stats = counters

	before := w.poolOf
	w.generation = next
	w.pools = make([]*workerPool, len(next.pools))
	w.poolOf = make(map[*census]*workerPool, len(next.pools))
	for i := range next.pools {
		sp := &next.pools[i]
		p := before[sp.census]
		if p == nil {
			p = &workerPool{worker: w, census: sp.census, stats: &stats.Pool{}}
		}
		delete(before, sp.census)
		w.pools[i] = p
		w.poolOf[sp.census] = p
		p.change(sp, &counters.Pools[i])
		w.makeRoom(len(p.servers))
	}
	w.endPools(before)
	w.shortenDeadlines()
	w.resolver.schedule()
	w.limitsChanged()
}

// endPools lets go of pools that are not in the configuration any more, and of their clients.
func (w *worker) endPools(ended map[*census]*workerPool) {
	if len(ended) == 0 {
		return
	}
	for c := w.clients; c != nil; {
		next := c.next
		switch {
		case ended[c.pool.census] == nil:
		case c.blocked():
			c.sayGoodbye(false) // nobody knows how long that would take
		default:
			c.leave()
		}
		c = next
	}
	for _, p := range ended {
		p.end()
	}
}

// shortenDeadlines makes the pools' time-outs hold for what is in flight, too. Requests are answered in turn: one without a
// deadline, or with a far one, would keep all behind it from theirs.
func (w *worker) shortenDeadlines() {
	for conn := w.conns; conn != nil; conn = conn.next {
		if timeout := conn.server.pool.timeout; timeout > 0 {
			conn.shortenDeadlines(w.loop.Now() + timeout)
		}
	}
}

// makeRoom makes the scratch that is kept by server large enough. It is all zero between requests.
func (w *worker) makeRoom(servers int) {
	if servers > len(w.tally) {
		w.tally = make([]int32, servers)
		w.childOf = make([]int32, servers)
	}
}
