// Package conformance answers one question: is my command supported, and does it say the same as on a server?
//
// It holds conversations with Redis and memcached, some written by hand (testdata/redis, testdata/memcache), some made of
// the command table, and runs each directly at a server, at a second server, and through the proxy with one and with three
// servers behind it. What the proxy says is compared with what the server says, byte by byte.
//
//	go test ./test/conformance -run Conformance -v
//	go test ./test/conformance -run Conformance -v -args -only 'strings/.*SETRANGE' -show 100
//	go test ./test/conformance -run Conformance/redis/three -v -args -list refused -show 1000
//
// With one server all has to be the same, but for what testdata/exceptions-one-*.txt list with a reason, and of all cases
// together, the listed ones too, 99 in a hundred have to be. With three, an
// error that the proxy documents (testdata/refusals.txt) is allowed too. Nothing may hang, and no connection be closed
// that a server keeps open.
package conformance

import (
	"flag"
	"fmt"
	"regexp"
	"sync"
	"testing"

	"nutmeg/internal/testkit"
)

var (
	only  = flag.String("only", "", "run the cases whose name has a match of this regular expression")
	shown = flag.Int("show", 40, "failures to print for each target")

	listing = flag.String("list", "", "print also the cases with this verdict, with -v: refused or listed")
)

// standsAtOnce is for two cores: more servers wait for each other.
const standsAtOnce = 3

// allRedisCases are the written and the generated ones.
func allRedisCases() ([]*testCase, error) {
	written, err := readCases("testdata/redis", parseRedisCase)
	if err != nil {
		return nil, err
	}
	generated, err := generatedCases()
	if err != nil {
		return nil, err
	}
	return append(written, generated...), nil
}

func TestConformance(t *testing.T) {
	t.Parallel()
	var redis, memcached share
	t.Cleanup(func() { // both have run to their ends
		judgeTogether(t, map[string]share{"redis": redis, "memcached": memcached})
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		redis = conformRedis(t)
	})
	t.Run("memcache", func(t *testing.T) {
		t.Parallel()
		memcached = conformMemcache(t)
	})
}

func conformRedis(t *testing.T) share {
	cases, err := allRedisCases()
	if err != nil {
		t.Fatal(err)
	}
	cases = filter(t, cases, func(c *testCase) string { return c.name })
	refusals, err := readPatterns("testdata/refusals.txt")
	if err != nil {
		t.Fatal(err)
	}
	// A server looks at its clock hz times a second: until then a blocked client waits, however short its timeout.
	d := dialect{redis: true, start: testkit.StartRedis, args: []string{"--hz", "100"}, refusals: refusals}
	stands := buildStands(t, d, standsAtOnce)
	d.password = "secret"
	guarded := buildStands(t, d, 1)[0]
	var lock sync.Mutex // one case at a time there
	rows := runAll(t, stands, len(cases), func(s *stand, i int) ([]finding, error) {
		if !cases[i].password {
			return s.runRedis(cases[i])
		}
		lock.Lock()
		defer lock.Unlock()
		return guarded.runRedis(cases[i])
	})
	return reportAll(t, "redis", rows, func(i int) (name, where string) { return cases[i].name, cases[i].where })
}

// runRedis runs a case everywhere and compares.
func (s *stand) runRedis(c *testCase) (found []finding, err error) {
	want, err := s.direct.run(c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	for i := range want {
		if want[i].status == hung {
			return nil, fmt.Errorf("%s: %s: the server itself does not answer %q", c.where, c.name, want[i].line)
		}
	}
	for i, place := range s.others {
		got, err := place.run(c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		var honest []*regexp.Regexp
		if targetNames[i] == "three" {
			honest = place.refusals
		}
		found = append(found, judge(want, got, honest))
	}
	return found, nil
}

// filter leaves the cases that the command line asks for.
func filter[T any](t testing.TB, cases []T, name func(T) string) (chosen []T) {
	t.Helper()
	if *only == "" {
		return cases
	}
	re, err := regexp.Compile(*only)
	if err != nil {
		t.Fatalf("-only: %v", err)
	}
	for _, c := range cases {
		if re.MatchString(name(c)) {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		t.Skipf("no case matches %q", *only)
	}
	return chosen
}

// reportAll makes a subtest of each target, and returns how many cases are the same with one server.
func reportAll(t *testing.T, protocol string, rows [][]finding, describe func(i int) (name, where string)) (with share) {
	t.Helper()
	for place, target := range targetNames {
		r := &report{target: target, whole: *only == "", shown: *shown}
		if target != "again" {
			var err error
			if r.exceptions, err = readExceptions("testdata/exceptions-" + target + "-" + protocol + ".txt"); err != nil {
				t.Fatal(err)
			}
		}
		for i, row := range rows {
			if row == nil {
				continue // the run failed, and has said so
			}
			name, where := describe(i)
			f := row[place]
			excuse(&f, name, r.exceptions)
			r.names, r.wheres, r.findings = append(r.names, name), append(r.wheres, where), append(r.findings, f)
		}
		t.Run(target, r.judge)
		if target == "one" {
			with = share{same: r.count(same), total: len(r.findings), whole: r.whole}
		}
	}
	return with
}
