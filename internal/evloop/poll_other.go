//go:build unix && !linux && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly

package evloop

// Backend names the kernel interface that NewSystem uses.
const Backend = "poll"

func newPoller() (poller, error) { return newPollPoller(), nil }
