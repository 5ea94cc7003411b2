package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error is one fault of a configuration file.
type Error struct {
	File    string
	Line    int    // 1-based
	Column  int    // 1-based
	Path    string // of the faulty value, as "alpha.servers[2]"; "" = the file itself
	Message string // "fact; remedy"
}

// Error returns "file:line:column: path: message", without the path if it is empty.
func (e Error) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s", e.File, e.Line, e.Column, e.Path, e.Message)
}

// Errors is every fault of one file, sorted by position; never empty when returned.
type Errors []Error

// Error returns one line for each fault, without a newline at the end.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, fault := range e {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// sort orders the faults by line, then column; faults of one position keep the
// order they were found in.
func (e Errors) sort() {
	slices.SortStableFunc(e, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
