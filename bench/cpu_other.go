//go:build !linux

package main

import "errors"

// usageOf is known on Linux only.
func usageOf(int) (usage, error) {
	return usage{}, errors.ErrUnsupported
}
