package test

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"nutmeg/internal/hashkit"
	"nutmeg/internal/resp"
	"nutmeg/internal/testkit"
)

// redisBed is the daemon in front of redis-servers, with one pool called alpha. Its servers are called s1, s2 and so on;
// distribution is modula over murmur, which spreads the short keys of tests better than the default hash, so that a test
// knows where a key is.
type redisBed struct {
	*Nutmeg
	servers []*testkit.Process
}

// bedOptions says what a redisBed is like. The zero value: two servers on ports, a listener on a port.
type bedOptions struct {
	servers    int
	workers    int      // 0: as many as the daemon takes by itself
	busy       int      // worker_busy; 0: clients are spread over the workers
	unix       bool     // the servers listen on unix sockets
	listen     string   // instead of a free port
	serverArgs []string // for every redis-server
	pool       []string // more lines of the pool, such as "timeout: 400"
}

// startRedisBed starts the servers and the daemon. They end with t.
func startRedisBed(t testing.TB, o bedOptions) *redisBed {
	t.Helper()
	b := &redisBed{}
	start := testkit.Redis
	if o.unix {
		start = testkit.RedisUnix
	}
	if o.servers == 0 {
		o.servers = 2
	}
	for range o.servers {
		b.servers = append(b.servers, start(t, o.serverArgs...))
	}
	b.Nutmeg = startNutmeg(t, bedYAML(o, b.servers))
	return b
}

func bedYAML(o bedOptions, servers []*testkit.Process) string {
	var y strings.Builder
	if o.workers > 0 {
		fmt.Fprintf(&y, "nutmeg:\n  workers: %d\n  worker_busy: %d\n", o.workers, o.busy)
	}
	listen := o.listen
	if listen == "" {
		listen = "{listen}"
	}
	fmt.Fprintf(&y, "alpha:\n  listen: %s\n  redis: true\n  hash: murmur\n  distribution: modula\n", listen)
	for _, line := range o.pool {
		fmt.Fprintf(&y, "  %s\n", line)
	}
	y.WriteString("  servers:\n")
	for i, server := range servers {
		fmt.Fprintf(&y, "  - %s:1 s%d\n", server.Addr(), i+1)
	}
	return y.String()
}

// dial connects to the daemon.
func (b *redisBed) dial(t testing.TB) *rawConn {
	t.Helper()
	return dial(t, b.Addr())
}

// dialServer connects to a server itself; the first is 0.
func (b *redisBed) dialServer(t testing.TB, i int) *rawConn {
	t.Helper()
	return dial(t, b.servers[i].Addr())
}

// owner is the index of the server that a key belongs to. The key has no hash tag.
func (b *redisBed) owner(key string) int { return ownerAmong(len(b.servers), key) }

func ownerAmong(servers int, key string) int {
	hash, ok := hashkit.ByName("murmur")
	if !ok || key == "" {
		return 0
	}
	return int(hash([]byte(key)) % uint32(servers))
}

// key is a key that belongs to a server: the first of name:0, name:1 and so on that does.
func (b *redisBed) key(server int, name string) string {
	for i := 0; ; i++ {
		key := name + ":" + strconv.Itoa(i)
		if b.owner(key) == server {
			return key
		}
	}
}

// keys are n keys of a server.
func (b *redisBed) keys(server, n int, name string) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = b.key(server, name+strconv.Itoa(i))
	}
	return keys
}

// The bytes of some replies.
const (
	okReply          = "+OK\r\n"
	pongReply        = "+PONG\r\n"
	nullReply        = "$-1\r\n"
	serverNoPassword = "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?\r\n"
	serverWrongPass  = "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
	noAuth           = "-NOAUTH Authentication required.\r\n"
	// serverNoAuth is what a redis-server says; the proxy's own text has no full stop, as twemproxy's.
	serverNoAuth = "-NOAUTH Authentication required.\r\n"
)

// integer is the bytes of an integer reply.
func integer(n int) string { return ":" + strconv.Itoa(n) + "\r\n" }

// array is the bytes of an array of replies.
func array(replies ...string) string {
	return "*" + strconv.Itoa(len(replies)) + "\r\n" + strings.Join(replies, "")
}

// nulls is the bytes of an array of n null bulk strings.
func nulls(n int) string { return "*" + strconv.Itoa(n) + "\r\n" + strings.Repeat(nullReply, n) }

// wantAsk sends a command and compares its reply.
func (c *rawConn) wantAsk(want string, args ...string) {
	c.t.Helper()
	if got := c.ask(args...); got != want {
		c.t.Errorf("%s: got %s, want %s", short(strings.Join(args, " ")), short(got), short(want))
	}
}

// exchange sends bytes and compares what comes back. Unlike the others it may be used by any goroutine, one at a time.
func (c *rawConn) exchange(send, want string) error {
	if _, err := io.WriteString(c.conn, send); err != nil {
		return err
	}
	got := make([]byte, len(want))
	n, err := io.ReadFull(c.r, got)
	if err != nil || string(got) != want {
		return fmt.Errorf("%s: got %s and error %w, want %s", short(send), short(string(got[:n])), err, short(want))
	}
	return nil
}

// unknown is the bytes of the error for a command that nobody knows.
func unknown(args ...string) string {
	list := commandArgs{}
	for _, arg := range args {
		list = append(list, []byte(arg))
	}
	return string(resp.AppendUnknownCommand(nil, list))
}
