package main

import (
	"strings"
	"testing"
	"time"
)

func TestParseMachine(t *testing.T) {
	got, err := parseMachine("cpu  100 20 3 9999 8888 4 5 600 70 8\ncpu0 1 2 3\n")
	want := cpuOfAll{busy: 1320 * time.Millisecond, stolen: 6 * time.Second}
	if err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for _, text := range []string{"", "intr 1 2 3 4 5 6 7 8 9", "cpu 1 2 3", "cpu a b c d e f g h"} {
		if _, err := parseMachine(text); err == nil {
			t.Errorf("%q is understood", text)
		}
	}
}

func TestDisturbanceIsNoted(t *testing.T) {
	if got := disturbance(2*time.Second, time.Second, 100*time.Second); got != "" {
		t.Errorf("little was noted: %s", got)
	}
	if got := disturbance(30*time.Second, time.Second, 100*time.Second); !strings.Contains(got, "30 % of its cores") || !strings.Contains(got, "took 1 %") {
		t.Errorf("got %q", got)
	}
	if got := disturbance(-time.Second, 20*time.Second, 100*time.Second); !strings.Contains(got, "had 0 %") || !strings.Contains(got, "took 20 %") {
		t.Errorf("got %q", got)
	}
}
