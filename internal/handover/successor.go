//go:build unix

package handover

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Options is what Start needs.
type Options struct {
	Program   string   // the file to run
	Args      []string // as os.Args: the first is the name
	Env       []string // as os.Environ; what is stale in it does not reach the new process
	Listeners []Listener
	// Timeout is how long the new process may take from its start to its report, and later how long it may leave a client
	// that was given to it without a receipt. Then it is killed.
	Timeout time.Duration
}

// Successor is the new process, as the old one sees it, once it is ready. Its methods may be called from any goroutine.
type Successor struct {
	process *process
	channel *channel
	timeout time.Duration

	mu       sync.Mutex // guards what follows
	changed  sync.Cond  // on mu: queue, sent, ending or err changed
	queue    []gift     // to be sent
	sent     []gift     // without a receipt
	ending   bool
	finished bool  // the end mark has been sent
	sendErr  error // sending failed; what there still is to receive comes first
	err      error
	done     chan struct{} // closed when finished, or at the failure
}

// Start runs the program and hands the listeners, whose descriptors stay the caller's, to it. It returns when the new
// process is ready: both processes serve then. The new process has this one's standard files, directory, session and
// arguments.
//
// The error says what the new process reported, how it died, or that it took too long; then it is dead, and nothing has
// changed here. When ctx ends before it is ready, it is killed too.
func Start(ctx context.Context, o Options) (*Successor, error) {
	deadline := time.Now().Add(o.Timeout)
	ours, theirs, err := socketpair()
	if err != nil {
		return nil, fmt.Errorf("cannot start the new process: %w", err)
	}
	ch, err := newChannel(ours)
	if err != nil {
		_ = theirs.Close()
		return nil, fmt.Errorf("cannot start the new process: %w", err)
	}
	p, err := run(o, theirs)
	_ = theirs.Close() // the new process's copy is the last one: the connection ends with the process
	if err != nil {
		ch.close()
		return nil, fmt.Errorf("cannot start the new process: %w", err)
	}
	ch.setDeadline(deadline)
	uncancel := context.AfterFunc(ctx, func() { ch.setDeadline(time.Unix(1, 0)) })
	err = introduce(ch, o.Listeners)
	if !uncancel() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		ch.close()
		return nil, p.whyNot(ctx, err, o.Timeout)
	}
	s := &Successor{process: p, channel: ch, timeout: o.Timeout, done: make(chan struct{})}
	s.changed.L = &s.mu
	ch.setDeadline(time.Time{})
	go s.sendAll()
	go s.receiveAll()
	return s, nil
}

// introduce hands the listeners over and waits for the report.
func introduce(ch *channel, listeners []Listener) error {
	err := ch.send(message{kind: kindHello, body: hello(version), fd: -1})
	for i := 0; err == nil && i < len(listeners); i++ {
		err = ch.send(message{kind: kindListener, body: []byte(listeners[i].Name), fd: listeners[i].FD})
	}
	if err == nil {
		err = ch.send(message{kind: kindListening, fd: -1})
	}
	// Who cannot be sent to may have said why before.
	m, receiveErr := ch.receive()
	if receiveErr != nil {
		return errors.Join(err, receiveErr)
	}
	if m.fd >= 0 {
		closeAll([]int{m.fd})
	}
	switch {
	case m.kind == kindFailed:
		return &reportedError{string(m.body)}
	case m.kind != kindReady:
		return fmt.Errorf("it answers with message %d", m.kind)
	}
	return err
}

// reportedError is the reason that a new process gave for not being ready.
type reportedError struct{ reason string }

func (e *reportedError) Error() string { return e.reason }

// PID is the new process's number.
func (s *Successor) PID() int { return s.process.cmd.Process.Pid }

// process is a program that was started, and is reaped when it ends.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // of Wait, once exited is closed
}

func run(o Options, theirs *os.File) (*process, error) {
	cmd := &exec.Cmd{
		Path: o.Program, Args: o.Args, Env: environment(o.Env),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		ExtraFiles: []*os.File{theirs},
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// ends reports whether the process ends by itself within a time. It has been reaped then.
func (p *process) ends(within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.exited:
		return true
	case <-timer.C:
		return false
	}
}

// kill ends the process and returns when it has been reaped. patience is how long it may take to end by itself; killed is
// false if it did.
func (p *process) kill(patience time.Duration) (killed bool) {
	if p.ends(patience) {
		return false
	}
	killed = p.cmd.Process.Kill() == nil
	<-p.exited
	return killed
}

// whyNot makes sure that the process is dead, and says why it is not ready.
func (p *process) whyNot(ctx context.Context, err error, timeout time.Duration) error {
	var reported *reportedError
	switch {
	case errors.As(err, &reported):
		p.kill(deathTimeout)
		return fmt.Errorf("the new process cannot start: %w", err)
	case ctx.Err() != nil:
		p.kill(0)
		return fmt.Errorf("the start of the new process was broken off: %w", ctx.Err())
	case errors.Is(err, os.ErrDeadlineExceeded):
		p.kill(0)
		return fmt.Errorf("the new process was not ready within %v, and was killed", timeout)
	}
	if p.kill(deathTimeout) {
		return fmt.Errorf("the new process broke off before it was ready, and was killed: %w", err)
	}
	return p.death("before it was ready")
}

// death is the error of a process that has ended by itself.
func (p *process) death(when string) error {
	if p.err != nil {
		return fmt.Errorf("the new process died %s: %w", when, p.err)
	}
	return fmt.Errorf("the new process died %s: exit status 0", when)
}

// socketpair returns two connected sockets that programs started from here do not inherit by themselves.
func socketpair() (one, other *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "hand-over"), os.NewFile(uintptr(fds[1]), "hand-over"), nil
}
