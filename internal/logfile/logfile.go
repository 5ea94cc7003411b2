// Package logfile is the daemon's log: levels as twemproxy has them, a file
// that can be reopened after rotation, one line an event.
//
//	any goroutine: Logger() -> handler formats a line -> pending lines
//	one goroutine: pending lines -> write(2)
//
// Whoever logs never waits for the file: event loops log too, and a full disk
// or a pipe that nobody reads must not stop them. Lines that find the pending
// ones at their limit are dropped and counted, and a later line tells how many.
//
// The package knows nothing about what is logged, nor about signals.
package logfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"
)

// Log is an open log. Its methods may be called by any goroutine.
type Log struct {
	path    string // "" is stderr, which is never reopened or closed
	level   atomic.Int32
	crashes atomic.Bool
	logger  *slog.Logger
	out     *writer
}

// Open opens the log file at path, appending, created with mode 0644, or
// stderr if path is empty. level is twemproxy's, 0..11; one outside becomes the
// nearest. The error reads "opening log file 'PATH' failed: REASON".
//
// The log has a goroutine until Close.
func Open(path string, level int) (*Log, error) {
	if path == "" {
		return newLog(os.Stderr, "", level), nil
	}
	file, err := openFile(path)
	if err != nil {
		return nil, err
	}
	return newLog(file, path, level), nil
}

// newLog returns a log that writes to w and, if path is not empty, closes it.
func newLog(w io.WriteCloser, path string, level int) *Log {
	l := &Log{path: path, out: newWriter(w, path != "")}
	l.SetLevel(level)
	l.logger = slog.New(&handler{log: l})
	go l.out.run()
	return l
}

// openFile opens for appending. The process may be a session leader without a
// terminal, and a log on a tty must not become its controlling terminal.
func openFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NOCTTY, 0o644)
	if err != nil {
		if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		return nil, fmt.Errorf("opening log file '%s' failed: %w", path, err)
	}
	return file, nil
}

// Logger returns the logger, always the same. A call of it formats the line
// and returns, whatever the file does. After Close its lines go nowhere.
func (l *Log) Logger() *slog.Logger { return l.logger }

// Level returns the level, 0..MaxLevel: events of greater levels are not logged.
func (l *Log) Level() int { return int(l.level.Load()) }

// SetLevel sets the level; one outside 0..MaxLevel becomes the nearest.
func (l *Log) SetLevel(level int) { l.level.Store(int32(max(0, min(level, MaxLevel)))) }

// Raise makes the log one level more talkative, up to MaxLevel, and returns the level.
func (l *Log) Raise() int { return l.step(+1) }

// Lower makes the log one level quieter, down to 0, and returns the level.
func (l *Log) Lower() int { return l.step(-1) }

func (l *Log) step(by int32) int {
	for {
		old := l.level.Load()
		level := max(0, min(old+by, MaxLevel))
		if l.level.CompareAndSwap(old, level) {
			return int(level)
		}
	}
}

// Reopen opens the path anew and goes on there; the old file is closed. Lines
// logged before the call are in the old file, lines after it in the new one,
// unless a write hangs: Reopen waits for it a second at most, and the change
// follows when it ends.
//
// If the path cannot be opened, the old file stays in use. On stderr, Reopen
// does nothing.
func (l *Log) Reopen() error {
	if l.path == "" {
		return nil
	}
	file, err := openFile(l.path)
	if err != nil {
		return err
	}
	if l.crashes.Load() {
		err = debug.SetCrashOutput(file, debug.CrashOptions{})
	}
	if !l.out.change(file) {
		return errors.Join(fs.ErrClosed, file.Close())
	}
	return err
}

// CatchCrashes has the Go runtime write the stack traces of a crash to the log
// file as well, now and after each Reopen: a daemon has no stderr. The setting is
// the process's, so only one log of it may do this. On stderr there is nothing to do.
func (l *Log) CatchCrashes() error {
	if l.path == "" {
		return nil
	}
	file, err := openFile(l.path)
	if err != nil {
		return err
	}
	l.crashes.Store(true)
	// The runtime keeps a duplicate of the descriptor.
	return errors.Join(debug.SetCrashOutput(file, debug.CrashOptions{}), file.Close())
}

// Sync waits until the lines logged before the call are written, but a second at
// most. Call it before an exit that does not Close. Written means given to the
// kernel, not on disk.
func (l *Log) Sync() error { return l.out.flush(false) }

// Close writes what is pending, waiting a second at most, and closes the file.
// A second Close does nothing.
func (l *Log) Close() error { return l.out.flush(true) }
