package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"nutmeg/bench/load"
	"nutmeg/internal/testkit"
)

// memoryShapes are the measurements that start a fresh proxy each time.
func memoryShapes(short bool) []shape {
	idle, late, pools, big := 5000, 512, 100, 100*megabyte
	patience, limit := 4*time.Second, time.Minute
	if short {
		idle, late, pools, big = 200, 20, 3, 4*megabyte
		patience, limit = 200*time.Millisecond, time.Second
	}
	return []shape{
		{
			id: "empty-rss", title: "memory of a proxy that has done nothing", rounds: 3, columns: []column{memoryColumn},
			fits: func(s *subject) bool { return s.launch != nil && !s.canned },
			measure: func(_ context.Context, _ *bed, s *subject, _ time.Duration) ([]float64, error) {
				return emptyRSS(s, patience)
			},
			bounds: []bound{atMost(colRSS, 12, "")},
		},
		{
			id: "idle-clients", title: fmt.Sprintf("memory of each of %d clients, idle after one GET, beside as many others", idle), rounds: 3,
			columns: []column{{name: colIdle, decimals: 2, ratio: true}, {name: colRSS, decimals: 1}},
			fits:    remembers,
			prepare: func(ctx context.Context, b *bed, _ *string) error { return b.fillRedis(ctx, few) },
			measure: func(ctx context.Context, _ *bed, s *subject, _ time.Duration) ([]float64, error) {
				return idleClients(ctx, s, idle, patience)
			},
			bounds: []bound{atMost(colIdle, 0.3, "")},
		},
		bigValueShape(big),
		burstShape(late, patience, limit),
		startShape(pools, 100),
	}
}

// remembers tells whether the memory of a subject says something.
func remembers(s *subject) bool { return s.launch != nil && !s.canned && s.redis != "" }

// emptyRSS is the memory of a proxy right after its start.
func emptyRSS(s *subject, patience time.Duration) ([]float64, error) {
	p, err := s.launch()
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return []float64{settledRSS(p.PID(), patience) / megabyte}, nil
}

// idleClients is what a proxy's memory grows by with each client that has sent
// one request and is silent since. Some load and as many other clients go first,
// so that what a proxy allocates once, for its servers and its buffers, and for
// its first collection of garbage, does not count.
func idleClients(ctx context.Context, s *subject, want int, patience time.Duration) ([]float64, error) {
	n := min(want, fileLimit()/4-50) // two descriptors for each, and there are twice as many; some to spare
	gets := few.exchanges(redisGet)
	p, err := launchUsed(ctx, s, gets)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	var settled [2]float64
	for i := range settled {
		conns, err := openIdle(ctx, p.redis, n, gets)
		for _, c := range conns {
			defer func() { _ = c.Close() }()
		}
		if err != nil {
			return nil, err
		}
		settled[i] = settledRSS(p.PID(), patience)
	}
	return []float64{(settled[1] - settled[0]) / 1024 / float64(n), settled[1] / megabyte}, nil
}

// launchUsed starts a proxy that has seen some load, and so has what it
// allocates once, for its servers and its buffers.
func launchUsed(ctx context.Context, s *subject, gets []load.Exchange) (*running, error) {
	p, err := s.launch()
	if err != nil {
		return nil, err
	}
	session, err := load.Dial(ctx, p.redis, load.Load{Clients: 50, Pipeline: 1, Exchanges: gets, Order: load.Uniform(len(gets))})
	if err == nil {
		_, err = session.Count(ctx, 5000)
		session.Close()
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// openIdle opens n connections that do one exchange each. The caller closes
// what it returns, also with an error.
func openIdle(ctx context.Context, addr string, n int, gets []load.Exchange) ([]net.Conn, error) {
	conns := make([]net.Conn, 0, n)
	var buf []byte
	for i := range n {
		c, err := dial(ctx, addr)
		if err != nil {
			return conns, fmt.Errorf("client %d of %d: %w", i+1, n, err)
		}
		conns = append(conns, c)
		if buf, err = do(c, gets[i%len(gets)], buf); err != nil {
			return conns, fmt.Errorf("client %d of %d: %w", i+1, n, contextOr(ctx, err))
		}
	}
	return conns, nil
}

// holder returns the one of the two servers that has the key, after the key was
// written through a proxy to empty servers.
func holder(ctx context.Context, servers [2]*testkit.Process, key string) (int, error) {
	exists := load.Exchange{Request: redisRequest("EXISTS", key), Response: []byte(":1\r\n")}
	for i, s := range servers {
		if pipeline(ctx, s.Addr(), []load.Exchange{exists}) == nil {
			return i, nil
		}
	}
	return 0, fmt.Errorf("neither server has %q after it was set", key)
}
