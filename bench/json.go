package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"time"
)

// jsonReport is the file that -json writes: every sample, so that it can be
// judged again.
type jsonReport struct {
	Date     time.Time         `json:"date"`
	Go       string            `json:"go"`
	Platform string            `json:"platform"`
	Cores    int               `json:"cores"`
	Rounds   int               `json:"rounds"`
	Requests int               `json:"requests"`
	Short    bool              `json:"short"`
	Versions map[string]string `json:"versions"`
	Shapes   []jsonShape       `json:"shapes"`
}

type jsonShape struct {
	ID      string                    `json:"id"`
	Title   string                    `json:"title"`
	Columns []string                  `json:"columns"`
	Samples map[string][][]jsonNumber `json:"samples"` // subject, round, column
	Errors  map[string]string         `json:"errors,omitempty"`
	Bounds  []jsonBound               `json:"bounds,omitempty"`
}

type jsonBound struct {
	Bound  string     `json:"bound"`
	Median jsonNumber `json:"median"`
	Least  jsonNumber `json:"least"`
	Most   jsonNumber `json:"most"`
	Holds  bool       `json:"holds"`
}

// jsonNumber is null when it is not known; JSON has no NaN.
type jsonNumber float64

func (n jsonNumber) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

func writeJSON(path string, b *bed, opts options, results []result) error {
	report := jsonReport{
		Date: time.Now().UTC().Truncate(time.Second), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Cores: runtime.NumCPU(), Rounds: opts.rounds, Requests: opts.requests, Short: opts.short, Versions: b.versions,
	}
	for _, r := range results {
		report.Shapes = append(report.Shapes, r.toJSON())
	}
	text, err := json.MarshalIndent(report, "", " ")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

func (r result) toJSON() jsonShape {
	js := jsonShape{ID: r.shape.id, Title: r.shape.title, Samples: map[string][][]jsonNumber{}, Errors: map[string]string{}}
	for _, c := range r.shape.columns {
		js.Columns = append(js.Columns, c.name)
	}
	for subject, samples := range r.samples {
		for _, sample := range samples {
			row := make([]jsonNumber, len(sample))
			for i, x := range sample {
				row[i] = jsonNumber(x)
			}
			js.Samples[subject] = append(js.Samples[subject], row)
		}
	}
	for subject, err := range r.errs {
		js.Errors[subject] = err.Error()
	}
	for _, v := range r.verdicts() {
		js.Bounds = append(js.Bounds, jsonBound{v.bound.String(), jsonNumber(v.found.median), jsonNumber(v.found.least), jsonNumber(v.found.most), v.holds})
	}
	return js
}
