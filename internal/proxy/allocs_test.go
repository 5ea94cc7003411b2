package proxy

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nutmeg/internal/config"
	"nutmeg/internal/evloop"
	"nutmeg/internal/memcache"
)

// bench is the engine over real sockets, stepped by the test, which plays the client and the servers by itself.
type bench struct {
	tb      testing.TB
	proxy   *Proxy
	loop    *evloop.Loop
	client  int
	servers []int
	scratch []byte
	got     uint64 // bytes that the client has been sent, where a test counts them
}

// newBench connects a client and makes the engine connect to each of two servers.
func newBench(tb testing.TB, protocol string, warm []string) *bench {
	tb.Helper()
	b := &bench{tb: tb, scratch: make([]byte, 1<<20)}
	var listeners []int
	var text strings.Builder
	fmt.Fprintf(&text, "p:\n  listen: 127.0.0.1:%d\n  %s\n  hash: fnv1a_64\n  distribution: modula\n  timeout: 10000\n  servers:\n", b.freePort(), protocol)
	for i := range 2 {
		fd, port := b.listen()
		listeners = append(listeners, fd)
		fmt.Fprintf(&text, "   - 127.0.0.1:%d:1 s%d\n", port, i)
	}
	conf, err := config.Parse("bench.yml", []byte(text.String()))
	b.must(err)
	system, err := evloop.NewSystem()
	b.must(err)
	b.proxy, err = New(conf, []evloop.Outside{system}, slog.New(slog.DiscardHandler))
	b.must(err)
	b.must(b.proxy.Listen(nil))
	b.loop = b.proxy.Loops()[0]
	tb.Cleanup(func() {
		b.proxy.workers[0].shutdown()
		b.must(system.Close())
	})

	b.client = b.socket()
	b.must(unix.Connect(b.client, &unix.SockaddrInet4{Port: conf.Pools[0].Listen.Address.Port, Addr: [4]byte{127, 0, 0, 1}}))
	b.step()
	for _, request := range warm { // one for each server, in their order
		b.write(b.client, []byte(request))
		b.step()
		b.step() // the connection is there
	}
	for i, fd := range listeners {
		conn, _, err := unix.Accept(fd)
		b.must(err)
		b.servers = append(b.servers, conn)
		tb.Cleanup(func() { _ = unix.Close(conn) })
		if n := b.read(conn); n == 0 {
			tb.Fatalf("server %d got nothing", i)
		}
	}
	return b
}

func (b *bench) must(err error) {
	if err != nil {
		b.tb.Helper()
		b.tb.Fatal(err)
	}
}

func (b *bench) socket() int {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	b.must(err)
	b.tb.Cleanup(func() { _ = unix.Close(fd) })
	b.must(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5})) // also for accept
	return fd
}

func (b *bench) listen() (fd, port int) {
	fd = b.socket()
	b.must(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	b.must(unix.Listen(fd, 8))
	name, err := unix.Getsockname(fd)
	b.must(err)
	return fd, name.(*unix.SockaddrInet4).Port
}

func (b *bench) freePort() int {
	fd, port := b.listen()
	b.must(unix.Close(fd))
	return port
}

func (b *bench) step() { b.must(b.loop.Step(true)) }

func (b *bench) write(fd int, data []byte) {
	if n, err := unix.Write(fd, data); n != len(data) || err != nil {
		b.tb.Fatal(n, err)
	}
}

func (b *bench) read(fd int) int {
	n, err := unix.Read(fd, b.scratch)
	b.must(err)
	return n
}

// readAll reads n bytes.
func (b *bench) readAll(fd, n int) {
	for n > 0 {
		got := b.read(fd)
		if got == 0 {
			b.tb.Fatal("connection closed")
		}
		n -= got
	}
}

// exchange is a request of the client and what passes on each server connection for it.
type exchange struct {
	name     string
	protocol string
	request  string
	toServer [2]int // bytes that each server gets
	response [2]string
	toClient int
}

// run plays the exchange once.
func (b *bench) run(e *exchange, request []byte, responses [2][]byte) {
	b.write(b.client, request)
	b.step()
	for i, fd := range b.servers {
		if e.toServer[i] > 0 {
			b.readAll(fd, e.toServer[i])
			b.write(fd, responses[i])
			b.step()
		}
	}
	b.readAll(b.client, e.toClient)
}

// With fnv1a_64 and modula, key a belongs to s0 and key b to s1: newBench fails if not.
var exchanges = []exchange{
	{
		name: "redis GET", protocol: "redis: true",
		request: "*2\r\n$3\r\nGET\r\n$1\r\na\r\n", toServer: [2]int{20, 0}, response: [2]string{"$3\r\nabc\r\n"}, toClient: 9,
	},
	{
		name: "redis SET", protocol: "redis: true",
		request: "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$3\r\nabc\r\n", toServer: [2]int{0, 29}, response: [2]string{"", "+OK\r\n"}, toClient: 5,
	},
	{
		name: "redis pipeline over two servers", protocol: "redis: true",
		request:  strings.Repeat("*2\r\n$3\r\nGET\r\n$1\r\nb\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n", 16),
		toServer: [2]int{320, 320},
		response: [2]string{strings.Repeat("$3\r\nabc\r\n", 16), strings.Repeat("$3\r\nabc\r\n", 16)}, toClient: 288,
	},
	{
		name: "redis MGET over two servers", protocol: "redis: true",
		request: "*4\r\n$4\r\nMGET\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\na\r\n", toServer: [2]int{28, 21},
		response: [2]string{"*2\r\n$3\r\nabc\r\n$-1\r\n", "*1\r\n$1\r\nx\r\n"}, toClient: 4 + 9 + 7 + 5,
	},
	{
		name: "redis DEL over two servers", protocol: "redis: true",
		request: "*3\r\n$3\r\nDEL\r\n$1\r\na\r\n$1\r\nb\r\n", toServer: [2]int{20, 20},
		response: [2]string{":1\r\n", ":0\r\n"}, toClient: 4,
	},
	{
		name: "redis GET, renamed", protocol: "redis: true\n  commands: {deny: [keys], rename: {get: g3tt3r}}",
		request: "*2\r\n$3\r\nGET\r\n$1\r\na\r\n", toServer: [2]int{23, 0}, response: [2]string{"$3\r\nabc\r\n"}, toClient: 9,
	},
	{
		name: "redis command that the configuration declares", protocol: "redis: true\n  commands: {declare: [{name: x.get, arity: 2, first_key: 1}]}",
		request: "*2\r\n$5\r\nX.GET\r\n$1\r\na\r\n", toServer: [2]int{22, 0}, response: [2]string{"$3\r\nabc\r\n"}, toClient: 9,
	},
	{
		name: "redis GET where another is denied", protocol: "redis: true\n  commands: {deny: [keys]}",
		request: "*2\r\n$3\r\nGET\r\n$1\r\na\r\n", toServer: [2]int{20, 0}, response: [2]string{"$3\r\nabc\r\n"}, toClient: 9,
	},
	{
		name: "memcached get", protocol: "redis: false",
		request: "get a\r\n", toServer: [2]int{7, 0}, response: [2]string{"VALUE a 0 3\r\nabc\r\nEND\r\n"}, toClient: 23,
	},
	{
		name: "memcached set without reply, and get", protocol: "redis: false",
		request: "set a 0 0 1 noreply\r\nx\r\nget a\r\n", toServer: [2]int{13 + 3 + 7, 0},
		response: [2]string{"STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n"}, toClient: 21,
	},
	{
		name: "memcached mg", protocol: "redis: false",
		request: "mg a v k O12\r\n", toServer: [2]int{14, 0}, response: [2]string{"VA 3 ka O12\r\nabc\r\n"}, toClient: 18,
	},
	{
		name: "memcached mg of an encoded key", protocol: "redis: false",
		request: "mg YQ== b v\r\n", toServer: [2]int{13, 0}, response: [2]string{"VA 3\r\nabc\r\n"}, toClient: 11,
	},
	{
		name: "memcached ms", protocol: "redis: false",
		request: "ms a 3 T60\r\nabc\r\n", toServer: [2]int{17, 0}, response: [2]string{"HD\r\n"}, toClient: 4,
	},
	{
		name: "memcached ms and mg, both quiet, and mn", protocol: "redis: false",
		request:  "ms a 3 q\r\nabc\r\nmg a v q\r\nmg a v q\r\nmn\r\n",
		toServer: [2]int{15 + 10 + 10 + 3*4, 0}, response: [2]string{"MN\r\nVA 3\r\nabc\r\nMN\r\nMN\r\n"}, toClient: 11 + 4,
	},
	{
		name: "memcached get over two servers", protocol: "redis: false",
		request: "get a b\r\n", toServer: [2]int{7, 7},
		response: [2]string{"VALUE a 0 3\r\nabc\r\nEND\r\n", "VALUE b 0 1\r\nx\r\nEND\r\n"}, toClient: 18 + 16 + 5,
	},
}

func (e *exchange) bench(tb testing.TB) *bench {
	warm, reply := []string{"get a\r\n", "get b\r\n"}, "END\r\n"
	if strings.HasPrefix(e.protocol, "redis: true") {
		warm, reply = []string{"GET a\r\n", "GET b\r\n"}, "$-1\r\n"
	}
	b := newBench(tb, e.protocol, warm)
	for _, fd := range b.servers {
		b.write(fd, []byte(reply))
		b.step()
	}
	b.readAll(b.client, 2*len(reply))
	if strings.HasPrefix(e.name, "memcached m") {
		b.askDialect()
	}
	return b
}

// askDialect has the first server asked whether it speaks meta commands.
func (b *bench) askDialect() {
	b.write(b.client, []byte("mg a\r\n"))
	b.step()
	for _, exchange := range []struct{ request, response string }{
		{memcache.MetaQuestion, "CLIENT_ERROR invalid flag\r\nMN\r\nVERSION 1\r\n"}, {"mg a\r\n", "EN\r\n"},
	} {
		b.readAll(b.servers[0], len(exchange.request))
		b.write(b.servers[0], []byte(exchange.response))
		b.step()
	}
	b.readAll(b.client, len("EN\r\n"))
}

// TestRequestsAllocateNothing holds the promise of the request path, system calls included.
func TestRequestsAllocateNothing(t *testing.T) {
	for i := range exchanges {
		e := &exchanges[i]
		t.Run(e.name, func(t *testing.T) {
			b := e.bench(t)
			request, responses := []byte(e.request), [2][]byte{[]byte(e.response[0]), []byte(e.response[1])}
			for range 20 {
				b.run(e, request, responses)
			}
			if n := testing.AllocsPerRun(100, func() { b.run(e, request, responses) }); n != 0 {
				t.Errorf("%v allocations a request, want 0", n)
			}
		})
	}
}

// TestLargeResponsesAllocateNothing is the same for responses that flow, and whose pieces leave in between.
func TestLargeResponsesAllocateNothing(t *testing.T) {
	const pieces, size = 16, 64 << 10
	for _, e := range []*exchange{
		{name: "redis", protocol: "redis: true", request: "*2\r\n$3\r\nGET\r\n$1\r\na\r\n", response: [2]string{fmt.Sprintf("$%d\r\n", pieces*size), "\r\n"}},
		{name: "memcached", protocol: "redis: false", request: "get a\r\n", response: [2]string{fmt.Sprintf("VALUE a 0 %d\r\n", pieces*size), "\r\nEND\r\n"}},
	} {
		t.Run(e.name, func(t *testing.T) {
			b := e.bench(t)
			request, piece := []byte(e.request), []byte(strings.Repeat("v", size))
			head, tail := append([]byte(e.response[0]), piece...), append(slices.Clone(piece), e.response[1]...)
			run := func() {
				b.write(b.client, request)
				b.step()
				b.readAll(b.servers[0], len(request))
				for i := range pieces {
					say := piece
					switch i {
					case 0:
						say = head
					case pieces - 1:
						say = tail
					}
					b.write(b.servers[0], say)
					for c := b.proxy.workers[0].clients; ; b.step() {
						if written := c.conn.Written(); written >= b.got+uint64(len(say)) {
							break
						}
					}
					b.got += uint64(len(say))
					b.readAll(b.client, len(say))
				}
			}
			b.got = b.proxy.workers[0].clients.conn.Written()
			for range 5 {
				run()
			}
			if n := testing.AllocsPerRun(20, run); n != 0 {
				t.Errorf("%v allocations a request, want 0", n)
			}
		})
	}
}

func BenchmarkRequest(b *testing.B) {
	for i := range exchanges {
		e := &exchanges[i]
		b.Run(e.name, func(b *testing.B) {
			engine := e.bench(b)
			request, responses := []byte(e.request), [2][]byte{[]byte(e.response[0]), []byte(e.response[1])}
			b.ReportAllocs()
			for b.Loop() {
				engine.run(e, request, responses)
			}
		})
	}
}
