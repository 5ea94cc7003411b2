package main

import (
	"context"
	"math"
	"regexp"
	"strings"
	"testing"
)

func TestExponent(t *testing.T) {
	sizes := []int{1, 10, 100, 1000}
	for name, tt := range map[string]struct {
		cost func(n float64) float64
		want float64
	}{
		"constant":  {func(float64) float64 { return 7 }, 0},
		"linear":    {func(n float64) float64 { return 3 * n }, 1},
		"quadratic": {func(n float64) float64 { return n * n / 5 }, 2},
		"root":      {math.Sqrt, 0.5},
		"n log n":   {func(n float64) float64 { return n * math.Log2(2*n) }, 1.34},
	} {
		var costs []float64
		for _, n := range sizes {
			costs = append(costs, tt.cost(float64(n)))
		}
		if got := exponent(sizes, costs); math.Abs(got-tt.want) > 0.02 {
			t.Errorf("%s: n^%.3f, want n^%.3f", name, got, tt.want)
		}
	}
	if got := exponent([]int{5}, []float64{1}); !math.IsNaN(got) {
		t.Errorf("one size: n^%v", got)
	}
	if got := exponent([]int{1, 2}, []float64{0, -1}); got != 0 {
		t.Errorf("nothing to measure: n^%v", got)
	}
}

// Everything runs, at sizes that mean nothing.
func TestShortRun(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many daemons")
	}
	var out strings.Builder
	if err := run(context.Background(), options{only: regexp.MustCompile(""), short: true}, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, l := range laws() {
		if !strings.Contains(out.String(), l.id) {
			t.Errorf("nothing is printed of %s", l.id)
		}
	}
}
