package proxy

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/config"
	"nutmeg/internal/evloop"
	"nutmeg/internal/memcache"
	"nutmeg/internal/resp"
	"nutmeg/internal/testkit/sim"
)

// The engine as it is, on the simulated outside, next to bytes that a fuzzer makes up: from a client, or from a server to
// clients that wait. The seed decides where the bytes are cut and how the stranger leaves. A witness that behaves is
// served meanwhile; all its answers are checked, and in the end nothing may be left of anybody.

const fuzzAddress = "127.0.0.1:22121"

// fuzzDialect is what differs between the protocols. Its servers keep nothing: the value of a key is made of the key,
// whatever the stranger writes.
type fuzzDialect struct {
	option    string
	get       func(keys ...string) string
	answer    func(keys ...string) string
	all       []string // requests that go to all servers
	newServer func() func(data []byte) (answers []byte, err error)
	newReader func() responseReader
}

var fuzzRedis = fuzzDialect{
	option: "redis: true",
	all: []string{
		"KEYS *\r\n", "DBSIZE\r\n", "INFO\r\n", "SCAN 0\r\n", "CONFIG GET a\r\n", "SLOWLOG GET\r\n", "LATENCY HISTOGRAM\r\n", "MEMORY STATS\r\n",
		"PUBSUB NUMSUB a\r\n", "PUBSUB CHANNELS\r\n", "FUNCTION LIST\r\n", "FLUSHALL\r\n", "SCRIPT KILL\r\n", "RANDOMKEY\r\n", "LATENCY LATEST\r\n",
	},
	get: func(keys ...string) string {
		name := "GET"
		if len(keys) > 1 {
			name = "MGET"
		}
		return string(resp.AppendCommand(nil, append([]string{name}, keys...)...))
	},
	answer: func(keys ...string) string {
		if len(keys) == 1 {
			return string(resp.AppendBulk(nil, "value of "+keys[0]))
		}
		out := resp.AppendArray(nil, len(keys))
		for _, key := range keys {
			out = resp.AppendBulk(out, "value of "+key)
		}
		return string(out)
	},
	newServer: newFuzzRedisServer,
	newReader: func() responseReader { return &redisReader{} },
}

// newFuzzRedisServer is one connection of a server that fails the test for whatever is not a request of its protocol.
func newFuzzRedisServer() func(data []byte) ([]byte, error) {
	var parser resp.RequestParser
	var request resp.Request
	var bytes []byte
	return func(data []byte) (out []byte, err error) {
		for len(data) > 0 {
			n, done, err := parser.Parse(data, &request)
			if err != nil {
				return out, err
			}
			bytes = append(bytes, data[:n]...)
			data = data[n:]
			if !done {
				break
			}
			if request.Inline || len(request.Args) == 0 {
				return out, fmt.Errorf("%q is sent to a server", bytes)
			}
			out = answerFuzzRedis(out, &request, bytes)
			bytes = bytes[:0]
			request.Reset()
		}
		return out, nil
	}
}

func answerFuzzRedis(out []byte, request *resp.Request, bytes []byte) []byte {
	var args []string
	for _, span := range request.Args {
		args = append(args, string(bytes[span.Start:span.End]))
	}
	switch strings.ToLower(args[0]) {
	case "get", "mget":
		if len(args) == 2 && strings.EqualFold(args[0], "get") {
			return resp.AppendBulk(out, "value of "+args[1])
		}
		out = resp.AppendArray(out, len(args)-1)
		for _, key := range args[1:] {
			out = resp.AppendBulk(out, "value of "+key)
		}
		return out
	case "blpop", "brpop", "blmove":
		return out // nothing ever comes
	case "del", "unlink", "exists", "touch":
		return resp.AppendInteger(out, int64(len(args)-1))
	case "keys", "config", "slowlog", "pubsub", "function":
		return append(out, "*2\r\n$1\r\na\r\n$1\r\nb\r\n"...)
	case "latency", "memory":
		return append(out, "*2\r\n$1\r\na\r\n*4\r\n$5\r\ncalls\r\n:1\r\n$14\r\nhistogram_usec\r\n*2\r\n:1\r\n:1\r\n"...)
	case "dbsize":
		return append(out, ":5\r\n"...)
	case "info":
		return resp.AppendBulk(out, "# Stats\na:1\n# Keyspace\ndb0:keys=1,x=2\n")
	case "scan":
		return append(out, "*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n"...)
	}
	return append(out, resp.OK...)
}

var fuzzMemcache = fuzzDialect{
	option: "redis: false",
	get:    func(keys ...string) string { return "get " + strings.Join(keys, " ") + "\r\n" },
	answer: func(keys ...string) string { return string(appendFuzzValues(nil, keys)) },
	newServer: func() func(data []byte) ([]byte, error) {
		var parser memcache.RequestParser
		var request memcache.Request
		var bytes []byte
		return func(data []byte) (out []byte, err error) {
			for len(data) > 0 {
				n, done, err := parser.Parse(data, &request)
				if err != nil {
					return out, err
				}
				bytes = append(bytes, data[:n]...)
				data = data[n:]
				if !done {
					break
				}
				if request.Problem != memcache.NoProblem || request.NoReply || request.BareLine {
					return out, fmt.Errorf("%q is sent to a server", bytes)
				}
				out = answerFuzzMemcache(out, &request, bytes)
				bytes = bytes[:0]
			}
			return out, nil
		}
	},
	newReader: func() responseReader { return &memcacheReader{} },
}

func appendFuzzValues(out []byte, keys []string) []byte {
	for _, key := range keys {
		value := "value of " + key
		out = fmt.Appendf(out, "VALUE %s 0 %d\r\n%s\r\n", key, len(value), value)
	}
	return append(out, memcache.EndReply...)
}

func answerFuzzMemcache(out []byte, request *memcache.Request, bytes []byte) []byte {
	switch kind := request.Kind; {
	case kind.Retrieval():
		var keys []string
		for _, span := range request.Keys {
			keys = append(keys, string(span.Of(bytes)))
		}
		return appendFuzzValues(out, keys)
	case kind.Meta():
		return answerFuzzMeta(out, request, bytes)
	case kind == memcache.MetaNoop:
		return append(out, "MN\r\n"...)
	case kind == memcache.Stats:
		return append(out, "STAT pid 1\r\nEND\r\n"...)
	case kind.Storage():
		return append(out, "STORED\r\n"...)
	case kind == memcache.Incr, kind == memcache.Decr:
		return append(out, "1\r\n"...)
	case kind == memcache.Touch:
		return append(out, "TOUCHED\r\n"...)
	case kind == memcache.Delete:
		return append(out, "DELETED\r\n"...)
	case kind == memcache.Version:
		return append(out, "VERSION 1\r\n"...)
	}
	return append(out, memcache.OKReply...)
}

// fuzzBed is one run: two servers, the engine with one worker before them, and whoever talks to it.
type fuzzBed struct {
	*sim.World
	t       *testing.T
	dialect *fuzzDialect
	proxy   *Proxy
	loops   []*evloop.Loop
	peers   []*sim.Peer // clients, to be closed at the end
}

var fuzzServers = [2]string{"10.0.0.1:6379", "10.0.0.2:6379"}

// newFuzzBed builds it; evil, unless nil, is what the first server does with a connection instead of serving it.
func newFuzzBed(t *testing.T, d *fuzzDialect, seed uint64, evil func(b *fuzzBed, number int, p *sim.Peer) bool) *fuzzBed {
	t.Helper()
	b := &fuzzBed{World: sim.New(seed), t: t, dialect: d}
	text := fmt.Sprintf("p:\n  listen: %s\n  %s\n  hash: murmur\n  distribution: modula\n  timeout: 50\n  servers:\n", fuzzAddress, d.option)
	for i, address := range fuzzServers {
		text += fmt.Sprintf("   - %s:1 s%d\n", address, i)
		accepted := 0
		b.Listen(address, func(p *sim.Peer) {
			p.OnClose = func(p *sim.Peer, _ error) { p.Close() }
			accepted++
			if i > 0 || evil == nil || !evil(b, accepted, p) {
				b.serve(p)
			}
		})
	}
	conf, err := config.Parse("fuzz.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if b.proxy, err = New(conf, []evloop.Outside{b.Outside("worker")}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if err := b.proxy.Listen(nil); err != nil {
		t.Fatal(err)
	}
	b.loops = b.proxy.Loops()
	return b
}

func (b *fuzzBed) serve(p *sim.Peer) {
	feed := b.dialect.newServer()
	p.OnData = func(p *sim.Peer, data []byte) {
		out, err := feed(data)
		if err != nil {
			b.t.Fatalf("a server was sent what is not its protocol: %v", err)
		}
		p.Send(out)
	}
}

// key is key number n of a server.
func (b *fuzzBed) key(server, n int) string {
	for i := 0; ; i++ {
		key := fmt.Sprintf("w%d.%d", n, i)
		if b.proxy.workers[0].pools[0].pick([]byte(key)).index == server {
			return key
		}
	}
}

// asker is a client that knows what it asked for.
type asker struct {
	*sim.Peer
	got []string
}

func (b *fuzzBed) asker(name string) *asker {
	a := &asker{Peer: b.Connect(fuzzAddress)}
	b.peers = append(b.peers, a.Peer)
	reader := b.dialect.newReader()
	a.OnData = func(_ *sim.Peer, data []byte) {
		responses, err := readAll(reader, data)
		if err != nil {
			b.t.Fatalf("the %s was sent what is no response: %v", name, err)
		}
		a.got = append(a.got, responses...)
	}
	a.OnClose = func(p *sim.Peer, _ error) { p.Close() }
	return a
}

// wait lets things happen until a has so many answers.
func (b *fuzzBed) wait(a *asker, name string, answers int) {
	b.t.Helper()
	err := b.Run(b.loops, func() bool { return len(a.got) >= answers }, 10*time.Second)
	if err != nil {
		b.t.Fatalf("the %s has %d of %d answers: %v", name, len(a.got), answers, err)
	}
}

// inCuts sends data in pieces, some of them later than others.
func (b *fuzzBed) inCuts(p *sim.Peer, data []byte, then func()) {
	if len(data) == 0 {
		then()
		return
	}
	n := len(data)
	if b.Random().IntN(3) > 0 {
		n = 1 + b.Random().IntN(n)
	}
	p.Send(data[:n])
	b.After(time.Duration(b.Random().IntN(500))*time.Microsecond, func() { b.inCuts(p, data[n:], then) })
}

// witness asks for keys of the given servers, round after round, and checks each answer.
func (b *fuzzBed) witness(rounds int, servers ...int) {
	b.t.Helper()
	w := b.asker("witness")
	for round := range rounds {
		keys := make([]string, len(servers))
		for i, server := range servers {
			keys[i] = b.key(server, round)
		}
		w.SendString(b.dialect.get(keys...) + b.dialect.get(keys[0]))
		b.wait(w, "witness", 2*round+2)
		for i, want := range []string{b.dialect.answer(keys...), b.dialect.answer(keys[0])} {
			if got := w.got[2*round+i]; got != want {
				b.t.Fatalf("the witness asked for %v and got %.200q, want %.200q\n%s", keys, got, want, b.Trace())
			}
		}
	}
	if w.Closed() || len(w.got) != 2*rounds {
		b.t.Fatalf("the witness has %d answers, want %d; closed: %v", len(w.got), 2*rounds, w.Closed())
	}
}

// finish has everybody leave and looks for what is left.
func (b *fuzzBed) finish() {
	b.t.Helper()
	for _, p := range b.peers {
		p.Resume()
		p.Close()
	}
	if err := b.RunFor(b.loops, 15*time.Second); err != nil { // as long as lanes and dedicated connections are kept for others
		b.t.Fatal(err)
	}
	checkLanes(0, b.proxy.workers[0], b.t.Errorf)
	w := b.proxy.workers[0]
	open := 1 // the listener
	for _, s := range w.pools[0].servers {
		for _, conn := range s.lane.conns {
			if conn == nil {
				continue
			}
			open++
			if conn.queue.oldest != nil || conn.waiting.Len() > 0 || conn.conn.Unsent() > 0 {
				b.t.Errorf("requests for %s are left", s.conf.Name)
			}
		}
	}
	if w.clients != nil || w.loop.Open() != open {
		b.t.Errorf("%d sockets are open, want %d; clients are left: %v", w.loop.Open(), open, w.clients != nil)
	}
}

// fuzzClient has a client send data, then behave in one of a few ways.
func fuzzClient(t *testing.T, d *fuzzDialect, seed uint64, data []byte) {
	b := newFuzzBed(t, d, seed, nil)
	stranger := b.asker("stranger")
	if seed%5 == 0 {
		stranger.Pause()
	}
	stranger.OnOpen = func(p *sim.Peer) {
		b.inCuts(p, data, func() {
			switch seed % 4 {
			case 0:
				p.CloseWrite()
			case 1:
				p.Reset()
			case 2:
				p.Close()
			}
		})
	}
	b.witness(6, 0, 1)
	b.finish()
}

// fuzzServer has a server send data to clients that wait for answers, and serve well from its second connection on.
func fuzzServer(t *testing.T, d *fuzzDialect, seed uint64, data []byte) {
	b := newFuzzBed(t, d, seed, func(b *fuzzBed, number int, p *sim.Peer) bool {
		if number > 1 {
			return false
		}
		begun := false
		p.OnData = func(p *sim.Peer, _ []byte) {
			if begun {
				return
			}
			begun = true
			b.inCuts(p, data, func() {
				switch seed % 3 {
				case 0:
					p.Close()
				case 1:
					p.Reset()
				}
			})
		}
		return true
	})
	victims := [2]*asker{b.asker("victim"), b.asker("victim")}
	own, both := b.dialect.get(b.key(0, 100)), b.dialect.get(b.key(1, 101), b.key(0, 102))
	if all := b.dialect.all; len(all) > 0 && seed/8%2 == 1 {
		both = all[seed/16%uint64(len(all))]
	}
	for _, v := range victims {
		v.SendString(strings.Repeat(own, 1+int(seed%3)) + both + own)
	}
	b.witness(6, 1, 1)
	for _, v := range victims {
		b.wait(v, "victim", 3+int(seed%3))
		if len(v.got) > 3+int(seed%3) || v.Closed() {
			t.Fatalf("a victim has %d answers to %d requests; closed: %v", len(v.got), 3+int(seed%3), v.Closed())
		}
	}
	if err := b.RunFor(b.loops, 100*time.Millisecond); err != nil { // what the server has to say may still be under way
		t.Fatal(err)
	}
	b.recovers(victims[0])
	b.finish()
}

// recovers asks until the server is well again. Until then there are errors only.
func (b *fuzzBed) recovers(a *asker) {
	b.t.Helper()
	key := b.key(0, 103)
	want := b.dialect.answer(key)
	for range 3 {
		before := len(a.got)
		a.SendString(b.dialect.get(key))
		b.wait(a, "victim", before+1)
		got := a.got[before]
		if got == want {
			return
		}
		if !isErrorResponse(got) {
			b.t.Fatalf("after the rubbish the victim got %.200q, want %q or an error\n%s", got, want, b.Trace())
		}
	}
	b.t.Fatalf("the server is not used again; the last answer is %.200q", a.got[len(a.got)-1])
}

func isErrorResponse(response string) bool {
	return strings.HasPrefix(response, "-") || strings.HasPrefix(response, "SERVER_ERROR ")
}

func FuzzRedisClientBytes(f *testing.F) {
	for seed, data := range []string{
		"PING\r\nGET a\r\n\r\n",
		"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*3\r\n$4\r\nMGET\r\n$1\r\na\r\n$1\r\nb\r\n",
		"*5\r\n$4\r\nMSET\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$0\r\n\r\n*4\r\n$3\r\nDEL\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n",
		"*4\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n$1\r\n1\r\n$1\r\nk\r\n*1\r\n$4\r\nQUIT\r\n",
		"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nxxx",
		"*-1\r\n*0\r\n*1\r\n$-1\r\n", "*9223372036854775808\r\n", "*1048576\r\n$1", "POST / HTTP/1.1\r\nHost: x\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "SET a 'b\"\\x00\"c'\r\n", "+OK\r\n:1\r\n",
		"HELLO 3\r\nSELECT 1\r\nGET a\r\nRESET\r\nGET a\r\n", "HELLO 3 AUTH u p SETNAME n\r\nCLIENT ID\r\nCLIENT SETNAME x\r\nHELLO 2\r\n",
		"WATCH a\r\nMULTI\r\nPING\r\nSET a 1\r\nGET a\r\nEXEC\r\nMULTI\r\nPING\r\nDISCARD\r\nUNWATCH\r\n", "MULTI\r\nSET a 1\r\nSET b 1\r\nNOSUCH\r\nEXEC\r\nEXEC\r\n",
		"SUBSCRIBE a b\r\nPSUBSCRIBE x*\r\nPING\r\nUNSUBSCRIBE\r\nPUNSUBSCRIBE\r\nGET a\r\n", "BLPOP q 0\r\nPING\r\nGET a\r\n", "GET a\r\nBLPOP q 1\r\nBLPOP q 0\r\n",
		"WATCH a\r\nSELECT 2\r\nBLPOP a 0\r\n", "SSUBSCRIBE a\r\nQUIT\r\n", "XREAD BLOCK 0 STREAMS a $\r\nMULTI\r\n",
	} {
		f.Add(uint64(seed), []byte(data))
	}
	f.Fuzz(func(t *testing.T, seed uint64, data []byte) { fuzzClient(t, &fuzzRedis, seed, data) })
}

func FuzzMemcacheClientBytes(f *testing.F) {
	for seed, data := range []string{
		"get a\r\nget a b c\r\ngets a\r\n", "set k 7 0 3\r\nabc\r\nset k 7 0 3 noreply\r\nabc\r\ndelete k\r\n",
		"cas k 0 0 1 18446744073709551615\r\nv\r\nincr k 1\r\ntouch k 5\r\ngat 5 a b\r\n",
		"version\r\nverbosity 1\r\nverbosity 1 noreply\r\nquit\r\n", "set k 0 0 1073741824\r\nx", "set k 0 0 -1\r\nget a\r\n",
		"set k 0 0 1\nv\r\nget a b c\nmg a q\nincr k 1 noreply\nstats\nflush_all\n", "set k 0 0 1\r\nvvv\r\nget a\r\n", "set k\r 0 0 5\t\r\nget b\r\n",
		"get " + strings.Repeat("k", 251) + "\r\n", "get a\nget b\n", "get a\x00b\r\n", "\x80\x00\x00\x01", "\x81\x00", "stats\r\nflush_all\r\nms k 2\r\nab\r\n",
		"get  a  b \r\nset k 0 0 1 noreply noreply\r\n", "GET / HTTP/1.1\r\n\r\n",
		"mg a v q k\r\nmg YQ== b v\r\nms a 2 q\r\nhi\r\nmd a q\r\nma a N0 J1 q\r\nme a\r\nmn\r\n", "ms a 2 b q\r\nhi\r\nms a x\r\n", "mg a v q\r\nget a\r\nmg b v q\r\nquit\r\n",
		"stats\r\nstats items\r\nstats conns\r\nflush_all noreply\r\nnutmeg servers\r\nnutmeg on s1 mg a v q\r\nnutmeg on s0 set a 0 0 1\r\nx\r\n",
	} {
		f.Add(uint64(seed), []byte(data))
	}
	f.Fuzz(func(t *testing.T, seed uint64, data []byte) { fuzzClient(t, &fuzzMemcache, seed, data) })
}

func FuzzRedisServerBytes(f *testing.F) {
	for seed, data := range []string{
		"$5\r\nvalue\r\n", "$-1\r\n$-1\r\n$-1\r\n", "+OK\r\n-ERR no\r\n:1\r\n", "*2\r\n$1\r\na\r\n*1\r\n:1\r\n", "*1\r\n*1\r\n*1\r\n*-1\r\n",
		"$9223372036854775807\r\nx", "*1099511627776\r\n:1\r\n", "$-2\r\n", ">2\r\n+a\r\n+b\r\n", "%1\r\n+a\r\n+b\r\n", "|1\r\n+a\r\n+b\r\n+c\r\n",
		"_\r\n#t\r\n,1.5\r\n(12\r\n!3\r\nERR\r\n=5\r\ntxt:a\r\n~1\r\n:1\r\n", "-LOADING x\r\n-OOM y\r\n", "+OK\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "",
	} {
		f.Add(uint64(seed), []byte(data))
	}
	for i := range fuzzRedis.all {
		for _, data := range []string{"*2\r\n$1\r\nx\r\n*0\r\n", ":7\r\n", "$-1\r\n", "*-1\r\n", "-ERR no\r\n", "$13\r\n# Stats\na:2\n\n\r\n", "*1\r\n*3\r\n:1\r\n:2\r\n:3\r\n"} {
			f.Add(uint64(8+16*i), []byte(strings.Repeat("$1\r\nv\r\n", 1+(8+16*i)%3)+data))
		}
	}
	f.Fuzz(func(t *testing.T, seed uint64, data []byte) { fuzzServer(t, &fuzzRedis, seed, data) })
}

// fuzzListener has a server send data on the connection by which a client listens to it.
func fuzzListener(t *testing.T, seed uint64, data []byte) {
	b := newFuzzBed(t, &fuzzRedis, seed, func(b *fuzzBed, _ int, p *sim.Peer) bool {
		feed, begun := b.dialect.newServer(), false
		p.OnData = func(p *sim.Peer, input []byte) {
			switch {
			case begun:
			case strings.Contains(strings.ToLower(string(input)), "subscribe"):
				begun = true
				b.inCuts(p, data, func() {
					if seed%3 == 0 {
						p.Close()
					}
				})
			default:
				out, _ := feed(input) // of a request whose first part had the word in it
				p.Send(out)
			}
		}
		return true
	})
	listener := b.asker("listener")
	channel := b.key(0, 100)
	if seed%2 == 0 {
		listener.SendString("HELLO 3\r\n")
	}
	listener.SendString("SUBSCRIBE " + channel + "\r\nPSUBSCRIBE x*\r\nUNSUBSCRIBE " + channel + "\r\nPING\r\n")
	b.witness(6, 1, 1)
	if err := b.RunFor(b.loops, 200*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	b.finish()
}

func FuzzRedisListenerBytes(f *testing.F) {
	for seed, data := range []string{
		"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n", ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n",
		"*4\r\n$8\r\npmessage\r\n$2\r\nx*\r\n$1\r\nx\r\n$1\r\ny\r\n", "-NOPERM no\r\n", "+OK\r\n+OK\r\n+OK\r\n+OK\r\n", "*3\r\n$7\r\nmessage\r\n:1\r\n:2\r\n",
		"*1\r\n$7\r\nmessage\r\n", "$7\r\nmessage\r\n", "*3\r\n$7\r\nmessage\r\n$-1\r\n$-1\r\n", "*2\r\n$1000000\r\nmess", ">1\r\n*1\r\n$7\r\nmessage\r\n", "*0\r\n*-1\r\n_\r\n", "",
	} {
		f.Add(uint64(seed), []byte(data))
		f.Add(uint64(seed+1), []byte(data))
	}
	f.Fuzz(fuzzListener)
}

func FuzzMemcacheServerBytes(f *testing.F) {
	for seed, data := range []string{
		"END\r\nEND\r\nEND\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n", "VALUE a 0 1 7\r\nx\r\nVALUE b 0 0\r\n\r\nEND\r\n", "VALUE a 0 2147483645\r\nx",
		"VALUE a 0 18446744073709551616\r\n", "VALUE a 0 -1\r\n", "STORED\r\n", "12345678901234567890\r\n", "ERROR\r\nCLIENT_ERROR x\r\nSERVER_ERROR y\r\n",
		"VERSION 1.6\r\nOK\r\n", "VALUE " + strings.Repeat("k", 251) + " 0 1\r\n", "END\n", "\x81\x00\x00\x00", "",
	} {
		f.Add(uint64(seed), []byte(data))
	}
	f.Fuzz(func(t *testing.T, seed uint64, data []byte) { fuzzServer(t, &fuzzMemcache, seed, data) })
}

func FuzzMemcacheMetaServerBytes(f *testing.F) {
	for seed, data := range []string{
		"CLIENT_ERROR invalid flag\r\nMN\r\nVERSION 1.6.18\r\n", "CLIENT_ERROR invalid flag\r\nMN\r\nVERSION 1.6.18\r\nVA 1\r\nx\r\nMN\r\nMN\r\n", "ERROR\r\nERROR\r\nERROR\r\nVERSION 1.4\r\n",
		"ERROR\r\nERROR\r\nERROR\r\nERROR\r\nERROR\r\n", "CLIENT_ERROR x\r\nERROR\r\nMN\r\nVERSION 1.5.19\r\n", "MN\r\nMN\r\n", "VERSION 1\r\n", "HD\r\n",
		"CLIENT_ERROR x\r\nMN\r\nVERSION 1\r\nMN\r\nEN\r\nMN\r\nMN\r\nMN\r\n", "CLIENT_ERROR x\r\nMN\r\nVERSION 1\r\nVA 2147483645\r\nx", "CLIENT_ERROR x\r\nMN\r\nVERSION 1\r\nSERVER_ERROR\r\nERROR\r\n",
		"CLIENT_ERROR x\r\nMN\r\nERROR\r\nEN\r\nM", "", "\x00",
	} {
		f.Add(uint64(seed), []byte(data))
	}
	f.Fuzz(func(t *testing.T, seed uint64, data []byte) { fuzzServer(t, &fuzzMeta, seed, data) })
}
