package logfile

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	// maxPending limits the bytes of the lines that wait to be written.
	maxPending = 256 << 10
	// keepBuffer is the most that an idle buffer keeps of its memory.
	keepBuffer = 16 << 10
	// flushWait is how long a caller waits for a file that does not take lines.
	flushWait = time.Second
)

// writer takes lines from any goroutine and writes them in its own, all that
// have come meanwhile in one write.
type writer struct {
	wake chan struct{} // has room for one; a full one says that there is something to do

	mu      sync.Mutex     // guards the fields below
	pending []byte         // whole lines
	lost    int            // lines that came after pending and found no room
	waiting []chan<- error // told when pending is written and next is in use
	next    io.WriteCloser // the file to go on with
	closing bool           // ends run; final

	// The fields below are run's own.
	file     io.WriteCloser
	owned    bool // file is to be closed
	unsaid   int  // lost lines that the log does not tell of yet
	tornLine bool // file ends within a line
}

// newWriter returns a writer to file, whose run the caller starts.
func newWriter(file io.WriteCloser, owned bool) *writer {
	return &writer{wake: make(chan struct{}, 1), file: file, owned: owned}
}

// put queues a line, of which it keeps nothing, or counts it as lost. It never
// waits for the file. After a lost line all are lost until the writer has
// caught up, so the gap is one, and the log can tell where it is.
func (w *writer) put(line []byte) {
	w.mu.Lock()
	switch {
	case w.closing:
	case w.lost > 0 || len(w.pending)+len(line) > maxPending:
		w.lost++
	default:
		w.pending = append(w.pending, line...)
	}
	w.mu.Unlock()
	w.signal()
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// flush waits until what is queued is written, or for flushWait. With closing,
// the writer ends then. The error is that of closing the file, or tells that
// the time was over.
func (w *writer) flush(closing bool) error {
	w.mu.Lock()
	if w.closing {
		w.mu.Unlock()
		return nil
	}
	w.closing = closing
	done := w.wait()
	w.mu.Unlock()
	return w.await(done)
}

// change has the writer go on with file, once what is queued is written to the
// old one. It waits for that, but not longer than flushWait. It returns false,
// and file is still the caller's, if the writer has ended.
func (w *writer) change(file io.WriteCloser) bool {
	w.mu.Lock()
	if w.closing {
		w.mu.Unlock()
		return false
	}
	if w.next != nil {
		_ = w.next.Close() // nothing was written to it
	}
	w.next = file
	done := w.wait()
	w.mu.Unlock()
	_ = w.await(done) // the change comes later then
	return true
}

// wait returns where run tells that it has done all that was asked for. The
// caller holds mu.
func (w *writer) wait() <-chan error {
	done := make(chan error, 1)
	w.waiting = append(w.waiting, done)
	return done
}

func (w *writer) await(done <-chan error) error {
	w.signal()
	timeout := time.NewTimer(flushWait)
	defer timeout.Stop()
	select {
	case err := <-done:
		return err
	case <-timeout.C:
		return fmt.Errorf("cannot flush the log: it takes no lines for %v", flushWait)
	}
}

// run writes until the writer is told to end.
func (w *writer) run() {
	var batch []byte
	for range w.wake {
		w.mu.Lock()
		batch, w.pending = w.pending, batch[:0]
		lost, waiting, next, closing := w.lost, w.waiting, w.next, w.closing
		w.lost, w.waiting, w.next = 0, nil, nil
		w.mu.Unlock()

		w.writeBatch(batch, lost)
		if cap(batch) > keepBuffer {
			batch = nil
		}
		var err error
		if next != nil {
			err = w.swap(next)
		}
		if closing {
			err = w.swap(nil)
		}
		for _, done := range waiting {
			done <- err
		}
		if closing {
			return
		}
	}
}

// writeBatch writes lines, and before or behind them how many are missing there.
func (w *writer) writeBatch(lines []byte, lost int) {
	if len(lines) > 0 {
		w.tellLost()
		w.unsaid += w.write(lines)
	}
	w.unsaid += lost
	if len(lines) > 0 {
		w.tellLost()
	}
}

// tellLost says how many lines were lost since it last said so.
func (w *writer) tellLost() {
	if w.unsaid == 0 {
		return
	}
	line := fmt.Appendf(nil, "[%s] %s %d lines lost\n", time.Now().Format(timeLayout), name(number(Alert)), w.unsaid)
	if w.write(line) == 0 {
		w.unsaid = 0
	}
}

// write writes lines and returns how many of them are not, or not wholly, written.
func (w *writer) write(lines []byte) (missing int) {
	if w.tornLine {
		if _, err := io.WriteString(w.file, "\n"); err != nil {
			return bytes.Count(lines, []byte("\n"))
		}
		w.tornLine = false
	}
	n, err := w.file.Write(lines)
	if err == nil {
		return 0
	}
	w.tornLine = n > 0 && lines[n-1] != '\n'
	return bytes.Count(lines[n:], []byte("\n"))
}

// swap closes the file and goes on with the next one.
func (w *writer) swap(next io.WriteCloser) error {
	var err error
	if w.owned {
		err = w.file.Close()
	}
	w.file, w.tornLine = next, false
	return err
}
