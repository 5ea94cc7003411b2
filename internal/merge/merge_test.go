package merge_test

import (
	"errors"
	"strings"
	"testing"

	"nutmeg/internal/merge"
	"nutmeg/internal/resp"
)

// In tables a blank stands for a line end, and a caret for a blank.
var (
	toWire   = strings.NewReplacer(" ", "\r\n", "^", " ")
	fromWire = strings.NewReplacer("\r\n", " ", " ", "^")
)

func wire(text string) []byte { return []byte(toWire.Replace(text)) }

func TestRules(t *testing.T) {
	for _, test := range []struct {
		name   string
		rule   merge.Rule
		bodies []string
		want   string
		err    error
	}{
		{"first of successes", merge.AllSucceeded, []string{"+OK ", "+OK "}, "+OK ", nil},
		{"sum", merge.Sum, []string{":1 ", ":2 ", ":3 "}, ":6 ", nil},
		{"sum with a negative number", merge.Sum, []string{":1 ", ":-2 "}, ":-1 ", nil},
		{"sum of zeros", merge.Sum, []string{":0 ", ":0 "}, ":0 ", nil},
		{"sum beyond 64 bits", merge.Sum, []string{":9223372036854775807 ", ":1 "}, "", merge.ErrRange},
		{"sum of what is no number", merge.Sum, []string{":1 ", "+OK "}, "", merge.ErrShape},
		{"least", merge.Min, []string{":3 ", ":1 ", ":2 "}, ":1 ", nil},
		{"greatest", merge.Max, []string{":3 ", ":1 ", ":5 "}, ":5 ", nil},
		{"and of lists", merge.And, []string{"*3 :1 :1 :0 ", "*3 :1 :0 :0 "}, "*3 :1 :0 :0 ", nil},
		{"and of single values", merge.And, []string{":1 ", ":0 "}, ":0 ", nil},
		{"and of booleans", merge.And, []string{"*2 #t #t ", "*2 #t #f "}, "*2 #t #f ", nil},
		{"and of empty lists", merge.And, []string{"*0 ", "*0 "}, "*0 ", nil},
		{"and of lists of different lengths", merge.And, []string{"*1 :1 ", "*2 :1 :1 "}, "", merge.ErrShape},
		{"or", merge.Or, []string{"*2 :1 :0 ", "*2 :0 :0 "}, "*2 :1 :0 ", nil},
		{"one success among errors", merge.OneSucceeded, []string{"-NOTBUSY none ", "+OK "}, "+OK ", nil},
		{"of errors the one that says more", merge.OneSucceeded, []string{"-NOTBUSY none ", "-UNKILLABLE writes "}, "-UNKILLABLE writes ", nil},
		{"errors that say the same", merge.OneSucceeded, []string{"-NOTBUSY none ", "-NOTBUSY none "}, "-NOTBUSY none ", nil},
		{"equal", merge.Same, []string{"*1 +a ", "*1 +a "}, "*1 +a ", nil},
		{"not equal", merge.Same, []string{"*1 +a ", "*1 +b "}, "", merge.ErrDiffer},
		{"elements of all", merge.Concat, []string{"*2 $1 a $1 b ", "*0 ", "*1 *2 :1 :2 "}, "*3 $1 a $1 b *2 :1 :2 ", nil},
		{"elements of sets", merge.Concat, []string{"~1 +a ", "~1 +b "}, "~2 +a +b ", nil},
		{"lists and sets do not mix", merge.Concat, []string{"~1 +a ", "*1 +b "}, "", merge.ErrShape},
		{"statuses in place of lists", merge.Concat, []string{"+OK ", "+OK "}, "+OK ", nil},
		{"a status beside a list", merge.Concat, []string{"*1 +a ", "+OK "}, "", merge.ErrShape},
		{"null is no list", merge.Concat, []string{"*1 +a ", "*-1 "}, "", merge.ErrShape},
		{"each once", merge.Union, []string{"*2 $1 a $1 b ", "*2 $1 b $1 c "}, "*3 $1 a $1 b $1 c ", nil},
		{"sum for each name", merge.SumByName, []string{"*4 $1 a :1 $1 b :2 ", "*4 $1 a :0 $1 b :5 "}, "*4 $1 a :1 $1 b :7 ", nil},
		{"sum for each name, as a map", merge.SumByName, []string{"%1 $1 a :1 ", "%1 $1 a :2 "}, "%1 $1 a :3 ", nil},
		{"sum for names that differ", merge.SumByName, []string{"*2 $1 a :1 ", "*2 $1 b :0 "}, "", merge.ErrShape},
		{"no names", merge.SumByName, []string{"*0 ", "*0 "}, "*0 ", nil},
		{"random of those that have one", merge.RandomNonNull, []string{"$-1 ", "$1 a ", "$-1 ", "$1 b "}, "$1 b ", nil},
		{"random of none", merge.RandomNonNull, []string{"_ ", "_ "}, "_ ", nil},
		{"texts", merge.Texts, []string{"$2 hi ", "$2 yo "}, "$30 #^server^s1\nhi\n#^server^s2\nyo\n ", nil},
		{"texts and an error", merge.Texts, []string{"-ERR^no ", "$2 yo "}, "$34 #^server^s1\nERR^no\n#^server^s2\nyo\n ", nil},
		{"errors in place of texts", merge.Texts, []string{"-ERR^no ", "-ERR^none "}, "-ERR^no ", nil},
		{"texts of version 3", merge.Texts, []string{"=6 txt:hi ", "=6 txt:yo "}, "=34 txt:#^server^s1\nhi\n#^server^s2\nyo\n ", nil},
		{"configuration that all agree on", merge.ConfigGet, []string{"*2 $1 a $1 1 ", "*2 $1 a $1 1 "}, "*2 $1 a $1 1 ", nil},
		{"configuration that differs", merge.ConfigGet, []string{"*2 $1 a $1 1 ", "*2 $1 a $1 2 "}, "*2 $1 a $18 differs:^s1=1^s2=2 ", nil},
		{"configuration that one server lacks", merge.ConfigGet, []string{"*2 $1 a $1 1 ", "*4 $1 a $1 1 $1 b $1 2 "}, "*4 $1 a $1 1 $1 b $13 differs:^s2=2 ", nil},
		{"configuration as a map", merge.ConfigGet, []string{"%1 $1 a $1 1 ", "%1 $1 a $1 1 "}, "%1 $1 a $1 1 ", nil},
		{"no such configuration", merge.ConfigGet, []string{"*0 ", "*0 "}, "*0 ", nil},
		{
			"slow log, newest first, cut", merge.Slowlog,
			[]string{"*2 *3 :1 :50 :9 *3 :0 :10 :9 ", "*1 *3 :7 :20 :9 "},
			"*2 *3 :1 :50 :9 *3 :7 :20 :9 ", nil,
		},
		{"slow log of something else", merge.Slowlog, []string{"*1 *1 :1 ", "*0 "}, "", merge.ErrShape},
		{
			"latest latency by event", merge.LatencyLatest,
			[]string{"*1 *4 $1 a :10 :5 :5 ", "*2 *4 $1 a :20 :2 :3 *4 $1 b :1 :1 :1 "},
			"*2 *4 $1 a :20 :2 :5 *4 $1 b :1 :1 :1 ", nil,
		},
		{"latency history by time", merge.LatencyHistory, []string{"*2 *2 :10 :1 *2 :30 :3 ", "*1 *2 :20 :2 "}, "*3 *2 :10 :1 *2 :20 :2 *2 :30 :3 ", nil},
		{
			"histograms", merge.LatencyHistogram,
			[]string{
				"*2 $3 get *4 $5 calls :3 $14 histogram_usec *4 :2 :1 :8 :3 ",
				"*4 $3 set *4 $5 calls :1 $14 histogram_usec *2 :4 :1 $3 get *4 $5 calls :2 $14 histogram_usec *2 :4 :2 ",
			},
			"*4 $3 get *4 $5 calls :5 $14 histogram_usec *6 :2 :1 :4 :3 :8 :5 $3 set *4 $5 calls :1 $14 histogram_usec *2 :4 :1 ", nil,
		},
		{
			"histograms as maps", merge.LatencyHistogram,
			[]string{"%1 $3 get %2 $5 calls :1 $14 histogram_usec %1 :2 :1 ", "%0 "},
			"%1 $3 get %2 $5 calls :1 $14 histogram_usec %1 :2 :1 ", nil,
		},
		{
			"memory: numbers and databases added, ratios left out", merge.MemoryStats,
			[]string{
				"*8 $1 a :1 $4 db.0 *2 $1 x :5 $1 r $3 1.5 $18 keys.bytes-per-key :9 ",
				"*8 $1 a :2 $4 db.0 *2 $1 x :6 $1 r $3 2.5 $4 db.1 *2 $1 x :7 ",
			},
			"*6 $1 a :3 $4 db.0 *2 $1 x :11 $4 db.1 *2 $1 x :7 ", nil,
		},
		{"memory as a map", merge.MemoryStats, []string{"%2 $1 a :1 $1 r ,1.5 ", "%1 $1 a :2 "}, "%1 $1 a :3 ", nil},
		{
			"libraries", merge.Libraries,
			[]string{"*1 *4 $12 library_name $1 l $6 engine $3 LUA ", "*2 *2 $12 library_name $1 m *4 $6 engine $3 LUA $12 library_name $1 l "},
			"*2 *4 $12 library_name $1 l $6 engine $3 LUA *2 $12 library_name $1 m ", nil,
		},
		{
			"functions: who runs a script", merge.FunctionStats,
			[]string{"*4 $14 running_script $-1 $7 engines *0 ", "*4 $14 running_script *0 $7 engines *0 "},
			"*4 $14 running_script *0 $7 engines *0 ", nil,
		},
		{"functions: nobody runs one", merge.FunctionStats, []string{"*2 $14 running_script $-1 ", "*2 $14 running_script $-1 "}, "*2 $14 running_script $-1 ", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := &merge.Responses{Servers: []string{"s1", "s2", "s3", "s4"}, Limit: 2, Random: 3}
			for _, body := range test.bodies {
				in.Bodies = append(in.Bodies, wire(body))
			}
			got, err := test.rule.Append([]byte("before"), in)
			if string(got) != "before"+string(wire(test.want)) || !errors.Is(err, test.err) {
				t.Errorf("got %q, %v; want %q, %v", fromWire.Replace(string(got)), err, test.want, test.err)
			}
		})
	}
}

func TestEveryRuleHasANameAndAText(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range merge.Rules() {
		if r.String() == "" || r.Text() == "" || seen[r.String()] {
			t.Errorf("rule %d: name %q, text %q", r, r, r.Text())
		}
		seen[r.String()] = true
	}
	if _, err := merge.Rule(200).Append(nil, &merge.Responses{Bodies: [][]byte{wire(":1 ")}}); !errors.Is(err, merge.ErrShape) {
		t.Errorf("a rule that is none: %v", err)
	}
	if _, err := merge.Sum.Append(nil, &merge.Responses{}); !errors.Is(err, merge.ErrShape) {
		t.Errorf("nothing to merge: %v", err)
	}
}

// Whatever servers answer, a rule gives one whole response or an error, and leaves alone what was there.
func FuzzRules(f *testing.F) {
	for _, seed := range []string{
		":1 |:2 ", "*2 :1 :0 |*2 :1 :1 ", "*1 *4 $1 a :10 :5 :5 |*1 *4 $1 a :20 :2 :3 ", "*2 $3 get *4 $5 calls :3 $14 histogram_usec *4 :2 :1 :8 :3 |*0 ",
		"%1 $4 db.0 %1 $1 x :5 |%1 $4 db.0 :1 ", "$20 # Stats\na:1\nb:1.5\nc: |$12 # Stats\na:1\n ", "*2 $14 running_script $-1 |*2 $14 running_script *0 ",
		"*1 *2 $12 library_name $1 l |*1 *2 $12 library_name $1 l ", "=40 txt:# Keyspace\ndb0:keys=1,expires=2,avg_ttl=3 |$1 x ", "*1000000000 |*1000000000 ",
	} {
		f.Add([]byte(strings.ReplaceAll(seed, " ", "\r\n")))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in := &merge.Responses{Servers: []string{"s1", "s2"}, Limit: 3, Random: 1}
		for body := range strings.SplitSeq(string(data), "|") {
			r := resp.NewReader([]byte(body))
			if _, ok := r.Element(); !ok || r.Len() > 0 {
				return // an engine hands over whole responses only
			}
			in.Bodies = append(in.Bodies, []byte(body))
		}
		for _, rule := range merge.Rules() {
			got, err := rule.Append([]byte("before"), in)
			rest, kept := strings.CutPrefix(string(got), "before")
			if !kept || err != nil && rest != "" {
				t.Fatalf("%s: %q, %v", rule, got, err)
			}
			if err != nil {
				continue
			}
			r := resp.NewReader([]byte(rest))
			if _, ok := r.Element(); !ok || r.Len() > 0 {
				t.Fatalf("%s makes %q of %q", rule, rest, data)
			}
		}
	})
}
