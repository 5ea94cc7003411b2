//go:build unix

package evloop

import (
	"sync"

	"golang.org/x/sys/unix"
)

// wakePipe makes a wait return: a byte in a pipe that the poller watches.
type wakePipe struct {
	readEnd, writeEnd int
	mu                sync.Mutex // guards writeEnd against a signal after close
	closed            bool
}

func (w *wakePipe) open() error {
	var ends [2]int
	if err := unix.Pipe(ends[:]); err != nil {
		return err
	}
	for _, fd := range ends {
		unix.CloseOnExec(fd)
		if err := unix.SetNonblock(fd, true); err != nil {
			return err
		}
	}
	w.readEnd, w.writeEnd = ends[0], ends[1]
	return nil
}

func (w *wakePipe) signal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		_, _ = unix.Write(w.writeEnd, []byte{0}) // a full pipe wakes just as well
	}
}

func (w *wakePipe) clear() {
	var bytes [64]byte
	for {
		if n, err := unix.Read(w.readEnd, bytes[:]); n < len(bytes) || err != nil {
			return
		}
	}
}

func (w *wakePipe) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	_ = unix.Close(w.readEnd)
	_ = unix.Close(w.writeEnd)
}
