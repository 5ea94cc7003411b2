package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime returns the user and system time that all threads of the process have
// used, those that have ended included. It reads the process's CPU clock
// (clock_getcpuclockid in POSIX), which counts nanoseconds; /proc/PID/stat
// counts hundredths of a second, too coarse for a run of one second.
func cpuTime(pid int) (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED of the kernel
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &ts); err != nil {
		return 0, err
	}
	return time.Duration(ts.Nano()), nil
}
