package main

import (
	"context"
	"fmt"
	"time"

	"nutmeg/bench/load"
)

// burstRequests is how many values of 16 KiB each client of the burst asks for.
const burstRequests = 64

// burstShape is whether a proxy gives memory back: it has to keep much of what
// clients have asked for and do not read. Then they read all of it, and leave. It
// has been given back when no more is resident than 1.25 times what was at rest,
// and 4 MB.
func burstShape(clients int, patience, limit time.Duration) shape {
	return shape{
		id: "burst", rounds: 1,
		title: fmt.Sprintf("%d clients ask for %d values of 16 KiB each, read late, and leave", clients, burstRequests),
		columns: []column{
			{name: "RSS MB at rest", decimals: 1},
			{name: "peak RSS MB", decimals: 1, ratio: true},
			{name: colBack, decimals: 1},
			{name: "RSS MB then", decimals: 1},
		},
		fits:    remembers,
		prepare: func(ctx context.Context, b *bed, _ *string) error { return b.fillRedis(ctx, large) },
		measure: func(ctx context.Context, _ *bed, s *subject, _ time.Duration) ([]float64, error) {
			return burst(ctx, s, clients, patience, limit)
		},
		bounds: []bound{below(colBack, limit.Seconds(), "")}, // the limit itself is that of those who never do
	}
}

// burst measures a fresh proxy, for its peak of memory is remembered.
func burst(ctx context.Context, s *subject, clients int, patience, limit time.Duration) ([]float64, error) {
	p, err := launchUsed(ctx, s, large.exchanges(redisGet))
	if err != nil {
		return nil, err
	}
	defer p.Close()
	rest := settledRSS(p.PID(), patience)
	if err := readLate(ctx, p.redis, clients, func() { settledRSS(p.PID(), patience) }); err != nil {
		return nil, err
	}
	peak := peakRSS(p.PID())
	took, err := waitForRSS(ctx, p.PID(), 1.25*rest+4*megabyte, limit)
	return []float64{rest / megabyte, peak / megabyte, took.Seconds(), rss(p.PID()) / megabyte}, err
}

// readLate has clients send all their requests, waits for what happens
// meanwhile, and only then reads the responses, of one client after the other.
func readLate(ctx context.Context, addr string, clients int, meanwhile func()) error {
	var whole load.Exchange
	for i := range burstRequests {
		get := redisGet(i, large.size)
		whole.Request, whole.Response = append(whole.Request, get.Request...), append(whole.Response, get.Response...)
	}
	conns, err := openIdle(ctx, addr, clients, []load.Exchange{{Request: whole.Request}})
	for _, c := range conns {
		defer func() { _ = c.Close() }()
	}
	if err != nil {
		return err
	}
	meanwhile()
	var buf []byte
	for i, c := range conns {
		if buf, err = do(c, load.Exchange{Response: whole.Response}, buf); err != nil {
			return fmt.Errorf("client %d of %d, which reads late: %w", i+1, clients, contextOr(ctx, err))
		}
	}
	return nil
}

// waitForRSS returns how long it takes until no more than so many bytes are
// resident in the process; limit if that is longer.
func waitForRSS(ctx context.Context, pid int, most float64, limit time.Duration) (time.Duration, error) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for rss(pid) > most {
		select {
		case <-ctx.Done():
			return limit, context.Cause(ctx)
		case <-tick.C:
		}
		if time.Since(began) >= limit {
			return limit, nil
		}
	}
	return time.Since(began), nil
}
