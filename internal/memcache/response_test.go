package memcache

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// parseResponses is parseAll for responses.
func parseResponses(stream []byte, next func() int) []string {
	var (
		p          ResponseParser
		resp       Response
		out        []string
		start, pos int
	)
	for pos < len(stream) {
		piece := stream[pos:min(pos+next(), len(stream))]
		n, done, err := p.Parse(piece, &resp)
		pos += n
		switch {
		case errors.Is(err, ErrResponse):
			return append(out, "lost")
		case err != nil:
			return append(out, "BUG: "+err.Error())
		case done:
			out = append(out, describeResponse(&resp, stream[start:pos]))
			start = pos
		case n != len(piece):
			return append(out, "BUG: not done, yet bytes are left")
		}
		if !done && p.Size() != pos-start || done && p.Size() != 0 {
			return append(out, fmt.Sprintf("BUG: size %d", p.Size()))
		}
	}
	if p.Size() > 0 {
		out = append(out, fmt.Sprintf("cut at %d", p.Size()))
	}
	return out
}

// describeResponse also walks the values of a complete response.
func describeResponse(resp *Response, raw []byte) string {
	out := resp.Kind.String()
	if resp.Kind != Values {
		return out
	}
	count, size := 0, 0
	for {
		key, block, rest, ok := NextValue(raw[size:])
		if !ok {
			break
		}
		if len(block)+len(rest) != len(raw)-size {
			return "BUG: NextValue drops bytes"
		}
		count++
		size += len(block)
		out += " " + string(key)
	}
	if count != resp.Values || string(raw[size:]) != EndReply {
		return fmt.Sprintf("BUG: %d values, NextValue finds %d", resp.Values, count)
	}
	return out
}

var responseCases = []struct {
	rule   string
	stream string
	want   []string
}{
	// What twemproxy's unit tests accept.
	{"zero", "0\r\n", []string{"number"}},
	{"a number with blanks behind it", "0 \r\n12   \r\n", []string{"number", "number"}},
	{"the largest int64", "9223372036854775807\r\n", []string{"number"}},
	{"words", "STORED\r\nNOT_STORED\r\nEXISTS\r\nNOT_FOUND\r\nDELETED\r\nTOUCHED\r\nOK\r\n", []string{"STORED", "NOT_STORED", "EXISTS", "NOT_FOUND", "DELETED", "TOUCHED", "OK"}},
	{"END alone", "END\r\n", []string{"END"}},
	{"ERROR", "ERROR\r\n", []string{"error"}},
	{"one value", "VALUE key 0 3\r\nval\r\nEND\r\n", []string{"END key"}},
	{"two values", "VALUE a 0 1\r\n1\r\nVALUE b 0 2\r\n22\r\nEND\r\n", []string{"END a b"}},
	{"version", "VERSION 1.6.18\r\n", []string{"VERSION"}},

	// Beyond it.
	{"the largest uint64", "18446744073709551615\r\n", []string{"number"}},
	{"errors with texts", "ERROR Too many open connections\r\nCLIENT_ERROR bad data chunk\r\nSERVER_ERROR out of memory storing object\r\n", []string{"error", "error", "error"}},
	{"a value with its cas", "VALUE a 4294967295 1 18446744073709551615\r\n1\r\nEND\r\n", []string{"END a"}},
	{"an empty value", "VALUE a 0 0\r\n\r\nEND\r\n", []string{"END a"}},
	{"a value that looks like a response", "VALUE a 0 12\r\n\r\nEND\r\nEND\r\n\r\nEND\r\nSTORED\r\n", []string{"END a", "STORED"}},
	{"a key of 250 bytes", "VALUE " + key250 + " 0 1\r\nv\r\nEND\r\n", []string{"END " + key250}},
	{"a response cut", "STORED\r\nVALUE a 0 5\r\nab", []string{"STORED", "cut at 15"}},

	{"one line of meta", "HD\r\nHD kfoo O1 c5\r\nEN kfoo O1\r\nNS\r\nEX O1\r\nNF kx\r\nMN\r\nME a exp=-1 la=0\r\n", []string{"HD", "HD", "EN", "NS", "EX", "NF", "MN", "ME"}},
	{"a value of meta", "VA 2 kfoo W\r\nhi\r\nVA 0\r\n\r\nVA 4 \r\n\r\n\r\n\r\nHD\r\n", []string{"VA", "VA", "VA", "HD"}},
	{"listings", "STAT pid 1\r\nSTAT version 1.6.18 x\r\nEND\r\nITEM a [1 b; 0 s]\r\nEND\r\nPREFIX a get 1\r\nEND\r\nEND\r\n", []string{"listing", "listing", "listing", "END"}},
	{"answers for operators", "RESET\r\nBUSY currently processing\r\nBADCLASS x\r\nNOSPARE x\r\nSAME x\r\nNOTSTARTED x\r\nMEMLIMIT_TOO_SMALL x\r\nMEMLIMIT_ADJUST_FAILED x\r\nError TLS not enabled\r\n", append([]string{"RESET"}, slices.Repeat([]string{"refusal"}, 8)...)},

	// Lost.
	{"a bare CRLF", "\r\n", []string{"lost"}},
	{"a lone CR", "\r", []string{"lost"}},
	{"a lone LF", "\n", []string{"lost"}},
	{"ENDD", "ENDD\r\n", []string{"lost"}},
	{"a negative number", "-5\r\n", []string{"lost"}},
	{"a number and junk", "12x\r\n", []string{"lost"}},
	{"a number, a blank and junk", "12 3\r\n", []string{"lost"}},
	{"a number of 21 digits", "111111111111111111111\r\n", []string{"lost"}},
	{"STORED ended by LF", "STORED\n", []string{"lost"}},
	{"STORED ended LF LF", "STORED\n\n", []string{"lost"}},
	{"STORED ended CR CR", "STORED\r\r", []string{"lost"}},
	{"STORED with an argument", "STORED 1\r\n", []string{"lost"}},
	{"lower case", "stored\r\n", []string{"lost"}},
	{"a blank before the word", " STORED\r\n", []string{"lost"}},
	{"STAT alone", "STAT\r\nEND\r\n", []string{"lost"}},
	{"STAT ended by LF", "STAT pid 1\nEND\r\n", []string{"lost"}},
	{"STAT ended CR CR", "STAT pid 1\r\r", []string{"lost"}},
	{"a value in a listing", "STAT pid 1\r\nVALUE a 0 1\r\nv\r\nEND\r\n", []string{"lost"}},
	{"a number in a listing", "STAT pid 1\r\n1\r\n", []string{"lost"}},
	{"an error in a listing", "STAT pid 1\r\nERROR\r\n", []string{"lost"}},
	{"STAT after a value", "VALUE a 0 1\r\nv\r\nSTAT pid 1\r\nEND\r\n", []string{"lost"}},
	{"MN with a flag", "MN x\r\n", []string{"lost"}},
	{"HD without a blank", "HDx\r\n", []string{"lost"}},
	{"HD ended by LF", "HD\n", []string{"lost"}},
	{"VA without a length", "VA\r\n", []string{"lost"}},
	{"VA with a flag for a length", "VA k1\r\n", []string{"lost"}},
	{"VA with two blanks", "VA  1\r\nv\r\n", []string{"lost"}},
	{"VA with a length beyond memcached's", "VA 2147483646\r\n", []string{"lost"}},
	{"VA longer than its length", "VA 1\r\nvv\r\n", []string{"lost"}},
	{"VA line ended by LF", "VA 1 k\nv\r\n", []string{"lost"}},
	{"VA line ended CR CR", "VA 1 k\r\rv\r\n", []string{"lost"}},
	{"ERROR without a blank", "ERROR:x\r\n", []string{"lost"}},
	{"an error ended by LF", "SERVER_ERROR x\n\r\n", []string{"lost"}},
	{"an error with a CR inside", "SERVER_ERROR x\ry\r\n", []string{"lost"}},
	{"VALUE without a key", "VALUE  0 1\r\nv\r\nEND\r\n", []string{"lost"}},
	{"VALUE alone", "VALUE\r\n", []string{"lost"}},
	{"VALUE without a length", "VALUE a 0\r\nEND\r\n", []string{"lost"}},
	{"VALUE with two blanks", "VALUE a 0  1\r\nv\r\nEND\r\n", []string{"lost"}},
	{"VALUE with a blank at the end", "VALUE a 0 1 \r\nv\r\nEND\r\n", []string{"lost"}},
	{"VALUE with a word too many", "VALUE a 0 1 2 3\r\nv\r\nEND\r\n", []string{"lost"}},
	{"a tab in the key", "VALUE a\tb 0 1\r\nv\r\nEND\r\n", []string{"lost"}},
	{"a key of 251 bytes", "VALUE " + key251 + " 0 1\r\nv\r\nEND\r\n", []string{"lost"}},
	{"a negative length", "VALUE a 0 -1\r\nv\r\nEND\r\n", []string{"lost"}},
	{"a length beyond memcached's", "VALUE a 0 2147483646\r\n", []string{"lost"}},
	{"a length that wraps", "VALUE a 0 18446744073709551617\r\nv\r\nEND\r\n", []string{"lost"}},
	{"a VALUE line ended by LF", "VALUE a 0 1\nv\r\nEND\r\n", []string{"lost"}},
	{"a value longer than its length", "VALUE a 0 1\r\nvv\r\nEND\r\n", []string{"lost"}},
	{"a value ended LF LF", "VALUE a 0 1\r\nv\n\nEND\r\n", []string{"lost"}},
	{"a value ended CR CR", "VALUE a 0 1\r\nv\r\rEND\r\n", []string{"lost"}},
	{"another response after a value", "VALUE a 0 1\r\nv\r\nSTORED\r\n", []string{"lost"}},
	{"a number after a value", "VALUE a 0 1\r\nv\r\n1\r\n", []string{"lost"}},
}

func TestResponseAtEverySplit(t *testing.T) {
	for _, tc := range responseCases {
		t.Run(tc.rule, func(t *testing.T) {
			stream := []byte(tc.stream)
			check := func(how string, next func() int) {
				t.Helper()
				if got := parseResponses(stream, next); !slices.Equal(got, tc.want) {
					t.Errorf("%s: %q\n got %q\nwant %q", how, stream, got, tc.want)
				}
			}
			check("whole", pieces(len(stream), len(stream)))
			check("byte by byte", pieces(1, 1))
			for cut := 1; cut < len(stream); cut++ {
				check(fmt.Sprintf("cut at %d", cut), pieces(cut, len(stream)))
			}
		})
	}
}

func TestResponseLineBound(t *testing.T) {
	line := func(size int) string {
		const head = "SERVER_ERROR "
		return head + strings.Repeat("x", size-len(head)-2) + "\r\n"
	}
	for _, size := range []int{1 << 20, 2047, 2048, 100} {
		if got := parseResponses([]byte(line(maxResponseLine)), pieces(size, size)); !slices.Equal(got, []string{"error"}) {
			t.Errorf("2048 bytes in pieces of %d: got %q", size, got)
		}
		if got := parseResponses([]byte(line(maxResponseLine+1)), pieces(size, size)); !slices.Equal(got, []string{"lost"}) {
			t.Errorf("2049 bytes in pieces of %d: got %q", size, got)
		}
	}
}

func TestResponseErrorStays(t *testing.T) {
	var (
		p    ResponseParser
		resp Response
	)
	for _, data := range []string{"STATE a 1\r\n", "STORED\r\n"} {
		if _, done, err := p.Parse([]byte(data), &resp); done || !errors.Is(err, ErrResponse) {
			t.Errorf("%q: got done=%v err=%v", data, done, err)
		}
	}
}

func TestAnswers(t *testing.T) {
	cases := []struct {
		kind Kind
		want string
	}{
		{Get, "END error"},
		{Gats, "END error"},
		{Set, "STORED NOT_STORED EXISTS NOT_FOUND error"},
		{Cas, "STORED NOT_STORED EXISTS NOT_FOUND error"},
		{Incr, "number NOT_FOUND error"},
		{Touch, "NOT_FOUND TOUCHED error"},
		{Delete, "NOT_FOUND DELETED error"},
		{Version, "VERSION error"},
		{Bget, "END error"},
		{MetaGet, "error HD VA EN"},
		{MetaSet, "error HD NS EX NF"},
		{MetaDelete, "error HD EX NF"},
		{MetaArithmetic, "error HD VA NS EX NF"},
		{MetaDebug, "error EN ME"},
		{MetaNoop, "MN"},
		{Stats, "END OK error listing RESET"},
		{Admin, "OK error refusal"},
	}
	for _, tc := range cases {
		var got []string
		for r := range numResponses {
			if tc.kind.Answers(r) {
				got = append(got, r.String())
			}
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%s: got %q, want %q", tc.kind, got, tc.want)
		}
	}
}

func TestNextValueNeverReadsPastTheEnd(t *testing.T) {
	whole := []byte("VALUE a 0 3 7\r\nabc\r\nEND\r\n")
	block := len(whole) - len(EndReply)
	for n := range len(whole) + 1 {
		_, got, rest, ok := NextValue(whole[:n])
		if want := n >= block; ok != want || ok && len(got) != block || len(got)+len(rest) != n {
			t.Errorf("%q: got block %q, rest %q, ok %v", whole[:n], got, rest, ok)
		}
	}
	for _, bad := range []string{"VALUE  0 1\r\nv\r\n", "VALUE a\r\n", "VALUE a x 1\r\nv\r\n", "VALUE a 0 9999999999\r\n", "VALUE a 0 1\r\nvXY", "value a 0 1\r\nv\r\n"} {
		if _, _, _, ok := NextValue([]byte(bad)); ok {
			t.Errorf("%q is taken for a value", bad)
		}
	}
}
