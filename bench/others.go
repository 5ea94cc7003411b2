package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cpuOfAll is how the cores of the machine have spent their time since it
// started: at work, and waiting for the host of a virtual machine.
type cpuOfAll struct{ busy, stolen time.Duration }

// ofMachine reads the first line of /proc/stat; it has hundredths of a second.
func ofMachine() (cpuOfAll, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return cpuOfAll{}, err
	}
	return parseMachine(string(text))
}

func parseMachine(text string) (cpuOfAll, error) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return cpuOfAll{}, fmt.Errorf("/proc/stat begins with %q", line)
	}
	var ticks [8]time.Duration // user nice system idle iowait irq softirq steal
	for i := range ticks {
		n, err := strconv.ParseInt(fields[i+1], 10, 64)
		if err != nil {
			return cpuOfAll{}, err
		}
		ticks[i] = time.Duration(n) * 10 * time.Millisecond
	}
	return cpuOfAll{ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6], ticks[7]}, nil
}

// ofThisRun is the CPU time of this process and of those that it has started
// and that have ended.
func ofThisRun() time.Duration {
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return sum
}

// watchOut returns a function that says what else the machine has done since,
// as a share of its cores: a note if that was too much for numbers to be
// trusted, or nothing. It is to be called when all processes have ended.
func watchOut(cores int) (say func() string) {
	before, err := ofMachine()
	own, began := ofThisRun(), time.Now()
	return func() string {
		after, afterErr := ofMachine()
		if err != nil || afterErr != nil {
			return ""
		}
		return disturbance(after.busy-before.busy-(ofThisRun()-own), after.stolen-before.stolen, time.Since(began)*time.Duration(cores))
	}
}

// disturbance is the note about what others have used, of all that there was.
func disturbance(others, stolen, all time.Duration) string {
	percent := func(part time.Duration) float64 { return 100 * part.Seconds() / all.Seconds() }
	const tolerable = 5
	if all <= 0 || (percent(others) < tolerable && percent(stolen) < tolerable) {
		return ""
	}
	return fmt.Sprintf("THE MACHINE WAS BUSY: other programs had %.0f %% of its cores, the host of the virtual machine took %.0f %%. "+
		"Latency and throughput say little; measure again on a quiet machine", max(0, percent(others)), percent(stolen))
}
