package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// enough is the share of cases, in percent, that must be the same with one server behind the pool.
const enough = 99.0

// report is what came out at one target.
type report struct {
	target     string
	names      []string // of all cases
	wheres     []string
	findings   []finding
	exceptions []*exception
	whole      bool // nothing was filtered out, so an exception that no case needs is stale
	shown      int  // failures to print
}

func (r *report) count(v verdict) (n int) {
	for i := range r.findings {
		if r.findings[i].verdict == v {
			n++
		}
	}
	return n
}

// judge prints the counts and fails t for each kind of failure.
func (r *report) judge(t *testing.T) {
	t.Helper()
	total := len(r.findings)
	if total == 0 {
		t.Fatal("no cases")
	}
	strict := r.count(stricter)
	share := 100 * float64(r.count(same)) / float64(max(1, total-strict))
	t.Logf("%s: %d cases, %d of them stricter by intent; of the others %d same (%.2f %%), %d refused, %d listed, %d different, %d hanging, %d closed\n%s",
		r.target, total, strict, r.count(same), share, r.count(refused), r.count(listed), r.count(different), r.count(hanging),
		r.count(closing), r.byGroup())
	if text := r.print(func(v verdict) bool { return v.String() == *listing }); text != "" {
		t.Logf("%s", text)
	}
	if text := r.print(func(v verdict) bool { return v >= different }); text != "" {
		t.Errorf("%s", text)
	}
	if !r.whole {
		return
	}
	if r.target == "one" && share < enough {
		t.Errorf("%.2f %% of the cases are the same with one server, want %v %%", share, enough)
	}
	for _, e := range r.exceptions {
		if !e.used {
			t.Errorf("the exception %q is stale: no case differs; take it out of the list", e.pattern)
		}
	}
}

// byGroup is a line for each group that has something else than "same".
func (r *report) byGroup() string {
	counts := map[string]*[len(verdictNames)]int{}
	var groups []string
	for i := range r.findings {
		group, _, _ := strings.Cut(r.names[i], "/")
		if counts[group] == nil {
			counts[group] = new([len(verdictNames)]int)
			groups = append(groups, group)
		}
		counts[group][r.findings[i].verdict]++
	}
	slices.Sort(groups)
	var b strings.Builder
	for _, group := range groups {
		fmt.Fprintf(&b, "  %-24s", group)
		for v, n := range counts[group] {
			if n > 0 {
				fmt.Fprintf(&b, " %d %v,", n, verdict(v))
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// print writes out the cases with some verdicts, as many as are to be shown.
func (r *report) print(wanted func(verdict) bool) string {
	var b strings.Builder
	n := 0
	for i, f := range r.findings {
		if !wanted(f.verdict) {
			continue
		}
		if n++; n <= r.shown {
			fmt.Fprintf(&b, "%s: %v at %q\n  case %s\n  in   %s\n  want %s\n  got  %s\n", r.target, f.verdict, f.line, r.names[i], r.wheres[i], f.want, f.got)
		}
	}
	if n > r.shown {
		fmt.Fprintf(&b, "%s: and %d more; -args -show %d prints them\n", r.target, n-r.shown, n)
	}
	return b.String()
}
