package memcache

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// parseAll feeds stream in pieces whose sizes next gives and describes every
// request, the rest of an incomplete one, and the fatal error.
func parseAll(stream []byte, next func() int) []string {
	var (
		p     RequestParser
		req   Request
		out   []string
		start int
		pos   int
	)
	for pos < len(stream) {
		piece := stream[pos:min(pos+next(), len(stream))]
		n, done, err := p.Parse(piece, &req)
		pos += n
		switch {
		case err != nil:
			return append(out, "fatal: "+err.Error())
		case done:
			out = append(out, describe(&req, stream[start:pos]))
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

// describe is one line about a complete request.
func describe(r *Request, raw []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s", r.Kind, r.Name)
	for _, k := range r.Keys {
		fmt.Fprintf(&b, " key=%s", k.Of(raw))
	}
	if r.Exptime.Len() > 0 {
		fmt.Fprintf(&b, " exp=%s", r.Exptime.Of(raw))
	}
	if r.NoReply {
		fmt.Fprintf(&b, " noreply=%q", r.NoReplySpan.Of(raw))
	}
	if r.Value.End > 0 {
		fmt.Fprintf(&b, " value=%s", r.Value.Of(raw))
	}
	if r.BareLine {
		b.WriteString(" bare")
	}
	if r.Quiet {
		b.WriteString(" quiet")
	}
	if r.Base64 {
		b.WriteString(" base64")
	}
	if r.Problem != NoProblem {
		fmt.Fprintf(&b, " refused: %v", r.Problem)
	}
	if r.Size() != len(raw) {
		fmt.Fprintf(&b, " BUG: size %d of %d", r.Size(), len(raw))
	}
	return b.String()
}

// pieces gives first, then whole sizes of rest.
func pieces(first, rest int) func() int {
	return func() int {
		n := first
		first = rest
		return n
	}
}

var (
	key250 = strings.Repeat("k", 250)
	key251 = strings.Repeat("k", 251)
)

var requestCases = []struct {
	rule   string
	stream string
	want   []string
}{
	// What twemproxy's unit tests accept.
	{"get", "get foo\r\n", []string{"get key=foo"}},
	{"gets", "gets foo\r\n", []string{"gets key=foo"}},
	{"get of several keys, one of 250 bytes", "get a " + key250 + " b\r\n", []string{"get key=a key=" + key250 + " key=b"}},
	{"add", "add foo 0 0 3\r\nval\r\n", []string{"add key=foo exp=0 value=val"}},
	{"append", "append foo 0 0 3\r\nval\r\n", []string{"append key=foo exp=0 value=val"}},
	{"prepend", "prepend foo 0 0 3\r\nval\r\n", []string{"prepend key=foo exp=0 value=val"}},
	{"replace", "replace foo 0 0 3\r\nval\r\n", []string{"replace key=foo exp=0 value=val"}},
	{"set", "set foo 0 0 3\r\nval\r\n", []string{"set key=foo exp=0 value=val"}},
	{"cas", "cas foo 0 0 3 123\r\nval\r\n", []string{"cas key=foo exp=0 value=val"}},
	{"delete", "delete foo\r\n", []string{"delete key=foo"}},
	{"incr", "incr foo 1\r\n", []string{"incr key=foo"}},
	{"decr", "decr foo 1\r\n", []string{"decr key=foo"}},
	{"touch", "touch foo 100\r\n", []string{"touch key=foo exp=100"}},
	{"quit", "quit\r\n", []string{"quit"}},
	{"version", "version\r\n", []string{"version"}},
	{"add noreply", "add foo 0 0 3 noreply\r\nval\r\n", []string{`add key=foo exp=0 noreply=" noreply" value=val`}},
	{"append noreply", "append foo 0 0 3 noreply\r\nval\r\n", []string{`append key=foo exp=0 noreply=" noreply" value=val`}},
	{"prepend noreply", "prepend foo 0 0 3 noreply\r\nval\r\n", []string{`prepend key=foo exp=0 noreply=" noreply" value=val`}},
	{"replace noreply", "replace foo 0 0 3 noreply\r\nval\r\n", []string{`replace key=foo exp=0 noreply=" noreply" value=val`}},
	{"set noreply", "set foo 0 0 3 noreply\r\nval\r\n", []string{`set key=foo exp=0 noreply=" noreply" value=val`}},
	{"cas noreply", "cas foo 0 0 3 123 noreply\r\nval\r\n", []string{`cas key=foo exp=0 noreply=" noreply" value=val`}},
	{"delete noreply", "delete foo noreply\r\n", []string{`delete key=foo noreply=" noreply"`}},
	{"incr noreply", "incr foo 1 noreply\r\n", []string{`incr key=foo noreply=" noreply"`}},
	{"decr noreply", "decr foo 1 noreply\r\n", []string{`decr key=foo noreply=" noreply"`}},
	{"touch noreply", "touch foo 1 noreply\r\n", []string{`touch key=foo exp=1 noreply=" noreply"`}},
	{"binary line feeds as the value", "set foo 0 0 3\r\n\n\r\n\r\n", []string{"set key=foo exp=0 value=\n\r\n"}},
	{"an empty value", "set foo 0 0 0\r\n\r\n", []string{"set key=foo exp=0 value="}},

	// What nutmeg accepts beyond it.
	{"gat", "gat 10 a b\r\n", []string{"gat key=a key=b exp=10"}},
	{"gats", "gats -1 a\r\n", []string{"gats key=a exp=-1"}},
	{"a key called noreply", "gat 5 noreply\r\nget noreply\r\ndelete noreply\r\n", []string{"gat key=noreply exp=5", "get key=noreply", "delete key=noreply"}},
	{"negative exptime", "set foo 0 -1 1\r\nv\r\n", []string{"set key=foo exp=-1 value=v"}},
	{"exptime at both ends of int32", "touch a 2147483647\r\ntouch a -2147483648\r\n", []string{"touch key=a exp=2147483647", "touch key=a exp=-2147483648"}},
	{"flags at the end of uint32", "set a 4294967295 0 1\r\nv\r\n", []string{"set key=a exp=0 value=v"}},
	{"cas unique at the end of uint64", "cas a 0 0 1 18446744073709551615\r\nv\r\n", []string{"cas key=a exp=0 value=v"}},
	{"leading zeros", "set a 00000000000000000000000 00 0001\r\nv\r\n", []string{"set key=a exp=00 value=v"}},
	{"a negative delta is the server's to judge", "incr a -5\r\ndecr a 99999999999999999999999\r\n", []string{"incr key=a", "decr key=a"}},
	{"blanks before, between and after words", "  set  a   0  0  1  noreply  \r\nv\r\n  get  b  c  \r\n", []string{`set key=a exp=0 noreply="  noreply" value=v`, "get key=b key=c"}},
	{"the old zero of delete", "delete a 0\r\ndelete a 0 noreply\r\n", []string{"delete key=a", `delete key=a noreply=" noreply"`}},
	{"words that do not matter", "version x\r\nquit x\r\n", []string{"version", "quit"}},
	{"verbosity", "verbosity 1\r\nverbosity 1 noreply\r\n", []string{"verbosity", `verbosity noreply=" noreply"`}},
	{"bytes above 0x7f in a key", "get \x80\xff\xc3\xa9\r\n", []string{"get key=\x80\xff\xc3\xa9"}},
	{"a value that looks like a command", "set a 0 0 7\r\nget b\r\n\r\nget c\r\n", []string{"set key=a exp=0 value=get b\r\n", "get key=c"}},
	{"pipelined requests", "get a\r\nset b 0 0 1\r\nv\r\ndelete c\r\nversion\r\n", []string{"get key=a", "set key=b exp=0 value=v", "delete key=c", "version"}},
	{"an incomplete request", "get a\r\nget b", []string{"get key=a", "cut at 5"}},

	{"meta commands", "mg a v\r\nmd a\r\nma a D2\r\nme a\r\nmn\r\nms a 1 T0\r\nv\r\n", []string{"mg key=a", "md key=a", "ma key=a", "me key=a", "mn", "ms key=a value=v"}},
	{"quiet meta commands", "mg a v q k\r\nmd a q1\r\nms a 2 Oq q\r\nhi\r\nmg q k\r\nmg a Oq\r\n", []string{"mg key=a quiet", "md key=a quiet", "ms key=a value=hi quiet", "mg key=q", "mg key=a"}},
	{"encoded keys of meta commands", "mg YQ== b v\r\nms YQ== 0 q b\r\n\r\n", []string{"mg key=YQ== base64", "ms key=YQ== value= quiet base64"}},
	{"ms with as many flags as may be", "ms a 1" + strings.Repeat(" k", 16) + "\r\nv\r\n", []string{"ms key=a value=v"}},
	{"bget", "bget a b\r\n", []string{"bget key=a key=b"}},
	{"commands of operators", "stats\r\nstats items\r\nstats cachedump 1 10\r\nflush_all\r\nflush_all -1 x\r\nflush_all 1 noreply\r\nlru tune 1 2 3 4 noreply\r\nslabs automove 1 noreply\r\nnutmeg on a flush_all noreply\r\n", []string{
		"stats", "stats items", "stats cachedump", "flush_all", "flush_all", `flush_all noreply=" noreply"`, `lru noreply=" noreply"`, `slabs noreply=" noreply"`, "nutmeg",
	}},

	// Refused, and the connection lives on.
	{"an empty line", "\r\n", []string{" refused: wrong number of arguments"}},
	{"a line of blanks", "   \r\nget a\r\n", []string{" refused: wrong number of arguments", "get key=a"}},
	{"no key", "get\r\ngets\r\nget \r\nincr\r\ndecr\r\ndelete\r\ntouch\r\nversion\r\n", append(slices.Repeat([]string{"# refused: wrong number of arguments"}, 7), "version")},
	{"gat without a key", "gat\r\ngat 5\r\nget a\r\n", []string{"gat refused: wrong number of arguments", "gat exp=5 refused: wrong number of arguments", "get key=a"}},
	{"a key of 251 bytes", "get a " + key251 + "\r\nget a\r\n", []string{"get key=a key=" + key251 + " refused: key longer than 250 bytes", "get key=a"}},
	{"the value behind a long key is swallowed", "set " + key251 + " 0 0 9\r\nflush_all\r\nget a\r\n", []string{"set key=" + key251 + " exp=0 value=flush_all refused: key longer than 250 bytes", "get key=a"}},
	{"a tab in a key", "get a\tb\r\nget c\r\n", []string{"get key=a\tb refused: control byte in command line", "get key=c"}},
	{"NUL in a key", "get a\x00\r\nget c\r\n", []string{"get key=a\x00 refused: control byte in command line", "get key=c"}},
	{"DEL in a key", "get \x7f\r\nget c\r\n", []string{"get key=\x7f refused: control byte in command line", "get key=c"}},
	{"a CR in a key", "get a\rb\r\nget c\r\n", []string{"get key=a\rb refused: control byte in command line", "get key=c"}},
	{"CR CR LF", "get a\r\r\nget c\r\n", []string{"get key=a\r refused: control byte in command line", "get key=c"}},
	{"the value behind a tab in a key is swallowed", "set a\tb 0 0 1\r\nv\r\nget c\r\n", []string{"set key=a\tb exp=0 value=v refused: control byte in command line", "get key=c"}},
	{"a control byte in a name", "ge\tt a\r\nget c\r\n", []string{" refused: unknown command", "get key=c"}},
	{"upper case", "GET foo\r\nSet a 0 0 1\r\n", []string{" refused: unknown command", " refused: unknown command"}},
	{"names that begin or end like others", "ge a\r\ngett a\r\ngetsx a\r\naaaaaaaaaaaaaaaaaaaa a\r\n", slices.Repeat([]string{" refused: unknown command"}, 4)},
	{"a bad delta", "incr a x\r\nincr a 1x\r\nincr a -\r\nincr a noreply\r\n", slices.Repeat([]string{"incr key=a refused: malformed delta"}, 4)},
	{"incr without a delta", "incr a\r\ndecr a\r\n", []string{"incr key=a refused: wrong number of arguments", "decr key=a refused: wrong number of arguments"}},
	{"an extra argument", "incr a 1 2\r\ntouch a 1 2\r\n", []string{"incr key=a refused: wrong number of arguments", "touch key=a exp=1 refused: wrong number of arguments"}},
	{"a word after noreply", "incr a 1 noreply 2\r\n", []string{"incr key=a refused: wrong number of arguments"}},
	{"noreply in upper case", "incr a 1 NOREPLY\r\n", []string{"incr key=a refused: wrong number of arguments"}},
	{"a bad exptime", "touch a\r\ntouch a x\r\ntouch a 2147483648\r\ngat -2147483649 a\r\n", []string{"touch key=a refused: wrong number of arguments", "touch key=a exp=x refused: malformed or out-of-range exptime", "touch key=a exp=2147483648 refused: malformed or out-of-range exptime", "gat key=a exp=-2147483649 refused: malformed or out-of-range exptime"}},
	{"delete with a time", "delete a 5\r\ndelete a 0 5\r\n", []string{"delete key=a refused: delete with a time or a further argument", "delete key=a refused: delete with a time or a further argument"}},
	{"delete with two noreply", "delete a noreply noreply\r\n", []string{"delete key=a refused: wrong number of arguments"}},
	{"flags out of range", "set a 4294967296 0 1\r\nv\r\nget a\r\n", []string{"set key=a exp=0 value=v refused: malformed or out-of-range number", "get key=a"}},
	{"negative flags", "set a -1 0 1\r\nv\r\nget a\r\n", []string{"set key=a exp=0 value=v refused: malformed or out-of-range number", "get key=a"}},
	{"exptime of a set out of range", "set a 0 2147483648 1\r\nv\r\nget a\r\n", []string{"set key=a exp=2147483648 value=v refused: malformed or out-of-range number", "get key=a"}},
	{"exptime beyond uint64", "set a 0 18446744073709551616 1\r\nv\r\n", []string{"set key=a exp=18446744073709551616 value=v refused: malformed or out-of-range number"}},
	{"cas unique out of range", "cas a 0 0 1 18446744073709551616\r\nv\r\nget a\r\n", []string{"cas key=a exp=0 value=v refused: malformed or out-of-range number", "get key=a"}},
	{"an extra word on a storage line", "set a 0 0 1 foo\r\nv\r\nget a\r\n", []string{"set key=a exp=0 value=v refused: wrong number of arguments", "get key=a"}},
	{"noreply is kept on a refused request", "set " + key251 + " 0 0 1 noreply\r\nv\r\n", []string{"set key=" + key251 + ` exp=0 noreply=" noreply" value=v refused: key longer than 250 bytes`}},
	{"unsupported commands", "watch fetchers\r\nshutdown graceful\r\n", []string{"watch refused: unsupported command", "shutdown refused: unsupported command"}},
	{"noreply of an unsupported command", "watch noreply\r\n", []string{`watch noreply="" refused: unsupported command`}},
	{"what ends otherwise than by END", "stats sizes_enable\r\nstats sizes_disable\r\nlru_crawler metadump all\r\nlru_crawler mgdump hash\r\n", []string{"stats sizes_enable refused: unsupported command", "stats sizes_disable refused: unsupported command", "lru_crawler metadump refused: unsupported command", "lru_crawler mgdump refused: unsupported command"}},
	{"statistics that nobody knows", "stats foo\r\nstats noreply\r\nstats items noreply\r\n", []string{"stats refused: unknown command", "stats refused: wrong number of arguments", "stats items refused: wrong number of arguments"}},
	{"noreply where not every version takes it", "lru_crawler sleep 1 noreply\r\nslabs reassign 1 2 noreply\r\nrefresh_certs noreply\r\n", []string{"lru_crawler refused: wrong number of arguments", "slabs refused: wrong number of arguments", "refresh_certs refused: wrong number of arguments"}},
	{"noreply that is not last", "flush_all noreply noreply\r\nflush_all noreply 1\r\n", []string{"flush_all refused: wrong number of arguments", "flush_all refused: wrong number of arguments"}},
	{"too many words of an operator", "lru 1 2 3 4 5 6 7 noreply\r\nlru 1 2 3 4 5 6 7 8 noreply noreply\r\n", []string{"lru refused: wrong number of arguments", "lru refused: wrong number of arguments"}},
	{"meta without a key", "mg\r\nmd\r\nma\r\nme\r\n", []string{"mg refused: wrong number of arguments", "md refused: wrong number of arguments", "ma refused: wrong number of arguments", "me refused: command without a key"}},
	{"the value behind a long key of ms is swallowed", "ms " + key251 + " 9\r\nflush_all\r\nget a\r\n", []string{"ms key=" + key251 + " value=flush_all refused: key longer than 250 bytes", "get key=a"}},
	{"the value behind too many flags is swallowed", "ms a 9" + strings.Repeat(" k", 17) + "\r\nflush_all\r\nget a\r\n", []string{"ms key=a value=flush_all refused: more than 16 flags of ms", "get key=a"}},
	{"a flag that is no letter", "mg a \xff\r\nms a 1 \xff\r\nv\r\nmg a \tq\r\n", []string{"mg key=a refused: flag of a meta command that is no letter", "ms key=a value=v refused: flag of a meta command that is no letter", "mg key=a refused: control byte in command line"}},

	// A line that ends at LF is one to memcached, so it is one here; it is forwarded with CRLF.
	{"LF without CR", "get a\nget b\r\n", []string{"get key=a bare", "get key=b"}},
	{"LF without CR after a blank", "get a \nget b \n", []string{"get key=a bare", "get key=b bare"}},
	{"LF without CR in all kinds of lines", "gat 5 a\nincr a 1 noreply\nmg a q\nmn\nversion\nflush_all noreply\n", []string{"gat key=a exp=5 bare", `incr key=a noreply=" noreply" bare`, "mg key=a bare quiet", "mn bare", "version bare", `flush_all noreply=" noreply" bare`}},
	{"LF in a name", "get\n", []string{"get bare refused: wrong number of arguments"}},
	{"LF alone", "\n \n", []string{" bare refused: wrong number of arguments", " bare refused: wrong number of arguments"}},
	{"LF after a stray CR", "get a\rb\nget c\n", []string{"get key=a\rb bare refused: control byte in command line", "get key=c bare"}},
	{"a storage line ended by LF", "set a 0 0 1\nv\r\nset a 0 0 1 noreply\nv\r\nms a 1\nv\r\n", []string{"set key=a exp=0 value=v bare", `set key=a exp=0 noreply=" noreply" value=v bare`, "ms key=a value=v bare"}},
	{"a value ended by LF is too short by one", "set a 0 0 1\nv\nget b\n", []string{"set key=a exp=0 value=v bare refused: value not followed by CRLF", " bare refused: unknown command"}},

	// A storage line without a length that memcached knows has no value: the next line is a request.
	{"a storage line without a length", "set a 0 0\r\nget b\r\n", []string{"set key=a exp=0 refused: wrong number of arguments", "get key=b"}},
	{"storage without a key", "add\r\nget b\r\n", []string{"add refused: wrong number of arguments", "get key=b"}},
	{"too few words with a bad number", "set a x\r\nset noreply\r\n", []string{"set key=a refused: wrong number of arguments", "set key=noreply refused: wrong number of arguments"}},
	{"cas without its unique", "cas a 0 0 1\r\nv\r\n", []string{"cas key=a exp=0 refused: wrong number of arguments", " refused: unknown command"}},
	{"noreply for the unique of cas silences", "cas a 0 0 1 noreply\r\nv\r\n", []string{`cas key=a exp=0 noreply="" refused: malformed or out-of-range number`, " refused: unknown command"}},
	{"noreply for a length silences", "set a 0 0 noreply\r\nset a 0 0 noreply x\r\ncas a 0 0 noreply\r\n", []string{`set key=a exp=0 noreply="" refused: malformed or out-of-range number`, "set key=a exp=0 refused: malformed or out-of-range number", "cas key=a exp=0 refused: wrong number of arguments"}},
	{"noreply behind a bad number silences", "set a x 0 1 noreply\r\ncas a 0 0 1 x noreply\r\n", []string{`set key=a exp=0 noreply=" noreply" refused: malformed or out-of-range number`, `cas key=a exp=0 noreply=" noreply" refused: malformed or out-of-range number`}},
	{"length that is no number", "set a 0 0 x\r\nget b\r\n", []string{"set key=a exp=0 refused: malformed or out-of-range number", "get key=b"}},
	{"negative length", "set a 0 0 -1\r\nget b\r\n", []string{"set key=a exp=0 refused: malformed or out-of-range number", "get key=b"}},
	{"length beyond int32", "set a 0 0 2147483646\r\nget b\r\n", []string{"set key=a exp=0 refused: malformed or out-of-range number", "get key=b"}},
	{"length that wraps to 1", "set a 0 0 4294967297\r\nv\r\n", []string{"set key=a exp=0 refused: malformed or out-of-range number", " refused: unknown command"}},
	{"length that wraps past uint64", "set a 0 0 18446744073709551617\r\nv\r\n", []string{"set key=a exp=0 refused: malformed or out-of-range number", " refused: unknown command"}},
	{"a blank in a key shifts the words", "set my key 0 0 1\r\nv\r\nset my key 0 0 1 noreply\r\n", []string{"set key=my exp=0 refused: malformed or out-of-range number", " refused: unknown command", "set key=my exp=0 refused: wrong number of arguments"}},
	{"meta set without a length", "ms\r\nms a\r\nms a S1\r\nms a x q\r\nget b\r\n", []string{"ms refused: wrong number of arguments", "ms key=a refused: storage command without the length of its value", "ms key=a refused: malformed or out-of-range number", "ms key=a quiet refused: malformed or out-of-range number", "get key=b"}},
	{"a bad number in front of a good length", "set a x1 0 1\r\nvv\r\n", []string{"set key=a exp=0 refused: malformed or out-of-range number", " refused: unknown command"}},

	// What memcached takes for a length is one, also where the request is refused: no value is run as commands for a blank.
	{"length beyond 1 GiB", "set a 0 0 1073741825\r\nget b\r\n", []string{"cut at 29"}},
	{"a control byte behind a length", "set a 0 0 5\t\r\nget b\r\nset a 0 0 5\vx\r\nget b\r\nms a 5\x00\r\nget b\r\n", []string{"set key=a exp=0 value=get b refused: control byte in command line", "set key=a exp=0 value=get b refused: control byte in command line", "ms key=a value=get b refused: control byte in command line"}},
	{"a control byte in front of a length", "set a 0 0 \t\f5\r\nget b\r\nset a 0 0 \t+5\r\nget b\r\nset a 0 0 \t-5\r\nget b\r\n", []string{"set key=a exp=0 value=get b refused: control byte in command line", "set key=a exp=0 value=get b refused: control byte in command line", "set key=a exp=0 refused: control byte in command line", "get key=b"}},
	{"other control bytes are no part of a number", "set a 0 0 5\x01\r\nget b\r\nset a 0 0 5\x7f\r\nget b\r\n", []string{"set key=a exp=0 refused: control byte in command line", "get key=b", "set key=a exp=0 refused: control byte in command line", "get key=b"}},
	{"a sign of a length", "set a 0 0 +5\r\nget b\r\nset a 0 0 -0\r\n\r\nset a 0 0 +-5\r\nget b\r\n", []string{"set key=a exp=0 value=get b refused: malformed or out-of-range number", "set key=a exp=0 value= refused: malformed or out-of-range number", "set key=a exp=0 refused: malformed or out-of-range number", "get key=b"}},
	{"a sign or a control byte of another number", "set a +1 0 5\r\nget b\r\nset a 0\t 0 5\r\nget b\r\ncas a 0 \v0 5 1\r\r\nget b\r\nincr a +1\r\n", []string{"set key=a exp=0 value=get b refused: malformed or out-of-range number", "set key=a exp=0 value=get b refused: control byte in command line", "cas key=a exp=\v0 value=get b refused: control byte in command line", "incr key=a refused: malformed delta"}},
	{"a stray CR on a storage line", "set a\r 0 0 5\r\nget b\r\nset \ra 0 0 5\r\nget b\r\nset a\rb 0 0 5\r\r\r\nget b\r\n", []string{"set key=a\r exp=0 value=get b refused: control byte in command line", "set key=\ra exp=0 value=get b refused: control byte in command line", "set key=a\rb exp=0 value=get b refused: control byte in command line"}},
	{"a stray CR in front of a name or a word", "\rget a\r\nget \r a\r\n", []string{" refused: unknown command", "get key=\r key=a refused: control byte in command line"}},

	// A value of another length than announced: memcached goes on behind the announced length and two bytes.
	{"value longer than announced", "set a 0 0 3\r\nvalue\r\nget b\r\n", []string{"set key=a exp=0 value=val refused: value not followed by CRLF", " refused: wrong number of arguments", "get key=b"}},
	{"value shorter than announced", "set a 0 0 3\r\nv\r\nget a\r\nget b\r\n", []string{"set key=a exp=0 value=v\r\n refused: value not followed by CRLF", " refused: unknown command", "get key=b"}},
	{"value ended CR CR", "set a 0 0 1\r\nv\r\rget b\r\n", []string{"set key=a exp=0 value=v refused: value not followed by CRLF", "get key=b"}},
	{"value ended LF LF", "set a 0 0 1\r\nv\n\nget b\r\n", []string{"set key=a exp=0 value=v refused: value not followed by CRLF", "get key=b"}},
	{"value ended by another byte and LF", "ms a 1 q\r\nvx\nset a 0 0 0 noreply\r\nx\n", []string{"ms key=a value=v quiet refused: value not followed by CRLF", `set key=a exp=0 noreply=" noreply" value= refused: value not followed by CRLF`}},
	{"a refused request keeps its own reason", "set " + key251 + " 0 0 1\r\nvvv", []string{"set key=" + key251 + " exp=0 value=v refused: key longer than 250 bytes"}},

	// Fatal: the stream is lost.
	{"binary protocol", "\x80\x00\x00\x03", []string{"fatal: binary protocol"}},
	{"binary protocol later on", "get a\r\n\x80\x00", []string{"get key=a", "fatal: binary protocol"}},
	{"an HTTP request", "POST / HTTP/1.1\r\nHost: x\r\n", []string{"fatal: HTTP request"}},
	{"an HTTP request in lines ended by LF", "POST / HTTP/1.1\nHost: x\n", []string{"fatal: HTTP request"}},
	{"101 blanks before the name", strings.Repeat(" ", 101) + "get a\r\n", []string{"fatal: command line too long"}},
	{"100 blanks before the name are fine", strings.Repeat(" ", 100) + "get a\r\n", []string{"get key=a"}},
}

func TestRequestAtEverySplit(t *testing.T) {
	for _, tc := range requestCases {
		t.Run(tc.rule, func(t *testing.T) {
			stream := []byte(tc.stream)
			check := func(how string, next func() int) {
				t.Helper()
				got := parseAll(stream, next)
				if !slices.EqualFunc(got, tc.want, sameButKind) {
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

// sameButKind compares descriptions; "#" in want stands for any command.
func sameButKind(got, want string) bool {
	if rest, ok := strings.CutPrefix(want, "#"); ok {
		return strings.HasSuffix(got, rest)
	}
	return got == want
}

func TestRequestLineBounds(t *testing.T) {
	pad := func(line string, size int) string {
		return strings.TrimSuffix(line, "\r\n") + strings.Repeat(" ", size-len(line)) + "\r\n"
	}
	cases := []struct {
		rule, stream string
		ok           bool
	}{
		{"2048 bytes are a line", pad("delete a\r\n", MaxLine), true},
		{"2049 bytes are not", pad("delete a\r\n", MaxLine+1), false},
		{"nor for gat", pad("gat 1 a\r\n", MaxLine+1), false},
		{"nor for an unknown name", pad("foo\r\n", MaxLine+1), false},
		{"nor for a line of blanks", pad("\r\n", MaxLine+1), false},
		{"nor for a name without end", strings.Repeat("x", MaxLine), false},
		{"nor with LF at the end", strings.Repeat("x", MaxLine) + "\n", false},
		{"2047 bytes ended by LF are a line", strings.Replace(pad("delete a\r\n", MaxLine), "\r\n", "\n", 1), true},
		{"2048 are not, since a CR comes in", strings.Replace(pad("delete a\r\n", MaxLine+1), "\r\n", "\n", 1), false},
		{"get may have more", pad("get a\r\n", MaxLine+1), true},
		{"1 MiB for get", pad("get a\r\n", MaxKeysLine), true},
		{"1 MiB for gets", pad("gets a\r\n", MaxKeysLine), true},
		{"and no byte more", pad("get a\r\n", MaxKeysLine+1), false},
	}
	for _, tc := range cases {
		t.Run(tc.rule, func(t *testing.T) {
			for _, size := range []int{len(tc.stream), 4096, 2048, 2047, 1000, 63} {
				got := parseAll([]byte(tc.stream), pieces(size, size))
				if tooLong := got[len(got)-1] == "fatal: command line too long"; len(got) != 1 || tooLong == tc.ok {
					t.Errorf("pieces of %d: got %.200q", size, got)
				}
			}
		})
	}
}

func TestRequestOfThousandsOfKeys(t *testing.T) {
	stream := []byte("get")
	for i := range 20000 {
		stream = fmt.Appendf(stream, " key:%06d", i)
	}
	stream = append(stream, "\r\n"...)
	var (
		p   RequestParser
		req Request
		pos int
	)
	for pos < len(stream) {
		n, _, err := p.Parse(stream[pos:min(pos+1460, len(stream))], &req)
		if err != nil {
			t.Fatal(err)
		}
		pos += n
	}
	if len(req.Keys) != 20000 {
		t.Fatalf("got %d keys", len(req.Keys))
	}
	for i, k := range req.Keys {
		if want := fmt.Sprintf("key:%06d", i); string(k.Of(stream)) != want {
			t.Fatalf("key %d is %q, want %q", i, k.Of(stream), want)
		}
	}
	if req.Reset(); cap(req.Keys) > keptKeys {
		t.Errorf("Reset keeps room for %d keys", cap(req.Keys))
	}
}

func TestRequestLineIsKnownBeforeItsValue(t *testing.T) {
	var (
		p   RequestParser
		req Request
	)
	line := "set a 0 0 1073741824\r\n"
	if n, done, err := p.Parse([]byte(line+"x"), &req); n != len(line)+1 || done || err != nil {
		t.Fatalf("got n=%d done=%v err=%v", n, done, err)
	}
	if req.LineEnd != len(line) || req.Value.Len() != MaxValue || req.Size() != len(line)+MaxValue+2 {
		t.Errorf("got %+v", req)
	}
}

func TestFatalProblemStays(t *testing.T) {
	var (
		p   RequestParser
		req Request
	)
	for range 2 {
		_, done, err := p.Parse([]byte("\x80"), &req)
		var problem Problem
		if done || !errors.As(err, &problem) || problem != BinaryProtocol || !problem.Fatal() {
			t.Errorf("got done=%v err=%v", done, err)
		}
	}
}

func TestRequestParserIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(RequestParser{}); size > 100 {
		t.Errorf("a RequestParser has %d bytes, want at most 100: there is one for each client", size)
	}
}

func TestWordEndAgreesWithByteLoop(t *testing.T) {
	data := make([]byte, 24)
	for at := range data {
		for c := range 256 {
			for i := range data {
				data[i] = "\x21\x7e\x80\xff"[i%4]
			}
			data[at] = byte(c)
			want := len(data)
			if c <= ' ' || c == 0x7f {
				want = at
			}
			if got := wordEnd(data, 0); got != want {
				t.Fatalf("byte %#x at %d: got %d, want %d", c, at, got, want)
			}
		}
	}
}
