package main

import (
	"context"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The other clients of the big value's shape: few and slow enough that what
// they wait for is the proxy and not each other.
const (
	otherClients = 4
	otherPace    = time.Millisecond
	bigTrips     = 3
	bigKey       = "big"
)

// bigValueShape sends one huge value to the proxy and back, while other clients
// go on with small ones: those on the server that the big value goes to, which
// is busy with it, and those on the other server.
func bigValueShape(size int) shape {
	const peak, same, other = "peak RSS/size", "p99 ms, same server", "p99 ms, other server"
	return shape{
		id: "big-value", rounds: 3,
		title:   fmt.Sprintf("SET and GET of one value of %d MB, byte by byte; meanwhile %d clients on each server GET 64 B", size/megabyte, otherClients),
		columns: []column{{"MB/s", 0, true}, {peak, 2, true}, {same, 2, true}, {other, 2, true}},
		measure: func(ctx context.Context, b *bed, s *subject, _ int) ([]float64, error) {
			return bigValue(ctx, b, s, size)
		},
		// No bound on the same server: it is busy itself, as the direct subject shows.
		bounds: []bound{{column: peak, most: 2.5}, {column: other, most: 20}},
	}
}

// bigValue measures a fresh proxy, for its peak of memory is remembered.
func bigValue(ctx context.Context, b *bed, s *subject, size int) ([]float64, error) {
	addr, pid := s.redis, 0
	if s.proxy != nil {
		p, redis, _, err := s.launch()
		if err != nil {
			return nil, err
		}
		defer p.Close()
		addr, pid = redis, p.PID()
	}
	groups, err := b.splitByServer(ctx, addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.fillRedis(context.WithoutCancel(ctx), 0, 0) }() // frees the servers' memory

	content := value(size)
	trip := []exchange{redisSet(bigKey, content), redisGet(bigKey, content)}
	done := make(chan struct{})
	watched := make(chan othersResult)
	go func() { watched <- watchOthers(ctx, addr, groups, done) }()
	began := time.Now()
	err = roundTrips(ctx, addr, trip)
	took := time.Since(began)
	close(done)
	others := <-watched
	if err != nil {
		return nil, err
	}
	if others.err != nil {
		return nil, fmt.Errorf("another client, meanwhile: %w", others.err)
	}
	sample := []float64{2 * bigTrips * float64(size) / megabyte / took.Seconds(), unknown(), others.p99[0], others.p99[1]}
	if pid != 0 {
		sample[1] = peakRSS(pid) / float64(size)
	}
	return sample, nil
}

// splitByServer stores small values through addr and returns their GETs: first
// those that live on the server of the big key, then the rest.
func (b *bed) splitByServer(ctx context.Context, addr string) (groups [2][]exchange, err error) {
	if err := b.fillRedis(ctx, 0, 0); err != nil {
		return groups, err
	}
	all := append(exchanges(32, smallSize, redisSet), redisSet(bigKey, "x"))
	if err := pipeline(ctx, addr, all); err != nil {
		return groups, err
	}
	home, err := holder(ctx, b.redis, bigKey)
	if err != nil {
		return groups, err
	}
	for i, get := range exchanges(32, smallSize, redisGet) {
		server, err := holder(ctx, b.redis, keyName(i))
		if err != nil {
			return groups, err
		}
		group := 0
		if server != home {
			group = 1
		}
		groups[group] = append(groups[group], get)
	}
	return groups, nil
}

// othersResult is how the other clients fared, by group.
type othersResult struct {
	p99 [2]float64
	err error
}

// watchOthers measures both groups until done is closed. The direct subject has
// no second server, so its second group is unknown.
func watchOthers(ctx context.Context, addr string, groups [2][]exchange, done <-chan struct{}) (result othersResult) {
	type outcome struct {
		group int
		times *hdrhistogram.Histogram
		err   error
	}
	finished := make(chan outcome)
	for i, gets := range groups {
		go func() {
			if len(gets) == 0 {
				finished <- outcome{group: i}
				return
			}
			l := exchangeLoad{clients: otherClients, exchanges: gets, pace: otherPace, until: done}
			times, err := l.drive(ctx, addr, int(stepLimit/otherPace))
			finished <- outcome{i, times, err}
		}()
	}
	for range groups {
		o := <-finished
		switch {
		case o.err != nil:
			result.err = o.err
		case o.times == nil:
			result.p99[o.group] = unknown()
		default:
			result.p99[o.group] = summary(o.times).p99
		}
	}
	return result
}

// roundTrips sets the value and gets it back, comparing every byte, each time
// on a new connection.
func roundTrips(ctx context.Context, addr string, trip []exchange) error {
	var buf []byte
	once := func(e exchange) error {
		c, err := dial(ctx, addr)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		buf, err = e.do(c, buf)
		return err
	}
	for range bigTrips {
		for _, e := range trip {
			if err := once(e); err != nil {
				return fmt.Errorf("the big value: %w", contextOr(ctx, err))
			}
		}
	}
	return nil
}
