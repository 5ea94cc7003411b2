//go:build illumos || solaris || aix

package evloop

import "errors"

func setReusePort(int) error { return errors.New("this platform has no SO_REUSEPORT") }
