package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report is all that a run has found, with what one has to know about it.
type report struct {
	date     time.Time
	machine  string
	rounds   int
	length   time.Duration
	short    bool
	subjects []string          // in the order of the table
	versions map[string]string // by subject
	notes    []string
	results  []result
}

// jsonReport is the file that -json writes and -from reads: every sample, so
// that it can be judged again.
type jsonReport struct {
	Date     time.Time         `json:"date"`
	Machine  string            `json:"machine"`
	Rounds   int               `json:"rounds"`
	Seconds  float64           `json:"seconds"` // of a sample
	Short    bool              `json:"short"`
	Subjects []string          `json:"subjects"`
	Versions map[string]string `json:"versions"`
	Notes    []string          `json:"notes,omitempty"`
	Shapes   []jsonShape       `json:"shapes"`
}

type jsonShape struct {
	ID      string                        `json:"id"`
	Title   string                        `json:"title"`
	Columns []string                      `json:"columns"`
	Samples map[string][][]jsonNumber     `json:"samples"`         // subject, round, column
	Calls   map[string]map[string]float64 `json:"calls,omitempty"` // subject, system call: how many a request
	Errors  map[string]string             `json:"errors,omitempty"`
	Bounds  []jsonBound                   `json:"bounds,omitempty"` // for readers; -from judges again
}

type jsonBound struct {
	Subject string     `json:"subject"`
	Bound   string     `json:"bound"`
	Median  jsonNumber `json:"median"`
	Low     jsonNumber `json:"low"` // quartiles
	High    jsonNumber `json:"high"`
	Held    bool       `json:"held"`
}

// jsonNumber is null when it is not known; JSON has no NaN.
type jsonNumber float64

func (n jsonNumber) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

func (n *jsonNumber) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*n = jsonNumber(unknown())
		return nil
	}
	return json.Unmarshal(text, (*float64)(n))
}

func (rep report) write(path string) error {
	file := jsonReport{
		Date: rep.date, Machine: rep.machine, Rounds: rep.rounds, Seconds: rep.length.Seconds(), Short: rep.short,
		Subjects: rep.subjects, Versions: rep.versions, Notes: rep.notes,
	}
	for _, r := range rep.results {
		file.Shapes = append(file.Shapes, r.toJSON())
	}
	text, err := json.MarshalIndent(file, "", " ")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

func (r result) toJSON() jsonShape {
	js := jsonShape{ID: r.shape.id, Title: r.shape.title, Samples: map[string][][]jsonNumber{}, Calls: r.calls, Errors: map[string]string{}}
	for _, c := range r.shape.measured() {
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
		js.Bounds = append(js.Bounds, jsonBound{v.subject, v.bound.String(), jsonNumber(v.found.median), jsonNumber(v.found.low), jsonNumber(v.found.high), v.held})
	}
	return js
}

// readReport reads what write has written. The shapes are this program's, so a
// file of another version has to have the same columns.
func readReport(path string) (report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return report{}, err
	}
	var file jsonReport
	if err := json.Unmarshal(text, &file); err != nil {
		return report{}, fmt.Errorf("cannot read %s: %w; it has to be a file of -json", path, err)
	}
	rep := report{
		date: file.Date, machine: file.Machine, rounds: file.Rounds, length: time.Duration(file.Seconds * float64(time.Second)), short: file.Short,
		subjects: file.Subjects, versions: file.Versions, notes: file.Notes,
	}
	known := allShapes(file.Short)
	for _, js := range file.Shapes {
		at := slices.IndexFunc(known, func(s shape) bool { return s.id == js.ID })
		if at < 0 {
			return report{}, fmt.Errorf("cannot read %s: no shape of this program is called %q; measure again", path, js.ID)
		}
		r := newResult(known[at])
		if err := r.fromJSON(js); err != nil {
			return report{}, fmt.Errorf("cannot read %s: %w", path, err)
		}
		rep.results = append(rep.results, r)
	}
	return rep, nil
}

func (r *result) fromJSON(js jsonShape) error {
	r.shape.title = js.Title
	if same := slices.EqualFunc(r.shape.measured(), js.Columns, func(c column, name string) bool { return c.name == name }); !same {
		return fmt.Errorf("%s has the columns %q, not those of this program; measure again", js.ID, js.Columns)
	}
	for subject, rows := range js.Samples {
		for _, row := range rows {
			sample := make([]float64, len(row))
			for i, x := range row {
				sample[i] = float64(x)
			}
			if len(sample) != len(js.Columns) {
				return fmt.Errorf("%s, %s: a sample of %d numbers, not %d", js.ID, subject, len(sample), len(js.Columns))
			}
			r.samples[subject] = append(r.samples[subject], sample)
		}
	}
	if js.Calls != nil {
		r.calls = js.Calls
	}
	for subject, text := range js.Errors {
		r.errs[subject] = errors.New(text)
	}
	return nil
}

// machine says in a line where this runs.
func machine() string {
	parts := []string{fmt.Sprintf("%d cores", runtime.NumCPU())}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				parts = append(parts, strings.TrimSpace(model))
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		parts = append(parts, runtime.GOOS+" "+strings.TrimSpace(string(text)))
	}
	return strings.Join(append(parts, runtime.GOARCH, runtime.Version()), ", ")
}
