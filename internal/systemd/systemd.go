//go:build linux

// Package systemd speaks to the service manager that started the process, if it is systemd or speaks its protocol: it
// tells of the process's state, shows that it is alive, and takes the sockets that the manager listens on.
//
// Without such a manager all of it does nothing.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// Ready says that the process serves, also after Reloading. The status is for people, one line.
func Ready(status string) error { return notify(daemon.SdNotifyReady, "STATUS="+status) }

// Status says what the process is doing, in one line for people.
func Status(status string) error { return notify("STATUS=" + status) }

// Reloading says that the process reads its configuration again. Ready ends it, however that went.
func Reloading() error {
	return notify(daemon.SdNotifyReloading, "MONOTONIC_USEC="+strconv.FormatInt(monotonicMicros(), 10))
}

// Stopping says that the process is about to end.
func Stopping(status string) error { return notify(daemon.SdNotifyStopping, "STATUS="+status) }

// MainPID says that from now on the process of that number is the service.
func MainPID(pid int, status string) error {
	return notify("MAINPID="+strconv.Itoa(pid), daemon.SdNotifyReady, "STATUS="+status)
}

// notifyTimeout is how long a manager may leave what it is told unread. It must not keep the process from stopping.
const notifyTimeout = time.Second

var errNotRead = errors.New("it does not read what it is told")

// notify sends assignments, a line each.
func notify(assignments ...string) error {
	for i, a := range assignments {
		assignments[i] = strings.ReplaceAll(a, "\n", " ")
	}
	sent := make(chan error, 1)
	go func() {
		_, err := daemon.SdNotify(false, strings.Join(assignments, "\n"))
		sent <- err
	}()
	timer := time.NewTimer(notifyTimeout)
	defer timer.Stop()
	var err error
	select {
	case err = <-sent:
	case <-timer.C: // the goroutine stays until the manager reads, or the process ends
		err = errNotRead
	}
	if err != nil {
		return fmt.Errorf("cannot tell the service manager %q: %w", assignments[0], err)
	}
	return nil
}

// Watch shows the manager that the process is alive, at half the interval that it wants (WatchdogSec), until ctx ends.
// Alive says whether it is: it must return soon after its context is done. The first error is reported to failed, once; a
// manager that hears nothing restarts the process.
func Watch(ctx context.Context, alive func(context.Context) error, failed func(error)) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		failed(fmt.Errorf("cannot serve the service manager's watchdog: %w", err))
	}
	if err != nil || interval <= 0 {
		return
	}
	ticks := time.NewTicker(max(interval/2, time.Millisecond))
	defer ticks.Stop()
	for reported := false; ctx.Err() == nil; {
		within, cancel := context.WithTimeout(ctx, interval/2)
		err := alive(within)
		cancel()
		if err == nil {
			_, err = daemon.SdNotify(false, daemon.SdNotifyWatchdog) // for as long as it takes: nothing else waits for it
		}
		if err != nil && !reported && ctx.Err() == nil {
			reported = true
			failed(err)
		}
		select {
		case <-ctx.Done():
		case <-ticks.C:
		}
	}
}

// Socket is a socket that the manager passed.
type Socket struct {
	Name string // of the socket unit (FileDescriptorName), for people
	FD   int
}

// Sockets takes the sockets that the manager passed, whose descriptors are the caller's from then on. A second call, and
// programs that this one starts, find none.
func Sockets() []Socket {
	files := activation.Files(true)
	sockets := make([]Socket, 0, len(files))
	for _, f := range files {
		// A File closes its descriptor when it is collected, so it is not the one to give away.
		if fd, err := syscall.Dup(int(f.Fd())); err == nil {
			syscall.CloseOnExec(fd)
			sockets = append(sockets, Socket{Name: f.Name(), FD: fd})
		}
		_ = f.Close() // it was only read from
	}
	return sockets
}
