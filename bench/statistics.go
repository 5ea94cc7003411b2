package main

import (
	"math"
	"slices"
)

// spread is what the rounds of one number come to. All three are NaN without
// any round that knew the number.
type spread struct{ median, least, most float64 }

func spreadOf(values []float64) spread {
	known := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(known) == 0 {
		return spread{unknown(), unknown(), unknown()}
	}
	slices.Sort(known)
	middle := len(known) / 2
	median := known[middle]
	if len(known)%2 == 0 {
		median = (known[middle-1] + known[middle]) / 2
	}
	return spread{median, known[0], known[len(known)-1]}
}

// column returns the samples of one column of a subject, one for each round.
func (r result) column(subject string, index int) []float64 {
	var values []float64
	for _, sample := range r.samples[subject] {
		values = append(values, sample[index])
	}
	return values
}

// ratio compares a subject with nutcracker, round by round: what slows the
// machine down for a minute slows both, and leaves the ratio alone.
func (r result) ratio(subject string, index int) spread {
	own, base := r.column(subject, index), r.column(nutcracker, index)
	var ratios []float64
	for i := range min(len(own), len(base)) {
		if base[i] > 0 {
			ratios = append(ratios, own[i]/base[i])
		}
	}
	return spreadOf(ratios)
}

// bound is a promise about one column. It is about nutmeg-1, which has one
// thread as nutcracker has.
type bound struct {
	column string
	ratio  bool    // of the ratio to nutcracker, not of the number itself
	most   float64 // 0: none
	least  float64
}

func cpuAtMost(x float64) bound   { return bound{column: colCPU, ratio: true, most: x} }
func p99AtMost(x float64) bound   { return bound{column: colP99, ratio: true, most: x} }
func rateAtLeast(x float64) bound { return bound{column: colRate, ratio: true, least: x} }

// verdict is a bound, measured.
type verdict struct {
	bound bound
	found spread
	holds bool
}

// verdicts judges the medians. What could not be measured is left out.
func (r result) verdicts() []verdict {
	var all []verdict
	for _, b := range r.shape.bounds {
		index := slices.IndexFunc(r.shape.columns, func(c column) bool { return c.name == b.column })
		v := verdict{bound: b}
		if b.ratio {
			v.found = r.ratio(nutmegOne, index)
		} else {
			v.found = spreadOf(r.column(nutmegOne, index))
		}
		if math.IsNaN(v.found.median) {
			continue
		}
		v.holds = (b.most == 0 || v.found.median <= b.most) && v.found.median >= b.least
		all = append(all, v)
	}
	return all
}
