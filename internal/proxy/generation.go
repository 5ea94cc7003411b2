package proxy

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"nutmeg/internal/config"
	"nutmeg/internal/pool"
	"nutmeg/internal/stats"
)

// generation is one configuration as all workers share it. It is immutable. A reload makes the next one, and each worker
// goes over to it between two batches.
type generation struct {
	conf  *config.Config
	pools []sharedPool // in the order of conf
}

// sharedPool is what all workers share of a pool in one generation.
type sharedPool struct {
	conf   *config.Pool
	health *pool.Pool
	census *census
	rules  *commandRules // of the commands of a Redis pool; nil = none

	returned func(server, worker int, now int64) // logs that a server is back
}

// census counts the clients of a pool, over all workers and for as long as the pool exists, and keeps what they share. It is also how a worker
// knows that two generations mean the same pool: one with the same name and the same protocol.
type census struct {
	clients atomic.Int64
	scripts scriptCache
}

// newGeneration builds what conf describes. That takes a while if there are many servers, so workers should not do it.
func newGeneration(conf *config.Config, seed uint64, log *slog.Logger) (*generation, error) {
	g := &generation{conf: conf}
	for i := range conf.Pools {
		c := &conf.Pools[i]
		sp := sharedPool{conf: c, census: &census{}, rules: newCommandRules(c.Commands)}
		sp.returned = func(server, _ int, _ int64) {
			log.Warn("server returned", "pool", c.Name, "server", c.Servers[server].Name)
		}
		var err error
		if sp.health, err = pool.New(c, pool.Options{Seed: seed + uint64(i), Returned: sp.returned}); err != nil {
			return nil, fmt.Errorf("pool %s: %w", c.Name, err)
		}
		g.pools = append(g.pools, sp)
	}
	return g, nil
}

// follow takes over what goes on of the generation before: who is connected, and the health of servers.
func (g *generation) follow(before *generation, now int64) {
	for i := range g.pools {
		sp := &g.pools[i]
		old := before.find(sp.conf.Name, sp.conf.Protocol)
		if old == nil {
			continue
		}
		sp.census = old.census
		for _, server := range sp.health.Inherit(old.health, pool.SameServers(sp.conf, old.conf), now) {
			sp.returned(server, 0, now)
		}
	}
}

func (g *generation) find(name string, protocol config.Protocol) *sharedPool {
	for i := range g.pools {
		if c := g.pools[i].conf; c.Name == name && c.Protocol == protocol {
			return &g.pools[i]
		}
	}
	return nil
}

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
	first.loop.Post(func() {
		if err == nil && first.departure != nil {
			err = errLeaving
		}
		if err != nil {
			done(err)
			return
		}
		next.follow(first.generation, first.loop.Now())
		opened, err := p.open(next, nil)
		if err != nil {
			done(err)
			return
		}
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
	for _, p := range before {
		p.end()
	}
	w.resolver.schedule()
	w.limitsChanged()
}

// makeRoom makes the scratch that is kept by server large enough. It is all zero between requests.
func (w *worker) makeRoom(servers int) {
	if servers > len(w.tally) {
		w.tally = make([]int32, servers)
		w.childOf = make([]int32, servers)
	}
}
