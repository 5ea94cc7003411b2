//go:build !linux

package testkit

import "syscall"

// dieWithParent does nothing here: only Linux can do it.
func dieWithParent() *syscall.SysProcAttr { return nil }

// standsStill trusts the signal here.
func standsStill(int) error { return nil }
