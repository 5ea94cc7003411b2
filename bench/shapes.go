package main

import (
	"context"
	"slices"
	"time"
)

// stepLimit bounds one load: a shape that takes longer has failed.
const stepLimit = time.Minute

// shape is one thing to measure about every subject.
type shape struct {
	id    string // for -only and for the JSON file
	title string
	// columns names the numbers of a sample, in order.
	columns []column
	// rounds caps -rounds for what is slow and steady; 0 is no cap.
	rounds int
	// fresh tells whether every sample is taken of a new process, which a short
	// load that does not count has warmed up: a process keeps the luck that it had
	// with its place in memory, for better or worse by a tenth.
	fresh bool
	// needsProxy leaves the direct subject out.
	needsProxy bool
	// prepare fills the servers; nil if there is nothing to fill.
	prepare func(ctx context.Context, b *bed) error
	// measure takes one sample, a number for each column. The effort is
	// -requests, or a part of it for the warm-up.
	measure func(ctx context.Context, b *bed, s *subject, effort int) ([]float64, error)
	bounds  []bound
}

// column is one number of a sample.
type column struct {
	name     string
	decimals int
	ratio    bool // print the ratio to nutcracker, too
}

// Names of columns that bounds refer to.
const (
	colRate = "req/s"
	colP50  = "p50 ms"
	colP99  = "p99 ms"
	colCPU  = "CPU us/req"
	colRSS  = "RSS MB"
)

// load is what redis-benchmark and our own tool have in common.
type load interface {
	run(ctx context.Context, addr string, requests int) (outcome, error)
}

const (
	keys      = 100_000 // in Redis, 64 bytes each
	mcKeys    = 10_000  // in memcached, likewise
	bigKeys   = 16      // 1 MiB each
	smallSize = 64
)

// allShapes returns the shapes in the order of the table.
func allShapes(short bool) []shape {
	get, set := redisLoad{keys: keys, valueSize: smallSize, test: "get"}, redisLoad{keys: keys, valueSize: smallSize, test: "set"}
	mget := redisLoad{pipeline: 1, keys: keys, valueSize: smallSize, command: slices.Concat([]string{"mget"}, slices.Repeat([]string{"key:__rand_int__"}, 100))}
	fill64 := func(ctx context.Context, b *bed) error { return b.fillRedis(ctx, keys, smallSize) }
	fillMiB := func(ctx context.Context, b *bed) error { return b.fillRedis(ctx, bigKeys, megabyte) }
	fillMC := func(ctx context.Context, b *bed) error { return b.fillMemcached(ctx, mcKeys, smallSize) }
	mib := func(test string) load {
		return redisLoad{pipeline: 1, keys: bigKeys, valueSize: megabyte, test: test}
	}
	mc := func(with func(key, value string) exchange) load {
		return exchangeLoad{clients: clients, exchanges: exchanges(mcKeys, smallSize, with)}
	}
	return slices.Concat([]shape{
		loadShape("redis-get", "Redis GET 64 B, 50 clients, no pipeline", redisAddr, fill64, get.piped(1), 1,
			cpuAtMost(0.80), p99AtMost(1)),
		loadShape("redis-set", "Redis SET 64 B, 50 clients, no pipeline", redisAddr, fill64, set.piped(1), 1,
			cpuAtMost(0.80), p99AtMost(1)),
		loadShape("redis-get-p16", "Redis GET 64 B, 50 clients, pipeline 16", redisAddr, fill64, get.piped(16), 5,
			cpuAtMost(0.35), rateAtLeast(1.8)),
		loadShape("redis-set-p16", "Redis SET 64 B, 50 clients, pipeline 16", redisAddr, fill64, set.piped(16), 5,
			cpuAtMost(0.42), rateAtLeast(1.5)),
		loadShape("redis-mget100", "Redis MGET of 100 keys of 64 B, 50 clients", redisAddr, fill64, mget, 0.05,
			cpuAtMost(0.7)),
		loadShape("redis-get-1m", "Redis GET 1 MiB, 50 clients", redisAddr, fillMiB, mib("get"), 0.02,
			cpuAtMost(1)),
		loadShape("redis-set-1m", "Redis SET 1 MiB, 50 clients", redisAddr, fillMiB, mib("set"), 0.02,
			cpuAtMost(1)),
		loadShape("memcached-get", "memcached get 64 B, 50 clients", memcacheAddr, fillMC, mc(memcacheGet), 1,
			cpuAtMost(0.80)),
		loadShape("memcached-set", "memcached set 64 B, 50 clients", memcacheAddr, fillMC, mc(memcacheSet), 1),
	}, memoryShapes(short))
}

func redisAddr(s *subject) string    { return s.redis }
func memcacheAddr(s *subject) string { return s.memcache }

// piped returns the load with that many requests in flight on a connection.
func (l redisLoad) piped(pipeline int) load {
	l.pipeline = pipeline
	return l
}

// loadShape is a shape that sends weight * -requests requests and looks at
// throughput, latency, CPU and memory.
func loadShape(id, title string, addr func(*subject) string, prepare func(context.Context, *bed) error, l load, weight float64, bounds ...bound) shape {
	return shape{
		id: id, title: title, fresh: true, prepare: prepare, bounds: bounds,
		columns: []column{{colRate, 0, true}, {colP50, 3, false}, {colP99, 3, true}, {colCPU, 2, true}, {colRSS, 1, false}},
		measure: func(ctx context.Context, _ *bed, s *subject, effort int) ([]float64, error) {
			return sampleLoad(ctx, s, l, addr(s), max(clients, int(weight*float64(effort))))
		},
	}
}

// sampleLoad sends a load to a subject that is up already.
func sampleLoad(ctx context.Context, s *subject, l load, addr string, requests int) ([]float64, error) {
	cpu, memory := unknown(), unknown()
	before, cpuErr := s.cpuTime()
	seen, err := l.run(ctx, addr, requests)
	if err != nil {
		return nil, err
	}
	if after, err := s.cpuTime(); err == nil && cpuErr == nil {
		cpu = float64((after - before).Nanoseconds()) / 1000 / float64(seen.requests)
	}
	if s.proxy != nil {
		memory = rss(s.proxy.PID()) / megabyte
	}
	return []float64{seen.perSecond, seen.p50, seen.p99, cpu, memory}, nil
}

func shapeIDs() []string {
	var ids []string
	for _, s := range allShapes(true) {
		ids = append(ids, s.id)
	}
	return ids
}
