package test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/memcache"
	"nutmeg/internal/testkit"
)

// codecSentinel is a request whose response no request of ours can have.
const codecSentinel, codecSentinelAnswer = "ms sentinel 0 k Osentinel\r\n\r\n", "HD ksentinel Osentinel\r\n"

// codecServer is one connection to a real memcached that judges our framing.
type codecServer struct {
	t      *testing.T
	server *testkit.Process
	conn   net.Conn
	buf    []byte
}

func (s *codecServer) dial() {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.server.Addr())
	if err != nil {
		s.t.Fatal(err)
	}
	s.conn = conn
}

// responses sends raw and the sentinel, and returns all that memcached says
// before the sentinel's answer. An error means that it closed or fell silent.
func (s *codecServer) responses(parts ...[]byte) ([]byte, error) {
	if s.conn == nil {
		s.dial()
	}
	for _, part := range parts {
		if len(parts) > 1 {
			s.settle()
		}
		if _, err := s.conn.Write(part); err != nil {
			return nil, err
		}
	}
	if len(parts) > 1 {
		s.settle()
	}
	if _, err := s.conn.Write([]byte(codecSentinel)); err != nil {
		return nil, err
	}
	if err := s.conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return nil, err
	}
	var got []byte
	for !bytes.HasSuffix(got, []byte(codecSentinelAnswer)) {
		n, err := s.conn.Read(s.buf)
		got = append(got, s.buf[:n]...)
		if err != nil {
			s.conn.Close()
			s.conn = nil
			return got, err
		}
	}
	return got[:len(got)-len(codecSentinelAnswer)], nil
}

// settle lets the server, which has one thread, read what was sent so far: it
// answers on a new connection only in a later turn of its loop.
func (s *codecServer) settle() {
	for range 2 {
		conn, err := net.Dial("tcp", s.server.Addr())
		if err != nil {
			s.t.Fatal(err)
		}
		if _, err := conn.Write([]byte(codecSentinel)); err != nil {
			s.t.Fatal(err)
		}
		if _, err := conn.Read(s.buf); err != nil {
			s.t.Fatal(err)
		}
		conn.Close()
	}
}

// newCodecServer starts a memcached with one thread.
func newCodecServer(t *testing.T) *codecServer {
	return &codecServer{t: t, server: testkit.Memcached(t, "-t", "1"), buf: make([]byte, 1<<16)}
}

// codecAccepts returns the first request of stream and what of it goes to a server;
// nil if the parser refuses it or if it is not for a server at all.
func codecAccepts(stream []byte) (req memcache.Request, raw, forward []byte) {
	var p memcache.RequestParser
	n, done, err := p.Parse(stream, &req)
	if err != nil || !done || req.Problem != memcache.NoProblem {
		return req, nil, nil
	}
	switch req.Kind {
	case memcache.Quit, memcache.Own, memcache.MetaNoop:
		return req, nil, nil
	}
	return req, stream[:n], memcache.AppendForward(nil, stream[:n], &req)
}

// wantOneCodecResponse fails unless answer is one whole response that fits the request. A quiet one may have none, and has
// the answer to mn behind it.
func wantOneCodecResponse(t *testing.T, req *memcache.Request, request, answer []byte) {
	t.Helper()
	var (
		p    memcache.ResponseParser
		resp memcache.Response
	)
	left := answer
	if req.Quiet {
		var ended bool
		if left, ended = bytes.CutSuffix(answer, []byte(memcache.NoopReply)); ended && len(left) == 0 {
			return
		}
	}
	n, done, err := p.Parse(left, &resp)
	if err != nil || !done || n != len(left) || !req.Kind.Answers(resp.Kind) {
		t.Errorf("%.300q is one %s%s to us; memcached answers %.300q", request, req.Kind, req.Name, answer)
	}
}

// codecAccepted are requests that the parser takes and memcached must answer once.
var codecAccepted = []string{
	"get a\r\n", "gets a b\r\n", "  get   a   b  \r\n", "gat 5 a\r\n", "gats -1 a b\r\n", "get noreply\r\n", "gat 5 noreply\r\n",
	"get " + strings.Repeat("k", 250) + "\r\n", "get \x80\xff\r\n", "get" + strings.Repeat(" key:0123456789", 20000) + "\r\n",
	"set a 0 0 1\r\nv\r\n", "set a 0 0 0\r\n\r\n", "set a 4294967295 2147483647 1\r\nv\r\n", "set a 0 -2147483648 1\r\nv\r\n", "set a 0 -0 1\r\nv\r\n",
	"set a 00000000000000000000000000000 00 0001\r\nv\r\n", "set a 0 0 1 noreply\r\nv\r\n", " set  a  0  0  1   noreply  \r\nv\r\n",
	"set " + strings.Repeat("k", 250) + " 0 0 9\r\nflush_all\r\n", "set noreply 0 0 7 noreply\r\nnoreply\r\n",
	"set a 0 0 2097152\r\n" + strings.Repeat("x", 2097152) + "\r\n", // larger than an item may be
	"add a 0 0 4\r\n\r\n\r\n\r\n", "replace a 0 0 1\r\n\x00\r\n", "append a 0 0 1\r\n1\r\n", "prepend a 0 0 1\r\n1\r\n",
	"cas a 0 0 1 0\r\n1\r\n", "cas a 0 0 1 18446744073709551615\r\n1\r\n", "cas a 0 0 1 5 noreply\r\n1\r\n",
	"incr a 1\r\n", "decr a 1\r\n", "incr a -1\r\n", "decr a 99999999999999999999999999999\r\n", "incr a 1 noreply\r\n", "incr noreply 1\r\n",
	"touch a 0\r\n", "touch a -1\r\n", "touch noreply 1 noreply\r\n", "delete a\r\n", "delete a 0\r\n", "delete a noreply\r\n", "delete a 0 noreply\r\n",
	"delete noreply\r\n", "delete noreply noreply\r\n", "version\r\n", "verbosity 0\r\n", "verbosity 0 noreply\r\n", "verbosity 4294967295\r\n", "verbosity noreply\r\n", "verbosity foo bar my\r\n", "version foo bar\r\n", "version noreply\r\n",
	"delete a" + strings.Repeat(" ", 2048-len("delete a\r\n")) + "\r\n",
	"gat 1 a" + strings.Repeat(" ", 2048-len("gat 1 a\r\n")) + "\r\n",
	strings.Repeat(" ", 100) + "get" + strings.Repeat(" key:0123456789", 400) + "\r\n",
	"bget a b\r\n", "bget" + strings.Repeat(" k", 1021) + "\r\n",
	"mg a\r\n", "mg a v\r\n", " mg   a  v   k  \r\n", "mg none v\r\n", "mg none v q\r\n", "mg a v q k O1 s t f c h l\r\n", "mg a q q v\r\n", "mg a Z\r\n", "mg a !\r\n",
	"mg a T\r\n", "mg YQ== b v k\r\n", "mg Y b v k\r\n", "mg vivified N30 v t\r\n", "mg vivified v q\r\n", "mg a O" + strings.Repeat("1", 1500) + "\r\n", "mg a noreply\r\n",
	"mg " + strings.Repeat("k", 250) + " v\r\n", "mg a" + strings.Repeat(" k", 500) + "\r\n", "mg a" + strings.Repeat(" ", 2048-len("mg a\r\n")) + "\r\n",
	"ms a 2\r\nhi\r\n", "ms a 02 \r\nhi\r\n", "ms a 2 q\r\nhi\r\n", "ms a 2 q Z\r\nhi\r\n", "ms a 2 T\r\nhi\r\n", "ms a 2 F\r\nhi\r\n", "ms a 2 F-1 q\r\nhi\r\n", "ms a 2 C5\r\nhi\r\n",
	"ms a 2 C5 q\r\nhi\r\n", "ms a 2 ME\r\nhi\r\n", "ms a 2 Mx\r\nhi\r\n", "ms none 2 MA q\r\nhi\r\n", "ms a 2 S2\r\nhi\r\n", "ms YQ== 2 b k c q\r\nhi\r\n", "ms Y 2 b q\r\nhi\r\n",
	"ms a 4 O1 k c\r\nmn\r\n\r\n", "ms a 2" + strings.Repeat(" c", 16) + "\r\nhi\r\n", "ms " + strings.Repeat("k", 250) + " 0\r\n\r\n",
	"ms a 2097152\r\n" + strings.Repeat("x", 2097152) + "\r\n", "ms a 2097152 q\r\n" + strings.Repeat("x", 2097152) + "\r\n", "ms a 2097152 Z\r\n" + strings.Repeat("x", 2097152) + "\r\n",
	"md a\r\n", "md none q\r\n", "md a I T30 q\r\n", "md a C1 q\r\n", "md a x y z\r\n", "ma a\r\n", "ma counter N0 J5 q\r\n", "ma counter q v\r\n", "ma counter MD D1 v t c O5 k\r\n",
	"ma counter Dx\r\n", "ma counter Mx q\r\n", "ma none q\r\n", "me a\r\n", "me none\r\n", "me YQ== b\r\n", "me a b c\r\n", "me a q\r\n",
	"stats\r\n", "stats items\r\n", "stats slabs\r\n", "stats sizes\r\n", "stats conns\r\n", "stats settings\r\n", "stats extstore\r\n", "stats reset\r\n", "stats reset x\r\n", "stats proxy\r\n",
	"stats detail on\r\n", "stats detail dump\r\n", "stats detail off\r\n", "stats detail\r\n", "stats cachedump 1 10\r\n", "stats cachedump\r\n", "stats cachedump 99 1\r\n",
	"flush_all\r\n", "flush_all 0\r\n", "flush_all -1\r\n", "flush_all x\r\n", "flush_all 1 2 3\r\n", "flush_all noreply\r\n", "flush_all 0 noreply\r\n", "cache_memlimit 64\r\n", "cache_memlimit 1\r\n",
	"cache_memlimit\r\n", "cache_memlimit x\r\n", "cache_memlimit 64 noreply\r\n", "slabs\r\n", "slabs reassign 1 2\r\n", "slabs reassign 1 1\r\n", "slabs reassign 99 98\r\n", "slabs automove 1\r\n",
	"slabs automove 1 noreply\r\n", "slabs automove x\r\n", "lru mode flat\r\n", "lru mode segmented noreply\r\n", "lru tune 10 25 0.1 2.0\r\n", "lru tune 10 25 0.1 2.0 noreply\r\n", "lru foo\r\n",
	"get a\n", "get x b\n", "gat 5 a \n", "set a 0 0 1\nv\r\n", "set a 0 0 1 noreply\nv\r\n", "ms a 2\nhi\r\n", "ms a 2 q\nhi\r\n", "mg a\n", "mg none v q\n", "incr a 1 noreply \n", "delete a 0\n", "version\n", "stats\n",
	"flush_all noreply\n", "delete a" + strings.Repeat(" ", 2047-len("delete a\n")) + "\n",
	"lru_crawler crawl 1,2\r\n", "lru_crawler crawl 999\r\n", "lru_crawler enable\r\n", "lru_crawler sleep x\r\n", "lru_crawler tocrawl 5\r\n", "extstore free_memchunks 1 1\r\n", "refresh_certs\r\n",
}

// codecRefused are streams that memcached frames otherwise than a proxy may think:
// closes, stays silent, answers twice, or does by another version's rules.
var codecRefused = []string{
	"set a 0 0 1\nv\n", "set a 0 0 +1\r\nv\r\n", "set a 0 0 -0\r\n\r\n", "set a 0 0 \t1\r\nv\r\n", "set a\r 0 0 1\r\nv\r\n", "get a\x00 b\r\n", "get a\rb\r\n", "get a\tb\r\n", "get a\rb\n", "get \x7f\r\n", "\r\n", "\n",
	"set a 0 0 noreply\r\n", "cas a 0 0 1 noreply\r\n", "incr a noreply\r\n", "touch a noreply\r\n",
	"set a 0 0 1\r\nvv\r\n", "set a 0 0 -1\r\nv\r\n", "set a 0 0 2147483646\r\nv\r\n", "set a 0 0 4294967297\r\nv\r\n", "set a 0 0 1\t\r\nv\r\n",
	"set a 0 99999999999 1\r\nv\r\n", "set a 4294967296 0 1\r\nv\r\n", "set a -1 0 1\r\nv\r\n", "set a x 0 1\r\nv\r\n", "set a 0 x 1\r\nv\r\n",
	"cas a 0 0 1 18446744073709551616\r\nv\r\n", "cas a 0 0 1 -1\r\nv\r\n", "cas a 0 0 1\r\nv\r\n",
	"set " + strings.Repeat("k", 251) + " 0 0 1\r\nv\r\n", "get " + strings.Repeat("k", 251) + "\r\n", "gat 5\r\n",
	"GET / HTTP/1.1\r\n", "watch\r\n", "\x80\x00\x00\x00",
	"ms a\r\nhi\r\n", "ms\r\nhi\r\n", "ms a S2\r\nhi\r\n", "ms a x\r\nhi\r\n", "ms a -1\r\nhi\r\n", "ms a 2\r\nhii\r\n", "ms a 4294967298\r\nhi\r\n", "ms a 2147483646\r\nhi\r\n", "ms a 2\nhi\n", "ms a 2\t\r\nhi\r\n",
	"ms " + strings.Repeat("k", 251) + " 2\r\nhi\r\n", "ms a 2" + strings.Repeat(" c", 17) + "\r\nhi\r\n", "mg a\tv\r\n", "mg a v\x00q\r\n", "mg\r\n", "mg " + strings.Repeat("k", 251) + "\r\n",
	"flush_all noreply noreply\r\n", "flush_all 1 noreply 2\r\n", "lru_crawler sleep 1 noreply\r\n", "slabs reassign 1 2 noreply\r\n", "stats noreply\r\n", "stats foo\r\n", "stats sizes_enable\r\n",
	"lru_crawler metadump all\r\n", "lru_crawler mgdump all\r\n", "shutdown\r\n",
	"set a 0 0 1" + strings.Repeat(" ", 2048) + "\r\nv\r\n", strings.Repeat(" ", 101) + "get" + strings.Repeat(" key:0123456789", 400) + "\r\n",
}

func TestMemcacheCodecAcceptsWhatMemcachedAnswersOnce(t *testing.T) {
	s := newCodecServer(t)
	for _, stream := range codecAccepted {
		t.Run(fmt.Sprintf("%.40q", stream), func(t *testing.T) {
			req, raw, forward := codecAccepts([]byte(stream))
			if len(raw) != len(stream) {
				t.Fatalf("not accepted as one request: %v", req.Problem)
			}
			answer, err := s.responses(forward)
			if err != nil {
				t.Fatalf("memcached says %q, then %v", answer, err)
			}
			wantOneCodecResponse(t, &req, forward, answer)
			// The same bytes, the line cut in the middle: memcached must not close.
			cut := bytes.IndexByte(forward, '\n') - 2
			if req.NoReply {
				return
			}
			if answer, err = s.responses(forward[:cut], forward[cut:]); err != nil {
				t.Fatalf("cut: memcached says %q, then %v", answer, err)
			}
			wantOneCodecResponse(t, &req, forward, answer)
		})
	}
}

func TestMemcacheCodecNoReplyIsSilentInMemcached(t *testing.T) {
	s := newCodecServer(t)
	for _, stream := range codecAccepted {
		req, raw, _ := codecAccepts([]byte(stream))
		if !req.NoReply {
			continue
		}
		if answer, err := s.responses(raw); err != nil || len(answer) > 0 {
			t.Errorf("%q is noreply to us; memcached answers %q, %v", raw, answer, err)
		}
	}
}

func TestMemcacheCodecRefusesWhatFramesOtherwise(t *testing.T) {
	for _, stream := range codecRefused {
		if _, raw, _ := codecAccepts([]byte(stream)); raw != nil {
			t.Errorf("accepted: %q", raw)
		}
	}
}

// TestMemcacheCodecRandomLines builds lines out of awkward words and asks
// memcached about each one that the parser accepts. The seed is in the failure.
func TestMemcacheCodecRandomLines(t *testing.T) {
	const rounds = 60000
	s := newCodecServer(t)
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 1))
	asked := 0
	for range rounds {
		req, raw, forward := codecAccepts(randomCodecStream(random))
		if raw == nil {
			continue
		}
		asked++
		answer, err := s.responses(forward)
		if err != nil {
			t.Errorf("seed %d: %q: memcached says %q, then %v", seed, forward, answer, err)
			continue
		}
		wantOneCodecResponse(t, &req, forward, answer)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("seed %d: %d of %d lines were accepted", seed, asked, rounds)
	if asked < rounds/50 {
		t.Errorf("only %d of %d random lines were accepted; mend randomCodecStream", asked, rounds)
	}
}

// randomWords by what may stand there; the last list is for anywhere.
var (
	codecNames = strings.Fields("get gets gat gats set add replace append prepend cas incr decr touch delete version verbosity Get set\x00 bget flush_all stats lru slabs cache_memlimit")
	codecMeta  = strings.Fields("mg ms ms ms md ma me")
	codecFlags = []string{"q", "q", "b", "k", "v", "t", "c", "f", "h", "l", "s", "O1", "T30", "T", "Tx", "N30", "N", "R30", "C1", "C", "F1", "F-1", "I", "D2", "Dx", "J3", "ME", "MA", "Mx", "M", "Z", "!", "0", "noreply", "q1", "\xff", "k\t"}
	codecKeys  = []string{"a", "b", "noreply", "0", "-1", strings.Repeat("k", 250), strings.Repeat("k", 251), "\xff", "a\tb", "a\x00", "a\rb", "a\nb", "\x7f"}
	codecArgs  = []string{"0", "1", "2", "5", "-1", "-", "00", "007", "2147483647", "2147483648", "-2147483648", "4294967295", "4294967296", "18446744073709551615", "18446744073709551616", "noreply", "noreply", "x", "1x", "1\t", "+1", "1\x00"}
	codecGaps  = []string{" ", " ", " ", " ", " ", " ", " ", "  ", "   ", "\t", ""}
	codecEnds  = []string{"\r\n", "\r\n", "\r\n", "\r\n", " \r\n", "\n", "\r\r\n", "\r", "\n\r\n", "\x00\r\n"}
	codecData  = []string{"", "v", "vv", "hello", "1", "\r\n", "\n", "get b"}
)

func randomCodecStream(random *rand.Rand) []byte {
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	line := ""
	if random.IntN(8) == 0 {
		line = pick(codecGaps)
	}
	name := pick(codecNames)
	line += name
	for i := range random.IntN(8) {
		line += pick(codecGaps)
		if i == 0 || random.IntN(10) == 0 {
			line += pick(codecKeys)
		} else {
			line += pick(codecArgs)
		}
	}
	line += pick(codecEnds)
	data := pick(codecData)
	if random.IntN(3) == 0 {
		return randomMetaStream(random, pick, data)
	}
	if random.IntN(2) == 0 { // a storage line that means it
		line = fmt.Sprintf("%s %s %s %s %d%s", name, pick(codecKeys), pick(codecArgs), pick(codecArgs), len(data), line[len(line)-2:])
		if name == "cas" {
			line = fmt.Sprintf("cas %s 0 0 %d %s\r\n", pick(codecKeys), len(data), pick(codecArgs))
		}
	}
	return []byte(line + data + "\r\n")
}

func randomMetaStream(random *rand.Rand, pick func([]string) string, data string) []byte {
	name := pick(codecMeta)
	line := name + pick(codecGaps) + pick(append(codecKeys, "YQ==", "Y"))
	if name == "ms" {
		if line += " " + pick(codecArgs); random.IntN(4) > 0 {
			line = fmt.Sprintf("ms %s %d", pick(append(codecKeys, "YQ==", "Y")), len(data))
		}
	}
	for range random.IntN(6) * (1 + random.IntN(4)) {
		line += pick(codecGaps) + pick(codecFlags)
	}
	line += pick(codecEnds)
	if name == "ms" {
		line += data + "\r\n"
	}
	return []byte(line)
}

// TestMemcacheCodecDecodesKeysAsMemcached: a key that is decoded otherwise would be looked for on another server.
func TestMemcacheCodecDecodesKeysAsMemcached(t *testing.T) {
	s := newCodecServer(t)
	ask := func(request string) string {
		t.Helper()
		answer, err := s.responses([]byte(request))
		if err != nil {
			t.Fatalf("%q: %v", request, err)
		}
		return string(answer)
	}
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 2))
	const letters = "ABab01+/ABab01+/====!-_"
	decoded := 0
	for range 5000 {
		key := make([]byte, 1+random.IntN(12))
		for i := range key {
			key[i] = letters[random.IntN(len(letters))]
		}
		plain, ok := memcache.AppendDecodedKey(nil, key)
		answer := ask(fmt.Sprintf("ms %s 1 b\r\nx\r\n", key))
		if ok != (answer == "HD\r\n") {
			t.Fatalf("%q is %q, %v to us; memcached says %q", key, plain, ok, answer)
		}
		if !ok {
			continue
		}
		decoded++
		proper := base64.StdEncoding.EncodeToString(plain)
		if answer := ask("mg " + proper + " b v\r\n"); answer != "VA 1\r\nx\r\n" {
			t.Fatalf("%q is %q to us; under %s memcached has %q", key, plain, proper, answer)
		}
		ask("md " + proper + " b\r\n")
	}
	if decoded < 500 {
		t.Errorf("only %d of the keys can be decoded; mend the letters", decoded)
	}
}

// TestMemcacheCodecQuestionIsAnswered: the question that comes before the first meta command gets the answer that it is meant to get.
func TestMemcacheCodecQuestionIsAnswered(t *testing.T) {
	s := newCodecServer(t)
	answer, err := s.responses([]byte(memcache.MetaQuestion))
	if err != nil || !strings.HasPrefix(string(answer), "CLIENT_ERROR invalid flag\r\nMN\r\nVERSION ") {
		t.Errorf("memcached says %q, %v", answer, err)
	}
	if answer, err := s.responses([]byte("get nutmeg\r\n")); err != nil || string(answer) != "END\r\n" {
		t.Errorf("the question has left %q, %v", answer, err)
	}
}
