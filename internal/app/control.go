package app

import (
	"context"
	"sync"
	"time"

	"nutmeg/internal/logfile"
	"nutmeg/internal/systemd"
)

// control is what signals have asked for so far. Any goroutine may use it.
type control struct {
	ended chan struct{}      // closed when the proxy runs no more
	ctx   context.Context    // done then, too
	end   context.CancelFunc // of ctx

	mu       sync.Mutex // guards what follows
	stopping bool
	exitCode int
	replaced chan struct{}      // closed when the last upgrade has come to its end; nil before the first
	cancel   context.CancelFunc // while a new process is being started; nil otherwise
	handing  bool               // a new process is in charge, and gets the clients
}

func newControl() *control {
	c := &control{ended: make(chan struct{})}
	c.ctx, c.end = context.WithCancel(context.Background())
	return c
}

// stop notes that the process is to end, with an exit code that is not 0 if it is to end at once. A new process that is
// being started is not needed any more.
func (c *control) stop(exitCode int) (again, handing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	again, c.stopping = c.stopping, true
	c.exitCode = max(c.exitCode, exitCode)
	if c.cancel != nil {
		c.cancel()
	}
	return again, c.handing
}

// finish waits for what the process must not leave behind, once the proxy runs no more, and returns the exit code.
func (c *control) finish() (exitCode int) {
	_, _ = c.stop(0)
	close(c.ended)
	c.end()
	c.mu.Lock()
	defer c.mu.Unlock()
	if replaced := c.replaced; replaced != nil {
		c.mu.Unlock()
		<-replaced
		c.mu.Lock()
	}
	return c.exitCode
}

// terminate lets clients finish what they have begun, for as long as drain_timeout allows. A second time it ends the
// process at once.
func (d *daemonProcess) terminate() {
	again, handing := d.control.stop(0)
	switch {
	case again:
		d.proxy.Stop()
		return
	case !handing: // else clients are leaving already, and another process is the service
		d.notice("draining: what clients have begun is finished first", "drain_timeout", d.conf().Global.DrainTimeout)
		d.proxy.Drain()
		d.releasePredecessor()
		d.tell(systemd.Stopping("draining"))
	}
	go d.stopLate()
}

// stopLate ends the process when draining takes too long.
func (d *daemonProcess) stopLate() {
	limit := d.conf().Global.DrainTimeout
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-d.control.ended:
	case <-timer.C:
		d.log.Warn("draining takes too long: the clients that are left are closed", "drain_timeout", limit)
		d.proxy.Stop()
	}
}

// interrupt ends the process at once, with another exit code, as twemproxy does.
func (d *daemonProcess) interrupt() {
	_, _ = d.control.stop(1)
	d.releasePredecessor()
	d.proxy.Stop()
}

// releasePredecessor tells a process that still has clients for this one not to go on in its place.
func (d *daemonProcess) releasePredecessor() {
	if p := d.options.Predecessor; p != nil {
		p.Stop()
	}
}

// tell logs what the service manager could not be told: it may then do the wrong thing.
func (d *daemonProcess) tell(err error) {
	if err != nil {
		d.log.Warn("service manager", "cause", err)
	}
}

// notice logs a step that operators want to see.
func (d *daemonProcess) notice(text string, args ...any) {
	d.log.Log(context.Background(), logfile.Notice, text, args...)
}

// alive reports whether all workers answer.
func (d *daemonProcess) alive(ctx context.Context) error {
	_, _, err := d.proxy.Snapshot(ctx)
	return err
}

// watchdog shows the service manager that all workers answer.
func (d *daemonProcess) watchdog() {
	systemd.Watch(d.control.ctx, d.alive, func(err error) {
		d.log.Error("the service manager is not told that the process is alive", "cause", err)
	})
}
