package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// clients is how many connections every load has.
const clients = 50

// exchange is one request and the only right response to it, both as bytes on
// the wire; so this load tool works for any protocol and checks every answer.
type exchange struct{ request, response []byte }

// exchangeLoad sends exchanges, one at a time on each connection.
type exchangeLoad struct {
	clients   int
	exchanges []exchange
	pace      time.Duration   // between two requests of a client; 0 for none
	until     <-chan struct{} // ends a paced load early when closed
}

// run sends the given number of requests, and is measured as redis-benchmark
// measures: the time of a request starts with its write.
func (l exchangeLoad) run(ctx context.Context, addr string, requests int) (outcome, error) {
	began := time.Now()
	times, err := l.drive(ctx, addr, max(1, requests/l.clients))
	if err != nil {
		return outcome{}, err
	}
	result := summary(times)
	result.perSecond = float64(result.requests) / time.Since(began).Seconds()
	return result, nil
}

// drive has every client send the given number of requests, fewer if until is closed.
// It returns the histogram of the times in nanoseconds.
func (l exchangeLoad) drive(ctx context.Context, addr string, each int) (*hdrhistogram.Histogram, error) {
	var (
		group sync.WaitGroup
		times = make([]*hdrhistogram.Histogram, l.clients)
		errs  = make([]error, l.clients)
	)
	for i := range l.clients {
		times[i] = newHistogram()
		group.Go(func() { errs[i] = l.client(ctx, addr, i, each, times[i]) })
	}
	group.Wait()
	for _, h := range times[1:] {
		times[0].Merge(h)
	}
	return times[0], errors.Join(errs...)
}

// client is one connection's life.
func (l exchangeLoad) client(ctx context.Context, addr string, number, each int, times *hdrhistogram.Histogram) error {
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	var tick <-chan time.Time
	if l.pace > 0 {
		ticker := time.NewTicker(l.pace)
		defer ticker.Stop()
		tick = ticker.C
	}
	var buf []byte
	next := number * len(l.exchanges) / l.clients // the clients start apart
	for range each {
		if tick != nil {
			select {
			case <-tick:
			case <-l.until:
				return nil
			}
		}
		began := time.Now()
		if buf, err = l.exchanges[next].do(c, buf); err != nil {
			return fmt.Errorf("%s, client %d: %w", addr, number, contextOr(ctx, err))
		}
		_ = times.RecordValue(int64(time.Since(began))) // beyond its range means over a minute: dial's deadline is shorter
		next = (next + 1) % len(l.exchanges)
	}
	return nil
}

// do sends the request and reads the response into buf, which it returns for
// the next call. A response with one wrong byte is an error.
func (e exchange) do(c net.Conn, buf []byte) ([]byte, error) {
	if _, err := c.Write(e.request); err != nil {
		return buf, err
	}
	if cap(buf) < len(e.response) {
		buf = make([]byte, len(e.response))
	}
	buf = buf[:len(e.response)]
	if n, err := io.ReadFull(c, buf); err != nil {
		return buf, fmt.Errorf("after %q: %w", clip(buf[:n]), err)
	}
	if !bytes.Equal(buf, e.response) {
		return buf, fmt.Errorf("wrong response to %q: %q", clip(e.request), clip(buf))
	}
	return buf, nil
}

// dial connects; the end of ctx closes the connection, and none outlives a minute.
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

// newHistogram counts nanoseconds from a microsecond to a minute, to three digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1000, int64(stepLimit), 3)
}

// summary turns a histogram of nanoseconds into milliseconds.
func summary(times *hdrhistogram.Histogram) outcome {
	ms := func(p float64) float64 { return float64(times.ValueAtPercentile(p)) / 1e6 }
	return outcome{requests: int(times.TotalCount()), p50: ms(50), p99: ms(99)}
}

// clip shortens what an error message shows.
func clip(b []byte) []byte { return b[:min(len(b), 60)] }
