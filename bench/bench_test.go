package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"nutmeg/bench/load"
)

// measure runs the bench as the command does, and returns what it printed and
// the report that it wrote.
func measure(t *testing.T, args ...string) (string, report) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bench.json")
	opts, err := parseFlags(append([]string{"-short", "-json", file}, args...))
	if err != nil {
		t.Fatal(err)
	}
	opts.length = 5 * time.Millisecond // the race detector is slow enough
	var out bytes.Buffer
	if err := run(t.Context(), opts, &out, io.Discard); err != nil {
		t.Fatalf("%v\n%s", err, out.Bytes())
	}
	rep, err := readReport(file)
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), rep
}

// A short run has to measure every shape.
func TestShortRunMeasuresEverything(t *testing.T) {
	out, rep := measure(t, "-subjects", "nutmeg-1,nutmeg,nutcracker,direct", "-calls=false")
	if len(rep.results) != len(shapeIDs()) {
		t.Fatalf("%d shapes in the file, want %d", len(rep.results), len(shapeIDs()))
	}
	for _, r := range rep.results {
		for _, subject := range []string{nutmegOne, nutcracker} {
			if rows := r.samples[subject]; len(rows) != 1 || rows[0][0] != rows[0][0] {
				t.Errorf("%s: the samples of %s are %v, want one", r.shape.id, subject, rows)
			}
		}
		if !strings.Contains(out, "\n"+r.shape.id+": ") {
			t.Errorf("%s has no table in\n%s", r.shape.id, out)
		}
		for _, b := range r.shape.bounds {
			measured := b.of == "" || slices.Contains(rep.subjects, b.of)
			if measured && !strings.Contains(out, b.String()+": ") {
				t.Errorf("%s: the bound %s is not judged", r.shape.id, b)
			}
		}
	}
}

// What is not there on every machine is measured where it is, and named where
// it is not.
func TestEverySubjectTakesPart(t *testing.T) {
	template := "twin=nutcracker -c {config:testdata/twin.yml} -s {spare.port} -a 127.0.0.1"
	out, rep := measure(t, "-only", "^(redis-zipf|memcached-get10|open-20000)$", "-proxy", template)
	for _, r := range rep.results {
		for _, name := range append(subjectNames(), "twin") {
			missing := strings.Contains(out, "note: "+name+" is left out")
			if measured := len(r.samples[name]) == 1; measured == missing {
				t.Errorf("%s: %s is measured: %v, missing: %v\n%s", r.shape.id, name, measured, missing, out)
			}
		}
		traced := !strings.Contains(out, errNoTrace.Error()) && r.shape.calls != nil
		if calls := r.calls[nutcracker]; traced && sumOf(calls) <= 0 {
			t.Errorf("%s: the system calls of nutcracker are %v\n%s", r.shape.id, calls, out)
		}
	}
}

// Only nutmeg says how many workers have clients; of the others it is unknown.
func TestRampAsksForWorkers(t *testing.T) {
	_, rep := measure(t, "-only", "^ramp$", "-subjects", "nutmeg-1,nutcracker")
	r := rep.results[0]
	for _, name := range []string{"workers, low", "workers, high", "workers, low again"} {
		if got := r.median(nutmegOne, name); got != 1 {
			t.Errorf("%s: %v of one have clients", name, got)
		}
		if got := r.median(nutcracker, name); !math.IsNaN(got) {
			t.Errorf("%s: %v of nutcracker", name, got)
		}
	}
	if got := r.median(nutmegOne, "client moves"); got != 0 {
		t.Errorf("%v clients moved to another worker, and there is none", got)
	}
}

func TestAskWorkers(t *testing.T) {
	cases := []struct {
		name, said string
		want       string // in use and moves, or part of the error
	}{
		{"what is said", `{"workers":4, "workers_in_use":3, "client_moves":17, "alpha":{"in_queue":1}}` + "\n", "3 17"},
		{"what is not said", `{"service":"nutcracker"}`, "NaN NaN"},
		{"a cut answer", `{"workers_in_use":3`, "cannot read the statistics: "},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			go func() {
				if client, err := l.Accept(); err == nil {
					_, _ = io.WriteString(client, c.said)
					_ = client.Close()
				}
			}()
			w, err := askWorkers(t.Context(), l.Addr().String())
			got := fmt.Sprintf("%v %v", w.InUse, w.Moves)
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
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
		{"a sample takes time", []string{"-time", "0s"}, "longer than 0"},
		{"a sample ends", []string{"-time", "1h"}, "at the most"},
		{"there are no arguments", []string{"redis-get"}, `unexpected argument "redis-get"`},
		{"a proxy has a name", []string{"-proxy", "envoy -c envoy.yml"}, "want name=command"},
		{"a proxy listens", []string{"-proxy", "envoy=envoy -c envoy.yml"}, "nowhere to listen"},
		{"a proxy's name is its own", []string{"-proxy", "floor=floor {listen}"}, `"floor" is taken`},
		{"a proxy may come", []string{"-proxy", "envoy=envoy -c {config:envoy.yml}"}, ""},
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
		for _, c := range s.columns {
			if c.added != "" && !hasColumn(s, c.added) {
				t.Errorf("%s: %q adds to a column that it does not have", s.id, c.name)
			}
		}
		for _, part := range s.parts {
			if !slices.Contains(ids, part) {
				t.Errorf("%s is the mean of %q, which does not exist", s.id, part)
			}
		}
		if !regexp.MustCompile(`^[a-z0-9-]{1,15}$`).MatchString(s.id) {
			t.Errorf("%q does not fit the table", s.id)
		}
		for _, b := range s.bounds {
			if !hasColumn(s, b.column) {
				t.Errorf("%s: the bound %q is about a column that it does not have", s.id, b)
			}
			if b.of != "" && !slices.Contains(subjectNames(), b.of) {
				t.Errorf("%s: the bound %q is about nobody", s.id, b)
			}
		}
	}
}

func hasColumn(s shape, name string) bool {
	return slices.ContainsFunc(s.columns, func(c column) bool { return c.name == name })
}

func TestChosenShapesBringTheirParts(t *testing.T) {
	check := func(only, want string) {
		t.Helper()
		var ids []string
		for _, s := range chosen(allShapes(true), regexp.MustCompile(only)) {
			ids = append(ids, s.id)
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("-only %s chooses %q, want %q", only, got, want)
		}
	}
	check("redis-zipf|redis-get$", "redis-get redis-zipf")
	check("both", "redis-get redis-set redis-both")
}

func TestWrongResponseIsAnError(t *testing.T) {
	client, server := net.Pipe()
	defer func() { _ = client.Close() }()
	e := redisGet(1, 16)
	go func() {
		_, _ = io.ReadFull(server, make([]byte, len(e.Request)))
		_, _ = server.Write(redisGet(2, 16).Response)
	}()
	_, err := do(client, e, nil)
	if err == nil || !strings.Contains(err.Error(), "wrong response") {
		t.Errorf("got %v, want a wrong response", err)
	}
}

func TestExchanges(t *testing.T) {
	check := func(e load.Exchange, request, response string) {
		t.Helper()
		if string(e.Request) != request || string(e.Response) != response {
			t.Errorf("got\n%q %q, want\n%q %q", e.Request, e.Response, request, response)
		}
	}
	check(redisGet(7, 16), "*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000007\r\n", "$16\r\n000000000007-nut\r\n")
	check(redisMSet([]int{7}, 16), "*3\r\n$4\r\nMSET\r\n$16\r\nkey:000000000007\r\n$16\r\n000000000007-nut\r\n", "+OK\r\n")
	check(redisMGet([]int{7, 8}, 13), "*3\r\n$4\r\nMGET\r\n$16\r\nkey:000000000007\r\n$16\r\nkey:000000000008\r\n",
		"*2\r\n$13\r\n000000000007-\r\n$13\r\n000000000008-\r\n")
	check(memcacheSet(7, 13), "set key:000000000007 0 0 13\r\n000000000007-\r\n", "STORED\r\n")
	check(memcacheMGet([]int{7, 8}, 13), "get key:000000000007 key:000000000008\r\n",
		"VALUE key:000000000007 0 13\r\n000000000007-\r\nVALUE key:000000000008 0 13\r\n000000000008-\r\nEND\r\n")
	if e := memcacheMGet([]int{7, 8}, 13); e.Blocks*e.BlockSize != len(e.Response)-len("END\r\n") {
		t.Errorf("%d blocks of %d bytes in a response of %d", e.Blocks, e.BlockSize, len(e.Response))
	}
}

func TestKinds(t *testing.T) {
	k := keyspace{5, 16}
	want := "59 5\n*3\r\n+OK\r\n" + "36 23\n*2\r\n$16\r\n000000000001-nut\r\n"
	if got := string(kinds(k.mixed())); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := kinds([]load.Exchange{redisGet(0, 16), redisGet(1, 17)}); got != nil {
		t.Errorf("two responses to one kind of request are told apart: %q", got)
	}
}

func TestTemplate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "proxy.conf")
	if err := os.WriteFile(file, []byte("listen on {listen}, pid {pid}"), 0o600); err != nil {
		t.Fatal(err)
	}
	names := map[string]string{"listen": "127.0.0.1:1", "mclisten": "127.0.0.1:2", "mclisten.port": "2"}
	got, err := fillTemplate("proxy -c {config:"+file+"} -p {mclisten.port}", names)
	if err != nil {
		t.Fatal(err)
	}
	if got.command != "proxy -c config0 -p 2" || got.files["config0"] != "listen on 127.0.0.1:1, pid {pid}" || !got.redis || !got.memcache {
		t.Errorf("got %+v", got)
	}
	if _, err := fillTemplate("proxy -c {config:"+file+".not}", names); err == nil {
		t.Error("a configuration that does not exist is accepted")
	}
	if _, err := fillTemplate("proxy -l 127.0.0.1:1", names); err == nil {
		t.Error("a proxy that nobody can find is accepted")
	}
}

func TestParseCalls(t *testing.T) {
	const text = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 61.54    0.000008           8       100           read
 38.46    0.000005           5        50        10 writev
------ ----------- ----------- --------- --------- ----------------
100.00    0.000013           6       150        10 total
`
	got, err := parseCalls(text)
	if err != nil || len(got) != 2 || got["read"] != 100 || got["writev"] != 50 || sumOf(got) != 150 {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := parseCalls("strace: nothing"); err == nil {
		t.Error("no table, and no error")
	}
}
