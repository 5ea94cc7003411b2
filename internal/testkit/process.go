package testkit

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// readyWithin is generous: a loaded two-core machine under the race detector
// is slow, and nobody waits that long when all is well.
const (
	readyWithin = 20 * time.Second
	readyPoll   = 5 * time.Millisecond
	closePoll   = 200 * time.Microsecond // where the time until then is what counts
)

// Process is a real server that listens on 127.0.0.1 or on a unix socket.
// It has a folder of its own, which holds its log and is removed by Close.
// Its methods may be called from any goroutine, but Restart and Close only
// one at a time.
//
// The server also dies when the program that started it does (on Linux), so an
// interrupted test leaves nothing behind.
type Process struct {
	command command
	dir     string
	ports   []func() // release the reserved ports

	mu   sync.Mutex    // guards cmd and done
	cmd  *exec.Cmd     // the current run
	done chan struct{} // closed when the current run has ended
}

// command says how to start a server and where to find it then.
type command struct {
	binary    string
	args      []string
	listening []endpoint // the first one is the server's address
	stats     string     // address of a proxy's stats port, or empty
}

// endpoint is something to dial.
type endpoint struct{ network, address string }

// Addr returns the server's first address: host:port, or the path of a unix socket.
func (p *Process) Addr() string { return p.command.listening[0].address }

// Network returns "tcp" or "unix", to go with Addr.
func (p *Process) Network() string { return p.command.listening[0].network }

// Port returns the port of Addr, or 0 for a unix socket.
func (p *Process) Port() int {
	_, port, err := net.SplitHostPort(p.Addr())
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return 0
	}
	return n
}

// StatsAddr returns the address of a proxy's stats port; empty for a server.
func (p *Process) StatsAddr() string { return p.command.stats }

// Dir returns the server's folder.
func (p *Process) Dir() string { return p.dir }

// PID returns the process id of the current or last run.
func (p *Process) PID() int {
	cmd, _ := p.run()
	return cmd.Process.Pid
}

// Exited returns a channel that is closed when the current run has ended.
func (p *Process) Exited() <-chan struct{} {
	_, done := p.run()
	return done
}

// Log returns all that the server has printed, over all its runs, and what a
// proxy wrote to its log file.
func (p *Process) Log() string {
	var all bytes.Buffer
	for _, name := range []string{"output", "log"} {
		text, err := os.ReadFile(filepath.Join(p.dir, name))
		if err == nil {
			all.Write(text)
		}
	}
	return all.String()
}

// Kill ends the server with SIGKILL, stopped or not, and waits until it is
// gone. Killing a dead server does nothing.
func (p *Process) Kill() { p.end(syscall.SIGKILL) }

// Terminate asks the server to end with SIGTERM and waits until it is gone;
// after 20 seconds it is killed.
func (p *Process) Terminate() { p.end(syscall.SIGTERM) }

// Signal sends any signal. A dead server is an error.
func (p *Process) Signal(sig os.Signal) error {
	cmd, _ := p.run()
	if err := cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("cannot signal %s, process %d: %w", p.command.binary, cmd.Process.Pid, err)
	}
	return nil
}

// Stop freezes the server with SIGSTOP and returns when it stands still: the
// kernel goes on accepting connections and bytes for it, nothing is answered.
func (p *Process) Stop() error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	return poll(readyWithin, readyPoll, func() error { return StandsStill(p.PID()) })
}

// Cont lets a stopped server go on.
func (p *Process) Cont() error { return p.Signal(syscall.SIGCONT) }

// Restart kills the server and starts it again on the same address, without
// its data, and returns when it accepts connections.
func (p *Process) Restart() error {
	p.Kill()
	if err := p.start(); err != nil {
		return err
	}
	return p.waitReady()
}

// TimeRestart is Restart with a condition of the caller: it returns when ready
// has returned nil, which is called again and again, and how long that took from
// the start of the process on.
func (p *Process) TimeRestart(ready func() error) (time.Duration, error) {
	p.Kill()
	began := time.Now()
	if err := p.start(); err != nil {
		return 0, err
	}
	err := p.waitUntil(ready, closePoll)
	return time.Since(began), err
}

// Close kills the server and removes its folder. Closing twice is harmless.
func (p *Process) Close() {
	if cmd, _ := p.run(); cmd != nil {
		p.Kill()
	}
	_ = os.RemoveAll(p.dir)
	for _, release := range p.ports {
		release()
	}
	p.ports = nil
}

func (p *Process) run() (*exec.Cmd, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd, p.done
}

func (p *Process) end(sig syscall.Signal) {
	cmd, done := p.run()
	if err := cmd.Process.Signal(sig); err != nil {
		<-done // it has ended by itself
		return
	}
	if sig != syscall.SIGKILL {
		late := time.AfterFunc(readyWithin, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
	}
	<-done
}

// start begins a run and does not wait until it is ready.
func (p *Process) start() error {
	output, err := os.OpenFile(filepath.Join(p.dir, "output"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("cannot start %s: %w", p.command.binary, err)
	}
	defer func() { _ = output.Close() }() // the server has a descriptor of its own
	cmd := exec.Command(p.command.binary, p.command.args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, output, output
	cmd.SysProcAttr = dieWithParent()

	started, done := make(chan error), make(chan struct{})
	go func() {
		// "Parent" means the thread that started the server, so that thread
		// has to live as long as the server does.
		runtime.LockOSThread()
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("cannot start %s: %w", p.command.binary, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd, p.done = cmd, done
	return nil
}

// errExited is what waitReady returns for a server that ended by itself.
var errExited = errors.New("it ended")

// waitReady returns when every address of the server accepts a connection.
func (p *Process) waitReady() error {
	return p.waitUntil(func() error {
		for _, e := range p.command.listening {
			c, err := net.DialTimeout(e.network, e.address, time.Second)
			if err != nil {
				return err
			}
			_ = c.Close()
		}
		return nil
	}, readyPoll)
}

// waitUntil returns when ready has returned nil. It is called at such intervals,
// as long as the server lives, and not for ever.
func (p *Process) waitUntil(ready func() error, interval time.Duration) error {
	_, done := p.run()
	err := poll(readyWithin, interval, func() error {
		if err := ready(); err != nil {
			return giveUpIf(done, err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s does not accept connections: %w; it printed:\n%s", p.command.binary, err, tail(p.Log(), 20))
	}
	return nil
}

// giveUpIf makes err final when the server has ended.
func giveUpIf(done <-chan struct{}, err error) error {
	select {
	case <-done:
		return finalError{errExited}
	default:
		return err
	}
}

// finalError ends a poll early.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// poll calls try at such intervals until it returns nil or a finalError, or until the time is up;
// then it returns the last error.
func poll(limit, interval time.Duration, try func() error) error {
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		err := try()
		var final finalError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &final):
			return final.error
		case time.Now().After(deadline):
			return fmt.Errorf("after %v: %w", limit, err)
		}
		<-tick.C
	}
}

// tail returns the last lines of text.
func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
