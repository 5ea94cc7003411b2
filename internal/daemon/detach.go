//go:build unix

// Package daemon takes the process away from the terminal, and keeps the pid file.
//
// A Go process cannot fork, so to leave the terminal it starts itself again, in a
// session of its own, and waits until that child is at work:
//
//	terminal $ nutmeg -d      parent           child
//	                          Detach: start -> Detach returns
//	                          wait             open log, read config, listen
//	                          exit 0 or 1   <- ready(nil) or ready(err)
//
// So "nutmeg -d" with a broken configuration fails at once and says why.
//
// The package does not know what the daemon does, and prints and exits for nobody.
package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
)

// marker is the environment variable by which the child knows that it is one.
// It is removed on sight, so that the child's own children do not inherit it.
const marker = "NUTMEG_DETACHED"

// readyFD is the child's end of the pipe to its parent: the first of ExtraFiles.
const readyFD = 3

// atWork is what the child writes to the pipe for success. An error is written as
// "!" and its text; nothing at all means that the child died.
const (
	atWork    = "ok"
	notAtWork = "!"
	maxReport = 64 << 10 // bytes of a report
)

// Detach takes the process into the background. Call it first in main, before
// files are opened, and before there are goroutines that matter: what follows
// it runs in another process.
//
// In the parent, child is false and ready nil. err is nil once the child has
// reported that it is at work: exit with 0. Else err is what the child reported
// or how it died: print it and exit with 1. There is no time limit.
//
// In the child, child is true. It leads a session of its own without a
// terminal, has umask 0, /dev/null as stdin, stdout and stderr, and the parent's
// arguments, environment and working directory. It must call ready once: with
// nil when it is at work, or with the reason and then exit. Calls after the
// first do nothing. Dying also counts as a report.
//
// Descriptors that were passed to the parent by number, as for socket activation,
// do not reach the child.
func Detach() (child bool, ready func(err error), err error) {
	if _, marked := os.LookupEnv(marker); !marked {
		return false, nil, startChild()
	}
	pipe, err := claimPipe()
	if err != nil {
		return false, nil, err
	}
	syscall.Umask(0)
	var once sync.Once
	return true, func(err error) { once.Do(func() { report(pipe, err) }) }, nil
}

// startChild starts this program again and waits for its report.
func startChild() error {
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot daemonize: cannot find the program's own file: %w", err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("cannot daemonize: %w", err)
	}
	defer func() { _ = read.Close() }()
	cmd := exec.Cmd{
		Path:        path,
		Args:        os.Args,
		Env:         append(os.Environ(), marker+"=1"),
		ExtraFiles:  []*os.File{write},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	err = cmd.Start()
	_ = write.Close() // the child's copy is the last one: the pipe ends with the child
	if err != nil {
		return fmt.Errorf("cannot daemonize: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(read, maxReport))
	switch reason, failed := strings.CutPrefix(string(text), notAtWork); {
	case string(text) == atWork:
		return nil
	case failed:
		return errors.New(reason)
	case err != nil:
		return fmt.Errorf("cannot tell whether the daemon started: %w", err)
	}
	return fmt.Errorf("the daemon died before it was ready: %w", died(cmd.Wait()))
}

// died is the reason of a death from what Wait returned.
func died(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// claimPipe takes the child's end of the pipe over from the environment.
func claimPipe() (*os.File, error) {
	if err := os.Unsetenv(marker); err != nil {
		return nil, fmt.Errorf("cannot daemonize: %w", err)
	}
	var stat syscall.Stat_t
	if err := syscall.Fstat(readyFD, &stat); err != nil || stat.Mode&syscall.S_IFMT != syscall.S_IFIFO {
		return nil, fmt.Errorf("cannot daemonize: the environment variable %s is for the program's own use; unset it", marker)
	}
	syscall.CloseOnExec(readyFD)
	return os.NewFile(readyFD, "pipe to the parent"), nil
}

// report tells the parent, which may have gone away: then nobody is interested.
func report(pipe *os.File, err error) {
	text := atWork
	if err != nil {
		text = notAtWork + err.Error()
		text = text[:min(len(text), maxReport)]
	}
	_, _ = io.WriteString(pipe, text)
	_ = pipe.Close()
}
