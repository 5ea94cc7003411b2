package load

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// conn is one client.
type conn struct {
	fd     int
	number int      // its place in Session.conns
	next   int      // its place in the order
	queue  []flight // requests without a response, from head on
	head   int
	done   int    // bytes of the oldest one's response that have come
	got    []byte // those bytes, where the order of blocks is free
	unsent []byte // what the kernel has not taken yet; EPOLLOUT is asked for
}

// flight is a request without a response.
type flight struct {
	exchange uint32
	due      int64 // when its time began
}

// take picks the client's next exchange and puts it into the queue.
func (s *Session) take(c *conn, due int64) *Exchange {
	pick := s.load.Order[c.next]
	if c.next++; c.next == len(s.load.Order) {
		c.next = 0
	}
	c.queue = append(c.queue, flight{pick, due})
	s.inFlight++
	return &s.load.Exchanges[pick]
}

// send sends n requests of a client in one write.
func (s *Session) send(c *conn, n int, due int64) error {
	if n == 1 {
		request := s.take(c, due).Request
		return s.write(c, request, false)
	}
	s.batch = s.batch[:0]
	for range n {
		s.batch = append(s.batch, s.take(c, due).Request...)
	}
	return s.write(c, s.batch, true)
}

// write sends b after what is unsent. What the kernel does not take is kept,
// as a copy if b will change.
func (s *Session) write(c *conn, b []byte, changes bool) error {
	if len(c.unsent) > 0 {
		c.unsent = append(c.unsent, b...)
		return nil
	}
	n, err := transmit(c.fd, b)
	if err != nil || n == len(b) {
		return err
	}
	if b = b[n:len(b):len(b)]; changes {
		b = bytes.Clone(b)
	}
	c.unsent = b
	return s.watch(c, unix.EPOLLIN|unix.EPOLLOUT)
}

// flush sends what is unsent when the kernel has room again.
func (s *Session) flush(c *conn) error {
	n, err := transmit(c.fd, c.unsent)
	if err != nil {
		return err
	}
	if c.unsent = c.unsent[n:]; len(c.unsent) > 0 {
		return nil
	}
	c.unsent = nil
	return s.watch(c, unix.EPOLLIN)
}

// watch says what the poller reports of the connection.
func (s *Session) watch(c *conn, events uint32) error {
	return unix.EpollCtl(s.poller, unix.EPOLL_CTL_MOD, c.fd, &unix.EpollEvent{Events: events, Fd: int32(c.number)})
}

func transmit(fd int, b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, err := unix.Write(fd, b)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("cannot send: %w", err)
	}
	return n, nil
}

// receive reads once and goes through the responses.
func (s *Session) receive(c *conn) error {
	n, err := unix.Read(c.fd, s.buf)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return fmt.Errorf("cannot receive: %w", err)
	case n == 0:
		return errors.New("the other side has closed the connection")
	}
	now := s.now()
	for b := s.buf[:n]; len(b) > 0; {
		if c.head == len(c.queue) {
			return fmt.Errorf("a response that nobody asked for: %q", clip(b))
		}
		f := c.queue[c.head]
		used, err := s.response(c, &s.load.Exchanges[f.exchange], b)
		if err != nil {
			return err
		}
		if b = b[used:]; c.done == 0 {
			_ = s.out.Latency.RecordValue(now - f.due) // never beyond its range: stallLimit is shorter
			s.out.Requests++
			s.inFlight--
			c.head++
		}
	}
	if c.head < len(c.queue) {
		return nil
	}
	c.queue, c.head = c.queue[:0], 0
	return s.answered(c)
}

// response compares the next bytes with the rest of a response, and returns
// how many belong to it. c.done is 0 after the last one.
func (s *Session) response(c *conn, e *Exchange, b []byte) (int, error) {
	n := min(len(b), len(e.Response)-c.done)
	b = b[:n]
	whole := c.done+n == len(e.Response)
	switch {
	case s.load.Loose:
	case e.Blocks == 0:
		if !bytes.Equal(b, e.Response[c.done:c.done+n]) {
			return 0, fmt.Errorf("wrong response to %q after %d bytes: %q, not %q", clip(e.Request), c.done, clip(b), clip(e.Response[c.done:]))
		}
	default:
		if c.got = append(c.got, b...); whole {
			if !e.Right(c.got) {
				return 0, fmt.Errorf("wrong response to %q: %q", clip(e.Request), clip(c.got))
			}
			c.got = c.got[:0]
		}
	}
	if c.done += n; whole {
		c.done = 0
	}
	return n, nil
}
