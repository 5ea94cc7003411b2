package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"nutmeg/bench/chart"
)

// The figures of a page stand between these lines; everything else in it is
// written by hand.
const (
	beginFigures = "<!-- figures: begin; written by make bench BENCH='-page docs/performance.md' -->\n"
	endFigures   = "<!-- figures: end -->\n"
)

// publish writes the figures into a page, and its pictures beside it.
func (rep report) publish(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), beginFigures)
	_, after, ends := strings.Cut(rest, endFigures)
	if !found || !ends {
		return fmt.Errorf("cannot write figures into %s: it lacks the line %q or, after it, %q", path, strings.TrimSpace(beginFigures), strings.TrimSpace(endFigures))
	}
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	pictures := map[string]string{name + "-cpu.svg": rep.cpuPicture(), name + "-latency.svg": rep.latencyPicture()}
	for file, svg := range pictures {
		if svg == "" {
			delete(pictures, file)
			continue
		}
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), file), []byte(svg), 0o644); err != nil {
			return err
		}
	}
	figures := rep.figures(name, pictures)
	return os.WriteFile(path, []byte(before+beginFigures+"\n"+figures+"\n"+endFigures+after), 0o644)
}

// figures is what stands between the markers.
func (rep report) figures(name string, pictures map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s: %s; %s.\n", rep.date.Format("2 January 2006"), rep.machine, rep.effort())
	for _, subject := range rep.subjects {
		if v, ok := rep.versions[subject]; ok {
			fmt.Fprintf(&b, "%s: %s. ", subject, v)
		}
	}
	b.WriteString("\n")
	for _, note := range rep.notes {
		fmt.Fprintf(&b, "\nNote: %s.\n", note)
	}
	picture := func(kind, text string) {
		if file := name + "-" + kind + ".svg"; pictures[file] != "" {
			fmt.Fprintf(&b, "\n![%s](%s)\n", text, file)
		}
	}
	b.WriteString("\n### CPU a request\n")
	picture("cpu", "CPU a request relative to nutcracker")
	b.WriteString("\nMicroseconds, and in brackets the ratio to nutcracker:\n\n" + rep.byShape(func(r result) bool { return isClosed(r) || isMean(r) }, false, func(r result, subject string) string {
		return withRatio(r, subject, colCPU, 2)
	}))
	b.WriteString("\n### Throughput and p99 of closed loops\n\nRequests a second / p99 in milliseconds:\n\n")
	b.WriteString(rep.byShape(isClosed, true, func(r result, subject string) string {
		return number(r.median(subject, colRate), 0) + " / " + number(r.median(subject, colP99), 2)
	}))
	b.WriteString("\n### System calls a request\n\nCounted under strace, which makes batches larger than they are without it:\n\n")
	b.WriteString(rep.byShape(isTraced, false, func(r result, subject string) string {
		if calls := r.calls[subject]; calls != nil {
			return number(sumOf(calls), 2)
		}
		return "-"
	}))
	b.WriteString("\n### Latency at fixed rates\n")
	picture("latency", "latency at fixed rates")
	b.WriteString("\np50 / p99 / p99.9 in milliseconds, and in brackets what the proxy adds to the p50 of the direct connection:\n\n")
	b.WriteString(rep.byShape(isOpen, true, func(r result, subject string) string {
		return number(r.median(subject, colP50), 2) + added(r, subject) + " / " + number(r.median(subject, colP99), 2) + " / " + number(r.median(subject, colP999), 2)
	}))
	b.WriteString("\nCPU a request at these rates, in microseconds, and in brackets the ratio to nutcracker:\n\n")
	b.WriteString(rep.byShape(isOpen, false, func(r result, subject string) string { return withRatio(r, subject, colCPU, 2) }))
	b.WriteString("\n### Load that goes up and down\n\n" + rep.byColumn(isRamp))
	b.WriteString("\n### Memory and start\n\n" + rep.byColumn(isRest))
	if text := boundsText(rep.results); text != "" {
		b.WriteString("\n### Bounds\n\n```" + text + "```\n")
	}
	return b.String()
}

// added is what a subject adds to the p50 of the direct one; empty if it is that.
func added(r result, subject string) string {
	more := r.median(subject, colAdded)
	if subject == direct || math.IsNaN(more) {
		return ""
	}
	return " (" + number(more, 3) + ")"
}

// withRatio is a number, and its ratio to nutcracker's.
func withRatio(r result, subject, column string, decimals int) string {
	text := number(r.median(subject, column), decimals)
	if ratio := r.ratio(subject, nutcracker, column).median; !math.IsNaN(ratio) {
		text += " (" + number(ratio, 2) + ")"
	}
	return text
}

func isClosed(r result) bool { return slices.Equal(r.shape.columns, loadColumns) }
func isMean(r result) bool   { return r.shape.parts != nil }
func isOpen(r result) bool   { return slices.Equal(r.shape.columns, openColumns) }
func isRamp(r result) bool   { return slices.Equal(r.shape.columns, rampColumns) }
func isRest(r result) bool   { return !isClosed(r) && !isMean(r) && !isOpen(r) && !isRamp(r) }
func isTraced(r result) bool { return len(r.calls) > 0 }

// byShape is a table with a row for each shape that fits, and a column for each
// subject; the direct one can be left out.
func (rep report) byShape(fits func(r result) bool, withDirect bool, cell func(r result, subject string) string) string {
	subjects := slices.DeleteFunc(slices.Clone(rep.subjects), func(name string) bool { return name == direct && !withDirect })
	rows := [][]string{append([]string{"load"}, subjects...)}
	for _, r := range rep.results {
		if !fits(r) {
			continue
		}
		row := []string{r.shape.title}
		for _, subject := range subjects {
			text := "-"
			if len(r.samples[subject]) > 0 {
				text = cell(r, subject)
			}
			row = append(row, text)
		}
		rows = append(rows, row)
	}
	return markdown(rows)
}

// byColumn is a table with a row for each column of the shapes that fit, and a
// column for each subject.
func (rep report) byColumn(fits func(r result) bool) string {
	rows := [][]string{append([]string{"what"}, rep.subjects...)}
	for _, r := range rep.results {
		if !fits(r) {
			continue
		}
		for _, c := range r.shape.columns {
			row := []string{r.shape.title + ": " + c.name}
			for _, subject := range rep.subjects {
				row = append(row, number(r.median(subject, c.name), c.decimals))
			}
			rows = append(rows, row)
		}
	}
	return markdown(rows)
}

// markdown writes a table; the first row is its head.
func markdown(rows [][]string) string {
	if len(rows) == 1 {
		return "Not measured.\n"
	}
	var b strings.Builder
	for i, row := range rows {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString("|---" + strings.Repeat("|---:", len(row)-1) + "|\n")
		}
	}
	return b.String()
}

// How subjects are called and coloured in pictures.
var looks = map[string]chart.Series{
	nutmegOne:  {Name: "nutmeg, one worker", Color: "#b4531f"},
	nutmegAll:  {Name: "nutmeg, default", Color: "#e3a577"},
	nutcracker: {Name: "nutcracker", Color: "#30363d"},
	haproxy:    {Name: "haproxy (copies bytes)", Color: "#4a86c5"},
	floor:      {Name: "floor (no server)", Color: "#8b97a4"},
	direct:     {Name: "no proxy", Color: "#c3cad2"},
}

// moreColors are for the proxies of -proxy.
var moreColors = []string{"#2da44e", "#8250df", "#bf3989", "#9a6700"}

// look is a subject's name and colour.
func (rep report) look(subject string) chart.Series {
	if s, ok := looks[subject]; ok {
		return s
	}
	others := slices.DeleteFunc(slices.Clone(rep.subjects), func(name string) bool { return looks[name].Name != "" })
	return chart.Series{Name: subject, Color: moreColors[max(0, slices.Index(others, subject))%len(moreColors)]}
}

// inPicture are the loads of the first picture: the main ones.
var inPicture = []string{
	"redis-get", "redis-set", "redis-get-c512", "redis-get-p16", "redis-set-p16", "redis-get-p64",
	"redis-mget10", "redis-mget100", "redis-get-16k", "redis-get-1m", "redis-set-1m", "memcached-get",
}

// cpuPicture shows CPU a request relative to nutcracker; empty without data.
func (rep report) cpuPicture() string {
	bars := chart.Bars{
		Title:    "CPU a request, relative to nutcracker",
		Subtitle: "Shorter is better. Two Redis or memcached servers, 50 clients unless said otherwise.\nThe floor is a program that answers by itself: one read, one write.",
		Axis:     "CPU time of the proxy for each request, nutcracker = 1",
		One:      looks[nutcracker].Name, OneColor: looks[nutcracker].Color,
	}
	var shown []result
	for _, r := range rep.results {
		if slices.Contains(inPicture, r.shape.id) && len(r.samples[nutcracker]) > 0 {
			shown = append(shown, r)
			bars.Groups = append(bars.Groups, strings.Replace(r.shape.title, ", 50 clients", "", 1))
		}
	}
	for _, subject := range rep.subjects {
		if subject == nutcracker || subject == direct {
			continue
		}
		s := rep.look(subject)
		for _, r := range shown {
			s.Values = append(s.Values, r.ratio(subject, nutcracker, colCPU).median)
		}
		bars.Series = append(bars.Series, s)
	}
	if len(shown) == 0 {
		return ""
	}
	return bars.SVG()
}

// latencyPicture shows the latency at fixed rates; empty without data.
func (rep report) latencyPicture() string {
	ranges := chart.Ranges{
		Title:    "Latency at fixed rates",
		Subtitle: "Further left is better. GET 64 B from 50 clients; p50, p99 (the large dot) and p99.9, counted\nfrom the time at which a request was due. The floor has no servers, \"no proxy\" has one.",
		Axis:     "milliseconds (logarithmic)",
	}
	var shown []result
	for _, r := range rep.results {
		if isOpen(r) {
			shown = append(shown, r)
			name, _, _ := strings.Cut(r.shape.title, ":")
			ranges.Groups = append(ranges.Groups, strings.TrimPrefix(name, "GET 64 B "))
		}
	}
	for _, subject := range rep.subjects {
		look := rep.look(subject)
		s := chart.RangeSeries{Name: look.Name, Color: look.Color}
		for _, r := range shown {
			s.Values = append(s.Values, chart.Range{Low: r.median(subject, colP50), Mid: r.median(subject, colP99), High: r.median(subject, colP999)})
		}
		ranges.Series = append(ranges.Series, s)
	}
	if len(shown) == 0 {
		return ""
	}
	return ranges.SVG()
}
