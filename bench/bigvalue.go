package main

import (
	"context"
	"fmt"
	"time"

	"nutmeg/bench/load"
)

// The other clients of the big value's shape: few and slow enough that what
// they wait for is the proxy and not each other.
const (
	otherClients = 4
	otherRate    = 4000 // requests a second, of all four
	bigTrips     = 3
	bigKey       = 1 << 20 // a number that no other key has
)

// bigValueShape sends one huge value to the proxy and back, while other clients
// go on with small ones: those on the server that the big value goes to, which
// is busy with it, and those on the other server.
func bigValueShape(size int) shape {
	const peak, same, other = "peak RSS/size", "p99 ms, same server", "p99 ms, other server"
	return shape{
		id: "big-value", rounds: 3,
		title: fmt.Sprintf("SET and GET of one value of %d MB, byte by byte; meanwhile %d clients on each server GET 64 B, %d a second", size/megabyte, otherClients, otherRate),
		columns: []column{
			{name: "MB/s", ratio: true},
			{name: peak, decimals: 2, ratio: true},
			{name: same, decimals: 2, ratio: true},
			{name: other, decimals: 2, ratio: true},
		},
		fits: func(s *subject) bool { return !s.canned && (s.launch == nil || s.redis != "") },
		measure: func(ctx context.Context, b *bed, s *subject, _ time.Duration) ([]float64, error) {
			return bigValue(ctx, b, s, size)
		},
		// No bound on the same server: it is busy itself, as the direct subject shows.
		bounds: []bound{atMost(peak, 2.5, ""), atMost(other, 20, "")},
	}
}

// bigValue measures a fresh proxy, for its peak of memory is remembered.
func bigValue(ctx context.Context, b *bed, s *subject, size int) ([]float64, error) {
	addr, pid := s.redis, 0
	if s.launch != nil {
		p, err := s.launch()
		if err != nil {
			return nil, err
		}
		defer p.Close()
		addr, pid = p.redis, p.PID()
	}
	groups, err := b.splitByServer(ctx, addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.fillRedis(context.WithoutCancel(ctx), keyspace{}) }() // frees the servers' memory

	trip := []load.Exchange{redisSet(bigKey, size), redisGet(bigKey, size)}
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
func (b *bed) splitByServer(ctx context.Context, addr string) (groups [2][]load.Exchange, err error) {
	if err := b.fillRedis(ctx, keyspace{}); err != nil {
		return groups, err
	}
	both := keyspace{32, small.size}
	all := append(both.exchanges(redisSet), redisSet(bigKey, 16))
	if err := pipeline(ctx, addr, all); err != nil {
		return groups, err
	}
	home, err := holder(ctx, b.redis, keyName(bigKey))
	if err != nil {
		return groups, err
	}
	for i, get := range both.exchanges(redisGet) {
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

// watchOthers measures both groups until done is closed. A subject that uses one
// server only has no second group, which is unknown then.
func watchOthers(ctx context.Context, addr string, groups [2][]load.Exchange, done <-chan struct{}) (result othersResult) {
	type outcome struct {
		group int
		p99   float64
		err   error
	}
	finished := make(chan outcome)
	for i, gets := range groups {
		go func() {
			o := outcome{i, unknown(), nil}
			if len(gets) > 0 {
				o.p99, o.err = watchGroup(ctx, addr, gets, done)
			}
			finished <- o
		}()
	}
	for range groups {
		o := <-finished
		result.p99[o.group] = o.p99
		if o.err != nil {
			result.err = o.err
		}
	}
	return result
}

func watchGroup(ctx context.Context, addr string, gets []load.Exchange, done <-chan struct{}) (p99 float64, err error) {
	session, err := load.Dial(ctx, addr, load.Load{Clients: otherClients, Pipeline: 1, Exchanges: gets, Order: load.Uniform(len(gets))})
	if err != nil {
		return 0, err
	}
	defer session.Close()
	out, err := session.OpenUntil(ctx, otherRate, done)
	if err != nil {
		return 0, err
	}
	if out.Requests == 0 {
		return unknown(), nil
	}
	return load.Millis(out.Latency, 99), nil
}

// roundTrips sets the value and gets it back, comparing every byte, each time
// on a new connection.
func roundTrips(ctx context.Context, addr string, trip []load.Exchange) error {
	var buf []byte
	once := func(e load.Exchange) error {
		c, err := dial(ctx, addr)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		buf, err = do(c, e, buf)
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
