package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"nutmeg/internal/testkit"
)

// memoryShapes are the measurements that start a fresh proxy each time.
func memoryShapes(short bool) []shape {
	idle, big := 5000, 100*megabyte
	if short {
		idle, big = 200, 4*megabyte
	}
	fill64 := func(ctx context.Context, b *bed) error { return b.fillRedis(ctx, keys, smallSize) }
	return []shape{
		{
			id: "empty-rss", title: "memory of a proxy that has done nothing", rounds: 3, needsProxy: true,
			columns: []column{{colRSS, 1, true}},
			measure: func(_ context.Context, _ *bed, s *subject, _ int) ([]float64, error) { return emptyRSS(s) },
			bounds:  []bound{{column: colRSS, most: 15}},
		},
		{
			id: "idle-clients", title: fmt.Sprintf("memory of each of %d clients, idle after one GET", idle), rounds: 3, needsProxy: true,
			columns: []column{{"KB/client", 2, true}, {colRSS, 1, false}},
			prepare: fill64,
			measure: func(ctx context.Context, _ *bed, s *subject, _ int) ([]float64, error) {
				return idleClients(ctx, s, idle)
			},
			bounds: []bound{{column: "KB/client", most: 0.5}},
		},
		bigValueShape(big),
	}
}

// emptyRSS is the memory of a proxy right after its start.
func emptyRSS(s *subject) ([]float64, error) {
	p, _, _, err := s.launch()
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return []float64{settledRSS(p.PID(), 3*time.Second) / megabyte}, nil
}

// idleClients is what a proxy's memory grows by with each client that has sent
// one request and is silent since. Some load goes first, so that what a proxy
// allocates once, for its servers and its buffers, does not count.
func idleClients(ctx context.Context, s *subject, want int) ([]float64, error) {
	n := min(want, fileLimit()/2) // a descriptor for each on both sides, and some to spare
	p, addr, _, err := s.launch()
	if err != nil {
		return nil, err
	}
	defer p.Close()
	gets := exchanges(100, smallSize, redisGet)
	if _, err := (exchangeLoad{clients: clients, exchanges: gets}).run(ctx, addr, 100*clients); err != nil {
		return nil, err
	}
	before := settledRSS(p.PID(), 5*time.Second)
	conns, err := openIdle(ctx, addr, n, gets)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	if err != nil {
		return nil, err
	}
	after := settledRSS(p.PID(), 5*time.Second)
	return []float64{(after - before) / 1024 / float64(n), after / megabyte}, nil
}

// openIdle opens n connections that do one exchange each. The caller closes
// what it returns, also with an error.
func openIdle(ctx context.Context, addr string, n int, gets []exchange) ([]net.Conn, error) {
	conns := make([]net.Conn, 0, n)
	var buf []byte
	for i := range n {
		c, err := dial(ctx, addr)
		if err != nil {
			return conns, fmt.Errorf("client %d of %d: %w", i+1, n, err)
		}
		conns = append(conns, c)
		if buf, err = gets[i%len(gets)].do(c, buf); err != nil {
			return conns, fmt.Errorf("client %d of %d: %w", i+1, n, contextOr(ctx, err))
		}
	}
	return conns, nil
}

// holder returns the one of the two servers that has the key, after the key was
// written through a proxy to empty servers.
func holder(ctx context.Context, servers [2]*testkit.Process, key string) (int, error) {
	exists := exchange{
		request:  fmt.Appendf(nil, "EXISTS %s\r\n", key),
		response: []byte(":1\r\n"),
	}
	for i, s := range servers {
		if pipeline(ctx, s.Addr(), []exchange{exists}) == nil {
			return i, nil
		}
	}
	return 0, fmt.Errorf("neither server has %q after it was set", key)
}
