package test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"nutmeg/internal/testkit"
)

// nameServer is a DNS server on a loopback address of its own. Its table may be changed at any time.
type nameServer struct {
	conn *net.UDPConn

	mu     sync.Mutex // guards the rest
	hosts  map[string][]netip.Addr
	silent bool // leaves questions unanswered
	asked  int
}

// startNameServer starts one on port 53, the only one that a resolver asks. That takes rights, as does giving the daemon a
// resolv.conf of its own; without them the test is skipped.
func startNameServer(t *testing.T) *nameServer {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a DNS server on port 53 and a resolv.conf of the daemon's own take root's rights")
	}
	s := &nameServer{hosts: map[string][]netip.Addr{}}
	var err error
	for i := range 250 {
		s.conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 53, byte(1+i)), Port: 53})
		if err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.conn.Close() })
	go s.serve()
	return s
}

// set changes what a name stands for; no address: the name does not exist.
func (s *nameServer) set(name string, addresses ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hosts[name] = nil
	for _, a := range addresses {
		s.hosts[name] = append(s.hosts[name], netip.MustParseAddr(a))
	}
}

func (s *nameServer) setSilent(silent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = silent
}

// questions is how many have been asked so far.
func (s *nameServer) questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *nameServer) serve() {
	buffer := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		if answer := s.answer(buffer[:n]); answer != nil {
			_, _ = s.conn.WriteToUDPAddrPort(answer, from)
		}
	}
}

// answer makes the response to a query of one question (RFC 1035, section 4): A records or none, never kept by anybody.
func (s *nameServer) answer(query []byte) []byte {
	const header, typeA = 12, 1
	if len(query) < header {
		return nil
	}
	var labels []string
	at := header
	for at < len(query) && query[at] != 0 {
		end := min(at+1+int(query[at]), len(query))
		labels = append(labels, string(query[at+1:end]))
		at = end
	}
	if at+5 > len(query) {
		return nil
	}
	question := query[header : at+5]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	addresses := s.hosts[strings.ToLower(strings.Join(labels, "."))]
	if s.silent {
		return nil
	}
	flags := uint16(0x8180) // a response, recursion desired and available
	if len(addresses) == 0 {
		flags |= 3 // no such name
	}
	if binary.BigEndian.Uint16(query[at+1:]) != typeA {
		addresses = nil
	}
	out := append([]byte{}, query[:2]...)
	for _, field := range []uint16{flags, 1, uint16(len(addresses)), 0, 0} {
		out = binary.BigEndian.AppendUint16(out, field)
	}
	out = append(out, question...)
	for _, a := range addresses {
		out = append(out, 0xc0, header, 0, typeA, 0, 1, 0, 0, 0, 0, 0, 4) // the question's name, class IN, no time to live
		out = append(out, a.AsSlice()...)
	}
	return out
}

// startNutmeg starts the daemon with this name server for its own, in a mount namespace where resolv.conf says so.
func (s *nameServer) startNutmeg(t *testing.T, yaml string) *Nutmeg {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	text := fmt.Sprintf("nameserver %s\noptions timeout:1 attempts:1\n", s.conn.LocalAddr().(*net.UDPAddr).IP)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return startNutmegBy(t, []string{"unshare", "-m", "sh", "-c", `mount --bind "$0" /etc/resolv.conf && exec "$@"`, conf, nutmegBinary(t)}, yaml)
}

// serveScriptAt is serveScript on one port of several loopback addresses.
func serveScriptAt(t *testing.T, host string, port int, run script) *scriptedServer {
	t.Helper()
	s := &scriptedServer{t: t, addr: net.JoinHostPort(host, strconv.Itoa(port)), script: run, conns: map[*scriptedConn]struct{}{}}
	s.up()
	t.Cleanup(s.down)
	return s
}

const hostDown = "-ERR Host is down\r\n"

// TestServerMovesWhileConnected: resolve_interval finds out that a name stands for another address, and the server's clients go
// there without an error. A name that vanishes, or that nobody answers for, moves nobody.
func TestServerMovesWhileConnected(t *testing.T) {
	t.Parallel()
	const name = "one.nutmeg.test"
	names := startNameServer(t)
	port := testkit.FreePort(t)
	serveScriptAt(t, "127.0.0.1", port, sayName("a"))
	b := serveScriptAt(t, "127.0.0.2", port, sayName("b"))
	names.set(name, "127.0.0.1")
	conf := workersConf(2, "redis: true\npreconnect: true", fmt.Sprintf("%s:%d", name, port)+" s")
	n := names.startNutmeg(t, strings.Replace(conf, "nutmeg:\n", "nutmeg:\n  resolve_interval: 1000\n", 1))
	clients := []*rawConn{dial(t, n.Addr()), dial(t, n.Addr()), dial(t, n.Addr())}
	all := func(want string) error {
		t.Helper()
		var missing error
		for i, c := range clients {
			if got := c.ask("GET", "k"); got == bulk("a") && want != got {
				missing = fmt.Errorf("client %d is still at a", i)
			} else if got != want {
				t.Fatalf("client %d got %s, want %s", i, short(got), short(want))
			}
		}
		return missing
	}
	eventually(t, "the first server", func() error { return all(bulk("a")) })
	names.set(name, "127.0.0.2")
	eventually(t, "the clients to be at the second server", func() error { return all(bulk("b")) })

	names.set(name)
	asked := names.questions()
	eventually(t, "the name to be asked for in vain", func() error {
		if now := names.questions(); now < asked+4 {
			return fmt.Errorf("%d questions", now-asked)
		}
		return all(bulk("b"))
	})
	names.setSilent(true)
	if err := all(bulk("b")); err != nil {
		t.Error(err)
	}
	if made := b.connections(); made > 2 {
		t.Errorf("%d connections were made to the second server, want one of each worker", made)
	}
	if err := n.Pool("alpha").want(map[string]int64{"forward_error": 0, "server_connections": 2}); err != nil {
		t.Error(err)
	}
}

// TestNamesThatChange: a server's name is looked up for each new connection, so that a server can move; while its name is
// gone or nobody answers for it, its clients are told, and clients of other servers go on.
func TestNamesThatChange(t *testing.T) {
	t.Parallel()
	const name = "one.nutmeg.test"
	names := startNameServer(t)
	port := testkit.FreePort(t)
	a, b := serveScriptAt(t, "127.0.0.1", port, sayName("a")), serveScriptAt(t, "127.0.0.2", port, sayName("b"))
	neighbour := testkit.Redis(t)
	names.set(name, "127.0.0.1")
	n := names.startNutmeg(t, workersConf(1, "redis: true\nhash: murmur\ndistribution: modula\ntimeout: 400", fmt.Sprintf("%s:%d", name, port)+" a", neighbour.Addr()+" n"))
	neighbours := startLoad(t, loadOptions{addr: n.Addr(), dialect: &redisLoad, clients: 3, keys: func(i int) []string { return keysOf(1, fmt.Sprintf("n%d.", i)) }})
	neighbours.more(50)
	key := keysOf(0, "k")[0]
	c := dial(t, n.Addr())

	c.wantAll(key, 3, bulk("a"))
	before := n.figures()
	names.set(name, "127.0.0.2")
	c.wantAll(key, 3, bulk("a")) // the connection is well, and resolve_interval far away
	goDown(n, a, "a")
	c.wantAll(key, 3, bulk("b"))

	names.set(name) // the name vanishes
	c.wantAll(key, 3, bulk("b"))
	goDown(n, b, "a")
	b.up()
	c.wantAll(key, 5, hostDown)
	neighbours.more(50)
	names.set(name, "127.0.0.2")
	c.wantAll(key, 3, bulk("b"))

	names.set(name, "127.0.0.3", "127.0.0.4", "127.0.0.2") // nobody listens at the others
	goDown(n, b, "a")
	b.up()
	c.wantAll(key, 3, bulk("b"))

	names.setSilent(true)
	goDown(n, b, "a")
	b.up()
	c.wantAll(key, 2, "-ERR Connection timed out\r\n")
	neighbours.more(50)
	names.setSilent(false)
	eventually(t, "the server to be found again", func() error {
		if got := c.ask("GET", key); got != bulk("b") {
			return fmt.Errorf("got %s", short(got))
		}
		return nil
	})
	if asked := names.questions(); asked < 6 {
		t.Errorf("the name server was asked %d times", asked)
	}
	neighbours.stop()
	n.noMoreDescriptors(before)
}
