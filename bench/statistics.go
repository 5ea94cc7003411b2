package main

import (
	"math"
	"slices"
)

// spread is what the rounds of one number come to: the median and the
// quartiles. All three are NaN without any round that knew the number.
type spread struct{ median, low, high float64 }

func spreadOf(values []float64) spread {
	known := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	slices.Sort(known)
	return spread{quantile(known, 0.5), quantile(known, 0.25), quantile(known, 0.75)}
}

// quantile is the value below which the part q of the sorted values lies,
// between two of them in proportion.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return unknown()
	}
	at := q * float64(len(sorted)-1)
	below := int(at)
	if below == len(sorted)-1 {
		return sorted[below]
	}
	return sorted[below] + (at-float64(below))*(sorted[below+1]-sorted[below])
}

// column returns the samples of one column of a subject, one for each round.
func (r result) column(subject, name string) []float64 {
	index := slices.IndexFunc(r.shape.columns, func(c column) bool { return c.name == name })
	var values []float64
	for _, sample := range r.samples[subject] {
		values = append(values, sample[index])
	}
	return values
}

// median is the median of one column of a subject.
func (r result) median(subject, name string) float64 { return spreadOf(r.column(subject, name)).median }

// ratio compares a subject with another one, round by round: what slows the
// machine down for a minute slows both, and leaves the ratio alone.
func (r result) ratio(subject, of, name string) spread {
	own, base := r.column(subject, name), r.column(of, name)
	var ratios []float64
	for i := range min(len(own), len(base)) {
		if base[i] > 0 {
			ratios = append(ratios, own[i]/base[i])
		}
	}
	return spreadOf(ratios)
}

// bound is a promise about one column: the most it may be.
type bound struct {
	column string
	most   float64
	of     string // the subject to whose number it is a ratio; empty: the number itself
}

func atMost(column string, most float64, of string) bound { return bound{column, most, of} }

// verdict is a bound, measured.
type verdict struct {
	subject string
	bound   bound
	found   spread
	held    bool
}

// verdicts judges the medians of nutmeg, with one worker and with its default.
// What could not be measured is left out.
func (r result) verdicts() []verdict {
	var all []verdict
	for _, subject := range []string{nutmegOne, nutmegAll} {
		for _, b := range r.shape.bounds {
			v := verdict{subject: subject, bound: b}
			if b.of != "" {
				v.found = r.ratio(subject, b.of, b.column)
			} else {
				v.found = spreadOf(r.column(subject, b.column))
			}
			if math.IsNaN(v.found.median) {
				continue
			}
			v.held = v.found.median <= b.most
			all = append(all, v)
		}
	}
	return all
}
