package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"nutmeg/internal/config"
	"nutmeg/internal/daemon"
	"nutmeg/internal/evloop"
	"nutmeg/internal/handover"
	"nutmeg/internal/proxy"
	"nutmeg/internal/systemd"
)

// upgrade starts a new process and hands all over to it.
func (d *daemonProcess) upgrade() {
	c := d.control
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.stopping:
		d.log.Warn("no upgrade: this process is stopping")
	case c.cancel != nil || c.handing:
		d.log.Warn("no upgrade: one is under way")
	default:
		ctx, cancel := context.WithCancel(c.ctx)
		done := make(chan struct{})
		c.cancel, c.replaced = cancel, done
		go func() {
			defer close(done)
			d.replace(ctx)
			cancel()
		}()
	}
}

// replace is an upgrade from its beginning to its end.
func (d *daemonProcess) replace(ctx context.Context) {
	select {
	case <-d.tookOver: // a process that still gives clients away must not see this one end
	case <-ctx.Done():
	}
	s, back, err := d.beginHandOver(ctx)
	if err != nil {
		d.upgradeFailures.Add(1)
		d.log.Error("upgrade failed, this process goes on", "cause", err)
		d.keepPIDFile()
		return
	}
	d.finishHandOver(s, back)
}

// beginHandOver starts a new process and has the clients leave for it, each when it has nothing in flight. A reload waits until
// then, when it is refused.
func (d *daemonProcess) beginHandOver(ctx context.Context) (*handover.Successor, *returned, error) {
	d.turn.Lock()
	defer d.turn.Unlock()
	s, err := d.startSuccessor(ctx)
	c := d.control
	c.mu.Lock()
	c.cancel, c.handing = nil, err == nil
	c.mu.Unlock()
	if err != nil {
		return nil, nil, err
	}
	d.notice("a new process has taken over; clients follow", "pid", s.PID())
	d.tell(systemd.MainPID(s.PID(), "upgraded"))
	d.proxy.LeavePaths(anywhere)
	back := &returned{all: make(chan struct{})}
	d.proxy.HandOver(func(h proxy.Handed) { back.give(s, h) }, func() { close(back.all) })
	return s, back, nil
}

// startSuccessor returns when a new process serves, or is dead.
func (d *daemonProcess) startSuccessor(ctx context.Context) (*handover.Successor, error) {
	listeners, err := d.listeners(ctx)
	defer closeListeners(listeners)
	if err != nil {
		return nil, err
	}
	program := d.options.Program.Path()
	d.notice("upgrade: starting a new process", "program", program)
	return handover.Start(ctx, handover.Options{
		Program: program, Args: os.Args, Env: os.Environ(), Listeners: listeners,
		Timeout: d.conf().Global.UpgradeTimeout,
	})
}

// listeners are copies of all listening sockets: what is closed in the meantime must not be mistaken for something else.
func (d *daemonProcess) listeners(ctx context.Context) ([]handover.Listener, error) {
	ctx, cancel := context.WithTimeout(ctx, listenersTimeout)
	defer cancel()
	var all []handover.Listener
	var dupErr error
	add := func(name string, own int) {
		fd, err := duplicateFD(own)
		if dupErr = errors.Join(dupErr, err); err == nil {
			all = append(all, handover.Listener{Name: name, FD: fd})
		}
	}
	err := d.proxy.Listeners(ctx, func(sockets map[config.Address]evloop.Socket) {
		for at, socket := range sockets {
			name := namePool
			if d.inherited.isManaged(at) {
				name = nameManager
			}
			if own, ok := evloop.FD(socket); ok {
				add(name+at.String(), own)
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("cannot collect the listening sockets: %w", err)
	}
	add(nameStats+d.stats.address, d.stats.fd)
	return all, dupErr
}

// listenersTimeout is how long a worker may take to name its sockets.
const listenersTimeout = 5 * time.Second

func closeListeners(listeners []handover.Listener) {
	for _, l := range listeners {
		_ = syscall.Close(l.FD) // a copy
	}
}

// keepPIDFile makes sure that the pid file names this process: a new one may have died after writing its own number.
func (d *daemonProcess) keepPIDFile() {
	if d.pid == nil {
		return
	}
	text, err := os.ReadFile(d.options.PIDFile)
	if err == nil && string(text) == strconv.Itoa(os.Getpid()) {
		return
	}
	if d.pid, err = daemon.CreatePIDFile(d.options.PIDFile); err != nil {
		d.log.Error("the pid file names a process that is dead", "cause", err)
	}
}

// finishHandOver ends the process when its last client has arrived at the new one. Those that have something in flight for
// longer than upgrade_timeout are closed: one that never reads would keep this process, and the new one from being
// upgraded, for ever.
func (d *daemonProcess) finishHandOver(s *handover.Successor, back *returned) {
	d.stats.close()
	limit := d.conf().Global.UpgradeTimeout
	late := time.AfterFunc(limit, func() {
		d.log.Warn("clients that are still not done are closed", "upgrade_timeout", limit)
		d.proxy.Evict()
	})
	defer late.Stop()
	select {
	case <-back.all:
		late.Stop()
		s.End()
	case <-s.Done():
	case <-d.control.ended:
		return
	}
	select {
	case <-s.Done():
	case <-d.control.ended:
		return
	}
	switch err := s.Err(); {
	case err == nil && back.none():
		d.notice("all clients have moved to the new process", "clients", back.taken.Load())
		d.proxy.Stop()
	case err == nil || errors.Is(err, handover.ErrRefused):
		d.log.Warn("draining: clients cannot move to the new process", "moved", back.taken.Load(), "cause", err)
		d.drainRest(back)
	default:
		d.upgradeFailures.Add(1)
		d.log.Error("upgrade failed, this process serves again; clients that had moved are lost", "lost", back.taken.Load(), "cause", err)
		d.serveAgain(back)
	}
}

// drainRest keeps the clients that have to stay until they are done. The new process serves all others.
func (d *daemonProcess) drainRest(back *returned) {
	again, _ := d.control.stop(0)
	d.takeBack(back)
	d.proxy.Drain()
	if !again {
		go d.stopLate()
	}
}

// serveAgain makes this process what it was before the upgrade.
func (d *daemonProcess) serveAgain(back *returned) {
	c := d.control
	c.mu.Lock()
	c.handing = false
	stopping := c.stopping
	c.mu.Unlock()
	d.proxy.LeavePaths(d.inherited.isManaged)
	d.takeBack(back)
	d.keepPIDFile()
	d.tell(systemd.MainPID(os.Getpid(), "serving again after a failed upgrade"))
	d.stats.open()
	if stopping {
		d.proxy.Drain()
	}
}

// takeBack accepts clients again, first of all those that could not move.
func (d *daemonProcess) takeBack(back *returned) {
	d.proxy.Resume()
	back.to(func(h proxy.Handed) {
		if err := d.proxy.Adopt(h); err != nil {
			d.log.Error("client lost", "cause", err)
		}
	})
}

// returned is clients that could not be handed over.
type returned struct {
	all   chan struct{} // closed when all clients have been given away
	taken atomic.Int64  // how many have arrived

	mu      sync.Mutex // guards what follows
	clients []proxy.Handed
	adopt   func(proxy.Handed) // for clients that come later; nil until to
}

// give hands one client over. It is called by workers and does not wait.
func (r *returned) give(s *handover.Successor, h proxy.Handed) {
	fd, ok := evloop.FD(h.Socket)
	if !ok {
		r.add(h)
		return
	}
	s.Give(handover.Client{FD: fd, Pool: h.Pool, State: h.State}, func(taken bool) {
		if !taken {
			r.add(h)
			return
		}
		_ = h.Socket.Close() // the new process has the client
		r.taken.Add(1)
	})
}

func (r *returned) add(h proxy.Handed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.adopt != nil {
		r.adopt(h)
		return
	}
	r.clients = append(r.clients, h)
}

func (r *returned) none() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.clients) == 0
}

// to has adopt called for all that have come back, and all that will.
func (r *returned) to(adopt func(proxy.Handed)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.adopt = adopt
	for _, h := range r.clients {
		adopt(h)
	}
	r.clients = nil
}
