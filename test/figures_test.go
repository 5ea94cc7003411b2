package test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// figures are what a process uses. All are 0 on a system that does not show them in /proc.
type figures struct {
	descriptors, threads int
	resident, data       int // bytes: in memory; asked for, used or not
}

func (f figures) String() string {
	return fmt.Sprintf("%d descriptors, %d threads, %.1f MB resident, %.1f MB data", f.descriptors, f.threads, float64(f.resident)/(1<<20), float64(f.data)/(1<<20))
}

// figures looks at the daemon.
func (n *Nutmeg) figures() figures { return n.figuresOf(n.PID()) }

// figuresOf looks at a process that may have taken the daemon's place.
func (n *Nutmeg) figuresOf(pid int) figures {
	n.t.Helper()
	dir := fmt.Sprintf("/proc/%d/", pid)
	var f figures
	if entries, err := os.ReadDir(dir + "fd"); err == nil {
		f.descriptors = len(entries)
	}
	status, err := os.ReadFile(dir + "status")
	if err != nil {
		return f
	}
	for line := range strings.Lines(string(status)) {
		name, rest, _ := strings.Cut(line, ":")
		words := strings.Fields(rest)
		if len(words) == 0 {
			continue
		}
		number, _ := strconv.Atoi(words[0])
		switch name {
		case "Threads":
			f.threads = number
		case "VmRSS":
			f.resident = number << 10
		case "VmData":
			f.data = number << 10
		}
	}
	return f
}

// figuresAtRest is figures when all that belongs to a start is done: the statistics port is the last that is opened.
func (n *Nutmeg) figuresAtRest() figures {
	n.t.Helper()
	n.Stats()
	return n.figures()
}

// noMoreDescriptors waits until the daemon has no more descriptors open than it had.
func (n *Nutmeg) noMoreDescriptors(had figures) {
	n.t.Helper()
	eventually(n.t, "the descriptors of the daemon to be closed", func() error {
		if now := n.figures(); now.descriptors > had.descriptors {
			return fmt.Errorf("%v, had %v", now, had)
		}
		return nil
	})
}
