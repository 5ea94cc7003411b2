package admin

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// conn is one connection of the stats port. It holds a place until it is closed,
// and gives back the bytes that were read to sort it.
type conn struct {
	net.Conn
	server *Server
	head   []byte // read already; comes first out of Read
	once   sync.Once
}

// Read returns what was read to sort the connection, then what follows.
func (c *conn) Read(b []byte) (int, error) {
	if len(c.head) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.head)
	c.head = c.head[n:]
	if len(c.head) == 0 {
		c.head = nil
	}
	return n, nil
}

// CloseWrite tells the client that no more comes. net/http looks for it too.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Conn.Close()
}

// Close closes the connection and frees its place. It may be called again.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		err = c.Conn.Close()
		s := c.server
		s.mutex.Lock()
		delete(s.conns, c)
		s.mutex.Unlock()
		<-s.places
	})
	return err
}

// verdict says what the first bytes of a connection make it.
type verdict uint8

const (
	undecided   verdict = iota // more bytes are needed
	requestLine                // HTTP
	bare                       // nothing we read: wants the JSON as it is
	gone                       // reset or cut: wants nothing any more
)

// longestMethod is how many bytes an HTTP method has at most; the longest one
// registered is UPDATEREDIRECTREF with 17.
const longestMethod = 20

// judge says what a connection is that starts with head: HTTP if head starts
// with a method and a space. It needs at most longestMethod+1 bytes to decide.
func judge(head []byte) verdict {
	for i, b := range head {
		switch {
		case b == ' ' && i > 0:
			return requestLine
		case (b < 'A' || b > 'Z') && b != '-', i == longestMethod:
			return bare
		}
	}
	return undecided
}

// sort reads c until it can tell what it is, or until the time for it is over.
func (s *Server) sort(c *conn) verdict {
	if err := c.SetReadDeadline(time.Now().Add(s.limits.sort)); err != nil {
		return gone
	}
	buf := make([]byte, longestMethod+1)
	n := 0
	for n < len(buf) {
		m, err := c.Conn.Read(buf[n:])
		n += m
		if v := judge(buf[:n]); v != undecided {
			c.head = buf[:n]
			return v
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded):
			return bare // a client that has said all, as in "nc host port </dev/null", or that only listens
		default:
			return gone
		}
	}
	return bare
}

// serve runs a connection until it is answered or handed to net/http.
func (s *Server) serve(c *conn) {
	switch s.sort(c) {
	case requestLine:
		if c.SetReadDeadline(time.Time{}) == nil && s.handoff.give(c) {
			return // closing it is net/http's now
		}
	case bare:
		s.answerBare(s.ctx, c)
	}
	_ = c.Close()
}

// answerBare writes the JSON, as twemproxy does. When the counters cannot be had
// it writes nothing: to a reader that expects JSON an empty answer is a plain
// failure, any other text is a parse error. The reason goes to the log.
func (s *Server) answerBare(ctx context.Context, c *conn) {
	body, err := s.statsJSON(ctx)
	if err != nil {
		s.options.Log.Warn("closed a stats connection without an answer", "client", c.RemoteAddr(), "error", err)
		return
	}
	if c.SetWriteDeadline(time.Now().Add(s.limits.write)) != nil {
		return
	}
	if _, err := c.Write(body); err != nil {
		return
	}
	s.drain(c)
}

// drainBytes is how much a client may still send after its answer.
const drainBytes = 64 << 10

// drain ends the answer and reads what the client still sends, until it closes
// too or its time is over. To close with bytes unread would make the kernel reset
// the connection, and a client that gets the reset loses what it has not read.
func (s *Server) drain(c *conn) {
	if c.CloseWrite() != nil || c.SetReadDeadline(time.Now().Add(s.limits.drain)) != nil {
		return
	}
	c.head = nil
	_, _ = io.CopyN(io.Discard, c.Conn, drainBytes)
}

// handoff is the listener through which net/http gets its connections.
type handoff struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newHandoff() *handoff {
	return &handoff{conns: make(chan net.Conn), done: make(chan struct{})}
}

// give passes c on; false means that nobody accepts any more, and c stays the caller's.
func (h *handoff) give(c net.Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.done:
		return false
	}
}

// Accept returns the next connection given, or net.ErrClosed after Close.
func (h *handoff) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and give. It may be called again.
func (h *handoff) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr is required of a listener; there is no one address here.
func (h *handoff) Addr() net.Addr { return &net.TCPAddr{} }
