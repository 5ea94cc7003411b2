// Package proxy is nutmeg's engine: it takes requests from clients, sends each to the server that owns its key, and hands
// the responses back in the order in which their requests came.
//
//	client ──Received──► parse ──► route ──► server connection's output ──end of batch──► server
//	   ▲                                            │ queue of requests
//	   └──end of batch── client's output ◄── answer ◄── Received: the response of the oldest
//
// A Proxy has workers, each an event loop on a goroutine of its own that owns its clients and its server connections.
// What workers share is immutable (the configuration) or made for it (a pool's health). A client stays on one worker, and
// on one connection for each server, so its requests never overtake each other.
//
// The promise above all others: no response ever reaches a client that did not ask for it, in the wrong place or twice.
// It rests on two queues (request.go): a connection's, which says whose response comes next, and a client's, which says
// whose turn it is. Whatever happens to the client or the connection, a request leaves each of them exactly once.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"nutmeg/internal/config"
	"nutmeg/internal/evloop"
	"nutmeg/internal/stats"
)

// Proxy serves the pools of a configuration, which can be changed while it does.
type Proxy struct {
	// Version is what clients are told that ask for it. It is set before Listen.
	Version string

	startedAt int64 // on the clock of the loops
	log       *slog.Logger
	seeds     *rand.PCG                  // of generations; of who changes the configuration
	current   atomic.Pointer[generation] // which all workers have, or are about to
	workers   []*worker
	listeners listeners // of the first worker, and of its goroutine only
	leavePath atomic.Pointer[func(config.Address) bool]

	serial     uint32        // of the client that came last; of the first worker's goroutine only
	serials    atomic.Uint32 // below it are serials of clients that came from another process
	arrivals   arrivalBook
	population atomic.Int64 // how many clients all workers have, and those that are on their way to them
	maxClients atomic.Int64 // of all pools; 0 = no limit
	memory     memory

	// How clients move between workers.
	pace      pace
	busyMark  atomic.Int32 // from which share on a worker is busy, in thousandths; 0: clients stay where they are
	still     atomic.Bool  // nobody moves for now
	moving    atomic.Int32 // parcels of clients on their way
	moved     atomic.Int64 // all that there have been
	asking    atomic.Int32 // clients that ask all workers: none begins to move meanwhile
	standings []standing   // scratch of the first worker

	running sync.WaitGroup
	stopped chan struct{}
	stop    sync.Once
}

// New returns a proxy with one worker for each outside. It owns the outsides from then on. Nothing is opened yet.
func New(conf *config.Config, outsides []evloop.Outside, log *slog.Logger) (*Proxy, error) {
	seeds := rand.NewPCG(outsides[0].Random(), 0)
	first, err := newGeneration(conf, seeds.Uint64(), log)
	if err != nil {
		return nil, err
	}
	p := &Proxy{log: log, seeds: seeds, listeners: listeners{}, pace: usualPace, stopped: make(chan struct{})}
	p.setLimits(&conf.Global)
	p.current.Store(first)
	var entered sync.WaitGroup
	for i, outside := range outsides {
		w := newWorker(p, i, outside)
		if len(outsides) > 1 {
			w.mover = newMover(w)
		}
		p.workers = append(p.workers, w)
		entered.Go(func() { w.enter(first) }) // side by side: with many servers that takes a while
	}
	entered.Wait()
	p.startedAt = p.workers[0].loop.Now()
	return p, nil
}

// Listen begins to listen for clients and, where configured, opens first connections to servers. It is called once, before Run.
//
// Inherited, which may be nil, returns the listening socket of an address if somebody else has opened it already: an earlier process, or systemd.
func (p *Proxy) Listen(inherited func(config.Address) evloop.Socket) error {
	w := p.workers[0]
	opened, err := p.open(w.generation, inherited)
	if err != nil {
		return err
	}
	p.listenTo(w.generation, opened)
	for _, w := range p.workers {
		w.preconnect()
	}
	return nil
}

// Prepare begins to build what requests would otherwise have to wait for, on goroutines of its own, and calls done when that
// is finished. It is called before Run, if at all; clients may come meanwhile.
func (p *Proxy) Prepare(parallel int, done func()) {
	g := p.current.Load()
	go func() {
		g.prepare(parallel)
		done()
	}()
}

// Loops are the workers' loops, for who drives them step by step instead of calling Run.
func (p *Proxy) Loops() []*evloop.Loop {
	loops := make([]*evloop.Loop, len(p.workers))
	for i, w := range p.workers {
		loops[i] = w.loop
	}
	return loops
}

// Run serves until Stop, or until the last client has gone after Drain or HandOver. The error is that of the operating
// system refusing to poll.
func (p *Proxy) Run() error {
	errs := make(chan error, len(p.workers))
	for _, w := range p.workers {
		p.running.Go(func() {
			errs <- w.loop.Run()
		})
	}
	var first error
	for range p.workers {
		if err := <-errs; err != nil && first == nil {
			first = fmt.Errorf("a worker ended: %w", err)
			p.Stop()
		}
	}
	p.running.Wait()
	p.free()
	return first
}

// Close frees what New and Listen opened. It is for a proxy that is not going to Run.
func (p *Proxy) Close() {
	for _, w := range p.workers {
		w.shutdown()
	}
	p.free()
}

func (p *Proxy) free() {
	for _, w := range p.workers {
		_ = w.loop.Outside().Close() // the process is about to end, or has not begun
	}
}

// Stop makes Run close everything and return. Requests under way get no response. Any goroutine may call it.
func (p *Proxy) Stop() {
	p.stop.Do(func() {
		close(p.stopped)
		for _, w := range p.workers {
			w.loop.Post(w.shutdown)
		}
	})
}

// Snapshot adds up the counters of all workers as they are now, in the order of the configuration that comes with them.
// It fails if a worker does not answer before ctx ends.
func (p *Proxy) Snapshot(ctx context.Context) (*config.Config, *stats.Worker, error) {
	for {
		conf, sum, err := p.snapshot(ctx)
		if conf != nil || err != nil {
			return conf, sum, err
		}
	}
}

// snapshot is Snapshot, and returns nothing if the workers are just changing from one configuration to the next, or clients
// from one worker to another, which would be counted twice or not at all.
func (p *Proxy) snapshot(ctx context.Context) (*config.Config, *stats.Worker, error) {
	moved, moving := p.moved.Load(), p.moving.Load() // in this order
	type answer struct {
		generation *generation
		stats      *stats.Worker
	}
	answers := make(chan answer, len(p.workers))
	for _, w := range p.workers {
		w.loop.Post(func() { answers <- answer{w.generation, w.snapshot()} })
	}
	var first *generation
	sum := &stats.Worker{}
	mixed := false
	for range p.workers {
		select {
		case one := <-answers:
			mixed = mixed || first != nil && first != one.generation
			first = one.generation
			sum.Add(one.stats)
		case <-p.stopped:
			return nil, nil, fmt.Errorf("cannot read statistics: %w", errStopping)
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("cannot read statistics: a worker does not answer: %w", ctx.Err())
		}
	}
	if mixed || moving != 0 || moved != p.moved.Load() {
		return nil, nil, nil
	}
	return first.conf, sum, nil
}

var errStopping = errors.New("the proxy is stopping")

// reserveSerial has new clients get serials above an id that is in use.
func (p *Proxy) reserveSerial(used int64) {
	next := uint32(min(used+1, math.MaxUint32/2))
	for now := p.serials.Load(); now < next && !p.serials.CompareAndSwap(now, next); now = p.serials.Load() {
	}
}
