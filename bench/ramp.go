package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"nutmeg/bench/load"
)

// rampRate is the load before the top and after it, in requests a second: one
// worker is enough for it.
const rampRate = 5000

// Columns of the ramp that bounds refer to.
const (
	colLowCPU   = "CPU us/req, low"
	colAgainCPU = "CPU us/req, low again"
)

var rampColumns = []column{
	{name: colLowCPU, decimals: 2, ratio: true, quartile: true},
	{name: "CPU us/req, high", decimals: 2, ratio: true, quartile: true},
	{name: colAgainCPU, decimals: 2, ratio: true, quartile: true},
	{name: "req/s, high", ratio: true},
	{name: "slowest ms, high", decimals: 2},
	{name: "slowest ms, low again", decimals: 2},
	{name: "workers, low"},
	{name: "workers, high"},
	{name: "workers, low again"},
	{name: "client moves"},
}

// rampTimes are how long each phase goes on before its CPU counts, and then how
// long it counts. Workers take their time, so this is not a matter of -time.
type rampTimes struct {
	settle [3]time.Duration
	length time.Duration
}

// rampShape has the load of one process go up and down. Workers come to life
// with it, and when it is over all should be as cheap as with a single worker.
func rampShape(short bool) shape {
	// A worker looks back on a second before it decides, and keeps clients that
	// it has got for three.
	k, times := small, rampTimes{[3]time.Duration{time.Second, 2 * time.Second, 4 * time.Second}, 2 * time.Second}
	if short {
		const moment = 20 * time.Millisecond
		k, times = few, rampTimes{[3]time.Duration{moment, moment, moment}, moment}
	}
	l := load.Load{Clients: 50, Pipeline: 1}
	return shape{
		id: "ramp", rounds: 3, fresh: true,
		title:   fmt.Sprintf("GET 64 B, %d clients: %d a second, as fast as they can, %d a second", l.Clients, rampRate, rampRate),
		columns: rampColumns,
		fits:    remembers,
		prepare: func(ctx context.Context, b *bed, _ *string) error {
			l.Exchanges, l.Order = k.exchanges(redisGet), load.Uniform(k.keys)
			return b.fillRedis(ctx, k)
		},
		measure: func(ctx context.Context, _ *bed, s *subject, _ time.Duration) ([]float64, error) {
			return ramp(ctx, s, l, times)
		},
		bounds: []bound{atMost(colLowCPU, 1.05, nutmegOne), atMost(colAgainCPU, 1.05, nutmegOne)},
	}
}

// ramp loads a subject that has just been started. The clients stay connected
// from phase to phase.
func ramp(ctx context.Context, s *subject, l load.Load, times rampTimes) ([]float64, error) {
	session, err := dialSession(ctx, s, overRedis, l)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	open := func(ctx context.Context, length time.Duration) (load.Outcome, error) {
		return session.Open(ctx, rampRate, length)
	}
	var p [3]rampPhase
	for i, send := range []sender{open, session.Closed, open} {
		if p[i], err = measurePhase(ctx, s, send, times.settle[i], times.length); err != nil {
			return nil, err
		}
	}
	low, high, again := p[0], p[1], p[2]
	return []float64{
		low.cpu, high.cpu, again.cpu, high.rate, high.slowest, again.slowest,
		low.workers.InUse, high.workers.InUse, again.workers.InUse, again.workers.Moves,
	}, nil
}

// sender sends load for some time.
type sender func(ctx context.Context, length time.Duration) (load.Outcome, error)

// rampPhase is what was measured while the load stayed the same.
type rampPhase struct {
	cpu, rate float64      // once it had settled
	slowest   float64      // response from the change of load on, in milliseconds
	workers   workersState // at the end
}

func measurePhase(ctx context.Context, s *subject, send sender, settle, length time.Duration) (p rampPhase, err error) {
	settling, err := send(ctx, settle)
	if err != nil {
		return p, err
	}
	before, cpuErr := s.usage()
	out, err := send(ctx, length)
	if err != nil {
		return p, err
	}
	each, _ := costSince(s, before, cpuErr, out.Requests)
	p.cpu, p.rate = each.total, float64(out.Requests)/out.Took.Seconds()
	p.slowest = max(load.Millis(settling.Latency, 100), load.Millis(out.Latency, 100))
	p.workers, err = askWorkers(ctx, s.proxy.StatsAddr())
	return p, err
}

// workersState is what a process says of its workers.
type workersState struct {
	InUse float64 `json:"workers_in_use"`
	Moves float64 `json:"client_moves"` // since the start
}

// askWorkers asks a stats port. What it does not speak of is unknown, and so is
// all of a proxy without such a port.
func askWorkers(ctx context.Context, addr string) (workersState, error) {
	w := workersState{unknown(), unknown()}
	if addr == "" {
		return w, nil
	}
	c, err := dial(ctx, addr)
	if err != nil {
		return w, fmt.Errorf("cannot ask the stats port: %w", contextOr(ctx, err))
	}
	defer func() { _ = c.Close() }()
	if err := json.NewDecoder(c).Decode(&w); err != nil {
		return w, fmt.Errorf("cannot read the statistics: %w", contextOr(ctx, err))
	}
	return w, nil
}
