package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A short run has to measure every shape. nutmeg takes part as soon as there is
// something to build.
func TestShortRunMeasuresEverything(t *testing.T) {
	subjects := []string{nutcracker, direct}
	if _, err := os.Stat("../cmd/nutmeg/main.go"); err == nil {
		subjects = subjectNames()
	}
	file := filepath.Join(t.TempDir(), "bench.json")
	opts, err := parseFlags([]string{"-short", "-subjects", strings.Join(subjects, ","), "-json", file})
	if err != nil {
		t.Fatal(err)
	}
	opts.requests = 500 // the race detector is slow enough
	var out bytes.Buffer
	if err := run(t.Context(), opts, &out, io.Discard); err != nil {
		t.Fatalf("%v\n%s", err, out.Bytes())
	}
	var report struct {
		Shapes []struct {
			ID      string
			Columns []string
			Samples map[string][][]*float64
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Shapes) != len(shapeIDs()) {
		t.Fatalf("%d shapes in the file, want %d", len(report.Shapes), len(shapeIDs()))
	}
	for _, s := range report.Shapes {
		rows := s.Samples[nutcracker]
		if len(rows) != 1 || len(rows[0]) != len(s.Columns) || rows[0][0] == nil {
			t.Errorf("%s: the samples of nutcracker are %v, want one row of %d numbers", s.ID, rows, len(s.Columns))
		}
		if !strings.Contains(out.String(), "\n"+s.ID+": ") {
			t.Errorf("%s has no table in\n%s", s.ID, out.Bytes())
		}
	}
}

func TestCanceledRunStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	opts, err := parseFlags([]string{"-short", "-subjects", nutcracker})
	if err != nil {
		t.Fatal(err)
	}
	if err := run(ctx, opts, io.Discard, io.Discard); err == nil {
		t.Error("a canceled run ended without an error")
	}
}

func TestParseFlags(t *testing.T) {
	cases := []struct {
		name string
		args []string
		want string // part of the error; empty for none
	}{
		{"defaults are right", nil, ""},
		{"a subject must exist", []string{"-subjects", "nutmeg,squirrel"}, `"squirrel" is not one of`},
		{"the filter must compile", []string{"-only", "("}, "-only: "},
		{"rounds are positive", []string{"-rounds", "0"}, "at least 1"},
		{"there are no arguments", []string{"redis-get"}, `unexpected argument "redis-get"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseFlags(c.args)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestShapesAreConsistent(t *testing.T) {
	ids := shapeIDs()
	if sorted := slices.Compact(slices.Sorted(slices.Values(ids))); len(sorted) != len(ids) {
		t.Errorf("an id comes twice in %v", ids)
	}
	for _, s := range allShapes(false) {
		if !regexp.MustCompile(`^[a-z0-9-]{1,13}$`).MatchString(s.id) {
			t.Errorf("%q does not fit the table", s.id)
		}
		for _, b := range s.bounds {
			if !slices.ContainsFunc(s.columns, func(c column) bool { return c.name == b.column }) {
				t.Errorf("%s: the bound %q is about a column that it does not have", s.id, b)
			}
		}
	}
}

func TestParseCSV(t *testing.T) {
	const header = `"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"` + "\n"
	const line = `"GET","66666.66","0.614","0.168","0.463","1.991","2.927","3.063"` + "\n"
	cases := []struct {
		name, text string
		want       outcome
		fails      bool
	}{
		{name: "one test", text: header + line, want: outcome{perSecond: 66666.66, p50: 0.463, p99: 2.927}},
		{name: "warnings may come first", text: "WARNING: Could not fetch server CONFIG\n" + header + line, want: outcome{perSecond: 66666.66, p50: 0.463, p99: 2.927}},
		{name: "no result", text: header, fails: true},
		{name: "an old tool without a header", text: `"GET","66666.66"`, fails: true},
		{name: "no throughput", text: header + strings.Replace(line, "66666.66", "0.00", 1), fails: true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseCSV(c.text)
			if (err != nil) != c.fails || got != c.want {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestSpread(t *testing.T) {
	nan := math.NaN()
	cases := []struct {
		name   string
		values []float64
		want   string
	}{
		{"an odd number has a middle", []float64{3, 1, 2}, "2.0 (1.0..3.0)"},
		{"an even number has two", []float64{4, 1, 2, 3}, "2.5 (1.0..4.0)"},
		{"one round has no range", []float64{7}, "7.0"},
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

func TestVerdicts(t *testing.T) {
	r := result{
		shape: shape{
			columns: []column{{name: colRate}, {name: colCPU}},
			bounds:  []bound{cpuAtMost(0.5), rateAtLeast(1.8), {column: colCPU, most: 1.5}},
		},
		samples: map[string][][]float64{
			// The machine was half as fast in the second round; the ratios are not.
			nutmegOne:  {{200, 1}, {100, 2}},
			nutcracker: {{100, 2}, {50, 4}},
		},
	}
	want := []struct{ word, bound, found string }{
		{"holds", "CPU us/req <= 0.5 of nutcracker's", "0.50"},
		{"holds", "req/s >= 1.8 of nutcracker's", "2.00"},
		{"holds", "CPU us/req <= 1.5", "1.50 (1.00..2.00)"},
	}
	got := r.verdicts()
	if len(got) != len(want) {
		t.Fatalf("%d verdicts, want %d", len(got), len(want))
	}
	for i, v := range got {
		if v.word() != want[i].word || v.bound.String() != want[i].bound || v.found.format(2) != want[i].found {
			t.Errorf("got %s, %s, %s; want %v", v.word(), v.bound, v.found.format(2), want[i])
		}
	}
	r.shape.bounds = []bound{cpuAtMost(0.49), rateAtLeast(2.01)}
	for _, v := range r.verdicts() {
		if v.word() != "MISSES" {
			t.Errorf("%s holds with %s", v.bound, v.found.format(2))
		}
	}
	delete(r.samples, nutcracker)
	if left := r.verdicts(); len(left) != 0 {
		t.Errorf("verdicts without nutcracker: %v", left)
	}
}

func TestWrongResponseIsAnError(t *testing.T) {
	client, server := net.Pipe()
	defer func() { _ = client.Close() }()
	go func() {
		_, _ = io.ReadFull(server, make([]byte, len(redisGet("a", "1").request)))
		_, _ = server.Write([]byte("$1\r\n2\r\n"))
	}()
	_, err := redisGet("a", "1").do(client, nil)
	if err == nil || !strings.Contains(err.Error(), "wrong response") {
		t.Errorf("got %v, want a wrong response", err)
	}
}
