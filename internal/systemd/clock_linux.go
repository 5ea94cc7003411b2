package systemd

import "golang.org/x/sys/unix"

// monotonicMicros is the time of the clock by which the manager tells which state is newer.
func monotonicMicros() int64 {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return 0
	}
	return now.Nano() / 1000
}
