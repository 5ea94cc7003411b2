package main

import "syscall"

// processOfItsOwn keeps Ctrl-C from the child, which is ended in an orderly way
// instead, and ends it if this process is killed.
func processOfItsOwn() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
