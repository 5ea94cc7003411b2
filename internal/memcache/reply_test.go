package memcache

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// golden compares got with testdata/name; UPDATE_GOLDEN=1 rewrites the file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") == "1" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; texts are an interface, run with UPDATE_GOLDEN=1 only if the change is meant:\n%s", path, got)
	}
}

func TestEveryTextForClients(t *testing.T) {
	var b strings.Builder
	for p := NoProblem + 1; p < numProblems; p++ {
		r := Request{Problem: p, Name: "watch"}
		fate := "goes on"
		if p.Fatal() {
			fate = "closes"
		}
		fmt.Fprintf(&b, "%v\n----\n%s, %q\n\n", p, fate, r.AppendProblem(nil))
	}
	fmt.Fprintf(&b, "server error\n----\n%q\n\n", AppendServerError(nil, "Connection refused"))
	fmt.Fprintf(&b, "server error, control bytes in the text\n----\n%q\n\n", AppendServerError(nil, "a\r\nb\x7f\x00é"))
	fmt.Fprintf(&b, "constants\n----\n%q %q %q\n", EndReply, OKReply, NoopReply)
	golden(t, "replies.golden", b.String())
}

func TestEveryTextIsOneResponse(t *testing.T) {
	for p := NoProblem + 1; p < numProblems; p++ {
		r := Request{Problem: p, Name: "watch"}
		if got := parseResponses(r.AppendProblem(nil), pieces(4096, 4096)); len(got) != 1 || got[0] != "error" {
			t.Errorf("%v: got %q", p, got)
		}
		if p.Error() == "" || p.Reply() == "" {
			t.Errorf("problem %d has no text", p)
		}
	}
}

func TestFragmentIsARequest(t *testing.T) {
	cases := []struct {
		kind    Kind
		exptime string
		want    string
	}{
		{Get, "", "get a bb\r\n"},
		{Gets, "", "gets a bb\r\n"},
		{Gat, "10", "gat 10 a bb\r\n"},
		{Gats, "-1", "gats -1 a bb\r\n"},
	}
	for _, tc := range cases {
		got := AppendRetrieval(nil, tc.kind, []byte(tc.exptime))
		for _, key := range []string{"a", "bb"} {
			got = AppendKey(got, []byte(key))
		}
		if got = AppendLineEnd(got); string(got) != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

func TestForwardStripsNoReply(t *testing.T) {
	cases := []struct{ raw, want string }{
		{"set a 0 0 1 noreply\r\nv\r\n", "set a 0 0 1\r\nv\r\n"},
		{"set a 0 0 7   noreply \r\nnoreply\r\n", "set a 0 0 7 \r\nnoreply\r\n"},
		{"delete noreply noreply\r\n", "delete noreply\r\n"},
		{"delete a 0 noreply\r\n", "delete a 0\r\n"},
		{"incr a 1\r\n", "incr a 1\r\n"},
		{"flush_all 1 noreply\r\n", "flush_all 1\r\n"},
		{"mg a q v\r\n", "mg a q v\r\nmn\r\n"},
		{"ms a 2 q\r\nmn\r\n", "ms a 2 q\r\nmn\r\nmn\r\n"},
	}
	for _, tc := range cases {
		var (
			p   RequestParser
			req Request
		)
		if _, done, err := p.Parse([]byte(tc.raw), &req); !done || err != nil || req.Problem != NoProblem {
			t.Fatalf("%q: done=%v err=%v problem=%v", tc.raw, done, err, req.Problem)
		}
		if got := AppendForward(nil, []byte(tc.raw), &req); string(got) != tc.want {
			t.Errorf("%q: got %q, want %q", tc.raw, got, tc.want)
		}
	}
}
