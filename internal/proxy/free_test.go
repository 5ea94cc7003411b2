package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/buffer"
	"nutmeg/internal/config"
	"nutmeg/internal/evloop"
)

// free is a world in which the kernel costs nothing: what is measured in it is the engine's own work. Its clients send a pipeline
// whenever they have got all responses to the one before; its servers answer at once.
type free struct {
	load    freeLoad
	clients []*freeSocket
	servers []*freeSocket
	now     int64
	waiting int // clients that are not accepted yet
}

// freeLoad is what clients send, and how much they get for it.
type freeLoad struct {
	name, protocol string
	clients        int
	pipelines      []string // one after the other
	requests       int      // in each
	response       int      // bytes to each
	answer         func(requests []byte, responses []byte) []byte
}

type freeSocket struct {
	world    *free
	token    uint64
	listener bool
	server   bool
	in       []byte // of a server: requests
	memory   []byte // of responses
	out      []byte // those that have not been read
	next     int    // of a client: its pipeline
	owed     int    // bytes that it waits for
	rounds   int
}

var errFree = errors.New("not in this world")

func (f *free) Now() int64                                { f.now += 1000; return f.now }
func (f *free) Wall() time.Time                           { return time.Unix(0, f.now) }
func (f *free) Random() uint64                            { return 1 }
func (f *free) Busy() (worked, process int64)             { return 0, 0 }
func (f *free) Wake()                                     {}
func (f *free) Close() error                              { return nil }
func (f *free) Forget(evloop.Socket)                      {}
func (f *free) Resolve(string, func([]netip.Addr, error)) {}

func (f *free) Listen(evloop.Address, evloop.ListenOptions) (evloop.Socket, error) {
	return &freeSocket{world: f, listener: true}, nil
}

func (f *free) Relisten(evloop.Socket, evloop.Address, evloop.ListenOptions) error { return errFree }

func (f *free) Dial(netip.AddrPort, string, evloop.SocketOptions) (evloop.Socket, bool, error) {
	s := &freeSocket{world: f, server: true}
	f.servers = append(f.servers, s)
	return s, true, nil
}

func (f *free) Watch(s evloop.Socket, token uint64, _ evloop.Interest) error {
	s.(*freeSocket).token = token
	return nil
}

// Wait reports the clients that have something to say, or else the servers.
func (f *free) Wait(events []evloop.Event, _ int64) (int, error) {
	n := 0
	for _, c := range f.clients {
		if n < len(events) && (c.owed == 0 || c.listener && f.waiting > 0) {
			events[n] = evloop.Event{Token: c.token, Ready: evloop.Readable}
			n++
		}
	}
	for _, s := range f.servers {
		if n < len(events) && len(s.in)+len(s.out) > 0 {
			events[n] = evloop.Event{Token: s.token, Ready: evloop.Readable}
			n++
		}
	}
	return n, nil
}

func (s *freeSocket) Accept(evloop.SocketOptions) (evloop.Socket, error) {
	f := s.world
	if f.waiting == 0 {
		return nil, evloop.ErrWouldBlock
	}
	f.waiting--
	c := &freeSocket{world: f, next: f.waiting * 7}
	f.clients = append(f.clients, c)
	return c, nil
}

func (s *freeSocket) Read(p []byte) (int, error) {
	l := &s.world.load
	if s.server {
		if len(s.out) == 0 {
			s.memory = l.answer(s.in, s.memory[:0])
			s.out, s.in = s.memory, s.in[:0]
		}
		n := copy(p, s.out)
		s.out = s.out[n:]
		return n, nil
	}
	if s.owed > 0 {
		return 0, evloop.ErrWouldBlock
	}
	s.owed = l.response
	s.next = (s.next + 1) % len(l.pipelines)
	return copy(p, l.pipelines[s.next]), nil
}

func (s *freeSocket) Write(out *buffer.Buffer) (int, error) {
	if !s.server {
		if s.owed -= out.Len(); s.owed == 0 {
			s.rounds++
		}
		return out.Len(), nil
	}
	for c := out.First(); c != nil; c = c.Next() {
		s.in = append(s.in, c.Bytes()...)
	}
	return out.Len(), nil
}

func (s *freeSocket) Close() error        { return nil }
func (s *freeSocket) PendingError() error { return nil }
func (s *freeSocket) CloseWrite() error   { return nil }
func (s *freeSocket) Peer() string        { return "free" }

// newFree starts an engine with the load's clients.
func newFree(tb testing.TB, load freeLoad) (*free, *evloop.Loop) {
	tb.Helper()
	f := &free{load: load, waiting: load.clients}
	conf, err := config.Parse("free.yml", []byte(strings.ReplaceAll(`p:
  listen: 127.0.0.1:1
  hash: murmur
  distribution: ketama
  PROTOCOL
  servers:
   - 127.0.0.1:2:1 one
   - 127.0.0.1:3:1 two
`, "PROTOCOL", load.protocol)))
	if err != nil {
		tb.Fatal(err)
	}
	p, err := New(conf, []evloop.Outside{f}, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	p.current.Load().prepare(2)
	listener := &freeSocket{world: f, listener: true, owed: 1}
	f.clients = append(f.clients, listener)
	if err := p.Listen(func(config.Address) evloop.Socket { return listener }); err != nil {
		tb.Fatal(err)
	}
	return f, p.Loops()[0]
}

// round has every client get the responses to one more pipeline, at least.
func (f *free) round(tb testing.TB, loop *evloop.Loop) {
	for steps := 0; ; steps++ {
		if err := loop.Step(true); err != nil || steps > 100 {
			tb.Fatalf("%s: no answer after %d steps: %v", f.load.name, steps, err)
		}
		if last := f.clients[len(f.clients)-1]; f.waiting == 0 && last.rounds > 0 {
			last.rounds = 0
			return
		}
	}
}

// each answers requests of one length with the same response.
func each(length int, response string) func([]byte, []byte) []byte {
	many := []byte(strings.Repeat(response, 4096))
	return func(requests, responses []byte) []byte {
		return append(responses, many[:len(requests)/length*len(response)]...)
	}
}

// values answers MGETs of keys of 16 bytes.
func values(bulk string) func([]byte, []byte) []byte {
	many := []byte(strings.Repeat(bulk, 128))
	return func(requests, responses []byte) []byte {
		for len(requests) > 0 {
			end := bytes.IndexByte(requests, '\r')
			n, _ := strconv.Atoi(string(requests[1:end]))
			responses = fmt.Appendf(responses, "*%d\r\n", n-1)
			responses = append(responses, many[:(n-1)*len(bulk)]...)
			requests = requests[end+2+len("$4\r\nMGET\r\n")+(n-1)*len("$16\r\nkey:000000000000\r\n"):]
		}
		return responses
	}
}

func freeLoads() []freeLoad {
	const value = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	bulk := "$64\r\n" + value + "\r\n"
	pipelines := func(n int, format string) (all []string) {
		for i := range 500 {
			text := ""
			for j := range n {
				text += fmt.Sprintf(format, i*n+j)
			}
			all = append(all, text)
		}
		return all
	}
	redis := func(name string, n int, format, response string) freeLoad {
		return freeLoad{name, "redis: true", 50, pipelines(n, format), n, n * len(response), each(len(fmt.Sprintf(format, 0)), response)}
	}
	const get = "*2\r\n$3\r\nGET\r\n$16\r\nkey:%012d\r\n"
	mget := freeLoad{"mget100", "redis: true", 50, nil, 1, len("*100\r\n") + 100*len(bulk), values(bulk)}
	for _, keys := range pipelines(100, "$16\r\nkey:%012d\r\n") {
		mget.pipelines = append(mget.pipelines, "*101\r\n$4\r\nMGET\r\n"+keys)
	}
	memcached := redis("memcached", 1, "get key:%012d\r\n", "VALUE key:000000000000 0 64\r\n"+value+"\r\nEND\r\n")
	memcached.protocol = "redis: false"
	return []freeLoad{
		redis("get", 1, get, bulk), redis("get16", 16, get, bulk),
		redis("set16", 16, "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n"+bulk, "+OK\r\n"), mget, memcached,
	}
}

// TestFree sees that the world of the benchmark goes round.
func TestFree(t *testing.T) {
	for _, load := range freeLoads() {
		f, loop := newFree(t, load)
		for range 3 {
			f.round(t, loop)
		}
	}
}

// BenchmarkFree measures what a request costs in the engine alone.
func BenchmarkFree(b *testing.B) {
	for _, load := range freeLoads() {
		b.Run(load.name, func(b *testing.B) {
			f, loop := newFree(b, load)
			for range 20 {
				f.round(b, loop)
			}
			b.ReportAllocs()
			for b.Loop() {
				f.round(b, loop)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(load.requests*load.clients), "ns/request")
		})
	}
}
