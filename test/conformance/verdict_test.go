package conformance

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// verdict is how a case went at a target, beside the same case directly at a server.
type verdict uint8

const (
	same      verdict = iota
	refused           // an error by which the proxy says that it does not do this
	listed            // different, and an exception of the list
	different         // anything else that is not the same: a failure
	hanging           // no reply, or something left behind: a failure
	closing           // a connection closed that the server keeps open: a failure
)

var verdictNames = [...]string{"same", "refused", "listed", "different", "hanging", "closed"}

func (v verdict) String() string { return verdictNames[v] }

// finding is a verdict, and for what is not the same, where: the line, the expected and the received.
type finding struct {
	verdict         verdict
	line, want, got string
}

// judge compares what a target said to a case with what a server said. With refusals, errors that match them are honest;
// what follows one may then differ, since the command was not run. With none, every difference counts.
func judge(want, got []outcome, refusals []*regexp.Regexp) finding {
	excused := false
	var first finding
	for i := range got {
		w, g := &want[min(i, len(want)-1)], &got[i]
		f := judgeOne(w, g)
		switch {
		case f.verdict == same, f.verdict == different && excused:
		case f.verdict == different && isRefusal(g, refusals):
			excused = true
			first = f
			first.verdict = refused
		case f.verdict == different: // what hangs or closes behind it is worse, and has no excuse
			if first.verdict != different {
				first = f
			}
		case f.verdict == closing && first.verdict == different && w.status != replied: // the server has closed it as well
		default:
			return f
		}
	}
	if first.verdict == different {
		return first
	}
	if len(want) != len(got) && !excused {
		return finding{verdict: different, line: "(the end)", want: fmt.Sprint(len(want), " replies"), got: fmt.Sprint(len(got), " replies")}
	}
	return first
}

func judgeOne(want, got *outcome) finding {
	f := finding{line: got.line, want: want.show(), got: got.show()}
	switch {
	case got.status == want.status && (got.status != replied || want.rule.same(&want.value, &got.value, want.raw, got.raw)):
		return finding{}
	case got.status == hung:
		f.verdict = hanging
	case got.status == closed:
		f.verdict = closing
	default:
		f.verdict = different
	}
	return f
}

func isRefusal(o *outcome, refusals []*regexp.Regexp) bool {
	if o.status != replied || !o.value.isError() {
		return false
	}
	for _, r := range refusals {
		if r.Match(o.value.text) {
			return true
		}
	}
	return false
}

func (o *outcome) show() string {
	if o.status != replied {
		if len(o.raw) > 0 {
			return fmt.Sprintf("%v after %s", o.status, clip(o.raw))
		}
		return o.status.String()
	}
	if o.rule != "" {
		return clip(o.raw) + "   by the rule " + string(o.rule)
	}
	return clip(o.raw)
}

func clip(text []byte) string {
	const most = 600
	if len(text) > most {
		return fmt.Sprintf("%q... (%d bytes)", text[:most], len(text))
	}
	return fmt.Sprintf("%q", text)
}

// exception is a line of a list: cases that may differ, and why.
type exception struct {
	pattern *regexp.Regexp
	reason  string
	used    bool // a case did differ
}

// readExceptions reads a list: "pattern -- reason" a line. The pattern is searched for in names of cases.
func readExceptions(file string) (all []*exception, err error) {
	lines, err := listLines(file)
	for _, line := range lines {
		pattern, reason, found := strings.Cut(line, " -- ")
		if !found || strings.TrimSpace(reason) == "" {
			return nil, fmt.Errorf("%s: %q has no reason; write pattern -- reason", file, line)
		}
		re, err := regexp.Compile(strings.TrimSpace(pattern))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, &exception{pattern: re, reason: strings.TrimSpace(reason)})
	}
	return all, err
}

// readPatterns reads a list of regular expressions.
func readPatterns(file string) (all []*regexp.Regexp, err error) {
	lines, err := listLines(file)
	for _, line := range lines {
		re, err := regexp.Compile(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, re)
	}
	return all, err
}

func listLines(file string) (lines []string, err error) {
	text, err := os.ReadFile(file)
	for line := range strings.SplitSeq(string(text), "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines, err
}

// excuse turns a difference into a listed one if an exception says so. Hanging has no excuse, and closing only one whose
// reason begins with "closes".
func excuse(f *finding, name string, exceptions []*exception) {
	if f.verdict != different && f.verdict != closing {
		return
	}
	for _, e := range exceptions {
		if f.verdict == closing && !strings.HasPrefix(e.reason, "closes") {
			continue
		}
		if e.pattern.MatchString(name) {
			e.used = true
			f.verdict = listed
		}
	}
}
