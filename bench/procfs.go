package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strconv"
	"time"
)

// megabyte is what "MB" and MiB mean in this program.
const megabyte = 1 << 20

// unknown stands for what this system does not tell; it prints as "-".
func unknown() float64 { return math.NaN() }

// rss returns the memory that is resident in the process, in bytes. The counter
// in "status" may lag behind by some pages for every thread, so the exact sum
// of the mappings is preferred.
func rss(pid int) float64 {
	if n, err := procField(pid, "smaps_rollup", "Rss:"); err == nil {
		return n
	}
	if n, err := procField(pid, "status", "VmRSS:"); err == nil {
		return n
	}
	return unknown()
}

// peakRSS returns the most that rss ever was, in bytes.
func peakRSS(pid int) float64 {
	n, err := procField(pid, "status", "VmHWM:")
	if err != nil {
		return unknown()
	}
	return n
}

// settledRSS returns rss once it has stood still for half a second, or after
// limit at the latest.
func settledRSS(pid int, limit time.Duration) float64 {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(limit)
	last, still := rss(pid), 0
	for still < 5 && time.Now().Before(deadline) {
		<-tick.C
		now := rss(pid)
		if now == last {
			still++
		} else {
			last, still = now, 0
		}
	}
	return last
}

// procField reads one "Name:   123 kB" line of a file in /proc/PID, in bytes.
func procField(pid int, file, name string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) == 3 && string(fields[0]) == name {
			kB, err := strconv.ParseFloat(string(fields[1]), 64)
			return kB * 1024, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/%s has no %s", pid, file, name)
}
