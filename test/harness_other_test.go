//go:build !linux

package test

import "syscall"

// dieWithParent does nothing here: only Linux can do it.
func dieWithParent() *syscall.SysProcAttr { return nil }
