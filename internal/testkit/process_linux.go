package testkit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// dieWithParent makes the kernel kill the server when the thread that started
// it ends.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

var errRunning = errors.New("it is still running")

// standsStill returns nil when the process is stopped. SIGSTOP is not
// synchronous, and a test must not meet an answer given after it.
func standsStill(pid int) error {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return finalError{err}
	}
	// The state follows the program's name, which may hold spaces.
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 || end+2 >= len(stat) || stat[end+2] != 'T' {
		return errRunning
	}
	return nil
}
