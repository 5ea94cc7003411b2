//go:build !linux

package testkit

import "syscall"

// dieWithParent does nothing here: only Linux can do it.
func dieWithParent() *syscall.SysProcAttr { return nil }

// StandsStill trusts the signal here.
func StandsStill(int) error { return nil }
