package logfile

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
)

// gate is a file whose writes wait until it is opened.
type gate struct {
	bytes.Buffer
	opened chan struct{}
	closed bool
}

func (g *gate) Write(p []byte) (int, error) { <-g.opened; return g.Buffer.Write(p) }
func (g *gate) Close() error                { g.closed = true; return nil }

func TestBlockedFile(t *testing.T) {
	t.Run("loggers go on, lines are dropped and counted", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			file := &gate{opened: make(chan struct{})}
			l := newLog(file, "gate", 5)
			const total = 10_000
			for range total {
				l.Logger().Error("a line that fills the queue")
			}
			if err := l.Sync(); err == nil || err.Error() != "cannot flush the log: it takes no lines for 1s" {
				t.Errorf("Sync: %v", err)
			}
			close(file.opened)
			if err := l.Sync(); err != nil {
				t.Error(err)
			}
			l.Logger().Error("later")
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			got := strings.Split(withoutTimes(t, file.String()), "|")
			if got[len(got)-1] != "ERR later" {
				t.Errorf("last line: %s", got[len(got)-1])
			}
			notice, ok := strings.CutPrefix(got[len(got)-2], "ALERT ")
			lost, err := strconv.Atoi(strings.TrimSuffix(notice, " lines lost"))
			if kept := len(got) - 2; !ok || err != nil || lost == 0 || kept+lost != total {
				t.Errorf("%d lines kept, %q, want the sum %d", kept, notice, total)
			}
			if !file.closed {
				t.Error("the file is not closed")
			}
		})
	})
	t.Run("Close and Reopen wait a second at most", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			file, next := &gate{opened: make(chan struct{})}, &gate{opened: make(chan struct{})}
			l := newLog(file, "gate", 5)
			l.Logger().Error("stuck")
			synctest.Wait()
			if !l.out.change(next) {
				t.Error("change refused")
			}
			if err := l.Close(); err == nil {
				t.Error("Close: no error")
			}
			close(file.opened)
			synctest.Wait()
			if got := withoutTimes(t, file.String()); got != "ERR stuck" || !file.closed || !next.closed {
				t.Errorf("got %q, old file closed %v, new file closed %v", got, file.closed, next.closed)
			}
			l.Logger().Error("nobody reads this")
		})
	})
}

// full is a disk that has room for so many bytes.
type full struct {
	bytes.Buffer
	room int
}

func (f *full) Write(p []byte) (int, error) {
	n := min(f.room, len(p))
	f.room -= n
	f.Buffer.Write(p[:n])
	if n < len(p) {
		return n, errors.New("no space left on device")
	}
	return n, nil
}
func (*full) Close() error { return nil }

func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &full{}
		l := newLog(disk, "disk", 5)
		logAll := func(messages ...string) {
			for _, message := range messages {
				l.Logger().Error(message)
				if err := l.Sync(); err != nil {
					t.Error(err)
				}
			}
		}
		logAll("lost", "lost")
		disk.room = 50
		logAll("this one is cut off in its middle, and that counts as lost", "lost")
		disk.room = 1000
		logAll("room again", "and still")
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		torn, rest, _ := strings.Cut(disk.String(), "\n")
		torn2, rest, ok := strings.Cut(rest, "\n")
		// The first line with room is the notice on the two; then the third is torn.
		if !ok || !strings.HasSuffix(torn, "ALERT 2 lines lost") || len(torn)+1+len(torn2) != 50 {
			t.Errorf("got %q, %q", torn, torn2)
		}
		if got := withoutTimes(t, rest); got != "ALERT 2 lines lost|ERR room again|ERR and still" {
			t.Errorf("got %s", got)
		}
	})
}
