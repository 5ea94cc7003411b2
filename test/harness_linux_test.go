package test

import "syscall"

// dieWithParent makes the kernel kill the daemon when the thread that started it ends.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
