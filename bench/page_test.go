package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// reported is a report with one closed and one open loop, and two other shapes.
func reported(t *testing.T) report {
	t.Helper()
	rep := report{machine: "a machine", rounds: 2, subjects: []string{nutmegOne, nutcracker, floor}, versions: map[string]string{nutcracker: "0.5"}}
	for _, sh := range allShapes(true) {
		if sh.id != "redis-get" && sh.id != "open-20000" && sh.id != "ramp" && sh.id != "empty-rss" {
			continue
		}
		r := newResult(sh)
		for i, subject := range rep.subjects {
			row := make([]float64, len(sh.measured()))
			for j := range row {
				row[j] = float64(2 + i + j)
			}
			row[len(row)-1] = unknown()
			r.samples[subject] = [][]float64{row, row}
		}
		if sh.id == "redis-get" {
			r.calls[nutcracker] = map[string]float64{"read": 1, "write": 1.5}
		}
		rep.results = append(rep.results, r)
	}
	return rep
}

func TestPageGetsFiguresAndPictures(t *testing.T) {
	dir := t.TempDir()
	page := filepath.Join(dir, "page.md")
	if err := os.WriteFile(page, []byte("before\n"+beginFigures+"old\n"+endFigures+"after\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rep := reported(t)
	for range 2 { // the second time it replaces its own
		if err := rep.publish(page); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"before\n" + beginFigures, endFigures + "after\n", "a machine",
		"| GET 64 B, 50 clients | 6.00 (0.86) | 7.00 (1.00) | 8.00 (1.14) |",
		"(page-cpu.svg)", "(page-latency.svg)", "| - | 2.50 | - |", "a second: CPU us/req, low | 2.00 | 3.00 | 4.00 |", "bounds of nutmeg: ",
	} {
		if strings.Count(string(text), want) != 1 {
			t.Errorf("%q is not there once in\n%s", want, text)
		}
	}
	for _, name := range []string{"page-cpu.svg", "page-latency.svg"} {
		if svg, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(svg), "nutmeg, one worker") {
			t.Errorf("%s: %v\n%s", name, err, svg)
		}
	}
}

func TestPageKeepsItsPlaceForFigures(t *testing.T) {
	text, err := os.ReadFile("../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), beginFigures)
	if !found || !strings.Contains(rest, endFigures) {
		t.Errorf("docs/performance.md lacks the lines %q and %q", beginFigures, endFigures)
	}
	if err := reported(t).publish("page_test.go"); err == nil {
		t.Error("figures are written into a page that has no place for them")
	}
}

// What was kept is what was measured.
func TestReportSurvivesItsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "run.json")
	rep := reported(t)
	if err := rep.write(file); err != nil {
		t.Fatal(err)
	}
	again, err := readReport(file)
	if err != nil {
		t.Fatal(err)
	}
	var first, second strings.Builder
	if err := rep.print(&first); err != nil {
		t.Fatal(err)
	}
	if err := again.print(&second); err != nil {
		t.Fatal(err)
	}
	if first.String() != second.String() {
		t.Errorf("printed\n%s\nand from the file\n%s", first.String(), second.String())
	}
}
