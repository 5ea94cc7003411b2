package main

import (
	"os"
	"testing"
	"time"
)

func TestUsageGrowsWithWork(t *testing.T) {
	before, err := usageOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end); {
		_ = value(0, 1000)
	}
	after, err := usageOf(os.Getpid())
	if err != nil || after.total-before.total < time.Millisecond {
		t.Errorf("%v of CPU for 100 ms of work, error %v", after.total-before.total, err)
	}
	each := after.since(before, 1000)
	if sum := each.user + each.system; each.total < 1 || sum > each.total*1.001 {
		t.Errorf("%+v microseconds each of 1000 requests", each)
	}
}
