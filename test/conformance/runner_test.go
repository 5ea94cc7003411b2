package conformance

import (
	"bufio"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The tests here are of the runner itself: that it reads cases as they are written, and that it finds what differs.

func TestWords(t *testing.T) {
	cases := []struct{ line, want string }{
		{`GET k`, "GET|k"},
		{`  SET  k "a b" `, "SET|k|a b"},
		{`SET k "\x00\r\n\"\\"`, "SET|k|\x00\r\n\"\\"},
		{`SET k 'it is \n'`, `SET|k|it is \n`},
		{`SET k ""`, "SET|k|"},
		{`SET @{ab*3} "@{x*2}y"`, "SET|ababab|xxy"},
	}
	for _, c := range cases {
		words, err := splitWords(c.line)
		var got []string
		for _, w := range words {
			got = append(got, string(w))
		}
		if err != nil || strings.Join(got, "|") != c.want {
			t.Errorf("%s: got %q, %v; want %q", c.line, got, err, c.want)
		}
	}
	for _, line := range []string{`SET k "open`, `SET k 'open`} {
		if _, err := splitWords(line); err == nil {
			t.Errorf("%s: no error", line)
		}
	}
}

func TestFaultyCasesAreRefused(t *testing.T) {
	for _, lines := range []string{"%nosuch", "%resp3", "~nosuch GET k", "c1< x", "blocked x", "raw PING", "~n=x GET k", `GET "k`, "c1:"} {
		if _, err := parseRedisCase("group", "file:1", []string{lines}); err == nil {
			t.Errorf("%s: no error", lines)
		}
	}
}

func TestStepsAreRead(t *testing.T) {
	cases := []struct {
		line string
		want step
	}{
		{"GET k", step{op: opCall, n: 1}},
		{"c2: SMEMBERS k", step{op: opCall, conn: 1, n: 1, rule: "unordered"}},
		{"~= SMEMBERS k", step{op: opCall, n: 1}},
		{"~near=5 GET k", step{op: opCall, n: 1, rule: "near=5"}},
		{"c3& BLPOP k 0", step{op: opSend, conn: 2, n: 1}},
		{"c1| GET k", step{op: opQueue, n: 1}},
		{"c2< 3", step{op: opRead, conn: 1, n: 3}},
		{"~unordered c2<", step{op: opRead, conn: 1, n: 1, rule: "unordered"}},
		{"blocked 2", step{op: opBlocked, n: 2}},
		{"SUBSCRIBE a b c", step{op: opCall, n: 3}},
		{"scan HSCAN k 0", step{op: opScan, n: 1, rule: "deep"}},
		{`raw 2 "PING\r\n"`, step{op: opCall, n: 2}},
		{"~save=id CLIENT ID", step{op: opCall, n: 1, rule: "kind", save: "id"}},
		{"CONFIG GET x", step{op: opCall, n: 1, rule: "pairs"}},
		{"OBJECT HELP", step{op: opCall, n: 1}},
	}
	for _, c := range cases {
		got, err := parseStep(c.line)
		if err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		if got.op != c.want.op || got.conn != c.want.conn || got.n != c.want.n || got.rule != c.want.rule || got.save != c.want.save {
			t.Errorf("%s: got %+v, want %+v", c.line, got, c.want)
		}
	}
}

func TestRules(t *testing.T) {
	cases := []struct {
		rule rule
		a, b string
		same bool
	}{
		{"", "$1\r\na\r\n", "$1\r\na\r\n", true},
		{"", "$1\r\na\r\n", "+a\r\n", false},
		{"", "*2\r\n:1\r\n:2\r\n", "*2\r\n:2\r\n:1\r\n", false},
		{"unordered", "*2\r\n:1\r\n:2\r\n", "*2\r\n:2\r\n:1\r\n", true},
		{"unordered", "*2\r\n:1\r\n:2\r\n", "*2\r\n:2\r\n:3\r\n", false},
		{"unordered", "*2\r\n:1\r\n:1\r\n", "*1\r\n:1\r\n", false},
		{"unordered", "*1\r\n:1\r\n", "~1\r\n:1\r\n", false},
		{"pairs", "*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n", "*4\r\n:3\r\n:4\r\n:1\r\n:2\r\n", true},
		{"pairs", "*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n", "*4\r\n:3\r\n:2\r\n:1\r\n:4\r\n", false},
		{"pairs", "%2\r\n:1\r\n:2\r\n:3\r\n:4\r\n", "%2\r\n:3\r\n:4\r\n:1\r\n:2\r\n", true},
		{"deep", "*2\r\n*2\r\n:1\r\n:2\r\n:3\r\n", "*2\r\n:3\r\n*2\r\n:2\r\n:1\r\n", true},
		{"deep", "*2\r\n*1\r\n:1\r\n:3\r\n", "*2\r\n:3\r\n*1\r\n:2\r\n", false},
		{"kind", ":1\r\n", ":2\r\n", true},
		{"kind", ":1\r\n", "-ERR no\r\n", false},
		{"kind", "$-1\r\n", "$1\r\na\r\n", false},
		{"length", "$2\r\nab\r\n", "$2\r\ncd\r\n", true},
		{"length", "$2\r\nab\r\n", "$3\r\nabc\r\n", false},
		{"shape", "*1\r\n:1\r\n", "*1\r\n:9\r\n", true},
		{"shape", "*1\r\n:1\r\n", "*1\r\n+9\r\n", false},
		{"fields", "$7\r\na:1 b:2\r\n", "$7\r\nb:3 a:4\r\n", true},
		{"fields", "$7\r\na:1 b:2\r\n", "$7\r\na:1 c:2\r\n", false},
		{"fields", "=8\r\ntxt:id=4\r\n", "=13\r\ntxt:id=4 id=5\r\n", true},
		{"near=3", ":10\r\n", ":13\r\n", true},
		{"near=3", ":10\r\n", ":14\r\n", false},
		{"near=3", ":-1\r\n", ":1\r\n", false},
		{"near=3", "*1\r\n:1\r\n", "*1\r\n:2\r\n", true},
		{"near=3", "+a\r\n", "+b\r\n", false},
		{"monitor", "+1.5 [0 a:1] \"GET\"\r\n", "+2.5 [0 b:2] \"GET\"\r\n", true},
		{"monitor", "+1.5 [0 a:1] \"GET\"\r\n", "+1.5 [0 a:1] \"SET\"\r\n", false},
		{"error", "-ERR a\r\n", "-ERR b\r\n", true},
		{"error", "-ERR a\r\n", "+OK\r\n", false},
		{"deep", "-ERR a\r\n", "-ERR b\r\n", false},
		{"any", "-ERR a\r\n", ":1\r\n", true},
	}
	for _, c := range cases {
		a, b := reply(t, c.a), reply(t, c.b)
		if got := c.rule.same(&a.value, &b.value, a.raw, b.raw); got != c.same {
			t.Errorf("rule %q, %q and %q: same is %v", c.rule, c.a, c.b, got)
		}
	}
}

// reply is an outcome made of bytes; "closed", "hung" and "dead" are what they say.
func reply(t *testing.T, wire string) outcome {
	t.Helper()
	if i := slices.Index([]string{"", "hung", "closed", "garbage", "dead"}, wire); i > 0 {
		return outcome{status: status(i)}
	}
	v, raw, err := readValue(bufio.NewReader(strings.NewReader(wire)))
	if err != nil {
		t.Fatalf("%q: %v", wire, err)
	}
	return outcome{value: v, raw: raw}
}

func TestJudge(t *testing.T) {
	refusals := []*regexp.Regexp{regexp.MustCompile("^CROSSSLOT ")}
	const ok, refusal = "+OK\r\n", "-CROSSSLOT no\r\n"
	cases := []struct {
		name      string
		want, got []string
		refusals  []*regexp.Regexp
		verdict   verdict
	}{
		{"same", []string{ok, ":1\r\n"}, []string{ok, ":1\r\n"}, nil, same},
		{"another reply", []string{ok, ":1\r\n"}, []string{ok, ":2\r\n"}, nil, different},
		{"a hang", []string{ok, ok}, []string{ok, "hung"}, refusals, hanging},
		{"a close", []string{ok, ok}, []string{ok, "closed"}, refusals, closing},
		{"both closed", []string{ok, "closed"}, []string{ok, "closed"}, nil, same},
		{"open where the server closes", []string{ok, "closed"}, []string{ok, ok}, nil, different},
		{"a refusal", []string{ok, ok}, []string{refusal, ok}, refusals, refused},
		{"a refusal that is not allowed", []string{ok}, []string{refusal}, nil, different},
		{"another reply behind a refusal", []string{ok, ":1\r\n"}, []string{refusal, "$-1\r\n"}, refusals, refused},
		{"a hang behind a refusal", []string{ok, ":1\r\n"}, []string{refusal, "hung"}, refusals, hanging},
		{"a close behind a refusal", []string{ok, ":1\r\n"}, []string{refusal, "closed"}, refusals, closing},
		{"another error", []string{ok}, []string{"-ERR no\r\n"}, refusals, different},
		{"something left behind", []string{ok}, []string{ok, "hung"}, nil, hanging},
		{"a reply too few", []string{ok, ok}, []string{ok}, nil, different},
	}
	for _, c := range cases {
		var want, got []outcome
		for _, w := range c.want {
			want = append(want, reply(t, w))
		}
		for _, g := range c.got {
			got = append(got, reply(t, g))
		}
		if f := judge(want, got, c.refusals); f.verdict != c.verdict {
			t.Errorf("%s: %v, want %v", c.name, f.verdict, c.verdict)
		}
	}
}

func TestJudgeText(t *testing.T) {
	cases := []struct {
		name      string
		want, got string
		end       status
		verdict   verdict
	}{
		{"same", "STORED|END", "STORED|END", replied, same},
		{"another line", "STORED|END", "STORED|VALUE", replied, different},
		{"a line too many", "END", "END|END", replied, different},
		{"a line too few", "END|END", "END", replied, different},
		{"a hang", "END|END", "END", hung, hanging},
		{"a close", "END|END", "END", closed, closing},
		{"one error for two", "ERROR|ERROR|END", "CLIENT_ERROR x|END", replied, different},
		{"an error, and the end", "ERROR|ERROR|END", "CLIENT_ERROR x", closed, closing},
	}
	for _, c := range cases {
		got := lines(c.got, c.end)
		if f := judgeText(&textCase{}, lines(c.want, replied), got, nil); f.verdict != c.verdict {
			t.Errorf("%s: %v, want %v", c.name, f.verdict, c.verdict)
		}
	}
}

func lines(text string, end status) (all []outcome) {
	for line := range strings.SplitSeq(text, "|") {
		all = append(all, outcome{raw: []byte(line)})
	}
	if end == replied {
		return append(all, outcome{raw: []byte("(done)")})
	}
	return append(all, outcome{status: end})
}

func TestExceptionsNeedTheirReason(t *testing.T) {
	e := &exception{pattern: regexp.MustCompile("^a/"), reason: "on purpose"}
	closes := &exception{pattern: regexp.MustCompile("^b/"), reason: "closes on purpose"}
	cases := []struct {
		name       string
		have, want verdict
	}{
		{"a/GET", different, listed},
		{"c/GET", different, different},
		{"a/GET", closing, closing},
		{"b/GET", closing, listed},
		{"a/GET", hanging, hanging},
		{"a/GET", same, same},
	}
	for _, c := range cases {
		f := finding{verdict: c.have}
		if excuse(&f, c.name, []*exception{e, closes}); f.verdict != c.want {
			t.Errorf("%s, %v: %v, want %v", c.name, c.have, f.verdict, c.want)
		}
	}
}
