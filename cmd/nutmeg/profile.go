//go:build profile

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"time"
)

// init makes a program that writes down, second by second, where its time goes: what default.pgo is made of. scripts/pgo.sh
// builds and runs it. It is killed like any other, so each second is a file of its own.
func init() {
	dir := os.Getenv("NUTMEG_PROFILES")
	if dir == "" {
		return
	}
	go func() {
		for i := 0; ; i++ {
			if err := profileSecond(filepath.Join(dir, fmt.Sprintf("%d-%d.prof", os.Getpid(), i))); err != nil {
				fmt.Fprintln(os.Stderr, "profile:", err)
				return
			}
		}
	}()
}

// samplesPerSecond is more than usual: most of the time is the kernel's, and says nothing to the compiler.
const samplesPerSecond = 1000

func profileSecond(path string) error {
	f, err := os.Create(path + ".part")
	if err != nil {
		return err
	}
	defer f.Close()
	runtime.SetCPUProfileRate(samplesPerSecond) // what follows complains that the rate is set, and leaves it
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	time.Sleep(time.Second)
	pprof.StopCPUProfile()
	return os.Rename(path+".part", path)
}
