package main

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
)

// printReport prints a table for each shape and then the bounds.
func printReport(w io.Writer, b *bed, opts options, results []result) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s, %s/%s, %d cores; %s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), effort(opts))
	for _, name := range subjectNames() {
		if v, ok := b.versions[name]; ok {
			fmt.Fprintf(&text, "%-10s  %s\n", name, v)
		}
	}
	text.WriteString("median (least..most); x is the ratio to nutcracker, taken round by round\n")
	for _, r := range results {
		table, err := r.table()
		if err != nil {
			return err
		}
		text.WriteString("\n" + table)
	}
	text.WriteString(boundsText(results))
	_, err := io.WriteString(w, text.String())
	return err
}

func effort(opts options) string {
	text := fmt.Sprintf("rounds: %d, requests: %d", opts.rounds, opts.requests)
	if opts.short {
		text += "; a short run, so the numbers mean nothing"
	}
	return text
}

// table is what was measured of one shape, a line for each subject.
func (r result) table() (string, error) {
	var rows, text strings.Builder
	for _, c := range r.shape.columns {
		rows.WriteString("\t" + c.name)
		if c.ratio {
			rows.WriteString("\tx")
		}
	}
	for _, name := range subjectNames() {
		if len(r.samples[name]) > 0 {
			rows.WriteString("\n" + name + r.cells(name))
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
	for _, name := range subjectNames() {
		if err := r.errs[name]; err != nil {
			fmt.Fprintf(&text, "%s failed: %v\n", name, err)
		}
	}
	return text.String(), nil
}

// cells is one subject's line of the table.
func (r result) cells(subject string) string {
	var line strings.Builder
	for i, c := range r.shape.columns {
		line.WriteString("\t" + spreadOf(r.column(subject, i)).format(c.decimals))
		if c.ratio {
			line.WriteString("\t" + number(r.ratio(subject, i).median, 2))
		}
	}
	return line.String()
}

// boundsText says which bounds hold; empty if there is nothing to judge.
func boundsText(results []result) string {
	var lines strings.Builder
	for _, r := range results {
		for _, v := range r.verdicts() {
			fmt.Fprintf(&lines, "%-6s  %-13s  %s: %s\n", v.word(), r.shape.id, v.bound, v.found.format(2))
		}
	}
	if lines.Len() == 0 {
		return ""
	}
	return "\nbounds of nutmeg with workers: 1\n" + lines.String()
}

func (v verdict) word() string {
	if v.holds {
		return "holds"
	}
	return "MISSES"
}

func (b bound) String() string {
	text := b.column
	if b.most != 0 {
		text += " <= " + strconv.FormatFloat(b.most, 'f', -1, 64)
	} else {
		text += " >= " + strconv.FormatFloat(b.least, 'f', -1, 64)
	}
	if b.ratio {
		text += " of nutcracker's"
	}
	return text
}

// format prints the median, and the range if there is one to see.
func (s spread) format(decimals int) string {
	median, least, most := number(s.median, decimals), number(s.least, decimals), number(s.most, decimals)
	if least == most {
		return median
	}
	return fmt.Sprintf("%s (%s..%s)", median, least, most)
}

func number(x float64, decimals int) string {
	if math.IsNaN(x) {
		return "-"
	}
	return strconv.FormatFloat(x, 'f', decimals, 64)
}
