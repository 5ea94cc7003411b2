//go:build unix

package handover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// kind is what a message says.
type kind uint8

const (
	kindHello     kind = iota + 1 // old to new: magic, version
	kindListener                  // old to new: name; with a descriptor
	kindListening                 // old to new: that were all listeners
	kindReady                     // new to old
	kindFailed                    // new to old: the reason
	kindClient                    // old to new: length of the pool's name, the name, the state; with a descriptor
	kindReceipt                   // new to old: the oldest client without a receipt has been received
	kindEnd                       // old to new: that were all clients
	kindStopped                   // new to old: do not go on in my place
)

// message is a header, a body, and at most one descriptor, which belongs to whoever holds the message.
//
//	kind, 1 byte │ descriptors, 1 byte │ 0, 2 bytes │ size of the body, 4 bytes, big-endian │ body
type message struct {
	kind kind
	body []byte
	fd   int // -1 = none
}

const (
	headerBytes = 8
	maxBody     = 2 + maxName + MaxState
	// maxFDs is how many descriptors there is room for: those that are too many must be closed, so they must be seen.
	maxFDs = 8
)

// channel is one end of the socketpair. One goroutine may receive; any may send.
type channel struct {
	conn *net.UnixConn
	mu   sync.Mutex // a message is sent as a whole
}

// newChannel makes a channel of a socket, and closes the file.
func newChannel(file *os.File) (*channel, error) {
	conn, err := net.FileConn(file)
	_ = file.Close() // conn has a copy
	if err != nil {
		return nil, err
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		_ = conn.Close()
		return nil, errors.New("it is no unix socket")
	}
	return &channel{conn: unixConn}, nil
}

func (c *channel) close() { _ = c.conn.Close() }

// setDeadline bounds all that is sent and received; the zero time is no bound.
func (c *channel) setDeadline(t time.Time) { _ = c.conn.SetDeadline(t) }

// send sends a message. The descriptor, if any, stays the caller's. After an error the channel is of no use any more: a
// part of the message may have gone.
func (c *channel) send(m message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	head := make([]byte, headerBytes)
	head[0] = byte(m.kind)
	binary.BigEndian.PutUint32(head[4:], uint32(len(m.body)))
	var rights []byte
	if m.fd >= 0 {
		head[1] = 1
		rights = syscall.UnixRights(m.fd)
	}
	// The descriptor goes with the first byte, so the receiver has it when it has the header.
	n, _, err := c.conn.WriteMsgUnix(head, rights, nil)
	if err == nil && n < len(head) {
		_, err = c.conn.Write(head[n:])
	}
	if err == nil && len(m.body) > 0 {
		_, err = c.conn.Write(m.body)
	}
	return err
}

// receive returns the next message. The error is io.EOF when the other side ended the connection between two messages.
func (c *channel) receive() (message, error) {
	head := make([]byte, headerBytes)
	fds, err := c.receiveHead(head)
	m := message{kind: kind(head[0]), fd: -1}
	size := binary.BigEndian.Uint32(head[4:])
	switch {
	case err != nil:
	case len(fds) != int(head[1]) || len(fds) > 1:
		err = fmt.Errorf("a message has %d descriptors and announces %d", len(fds), head[1])
	case size > maxBody:
		err = fmt.Errorf("a message of %d bytes is too long", size)
	case size > 0:
		m.body = make([]byte, size)
		if _, err = io.ReadFull(c.conn, m.body); errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
	}
	if err != nil {
		closeAll(fds)
		return message{fd: -1}, err
	}
	if len(fds) == 1 {
		m.fd = fds[0]
	}
	return m, nil
}

// receiveHead fills head, and returns the descriptors that came with it.
func (c *channel) receiveHead(head []byte) (fds []int, err error) {
	rights := make([]byte, syscall.CmsgSpace(maxFDs*4))
	for filled := 0; filled < len(head); {
		n, rightBytes, flags, _, err := c.conn.ReadMsgUnix(head[filled:], rights)
		if rightBytes > 0 {
			more, parseErr := parseRights(rights[:rightBytes])
			fds = append(fds, more...)
			err = errors.Join(err, parseErr)
		}
		filled += n
		switch {
		case errors.Is(err, io.EOF), err == nil && n == 0:
			err = io.EOF
			if filled > 0 {
				err = io.ErrUnexpectedEOF
			}
		case err == nil && flags&syscall.MSG_CTRUNC != 0:
			err = errors.New("the system had no descriptor left for one that was sent; raise the limit of open files")
		}
		if err != nil {
			return fds, err
		}
	}
	return fds, nil
}

func parseRights(rights []byte) (fds []int, err error) {
	messages, err := syscall.ParseSocketControlMessage(rights)
	for i := range messages {
		more, parseErr := syscall.ParseUnixRights(&messages[i])
		fds = append(fds, more...)
		err = errors.Join(err, parseErr)
	}
	return fds, err
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = syscall.Close(fd) // nobody has used it
	}
}
