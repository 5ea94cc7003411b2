package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"nutmeg/bench/load"
)

// openColumns are those of the open loop. The rate is given, so how much of it
// was answered and when is what counts, and what of that the proxy adds. The last column is what the load tool
// itself adds to the latency, because it sends late.
var openColumns = []column{
	{name: colRate},
	{name: colP50, decimals: 3, quartile: true},
	{name: colAdded, added: colP50, decimals: 3, quartile: true},
	{name: colP99, decimals: 3, ratio: true, quartile: true},
	{name: colP999, decimals: 2},
	{name: colCPU, decimals: 2, ratio: true, floor: true},
	{name: "user", decimals: 2},
	{name: "system", decimals: 2},
	{name: "sent late p99", decimals: 3},
}

// openShapes send at fixed rates.
func openShapes(short bool) []shape {
	k := small
	if short {
		k = few
	}
	fixed := func(perSecond float64) func(*bed) float64 { return func(*bed) float64 { return perSecond } }
	part := func(percent float64) func(*bed) float64 {
		return func(b *bed) float64 { return b.capacity * percent / 100 }
	}
	// With little to do, more workers should not cost more.
	idling := atMost(colCPU, 1.05, nutmegOne)
	stall := atMost(colP999, 1, nutcracker)
	return []shape{
		openShape("open-20000", k, "GET 64 B at 20,000 a second", fixed(20_000),
			atMost(colCPU, 0.75, nutcracker), atMost(colP50, 1, nutcracker), stall, idling),
		openShape("open-10", k, "GET 64 B at 10 % of nutcracker's capacity", part(10), idling),
		openShape("open-50", k, "GET 64 B at 50 % of nutcracker's capacity", part(50), stall, atMost(colAdded, 0.060, "")),
		openShape("open-80", k, "GET 64 B at 80 % of nutcracker's capacity", part(80)),
	}
}

func openShape(id string, k keyspace, title string, rate func(*bed) float64, bounds ...bound) shape {
	l := load.Load{Clients: 50, Pipeline: 1}
	var perSecond float64 // from prepare on
	return shape{
		id: id, title: title, columns: openColumns, fresh: true, bounds: bounds,
		prepare: func(ctx context.Context, b *bed, title *string) (err error) {
			l.Exchanges, l.Order = k.exchanges(redisGet), load.Uniform(k.keys)
			if err := b.fillRedis(ctx, k); err != nil {
				return err
			}
			if _, err := b.tellFloor(l.Exchanges); err != nil {
				return err
			}
			if perSecond = rate(b); perSecond == 0 {
				if b.capacity, err = b.measureCapacity(ctx, l); err != nil {
					return err
				}
				perSecond = rate(b)
			}
			if !strings.HasSuffix(*title, "a second") {
				*title += fmt.Sprintf(": %.0f a second", perSecond)
			}
			return nil
		},
		measure: func(ctx context.Context, _ *bed, s *subject, length time.Duration) ([]float64, error) {
			return sampleOpen(ctx, s, l, perSecond, 3*length)
		},
		calls: func(ctx context.Context, s *subject, length time.Duration) (map[string]float64, error) {
			return countCalls(ctx, s, overRedis, l, length, func(session *load.Session, ctx context.Context, length time.Duration) (load.Outcome, error) {
				return session.Open(ctx, perSecond, length)
			})
		},
	}
}

// sampleOpen loads a subject that has just been started.
func sampleOpen(ctx context.Context, s *subject, l load.Load, perSecond float64, length time.Duration) ([]float64, error) {
	session, err := dialSession(ctx, s, overRedis, l)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	if _, err := session.Closed(ctx, length/15); err != nil {
		return nil, err
	}
	before, cpuErr := s.usage()
	out, err := session.Open(ctx, perSecond, length)
	if err != nil {
		return nil, err
	}
	each, _ := costSince(s, before, cpuErr, out.Requests)
	return []float64{
		float64(out.Requests) / out.Took.Seconds(),
		load.Millis(out.Latency, 50), load.Millis(out.Latency, 99), load.Millis(out.Latency, 99.9),
		each.total, each.user, each.system, load.Millis(out.Late, 99),
	}, nil
}

// measureCapacity returns how many requests a second nutcracker answers in a
// closed loop: the median of three.
func (b *bed) measureCapacity(ctx context.Context, l load.Load) (float64, error) {
	for _, s := range b.subjects {
		if s.name != nutcracker {
			continue
		}
		var rates []float64
		for range 3 {
			if err := s.revive(); err != nil {
				return 0, err
			}
			sample, err := sampleClosed(ctx, s, overRedis, l, 500*time.Millisecond)
			if err != nil {
				return 0, fmt.Errorf("cannot measure nutcracker's capacity: %w", err)
			}
			rates = append(rates, sample[0])
		}
		return spreadOf(rates).median, nil
	}
	return 0, fmt.Errorf("%w without nutcracker, whose capacity it is a part of", errUnfit)
}

// errUnfit is a shape that cannot be measured here, or not of a subject; it is
// left out.
var errUnfit = errors.New("cannot be measured")
