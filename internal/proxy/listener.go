package proxy

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"nutmeg/internal/config"
	"nutmeg/internal/evloop"
)

// listener is an address at which clients come, and the pool that they are for. It belongs to the first worker. It
// implements evloop.AcceptHandler.
type listener struct {
	proxy   *Proxy
	address config.Address
	pool    *sharedPool
	socket  *evloop.Listener
	file    os.FileInfo // what was put at the path of a unix socket; nil when that is unknown
}

// listeners are those of a proxy, or those that shall become so.
type listeners map[config.Address]*listener

// open opens the listeners that a generation needs and that are not there. If one cannot be opened, none is.
func (p *Proxy) open(g *generation, inherited func(config.Address) evloop.Socket) (listeners, error) {
	opened := listeners{}
	for i := range g.pools {
		sp := &g.pools[i]
		at := sp.conf.Listen.Address
		if p.listeners[at] != nil {
			continue
		}
		l, err := p.newListener(sp, inherited)
		if err != nil {
			for _, l := range opened {
				l.close()
			}
			return nil, fmt.Errorf("cannot listen on %s (pool %s): %w; %s", at, sp.conf.Name, err, p.listenRemedy(at))
		}
		opened[at] = l
	}
	return opened, nil
}

// listenRemedy says what to do when an address cannot be listened on.
func (p *Proxy) listenRemedy(at config.Address) string {
	for own := range p.listeners {
		if own.Network == at.Network && own.Port == at.Port && at.Port != 0 {
			return fmt.Sprintf("nutmeg itself listens on %s: move that pool to another port first, or restart", own)
		}
	}
	return "stop the other process or change \"listen\""
}

func (p *Proxy) newListener(sp *sharedPool, inherited func(config.Address) evloop.Socket) (l *listener, err error) {
	w := p.workers[0]
	conf := &sp.conf.Listen
	var socket evloop.Socket
	if inherited != nil {
		socket = inherited(conf.Address)
	}
	if socket != nil {
		p.relisten(socket, sp)
	} else if socket, err = w.loop.Outside().Listen(listenAddress(conf.Address), listenOptions(conf)); err != nil {
		return nil, err
	}
	l = &listener{proxy: p, address: conf.Address, pool: sp}
	if path := conf.Address.Path; path != "" {
		l.file, _ = os.Lstat(path) // without it the path is left alone
	}
	l.socket, err = w.loop.Accept(socket, acceptOptions(sp.conf), l)
	if err != nil {
		l.close()
		return nil, err
	}
	w.stats.TotalConnections++
	return l, nil
}

func listenAddress(a config.Address) evloop.Address {
	return evloop.Address{Host: a.Host, Port: a.Port, Path: a.Path}
}

func listenOptions(l *config.Listen) evloop.ListenOptions {
	return evloop.ListenOptions{Backlog: l.Backlog, ReusePort: l.ReusePort, Mode: l.Mode}
}

func acceptOptions(p *config.Pool) evloop.SocketOptions {
	return evloop.SocketOptions{KeepAlive: p.TCPKeepalive}
}

// listenTo accepts clients for the pools of a generation and for no others: from the listeners just opened, and from
// those that were open before, whichever pool they were for.
func (p *Proxy) listenTo(g *generation, opened listeners) {
	before := p.listeners
	p.listeners = opened
	for i := range g.pools {
		sp := &g.pools[i]
		at := sp.conf.Listen.Address
		l := before[at]
		if l == nil {
			p.log.Info("listening", "pool", sp.conf.Name, "address", at.String(), "protocol", sp.conf.Protocol.String(),
				"servers", len(sp.conf.Servers))
			continue
		}
		delete(before, at)
		opened[at] = l
		l.serve(sp)
	}
	for _, at := range slices.SortedFunc(maps.Keys(before), func(a, b config.Address) int { return strings.Compare(a.String(), b.String()) }) {
		l := before[at]
		p.log.Info("no longer listening", "pool", l.pool.conf.Name, "address", at.String())
		l.socket.AcceptRest()
		l.close()
	}
}

// serve goes over to a pool, or to the next settings of the same.
func (l *listener) serve(sp *sharedPool) {
	l.socket.SetOptions(acceptOptions(sp.conf))
	if listenOptions(&l.pool.conf.Listen) != listenOptions(&sp.conf.Listen) {
		l.proxy.relisten(l.socket.Socket(), sp)
	}
	l.pool = sp
}

// relisten gives a listening socket a pool's settings.
func (p *Proxy) relisten(socket evloop.Socket, sp *sharedPool) {
	address := listenAddress(sp.conf.Listen.Address)
	if err := p.workers[0].loop.Outside().Relisten(socket, address, listenOptions(&sp.conf.Listen)); err != nil {
		p.log.Error("cannot change a listening socket", "pool", sp.conf.Name, "address", address.String(), "cause", err)
	}
}

// LeavePaths says which paths of unix sockets stay when nobody here listens any more: those at which another process does,
// with the same socket. Nil, as at the beginning, is none. Any goroutine may call it.
func (p *Proxy) LeavePaths(leave func(config.Address) bool) { p.leavePath.Store(&leave) }

// close stops listening. The path of a unix socket is taken away, unless it is to be left or another process has put its own there.
func (l *listener) close() {
	if l.socket != nil {
		l.socket.Close()
	}
	if leave := l.proxy.leavePath.Load(); l.file == nil || leave != nil && *leave != nil && (*leave)(l.address) {
		return
	}
	if now, err := os.Lstat(l.address.Path); err == nil && os.SameFile(now, l.file) {
		_ = os.Remove(l.address.Path) // it may be gone already
	}
}

// Accepted takes a new client.
func (l *listener) Accepted(s evloop.Socket) {
	sp, first := l.pool, l.proxy.workers[0]
	if limit := int64(sp.conf.ClientConnections); limit > 0 && sp.census.clients.Load() >= limit {
		first.poolOf[sp.census].turnAway(s, limit)
		return
	}
	if limit := l.proxy.maxClients.Load(); limit > 0 && l.proxy.population.Load() >= limit {
		first.poolOf[sp.census].turnAway(s, limit)
		return
	}
	l.proxy.assign(sp.census, s, nil)
}

// assign gives a client to the worker that takes new ones. State is that of a client that comes from another proxy, else nil.
func (p *Proxy) assign(of *census, s evloop.Socket, state *clientState) {
	of.clients.Add(1)
	p.population.Add(1)
	first := p.workers[0]
	p.standings = p.standingsNow(p.standings, 0)
	to := p.workers[place(p.standings, int(p.busyMark.Load()))]
	to.load.Add(1)
	p.serial = max(p.serial+1, p.serials.Load())
	serial := p.serial
	p.arrivals.note(serial, first.loop.Now())
	if to == first {
		to.admit(of, s, serial, state)
		return
	}
	to.loop.Post(func() { to.admit(of, s, serial, state) })
}

// Listeners hands use the sockets on which the proxy listens now, by address: for making copies of them, for another process.
// Use is called once, on a worker's goroutine, or never if the error says so; it must neither wait nor keep what it gets.
// Any goroutine but a worker's may call Listeners.
func (p *Proxy) Listeners(ctx context.Context, use func(map[config.Address]evloop.Socket)) error {
	var decided atomic.Bool // whether use is called, or the caller has gone
	done := make(chan struct{})
	p.workers[0].loop.Post(func() {
		if decided.Swap(true) {
			return
		}
		sockets := make(map[config.Address]evloop.Socket, len(p.listeners))
		for at, l := range p.listeners {
			sockets[at] = l.socket.Socket()
		}
		use(sockets)
		close(done)
	})
	var err error
	select {
	case <-done:
		return nil
	case <-p.stopped:
		err = errStopping
	case <-ctx.Done():
		err = ctx.Err()
	}
	if decided.Swap(true) {
		<-done
		return nil
	}
	return err
}

// AcceptFailed says that the process has no descriptor for another client.
func (l *listener) AcceptFailed(err error) {
	l.proxy.workers[0].poolOf[l.pool.census].reached(limitDescriptors, nil, "cause", err)
}
