package main

import (
	"fmt"
	"math"
	"strings"
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

// sampled is a result with a derived column, two measured ones and two rounds.
// The machine was another one in the second round; the ratios are the same.
func sampled(bounds ...bound) result {
	r := newResult(shape{id: "redis-get", title: "GET", columns: []column{{name: colAdded, added: colP99, decimals: 2}, {name: colP99}, {name: colCPU, decimals: 2, ratio: true, floor: true}}, bounds: bounds})
	r.samples = map[string][][]float64{
		nutmegOne: {{200, 1}, {100, 2}}, nutmegAll: {{200, 2}, {100, 4}},
		nutcracker: {{100, 2}, {50, 4}}, floor: {{10, 0.5}, {5, 1}}, direct: {{100, 0}, {20, 0}},
	}
	return r
}

func TestVerdicts(t *testing.T) {
	cases := []struct {
		bound bound
		want  string // of nutmeg-1, and then of nutmeg
	}{
		{atMost(colCPU, 0.5, nutcracker), "held CPU us/req <= 0.5 of nutcracker: 0.50; MISSED CPU us/req <= 0.5 of nutcracker: 1.00"},
		{atMost(colCPU, 2, floor), "held CPU us/req <= 2 of floor: 2.00; MISSED CPU us/req <= 2 of floor: 4.00"},
		{atMost(colCPU, 1.5, ""), "held CPU us/req <= 1.5: 1.50 (1.25..1.75); MISSED CPU us/req <= 1.5: 3.00 (2.50..3.50)"},
		{atMost(colP99, 1, nutcracker), "MISSED p99 ms <= 1 of nutcracker: 2.00; MISSED p99 ms <= 1 of nutcracker: 2.00"},
		{atLeast(colCPU, 0.6, nutcracker), "MISSED CPU us/req >= 0.6 of nutcracker: 0.50; held CPU us/req >= 0.6 of nutcracker: 1.00"},
		{below(colP99, 150, ""), "MISSED p99 ms < 150: 150 (125..175); MISSED p99 ms < 150: 150 (125..175)"},
		{atMost(colAdded, 95, ""), "held added p50 ms <= 95: 90.00 (85.00..95.00); held added p50 ms <= 95: 90.00 (85.00..95.00)"},
		{atMost(colCPU, 2, nutmegOne), "held CPU us/req <= 2 of nutmeg-1: 2.00"}, // nobody is compared with himself
		{atMost(colCPU, 1, haproxy), ""}, // it was not measured
	}
	for _, c := range cases {
		var said []string
		for _, v := range sampled(c.bound).verdicts() {
			said = append(said, v.word()+" "+v.bound.String()+": "+v.found.format(v.decimals))
		}
		if got := strings.Join(said, "; "); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestMeanIsTakenRoundByRound(t *testing.T) {
	get, set := sampled(), sampled()
	set.shape.id = "redis-set"
	set.samples[nutmegOne] = [][]float64{{0, 3}} // the second round failed
	delete(set.samples, nutcracker)
	mean := shape{id: "redis-both", columns: []column{{name: colCPU}}, parts: []string{"redis-get", "redis-set"}}
	got := fmt.Sprint(meanOf(mean, []result{get, set}).samples)
	if want := "map[direct:[[0] [0]] floor:[[0.5] [1]] nutmeg:[[2] [4]] nutmeg-1:[[2]]]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if alone := meanOf(mean, []result{get}); len(alone.samples) != 0 {
		t.Errorf("the mean of two is %v, with one of them only", alone.samples)
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
