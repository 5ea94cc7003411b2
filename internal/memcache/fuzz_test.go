package memcache

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Cutting the stream anywhere changes nothing, and what is accepted is framed by
// memcached's own rules as one request.
func FuzzRequestChunks(f *testing.F) {
	for i, tc := range requestCases {
		f.Add([]byte(tc.stream), uint16(i), uint16(i%7))
	}
	f.Fuzz(func(t *testing.T, stream []byte, first, rest uint16) {
		whole := parseAll(stream, pieces(len(stream), len(stream)))
		parts := parseAll(stream, pieces(int(first)+1, int(rest)+1))
		if !slices.Equal(whole, parts) {
			t.Errorf("pieces of %d, then %d differ:\n%q\n%q", first+1, rest+1, whole, parts)
		}
		for {
			var (
				p   RequestParser
				req Request
			)
			n, done, err := p.Parse(stream, &req)
			if !done || err != nil {
				return
			}
			if req.Problem == NoProblem {
				checkFrame(t, AppendForward(nil, stream[:n], &req), &req)
			}
			stream = stream[n:]
		}
	})
}

// checkFrame reads a forwarded request as any memcached does: the line ends at the
// first LF, which has a CR before it, blanks separate words, NUL ends them, a last word noreply silences.
func checkFrame(t *testing.T, raw []byte, req *Request) {
	t.Helper()
	line, _, _ := bytes.Cut(raw, []byte("\n"))
	size := len(line) + 1
	line, found := bytes.CutSuffix(line, []byte("\r"))
	if !found || bytes.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		t.Errorf("line is not plain: %q", raw)
	}
	words := bytes.FieldsFunc(line, func(r rune) bool { return r == ' ' })
	if name := strings.Fields(req.Kind.String() + req.Name)[0]; string(words[0]) != name {
		t.Errorf("%q is taken for %s", raw, name)
	}
	if !req.Kind.Retrieval() && !req.Kind.Meta() && req.Kind != Delete && req.Kind < Own && string(words[len(words)-1]) == "noreply" {
		t.Errorf("memcached would not answer %q", raw)
	}
	if req.Kind.Storage() {
		at := 4
		if req.Kind == MetaSet {
			at = 2
		}
		length, err := strconv.Atoi(string(words[at]))
		if err != nil || length < 0 {
			t.Errorf("bad length: %q", raw)
		}
		size += length + 2
	}
	if quiet := req.Kind.Meta() && slices.ContainsFunc(flagsOf(req.Kind, words), isQuiet); quiet != req.Quiet {
		t.Errorf("%q is quiet: %v, to us %v", raw, quiet, req.Quiet)
	}
	if req.Quiet {
		size += len(NoopRequest)
	}
	if size != len(raw) || !bytes.HasSuffix(raw, []byte("\r\n")) {
		t.Errorf("memcached sees %d bytes of %d: %q", size, len(raw), raw)
	}
}

func isQuiet(flag []byte) bool { return flag[0] == 'q' }

// flagsOf returns the flags of a meta command.
func flagsOf(kind Kind, words [][]byte) [][]byte {
	if kind == MetaSet {
		return words[3:]
	}
	return words[2:]
}

// Cutting the stream anywhere changes nothing.
func FuzzResponseChunks(f *testing.F) {
	for i, tc := range responseCases {
		f.Add([]byte(tc.stream), uint16(i), uint16(i%7))
	}
	f.Fuzz(func(t *testing.T, stream []byte, first, rest uint16) {
		whole := parseResponses(stream, pieces(len(stream), len(stream)))
		parts := parseResponses(stream, pieces(int(first)+1, int(rest)+1))
		if !slices.Equal(whole, parts) {
			t.Errorf("pieces of %d, then %d differ:\n%q\n%q", first+1, rest+1, whole, parts)
		}
		for _, got := range whole {
			if len(got) > 3 && got[:3] == "BUG" {
				t.Error(got)
			}
		}
		for ok := true; ok; {
			_, _, stream, ok = NextValue(stream)
		}
	})
}
