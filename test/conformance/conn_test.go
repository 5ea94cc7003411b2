package conformance

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// patience bounds the wait for a reply: longer than that is a hang. Under the race detector a loaded machine is slow.
const patience = 5 * time.Second

// patienceRefused is the same after a refusal: a message that nobody has subscribed to does not come.
const patienceRefused = 200 * time.Millisecond

var errGarbage = errors.New("not the protocol")

// status is how the wait for a reply ended.
type status uint8

const (
	replied status = iota
	hung
	closed
	garbage
	dead // the connection hung or was closed before
)

var statusNames = [...]string{"a reply", "no reply in time", "connection closed", "bytes that are not the protocol", "(connection given up)"}

func (s status) String() string { return statusNames[s] }

// outcome is one reply, or why there is none.
type outcome struct {
	line   string // of the case
	rule   rule
	status status
	value  value
	raw    []byte
}

// conn is a client's connection.
type conn struct {
	net    net.Conn
	in     *bufio.Reader
	resp3  bool
	pushes []outcome // read while something else was waited for
	queued []byte    // bytes of commands that go with the next one
	owed   []step    // the steps of these bytes
	ended  status    // why it is over; replied while it is not
	waits  int       // replies of opSend that nobody has read
}

func dial(addr string) (*conn, error) {
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	return &conn{net: c, in: bufio.NewReaderSize(c, 64<<10)}, nil
}

// send writes bytes; that the peer has closed the connection shows when its reply is read.
func (c *conn) send(data []byte) {
	if c.ended != replied {
		return
	}
	_ = c.net.SetWriteDeadline(time.Now().Add(patience))
	_, _ = c.net.Write(data)
}

// read waits for the next reply; with pushes, also for messages that belong to no command.
func (c *conn) read(pushes bool, limit time.Duration) (o outcome) {
	if pushes && len(c.pushes) > 0 {
		o, c.pushes = c.pushes[0], c.pushes[1:]
		return o
	}
	for {
		o = c.readNext(limit)
		if pushes || o.status != replied || o.value.kind != '>' {
			return o
		}
		c.pushes = append(c.pushes, o)
	}
}

func (c *conn) readNext(limit time.Duration) (o outcome) {
	if c.ended != replied {
		return outcome{status: dead}
	}
	_ = c.net.SetReadDeadline(time.Now().Add(limit))
	v, raw, err := readValue(c.in)
	o = outcome{value: v, raw: raw, status: statusOf(err)}
	c.ended = o.status
	return o
}

func statusOf(err error) status {
	switch {
	case err == nil:
		return replied
	case errors.Is(err, errGarbage):
		return garbage
	case errors.Is(err, os.ErrDeadlineExceeded):
		return hung
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return closed
	}
	return garbage
}

// readable reports whether something has come, or the connection has ended, without waiting for it.
func (c *conn) readable() bool {
	_ = c.net.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.in.Peek(1)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

func (c *conn) close() { _ = c.net.Close() }
