package main

import (
	"os"
	"testing"
	"time"
)

func TestCPUTimeGrowsWithWork(t *testing.T) {
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); {
		_ = value(1000)
	}
	after, err := cpuTime(os.Getpid())
	if err != nil || after-before < time.Millisecond {
		t.Errorf("%v of CPU for 20 ms of work, error %v", after-before, err)
	}
}
