package conformance

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/testkit"
)

// A textCase is a conversation with memcached. Files of testdata/memcache hold them: all lines of a case, with CRLF behind
// each, go to the server at once, and all that it says is the reply.
//
//	# a comment
//	set k 0 0 5
//	hello
//	--                    the lines above go first, and are answered, before those below
//	"get k\r\n"           a line in quotes is sent as it is, nothing behind it
//	get @{k*250}          what is too long for a file
//	%open                 the last lines end in the middle of a request: there is no reply to wait for
//	%unordered            lines of the replies in any order, equal ones counted once: statistics
//
// What is answered is known by a "version" that the runner sends behind each part.
type textCase struct {
	name, group, where string

	parts     [][]byte
	open      bool
	unordered bool
}

func parseTextCase(group, where string, lines []string) (*textCase, error) {
	c := &textCase{group: group, where: where, name: group + "/" + strings.Join(lines, "; "), parts: [][]byte{nil}}
	for _, line := range lines {
		last := &c.parts[len(c.parts)-1]
		switch {
		case line == "%open":
			c.open = true
		case line == "%unordered":
			c.unordered = true
		case line == "--":
			c.parts = append(c.parts, nil)
		case strings.HasPrefix(line, `"`):
			words, err := splitWords(line)
			if err != nil || len(words) != 1 {
				return nil, fmt.Errorf("%s: want one quoted text", line)
			}
			*last = append(*last, words[0]...)
		default:
			*last = append(append(*last, repeats([]byte(line))...), "\r\n"...)
		}
	}
	return c, nil
}

// runText runs a case and returns an outcome for each line of the replies. The line of a case is not known to them: nobody
// knows how many lines a command answers but the server.
func (t *target) runText(c *textCase) ([]outcome, error) {
	for len(t.controls) < len(t.processes) {
		s, err := dial(t.processes[len(t.controls)].Addr())
		if err != nil {
			return nil, err
		}
		t.controls = append(t.controls, &control{s})
	}
	for _, s := range t.controls {
		if o := s.exchange([]byte("flush_all\r\nverbosity 0\r\n")); o[len(o)-1].status != replied {
			return nil, fmt.Errorf("%s: cannot empty the server: %v", t.name, o[len(o)-1].status)
		}
	}
	client, err := dial(t.addr)
	if err != nil {
		return nil, err
	}
	defer client.close()
	all := []outcome{{raw: []byte("(begin)")}}
	for i, part := range c.parts {
		if c.open && i == len(c.parts)-1 {
			client.send(part)
			break
		}
		for _, o := range client.exchange(part) {
			o.line = fmt.Sprintf("part %d: %s", i+1, clip(part))
			all = append(all, o)
		}
	}
	return all, nil
}

// exchange sends commands and "version", and reads lines until the version comes. The last outcome is how it ended.
func (c *conn) exchange(part []byte) (all []outcome) {
	c.send(append(slices.Clone(part), "version\r\n"...))
	for {
		if c.ended != replied {
			return append(all, outcome{status: dead})
		}
		_ = c.net.SetReadDeadline(time.Now().Add(patience))
		line, err := c.in.ReadBytes('\n')
		if c.ended = statusOf(err); c.ended != replied {
			return append(all, outcome{status: c.ended, raw: line})
		}
		if bytes.HasPrefix(line, []byte("VERSION ")) && !bytes.Contains(part, []byte("version")) {
			return append(all, outcome{raw: []byte("(done)")})
		}
		part = bytes.Replace(part, []byte("version"), nil, 1)
		all = append(all, outcome{raw: masked(line)})
	}
}

// masks hide what differs from one server to another: unique numbers of values, seconds, and what is counted.
var masks = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`^(VALUE \S+ \d+ \d+) \d+\r\n$`), "$1 CAS\r\n"},
	{regexp.MustCompile(`^((?:HD|VA|EN|NS|EX|NF)\b.*?) c\d+`), "$1 cCAS"},
	{regexp.MustCompile(`^((?:HD|VA)\b.*?) l\d+`), "$1 lSECONDS"},
	{regexp.MustCompile(`^((?:HD|VA)\b.*?) t\d+`), "$1 tSECONDS"},
	{regexp.MustCompile(`^(ME .*)\bexp=\d+`), "${1}exp=SECONDS"},
	{regexp.MustCompile(`^(ME .*)\bla=\d+`), "${1}la=SECONDS"},
	{regexp.MustCompile(`^(ME .*)\bcas=\d+`), "${1}cas=CAS"},
	{regexp.MustCompile(`^(STAT \S+) .*\r\n$`), "$1 VALUE\r\n"},
	{regexp.MustCompile(`^STAT (items:)?\d+:`), "STAT ${1}N:"},
}

func masked(line []byte) []byte {
	for _, m := range masks {
		line = m.pattern.ReplaceAll(line, []byte(m.instead))
	}
	return line
}

// judgeText compares line by line. A refusal may answer what several lines would: what follows it is not compared.
func judgeText(c *textCase, want, got []outcome, refusals []*regexp.Regexp) finding {
	if c.unordered {
		want, got = sortedLines(want), sortedLines(got)
	}
	for i := range max(len(want), len(got)) {
		w, g := lineAt(want, i), lineAt(got, i)
		if g.status == w.status && bytes.Equal(w.raw, g.raw) {
			continue
		}
		f := finding{verdict: different, line: g.line, want: w.show(), got: g.show()}
		last := got[len(got)-1].status
		switch {
		case last == hung && want[len(want)-1].status != hung:
			f.verdict = hanging
		case last == closed && want[len(want)-1].status != closed:
			f.verdict = closing
		case matchesAny(g.raw, refusals):
			f.verdict = refused
		}
		return f
	}
	return finding{}
}

func sortedLines(all []outcome) []outcome {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b outcome) int { return bytes.Compare(a.raw, b.raw) })
	return slices.CompactFunc(all, func(a, b outcome) bool { return bytes.Equal(a.raw, b.raw) })
}

func lineAt(all []outcome, i int) *outcome {
	if i < len(all) {
		return &all[i]
	}
	return &outcome{status: dead}
}

func matchesAny(text []byte, patterns []*regexp.Regexp) bool {
	return slices.ContainsFunc(patterns, func(re *regexp.Regexp) bool { return re.Match(text) })
}

func allTextCases() ([]*textCase, error) {
	written, err := readCases("testdata/memcache", parseTextCase)
	if err != nil {
		return nil, err
	}
	generated, err := generatedTextCases()
	return append(written, generated...), err
}

func conformMemcache(t *testing.T) share {
	cases, err := allTextCases()
	if err != nil {
		t.Fatal(err)
	}
	cases = filter(t, cases, func(c *textCase) string { return c.name })
	refusals, err := readPatterns("testdata/refusals.txt")
	if err != nil {
		t.Fatal(err)
	}
	d := dialect{start: testkit.StartMemcached, args: []string{"-t", "1", "-m", "64"}, refusals: refusals}
	stands := buildStands(t, d, standsAtOnce)
	rows := runAll(t, stands, len(cases), func(s *stand, i int) ([]finding, error) { return s.runText(cases[i]) })
	return reportAll(t, "memcache", rows, func(i int) (name, where string) { return cases[i].name, cases[i].where })
}

// runText runs a case everywhere and compares.
func (s *stand) runText(c *textCase) (found []finding, err error) {
	want, err := s.direct.runText(c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	if want[len(want)-1].status == hung && !c.open {
		return nil, fmt.Errorf("%s: %s: the server itself waits for more; give it that, or mark the case %%open", c.where, c.name)
	}
	for i, place := range s.others {
		got, err := place.runText(c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		var honest []*regexp.Regexp
		if targetNames[i] == "three" {
			honest = place.refusals
		}
		found = append(found, judgeText(c, want, got, honest))
	}
	return found, nil
}
