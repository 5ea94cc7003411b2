package test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// rawConn is a client that sends and reads bytes as they are. A failure ends the test, so it belongs to the test's
// goroutine; others use tryRead and tryWrite.
type rawConn struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

// dial connects to host:port or to the path of a unix socket. The connection ends with t.
func dial(t testing.TB, addr string) *rawConn {
	t.Helper()
	conn, err := net.DialTimeout(networkOf(addr), addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(2 * patience))
	return &rawConn{t: t, conn: conn, r: bufio.NewReaderSize(conn, 64<<10)}
}

// send writes bytes.
func (c *rawConn) send(bytes string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, bytes); err != nil {
		c.t.Fatalf("cannot send %.60q: %v", bytes, err)
	}
}

// want reads as many bytes as it is given, and compares.
func (c *rawConn) want(bytes string) {
	c.t.Helper()
	got := make([]byte, len(bytes))
	n, err := io.ReadFull(c.r, got)
	if err != nil {
		c.t.Fatalf("got %s and then %v, want %s", short(string(got[:n])), err, short(bytes))
	}
	if string(got) != bytes {
		more, _ := c.r.Peek(c.r.Buffered())
		c.t.Fatalf("got %s, want %s", short(string(got)+string(more)), short(bytes))
	}
}

// line reads a line and returns it without its end.
func (c *rawConn) line() string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("got %s and then %v, want a line", short(line), err)
	}
	return strings.TrimSuffix(line, "\r\n")
}

// reply reads one Redis reply of any kind and returns its bytes.
func (c *rawConn) reply() string {
	c.t.Helper()
	got, err := readReply(c.r)
	if err != nil {
		c.t.Fatalf("got %s and then %v, want a reply", short(got), err)
	}
	return got
}

// ask sends one Redis command and returns the bytes of its reply.
func (c *rawConn) ask(args ...string) string {
	c.t.Helper()
	c.send(request(args...))
	return c.reply()
}

// wantClosed reads to the end, which must come at once: no byte, and no reset.
func (c *rawConn) wantClosed() {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	if err != nil || len(rest) > 0 {
		c.t.Fatalf("got %s and error %v, want the end of the connection", short(string(rest)), err)
	}
}

// wantGone is wantClosed that also takes a reset for an end.
func (c *rawConn) wantGone() {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	if len(rest) > 0 || (err != nil && !errors.Is(err, syscall.ECONNRESET)) {
		c.t.Fatalf("got %s and error %v, want the end of the connection", short(string(rest)), err)
	}
}

// wantSilence checks that nothing comes for a while.
func (c *rawConn) wantSilence(d time.Duration) {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(d))
	defer func() { _ = c.conn.SetReadDeadline(time.Now().Add(2 * patience)) }()
	got, err := c.r.Peek(1)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("got %q and error %v, want silence", got, err)
	}
}

// finish closes the client's half of the connection: the server reads its end.
func (c *rawConn) finish() {
	c.t.Helper()
	half, ok := c.conn.(interface{ CloseWrite() error })
	if !ok {
		c.t.Fatalf("%T has no halves", c.conn)
	}
	if err := half.CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
}

// close closes the connection before t ends.
func (c *rawConn) close() { _ = c.conn.Close() }

// abort closes the connection with a reset.
func (c *rawConn) abort() {
	if tcp, ok := c.conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.conn.Close()
}

// request is the bytes of a Redis command.
func request(args ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, arg := range args {
		b.WriteString(bulk(arg))
	}
	return b.String()
}

// bulk is the bytes of a Redis bulk string.
func bulk(text string) string { return "$" + strconv.Itoa(len(text)) + "\r\n" + text + "\r\n" }

// bulks is the bytes of a Redis array of bulk strings.
func bulks(texts ...string) string { return request(texts...) }

// readReply reads one reply of either protocol version and returns its bytes.
func readReply(r *bufio.Reader) (string, error) {
	var b strings.Builder
	err := copyReply(&b, r)
	return b.String(), err
}

func copyReply(b *strings.Builder, r *bufio.Reader) error {
	line, err := r.ReadString('\n')
	b.WriteString(line)
	if err != nil {
		return err
	}
	if !strings.HasSuffix(line, "\r\n") || len(line) < 3 {
		return fmt.Errorf("%q is not the line of a reply", line)
	}
	switch line[0] {
	case '+', '-', ':', '_', '#', ',', '(':
		return nil
	case '$', '*', '%', '~', '>', '=', '!':
	default:
		return fmt.Errorf("%q is not the line of a reply", line)
	}
	n, err := strconv.Atoi(line[1 : len(line)-2])
	if err != nil || n < 0 {
		return err
	}
	switch line[0] {
	case '%':
		n *= 2
	case '$', '=', '!':
		_, err := io.CopyN(b, r, int64(n)+2)
		return err
	}
	for range n {
		if err := copyReply(b, r); err != nil {
			return err
		}
	}
	return nil
}

// short is a text fit for a failure's message.
func short(text string) string {
	const most = 300
	if len(text) > most {
		return fmt.Sprintf("%q... (%d bytes)", text[:most], len(text))
	}
	return strconv.Quote(text)
}
