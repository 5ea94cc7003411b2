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

// column returns the numbers of one column of a subject, one for each round.
func (r result) column(subject, name string) []float64 {
	c := r.shape.column(name)
	if c.added != "" {
		return r.against(subject, direct, c.added, func(own, base float64) float64 { return own - base })
	}
	index := slices.Index(r.shape.measured(), c)
	var values []float64
	for _, sample := range r.samples[subject] {
		values = append(values, sample[index])
	}
	return values
}

// median is the median of one column of a subject.
func (r result) median(subject, name string) float64 { return spreadOf(r.column(subject, name)).median }

// against compares a subject with another one, round by round: what slows the
// machine down for a minute slows both, and leaves the comparison alone.
func (r result) against(subject, other, name string, compare func(own, base float64) float64) []float64 {
	own, base := r.column(subject, name), r.column(other, name)
	var compared []float64
	for i := range min(len(own), len(base)) {
		compared = append(compared, compare(own[i], base[i]))
	}
	return compared
}

// ratio is a subject's number divided by that of another one.
func (r result) ratio(subject, of, name string) spread {
	return spreadOf(r.against(subject, of, name, func(own, base float64) float64 {
		if base <= 0 {
			return unknown()
		}
		return own / base
	}))
}

// meanOf is the result of a shape that is the mean of others: theirs, round by
// round.
func meanOf(sh shape, results []result) result {
	r := newResult(sh)
	parts := slices.DeleteFunc(slices.Clone(results), func(part result) bool { return !slices.Contains(sh.parts, part.shape.id) })
	if len(parts) < len(sh.parts) {
		return r
	}
	for subject, samples := range parts[0].samples {
		rounds := len(samples)
		for _, part := range parts {
			rounds = min(rounds, len(part.samples[subject]))
		}
		for round := range rounds {
			sample := make([]float64, len(sh.columns))
			for i, c := range sh.columns {
				for _, part := range parts {
					sample[i] += part.column(subject, c.name)[round] / float64(len(parts))
				}
			}
			r.samples[subject] = append(r.samples[subject], sample)
		}
	}
	return r
}

// bound is a promise about one column.
type bound struct {
	column string
	sign   string // "<=", ">=" or "<", between the number and the limit
	limit  float64
	of     string // the subject to whose number it is a ratio; empty: the number itself
}

func atMost(column string, limit float64, of string) bound  { return bound{column, "<=", limit, of} }
func below(column string, limit float64, of string) bound   { return bound{column, "<", limit, of} }
func atLeast(column string, limit float64, of string) bound { return bound{column, ">=", limit, of} }

// holds tells whether the number keeps the promise.
func (b bound) holds(number float64) bool {
	switch b.sign {
	case ">=":
		return number >= b.limit
	case "<":
		return number < b.limit
	default:
		return number <= b.limit
	}
}

// verdict is a bound, measured.
type verdict struct {
	subject  string
	bound    bound
	found    spread
	decimals int // to print of found
	held     bool
}

// verdicts judges the medians of nutmeg, with one worker and with its default.
// What could not be measured is left out, and what would compare a subject with
// itself.
func (r result) verdicts() []verdict {
	var all []verdict
	for _, subject := range []string{nutmegOne, nutmegAll} {
		for _, b := range r.shape.bounds {
			if b.of == subject {
				continue
			}
			v := verdict{subject: subject, bound: b}
			if b.of != "" {
				v.found, v.decimals = r.ratio(subject, b.of, b.column), 2
			} else {
				v.found, v.decimals = spreadOf(r.column(subject, b.column)), r.shape.column(b.column).decimals
			}
			if math.IsNaN(v.found.median) {
				continue
			}
			v.held = b.holds(v.found.median)
			all = append(all, v)
		}
	}
	return all
}
