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
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"nutmeg/internal/config"
	"nutmeg/internal/evloop"
	"nutmeg/internal/pool"
	"nutmeg/internal/stats"
)

// Proxy serves the pools of one configuration.
type Proxy struct {
	conf    *config.Config
	log     *slog.Logger
	pools   []*sharedPool
	workers []*worker

	maxClients atomic.Int64 // of all pools; 0 = no limit
	memory     memory

	running sync.WaitGroup
	stopped chan struct{}
	stop    sync.Once
}

// sharedPool is what all workers share of a pool.
type sharedPool struct {
	index   int
	conf    *config.Pool
	health  *pool.Pool
	random  bool
	clients atomic.Int64
}

// New returns a proxy with one worker for each outside. It owns the outsides from then on. Nothing is opened yet.
func New(conf *config.Config, outsides []evloop.Outside, log *slog.Logger) (*Proxy, error) {
	p := &Proxy{conf: conf, log: log, stopped: make(chan struct{})}
	p.SetLimits(conf.Global.ClientConnections, conf.Global.MaxMemory)
	for i := range conf.Pools {
		health, err := pool.New(&conf.Pools[i])
		if err != nil {
			return nil, fmt.Errorf("pool %s: %w", conf.Pools[i].Name, err)
		}
		p.pools = append(p.pools, &sharedPool{index: i, conf: &conf.Pools[i], health: health, random: health.Random()})
	}
	for i, outside := range outsides {
		p.workers = append(p.workers, newWorker(p, i, outside))
	}
	return p, nil
}

// Listen opens the pools' listening sockets and, where configured, first connections to servers. It is called once, before Run.
func (p *Proxy) Listen() error {
	w := p.workers[0]
	for _, wp := range w.pools {
		listen := wp.conf.Listen
		address := evloop.Address{Host: listen.Address.Host, Port: listen.Address.Port, Path: listen.Address.Path}
		socket, err := w.loop.Outside().Listen(address, evloop.ListenOptions{
			Backlog: listen.Backlog, ReusePort: listen.ReusePort, Mode: listen.Mode,
		})
		if err == nil {
			wp.listener, err = w.loop.Accept(socket, evloop.SocketOptions{KeepAlive: wp.conf.TCPKeepalive}, wp)
		}
		if err != nil {
			return fmt.Errorf("cannot listen on %s (pool %s): %w; stop the other process or change \"listen\"", address, wp.name(), err)
		}
		if listen.Address.Path != "" {
			wp.socketFile, _ = os.Lstat(listen.Address.Path) // without it the path is left alone at the end
		}
		w.stats.TotalConnections++
		p.log.Info("listening", "pool", wp.name(), "address", address.String(), "protocol", wp.conf.Protocol.String(),
			"servers", len(wp.servers))
	}
	for _, w := range p.workers {
		w.preconnect()
	}
	return nil
}

// Loops are the workers' loops, for who drives them step by step instead of calling Run.
func (p *Proxy) Loops() []*evloop.Loop {
	loops := make([]*evloop.Loop, len(p.workers))
	for i, w := range p.workers {
		loops[i] = w.loop
	}
	return loops
}

// Run serves until Stop. The error is that of the operating system refusing to poll.
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
	p.removeSockets()
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

// removeSockets takes the paths of unix sockets away, which would outlive the process. A path that another process has
// taken over is left alone.
func (p *Proxy) removeSockets() {
	for _, wp := range p.workers[0].pools {
		if wp.socketFile == nil {
			continue
		}
		path := wp.conf.Listen.Address.Path
		if now, err := os.Lstat(path); err == nil && os.SameFile(now, wp.socketFile) {
			_ = os.Remove(path) // it may be gone already
		}
	}
}

// Stats adds up the counters of all workers as they are now. It fails if a worker does not answer before ctx ends.
func (p *Proxy) Stats(ctx context.Context) (*stats.Worker, error) {
	answers := make(chan *stats.Worker, len(p.workers))
	for _, w := range p.workers {
		w.loop.Post(func() { answers <- w.snapshot() })
	}
	var sum *stats.Worker
	for range p.workers {
		select {
		case one := <-answers:
			if sum == nil {
				sum = one
			} else {
				sum.Add(one)
			}
		case <-p.stopped:
			return nil, fmt.Errorf("cannot read statistics: the proxy is stopping")
		case <-ctx.Done():
			return nil, fmt.Errorf("cannot read statistics: a worker does not answer: %w", ctx.Err())
		}
	}
	return sum, nil
}

// clients is how many clients all workers have, and those that are on their way to them.
func (p *Proxy) clients() int64 {
	var sum int64
	for _, w := range p.workers {
		sum += w.load.Load()
	}
	return sum
}

// leastLoaded is the worker with the fewest clients.
func (p *Proxy) leastLoaded() *worker {
	least := p.workers[0]
	for _, w := range p.workers[1:] {
		if w.load.Load() < least.load.Load() {
			least = w
		}
	}
	return least
}
