//go:build unix && !linux

package main

import "syscall"

// processOfItsOwn keeps Ctrl-C from the child, which is ended in an orderly way instead.
func processOfItsOwn() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
