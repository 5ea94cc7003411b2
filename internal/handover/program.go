//go:build unix

package handover

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// Program is the file that this process runs, as it was called.
type Program struct {
	called string // as the caller named it; "" when that is not to be trusted
	file   string // where it was found then
}

// FindProgram returns this process's program. Call it at the start, while the file is what was started.
func FindProgram() (Program, error) {
	file, err := os.Executable()
	if err != nil {
		return Program{}, fmt.Errorf("cannot find the program's own file: %w", err)
	}
	p := Program{file: file}
	if len(os.Args) > 0 && sameFile(os.Args[0], file) {
		p.called = os.Args[0] // the caller may have called it anything
	}
	return p, nil
}

func sameFile(called, file string) bool {
	path, err := exec.LookPath(called)
	if err != nil {
		return false
	}
	one, err := os.Stat(path)
	if err != nil {
		return false
	}
	other, err := os.Stat(file)
	return err == nil && os.SameFile(one, other)
}

// Path is where the program is now: links are followed and PATH is searched again, so that a new version in the old one's
// place is found.
func (p Program) Path() string {
	if p.called != "" {
		if path, err := exec.LookPath(p.called); err == nil {
			return path
		}
	}
	return p.file
}

// stale are variables that name a process by its number, or descriptors that it has taken already.
var stale = []string{marker, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"}

// environment is env for a new process.
func environment(env []string) []string {
	clean := slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(stale, name)
	})
	return append(clean, fmt.Sprintf("%s=%d", marker, inheritedFD))
}
