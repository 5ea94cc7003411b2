package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// print prints a table for each shape and then the bounds.
func (rep report) print(w io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n%s; %s\n", rep.date.Format(time.RFC1123), rep.machine, rep.effort())
	for _, name := range rep.subjects {
		if v, ok := rep.versions[name]; ok {
			fmt.Fprintf(&text, "%-10s  %s\n", name, v)
		}
	}
	for _, note := range rep.notes {
		fmt.Fprintf(&text, "note: %s\n", note)
	}
	text.WriteString("medians, and quartiles in brackets; \"x\" is the ratio to nutcracker and \"x floor\" that to the floor, both taken round by round\n")
	for _, r := range rep.results {
		table, err := r.table(rep.subjects)
		if err != nil {
			return err
		}
		text.WriteString("\n" + table)
	}
	text.WriteString(boundsText(rep.results))
	_, err := io.WriteString(w, text.String())
	return err
}

func (rep report) effort() string {
	text := fmt.Sprintf("%d rounds of %v", rep.rounds, rep.length)
	if rep.short {
		text += "; a short run, so the numbers mean nothing"
	}
	return text
}

// table is what was measured of one shape, a line for each subject.
func (r result) table(subjects []string) (string, error) {
	var rows, text strings.Builder
	for _, cell := range r.head() {
		rows.WriteString("\t" + cell)
	}
	for _, name := range subjects {
		if len(r.samples[name]) > 0 {
			rows.WriteString("\n" + name + "\t" + strings.Join(r.cells(name), "\t"))
		}
	}
	fmt.Fprintf(&text, "%s: %s\n", r.shape.id, r.shape.title)
	aligned := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	if _, err := io.WriteString(aligned, rows.String()+"\n"); err != nil {
		return "", err
	}
	if err := aligned.Flush(); err != nil {
		return "", err
	}
	for _, name := range subjects {
		if err := r.errs[name]; err != nil {
			fmt.Fprintf(&text, "%s failed: %v\n", name, err)
		}
	}
	return text.String(), nil
}

// head is the first line of a table, without the subject.
func (r result) head() []string {
	var cells []string
	for _, c := range r.shape.columns {
		cells = append(cells, c.name)
		if c.ratio {
			cells = append(cells, "x")
		}
		if c.floor {
			cells = append(cells, "x floor")
		}
	}
	if len(r.calls) > 0 {
		cells = append(cells, "system calls/req")
	}
	return cells
}

// cells is one subject's line of the table.
func (r result) cells(subject string) []string {
	var cells []string
	for _, c := range r.shape.columns {
		found := spreadOf(r.column(subject, c.name))
		text := number(found.median, c.decimals)
		if c.quartile {
			text = found.format(c.decimals)
		}
		cells = append(cells, text)
		if c.ratio {
			cells = append(cells, number(r.ratio(subject, nutcracker, c.name).median, 2))
		}
		if c.floor {
			cells = append(cells, number(r.ratio(subject, floor, c.name).median, 2))
		}
	}
	if len(r.calls) > 0 {
		text := "-"
		if calls := r.calls[subject]; calls != nil {
			text = number(sumOf(calls), 2) + ": " + frequent(calls)
		}
		cells = append(cells, text)
	}
	return cells
}

// boundsText says which bounds are held; empty if there is nothing to judge.
func boundsText(results []result) string {
	var lines strings.Builder
	held, all := 0, 0
	for _, r := range results {
		for _, v := range r.verdicts() {
			fmt.Fprintf(&lines, "%-6s  %-15s  %-8s  %s: %s\n", v.word(), r.shape.id, v.subject, v.bound, v.found.format(v.decimals))
			all++
			if v.held {
				held++
			}
		}
	}
	if all == 0 {
		return ""
	}
	return fmt.Sprintf("\nbounds of nutmeg: %d of %d held\n%s", held, all, lines.String())
}

func (v verdict) word() string {
	if v.held {
		return "held"
	}
	return "MISSED"
}

func (b bound) String() string {
	text := b.column + " " + b.sign + " " + strconv.FormatFloat(b.limit, 'f', -1, 64)
	if b.of != "" {
		text += " of " + b.of
	}
	return text
}

// format prints the median, and the quartiles if they differ.
func (s spread) format(decimals int) string {
	median, low, high := number(s.median, decimals), number(s.low, decimals), number(s.high, decimals)
	if low == high {
		return median
	}
	return fmt.Sprintf("%s (%s..%s)", median, low, high)
}

func number(x float64, decimals int) string {
	if math.IsNaN(x) {
		return "-"
	}
	return strconv.FormatFloat(x, 'f', decimals, 64)
}
