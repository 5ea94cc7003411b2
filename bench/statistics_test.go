package main

import (
	"math"
	"testing"
)

func TestSpread(t *testing.T) {
	nan := math.NaN()
	cases := []struct {
		name   string
		values []float64
		want   string
	}{
		{"an odd number has a middle", []float64{5, 3, 1, 2, 4}, "3.0 (2.0..4.0)"},
		{"an even number has two", []float64{4, 1, 2, 3}, "2.5 (1.8..3.2)"},
		{"one round has no quartiles", []float64{7}, "7.0"},
		{"what is unknown does not count", []float64{nan, 5, nan}, "5.0"},
		{"nothing is known", []float64{nan}, "-"},
		{"no rounds", nil, "-"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := spreadOf(c.values).format(1); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// sampled is a result with two columns and two rounds. The machine was half as
// fast in the second round; the ratios are not.
func sampled(bounds ...bound) result {
	r := newResult(shape{id: "redis-get", title: "GET", columns: []column{{name: colP99}, {name: colCPU, ratio: true, floor: true}}, bounds: bounds})
	r.samples = map[string][][]float64{
		nutmegOne: {{200, 1}, {100, 2}}, nutmegAll: {{200, 2}, {100, 4}},
		nutcracker: {{100, 2}, {50, 4}}, floor: {{10, 0.5}, {5, 1}},
	}
	return r
}

func TestVerdicts(t *testing.T) {
	r := sampled(atMost(colCPU, 0.5, nutcracker), atMost(colCPU, 2, floor), atMost(colCPU, 1.5, ""), atMost(colP99, 1, nutcracker))
	want := []struct{ word, subject, bound, found string }{
		{"held", nutmegOne, "CPU us/req <= 0.5 of nutcracker", "0.50"},
		{"held", nutmegOne, "CPU us/req <= 2 of floor", "2.00"},
		{"held", nutmegOne, "CPU us/req <= 1.5", "1.50 (1.25..1.75)"},
		{"MISSED", nutmegOne, "p99 ms <= 1 of nutcracker", "2.00"},
		{"MISSED", nutmegAll, "CPU us/req <= 0.5 of nutcracker", "1.00"},
		{"MISSED", nutmegAll, "CPU us/req <= 2 of floor", "4.00"},
		{"MISSED", nutmegAll, "CPU us/req <= 1.5", "3.00 (2.50..3.50)"},
		{"MISSED", nutmegAll, "p99 ms <= 1 of nutcracker", "2.00"},
	}
	got := r.verdicts()
	if len(got) != len(want) {
		t.Fatalf("%d verdicts, want %d", len(got), len(want))
	}
	for i, v := range got {
		if v.word() != want[i].word || v.subject != want[i].subject || v.bound.String() != want[i].bound || v.found.format(2) != want[i].found {
			t.Errorf("got %s, %s, %s, %s; want %v", v.word(), v.subject, v.bound, v.found.format(2), want[i])
		}
	}
	delete(r.samples, nutcracker)
	if left := r.verdicts(); len(left) != 4 {
		t.Errorf("%d verdicts without nutcracker, want 4", len(left))
	}
}

func TestCostIsSplitInProportion(t *testing.T) {
	before := usage{total: 1_000_000, user: 10, system: 10}
	after := usage{total: 5_000_000, user: 11, system: 13}
	if got, want := after.since(before, 1000), (cost{4, 1, 3}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := (usage{total: 5_000_000}).since(usage{}, 1000); got.total != 5 || !math.IsNaN(got.user) {
		t.Errorf("got %v, want 5 and nothing known of its parts", got)
	}
}
