package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// enough is the share of cases, in percent, that must be the same with one server behind the pool, of both protocols together.
const enough = 99.0

// share is how many of the cases of a protocol are the same with one server behind the pool.
type share struct {
	same, total int
	whole       bool // nothing was filtered out
}

func (s share) String() string {
	return fmt.Sprintf("%d of %d (%.2f %%)", s.same, s.total, percent(s.same, s.total))
}

func percent(part, total int) float64 { return 100 * float64(part) / float64(max(1, total)) }

// judgeTogether fails t if too few of the cases of all protocols are the same. What is listed counts as not the same.
func judgeTogether(t testing.TB, of map[string]share) {
	t.Helper()
	together := share{whole: true}
	for protocol, s := range of {
		t.Logf("the same with one server, %s: %v", protocol, s)
		together.same += s.same
		together.total += s.total
		together.whole = together.whole && s.whole
	}
	if !together.whole {
		return
	}
	t.Logf("the same with one server, together: %v", together)
	if percent(together.same, together.total) < enough {
		t.Errorf("%v of the cases are the same with one server, want %v %%", together, enough)
	}
}

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
	t.Logf("%s: %d cases: %d same (%.2f %%), %d refused, %d listed, %d different, %d hanging, %d closed\n%s",
		r.target, total, r.count(same), percent(r.count(same), total), r.count(refused), r.count(listed), r.count(different), r.count(hanging),
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
