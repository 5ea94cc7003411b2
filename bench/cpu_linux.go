package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// usageOf returns the CPU time that all threads of the process have used, those
// that have ended included.
//
// The sum comes from the process's CPU clock (clock_getcpuclockid in POSIX),
// which counts nanoseconds. How much of it the kernel spent is known from
// /proc/PID/stat in hundredths of a second only.
func usageOf(pid int) (usage, error) {
	const scheduled = 2 // CPUCLOCK_SCHED of the kernel
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &ts); err != nil {
		return usage{}, err
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, err
	}
	// The program's name, which may hold spaces, ends with the last bracket;
	// the state is the third field, and utime and stime are the next but ten.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return usage{}, fmt.Errorf("/proc/%d/stat is too short", pid)
	}
	user, err := strconv.ParseFloat(string(fields[11]), 64)
	if err != nil {
		return usage{}, err
	}
	system, err := strconv.ParseFloat(string(fields[12]), 64)
	return usage{total: time.Duration(ts.Nano()), user: user, system: system}, err
}
