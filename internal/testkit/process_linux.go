package testkit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// dieWithParent makes the kernel kill the server when the thread that started
// it ends.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

var errRunning = errors.New("it is still running")

// StandsStill returns nil when each thread of the process is stopped. SIGSTOP is
// not synchronous, nor do all threads stop at the same moment, and a test must
// not meet an answer given after it.
func StandsStill(pid int) error {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(threads) == 0 {
		return finalError{fmt.Errorf("process %d is gone", pid)}
	}
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		if err != nil {
			return errRunning // the thread has ended meanwhile
		}
		// The state follows the program's name, which may hold spaces.
		end := bytes.LastIndexByte(stat, ')')
		if end < 0 || end+2 >= len(stat) || stat[end+2] != 'T' {
			return errRunning
		}
	}
	return nil
}
