package app

import (
	"context"
	"io/fs"
	"os"
	"time"
)

// watchInterval is how often the configuration file is looked at, and how long it has to lie still before it is read.
//
// Looking beats being told: it works on every file system and through links that are swapped, as Kubernetes does it, and
// costs one stat a second.
const watchInterval = time.Second

// watch reloads when the file has changed, while the configuration in force wants it.
func (d *daemonProcess) watch(ctx context.Context) {
	file := d.reloader.file
	ticks := time.NewTicker(watchInterval)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		if changed := d.watcher.look(fileNow(file)); changed && d.conf().Global.Watch {
			_, _ = d.reload("the file has changed") // logged and counted there
		}
	}
}

// watcher tells when a file has changed and lies still again.
type watcher struct {
	read fs.FileInfo // as it was when it was read last
	seen fs.FileInfo // as it was a moment ago
}

// look takes the file as it is now, nil if it is not there, and reports whether it is to be read.
func (w *watcher) look(now fs.FileInfo) bool {
	still := sameFile(now, w.seen)
	w.seen = now
	if now == nil || !still || sameFile(now, w.read) {
		return false
	}
	w.read = now
	return true
}

func fileNow(path string) fs.FileInfo {
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	return info
}

func sameFile(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
