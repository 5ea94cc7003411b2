package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"nutmeg/internal/config"
	"nutmeg/internal/logfile"
	"nutmeg/internal/plan"
)

// reloader puts a changed configuration file into force.
type reloader struct {
	file  string
	apply func(*config.Config) error // of the proxy
	log   *slog.Logger

	inForce atomic.Pointer[config.Config]
	reloads atomic.Int64 // that were done
	errors  atomic.Int64 // that failed, and changed nothing
	mu      sync.Mutex   // one reload at a time
}

func newReloader(file string, conf *config.Config, apply func(*config.Config) error, log *slog.Logger) *reloader {
	r := &reloader{file: file, apply: apply, log: log}
	r.inForce.Store(conf)
	return r
}

// reload reads the file and goes over to what it says. The report says what has changed. An error means that nothing has;
// it has been logged and counted. Why is for the log. Any goroutine may call it.
func (r *reloader) reload(why string) (report string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	changes, err := r.goOver()
	if err != nil {
		r.errors.Add(1)
		for _, line := range faults(err) {
			r.log.Error("cannot reload, the old configuration stays in force", "why", why, "cause", line)
		}
		return "", err
	}
	r.reloads.Add(1)
	r.log.Log(context.Background(), logfile.Notice, "configuration reloaded", "why", why, "file", r.file)
	report = changes.String()
	for line := range strings.Lines(report) {
		r.log.Log(context.Background(), logfile.Notice, "change: "+strings.TrimRight(line, "\n"))
	}
	return report, nil
}

func (r *reloader) goOver() (*plan.Plan, error) {
	next, err := config.Load(r.file)
	if err != nil {
		return nil, err
	}
	last := r.inForce.Load()
	changes, err := plan.Compare(last, next)
	if err != nil || changes.Empty() {
		return changes, err
	}
	keepWhatStays(last, next)
	if err := r.apply(next); err != nil {
		return nil, err
	}
	r.inForce.Store(next)
	return changes, nil
}

// keepWhatStays sets in next what a running process cannot change, so that the next comparison tells of it again.
func keepWhatStays(last, next *config.Config) {
	next.Global.Workers = last.Global.Workers
	reusePort := map[config.Address]bool{}
	for i := range last.Pools {
		reusePort[last.Pools[i].Listen.Address] = last.Pools[i].Listen.ReusePort
	}
	for i := range next.Pools {
		listen := &next.Pools[i].Listen
		if before, open := reusePort[listen.Address]; open {
			listen.ReusePort = before
		}
	}
}

// compare says what would change if text, the content of a file called name, were in force.
func (r *reloader) compare(name string, text []byte) (report string, err error) {
	next, err := config.Parse(name, text)
	if err != nil {
		return "", err
	}
	changes, err := plan.Compare(r.inForce.Load(), next)
	if err != nil {
		return "", err
	}
	return changes.String(), nil
}

// faults are the lines of an error: a file can have several.
func faults(err error) []string {
	var several *config.Errors
	if !errors.As(err, &several) {
		return []string{err.Error()}
	}
	lines := make([]string, len(*several))
	for i := range *several {
		lines[i] = fmt.Sprint((*several)[i])
	}
	return lines
}
