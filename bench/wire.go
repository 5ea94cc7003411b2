package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"nutmeg/bench/load"
)

// do sends a request on a plain connection and reads the response into buf,
// which it returns for the next call. A response with one wrong byte is an error.
func do(c net.Conn, e load.Exchange, buf []byte) ([]byte, error) {
	if _, err := c.Write(e.Request); err != nil {
		return buf, err
	}
	if cap(buf) < len(e.Response) {
		buf = make([]byte, len(e.Response))
	}
	buf = buf[:len(e.Response)]
	if n, err := io.ReadFull(c, buf); err != nil {
		return buf, fmt.Errorf("after %q: %w", clip(buf[:n]), err)
	}
	if !e.Right(buf) {
		return buf, fmt.Errorf("wrong response to %q: %q", clip(e.Request), clip(buf))
	}
	return buf, nil
}

// pipeline sends the exchanges over one connection, many at a time.
func pipeline(ctx context.Context, addr string, all []load.Exchange) error {
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	var buf []byte
	for len(all) > 0 {
		var requests, responses bytes.Buffer
		n := 0
		for ; n < len(all) && n < 128 && requests.Len() < megabyte; n++ {
			requests.Write(all[n].Request)
			responses.Write(all[n].Response)
		}
		if buf, err = do(c, load.Exchange{Request: requests.Bytes(), Response: responses.Bytes()}, buf); err != nil {
			return contextOr(ctx, err)
		}
		all = all[n:]
	}
	return nil
}

// dial connects; the end of ctx closes the connection, and none outlives a step.
func dial(ctx context.Context, addr string) (net.Conn, error) {
	c, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(stepLimit))
	watched := &watchedConn{Conn: c}
	watched.unwatch = context.AfterFunc(ctx, func() { _ = c.Close() })
	return watched, nil
}

// watchedConn is closed with a context, and forgets the context when closed.
type watchedConn struct {
	net.Conn
	unwatch func() bool
}

func (c *watchedConn) Close() error {
	c.unwatch()
	return c.Conn.Close()
}

// contextOr returns why ctx ended, if it has; err is then only a consequence.
func contextOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// clip shortens what an error message shows.
func clip(b []byte) []byte { return b[:min(len(b), 60)] }
