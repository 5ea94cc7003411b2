package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	proxyReadyWithin = 20 * time.Second
	proxyEndsWithin  = 5 * time.Second
	proxyPoll        = 10 * time.Millisecond
	maxSaid          = 64 << 10 // bytes kept of what it prints
)

// proxyProcess is a nutmeg process that ends when this one does.
type proxyProcess struct {
	cmd   *exec.Cmd
	said  said          // what it printed
	ended chan struct{} // closed when it is gone
}

// startProxy starts the program. The caller must end it.
func startProxy(binary string, args ...string) (*proxyProcess, error) {
	p := &proxyProcess{cmd: exec.Command(binary, args...), ended: make(chan struct{})}
	p.cmd.Stderr = &p.said
	p.cmd.SysProcAttr = processOfItsOwn()
	started := make(chan error)
	go func() {
		// Linux ends the child with the thread that started it, so the thread has to stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.ended)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // who waits for ended judges
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("cannot start nutmeg: %w", err)
	}
	return p, nil
}

func (p *proxyProcess) pid() int { return p.cmd.Process.Pid }

// waitReady returns nil when the process accepts clients on address.
func (p *proxyProcess) waitReady(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, proxyReadyWithin)
	defer cancel()
	tick := time.NewTicker(proxyPoll)
	defer tick.Stop()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.ended:
			return fmt.Errorf("nutmeg did not start; it said:\n%s", p.said.String())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("nutmeg does not listen on %s: %w", address, ctx.Err()), err)
		case <-tick.C:
		}
	}
}

// end asks the process to end, waits until it is gone, and kills it if that takes too long.
func (p *proxyProcess) end() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	late := time.AfterFunc(proxyEndsWithin, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	<-p.ended
}

// said keeps the beginning of what is written to it. Any goroutine may use it.
type said struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(b[:min(len(b), maxSaid-s.text.Len())])
	return len(b), nil
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
