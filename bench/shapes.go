package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"nutmeg/bench/load"
)

// stepLimit bounds one step: a shape that takes longer has failed.
const stepLimit = 2 * time.Minute

// shape is one thing to measure about every subject.
type shape struct {
	id    string // for -only and for the JSON file
	title string
	// columns names the numbers of a sample, in order, and what is derived of them.
	columns []column
	// parts, if there are any, are the ids of the shapes whose mean this one is;
	// nothing more is measured for it.
	parts []string
	// rounds caps -rounds for what is slow and steady; 0 is no cap.
	rounds int
	// fresh tells whether every sample is taken of a new process: a process
	// keeps the luck that it had with its place in memory, for better or worse
	// by a tenth.
	fresh bool
	// fits tells whether the shape can be measured of a subject; nil: of all.
	fits func(s *subject) bool
	// prepare fills the servers; nil if there is nothing to fill. It may
	// complete the title.
	prepare func(ctx context.Context, b *bed, title *string) error
	// measure takes one sample, a number for each measured column. The length is -time.
	measure func(ctx context.Context, b *bed, s *subject, length time.Duration) ([]float64, error)
	// calls counts the system calls of a request; nil if that says nothing.
	calls  func(ctx context.Context, s *subject, length time.Duration) (map[string]float64, error)
	bounds []bound
}

// column returns the column of that name.
func (s shape) column(name string) column {
	return s.columns[slices.IndexFunc(s.columns, func(c column) bool { return c.name == name })]
}

// measured are the columns of which a sample holds a number.
func (s shape) measured() []column {
	return slices.DeleteFunc(slices.Clone(s.columns), func(c column) bool { return c.added != "" })
}

// column is one number of a sample.
type column struct {
	name string
	// added, if not empty, names another column, and this one is not measured:
	// it is how much more a subject has there than direct in the same round.
	added    string
	decimals int
	ratio    bool // print the ratio to nutcracker, too
	floor    bool // print the ratio to the floor, too
	quartile bool // print the quartiles, too
}

// Names of columns that bounds and pictures refer to.
const (
	colRate  = "req/s"
	colP50   = "p50 ms"
	colAdded = "added p50 ms"
	colP99   = "p99 ms"
	colP999  = "p99.9 ms"
	colCPU   = "CPU us/req"
	colRSS   = "RSS MB"
	colIdle  = "KB/client"
	colStart = "first answer ms"
	colBack  = "s to give it back"
)

var (
	cpuColumn   = column{name: colCPU, decimals: 2, ratio: true, floor: true, quartile: true}
	loadColumns = []column{
		{name: colRate, ratio: true, quartile: true},
		{name: colP50, decimals: 3},
		{name: colP99, decimals: 3, ratio: true},
		{name: colP999, decimals: 2},
		cpuColumn,
		{name: "user", decimals: 2},
		{name: "system", decimals: 2},
		{name: colRSS, decimals: 1},
	}
	memoryColumn = column{name: colRSS, decimals: 1, ratio: true}
)

// protocol is what a load speaks.
type protocol struct {
	addr func(*subject) string
	fill func(*bed, context.Context, keyspace) error
}

var (
	overRedis    = protocol{func(s *subject) string { return s.redis }, (*bed).fillRedis}
	overMemcache = protocol{func(s *subject) string { return s.memcache }, (*bed).fillMemcached}
)

// row is a shape of load: who sends what to whom.
type row struct {
	id, title string
	over      protocol
	keyspace
	clients   int
	pipeline  int // 1 if 0
	exchanges func(keyspace) []load.Exchange
	zipf      bool
	bounds    []bound
}

var (
	small   = keyspace{100_000, 64}
	tiny    = keyspace{100_000, 16}
	few     = keyspace{1000, 64}
	medium  = keyspace{10_000, 1 << 10}
	large   = keyspace{1000, 16 << 10}
	huge    = keyspace{16, megabyte}
	smallMC = keyspace{10_000, 64}
)

// rows are the shapes of load, in the order of the table. The bounds are those
// that nutmeg is meant to keep.
func rows() []row {
	each := func(with maker) func(keyspace) []load.Exchange {
		return func(k keyspace) []load.Exchange { return k.exchanges(with) }
	}
	several := func(n int, with func([]int, int) load.Exchange) func(keyspace) []load.Exchange {
		return func(k keyspace) []load.Exchange { return k.several(n, with) }
	}
	get, set := each(redisGet), each(redisSet)
	tail := []bound{atMost(colP99, 1, nutcracker)}
	cpu := func(most float64, more ...bound) []bound {
		return append([]bound{atMost(colCPU, most, nutcracker)}, more...)
	}
	thin := atMost(colCPU, 1.9, floor)
	return []row{
		{"redis-get", "GET 64 B, 50 clients", overRedis, small, 50, 1, get, false, tail},
		{"redis-set", "SET 64 B, 50 clients", overRedis, small, 50, 1, set, false, tail},
		{"redis-get-c1", "GET 64 B, 1 client", overRedis, small, 1, 1, get, false, nil},
		{"redis-get-c512", "GET 64 B, 512 clients", overRedis, small, 512, 1, get, false, cpu(0.68)},
		{"redis-set-c512", "SET 64 B, 512 clients", overRedis, small, 512, 1, set, false, cpu(0.68)},
		{"redis-get-c5000", "GET 64 B, 5000 clients", overRedis, small, 5000, 1, get, false, nil},
		{"redis-get-p16", "GET 64 B, 50 clients, pipeline 16", overRedis, small, 50, 16, get, false, cpu(0.25, thin, atLeast(colRate, 2.3, nutcracker))},
		{"redis-set-p16", "SET 64 B, 50 clients, pipeline 16", overRedis, small, 50, 16, set, false, cpu(0.32, thin)},
		{"redis-get-p64", "GET 64 B, 50 clients, pipeline 64", overRedis, small, 50, 64, get, false, cpu(0.20)},
		{"redis-set-p64", "SET 64 B, 50 clients, pipeline 64", overRedis, small, 50, 64, set, false, cpu(0.26)},
		{"redis-zipf", "80 % GET, 20 % SET 64 B, few keys often (Zipf), 50 clients", overRedis, small, 50, 1, keyspace.mixed, true, nil},
		{"redis-mget10", "MGET of 10 keys of 64 B, 50 clients", overRedis, small, 50, 1, several(10, redisMGet), false, cpu(0.70)},
		{"redis-mget100", "MGET of 100 keys of 64 B, 50 clients", overRedis, small, 50, 1, several(100, redisMGet), false, cpu(0.50)},
		{"redis-mset10", "MSET of 10 keys of 64 B, 50 clients", overRedis, small, 50, 1, several(10, redisMSet), false, nil},
		{"redis-get-16b", "GET 16 B, 50 clients", overRedis, tiny, 50, 1, get, false, nil},
		{"redis-get-1k", "GET 1 KiB, 50 clients", overRedis, medium, 50, 1, get, false, nil},
		{"redis-get-16k", "GET 16 KiB, 50 clients", overRedis, large, 50, 1, get, false, cpu(0.85)},
		{"redis-set-16k", "SET 16 KiB, 50 clients", overRedis, large, 50, 1, set, false, cpu(0.85)},
		{"redis-get-1m", "GET 1 MiB, 50 clients", overRedis, huge, 50, 1, get, false, cpu(0.80, atMost(colCPU, 1, haproxy))},
		{"redis-set-1m", "SET 1 MiB, 50 clients", overRedis, huge, 50, 1, set, false, cpu(0.80, atMost(colCPU, 1, haproxy))},
		{"memcached-get", "memcached get 64 B, 50 clients", overMemcache, smallMC, 50, 1, each(memcacheGet), false, cpu(0.70)},
		{"memcached-set", "memcached set 64 B, 50 clients", overMemcache, smallMC, 50, 1, each(memcacheSet), false, cpu(0.70)},
		{"memcached-get10", "memcached get of 10 keys of 64 B, 50 clients", overMemcache, smallMC, 50, 1, several(10, memcacheMGet), false, nil},
	}
}

// means are the shapes that are made of others.
func means() []shape {
	return []shape{{
		id: "redis-both", title: "GET and SET 64 B, 50 clients: the mean of both", columns: []column{cpuColumn},
		parts:  []string{"redis-get", "redis-set"},
		bounds: []bound{atMost(colCPU, 0.70, nutcracker), atMost(colCPU, 1.3, floor)},
	}}
}

// allShapes returns the shapes in the order of the table.
func allShapes(short bool) []shape {
	var all []shape
	for _, r := range rows() {
		if short {
			r.clients, r.keys = min(r.clients, 200), min(r.keys, 1000)
		}
		all = append(all, r.shape())
	}
	return slices.Concat(all, means(), openShapes(short), []shape{rampShape(short)}, memoryShapes(short))
}

// chosen returns the shapes whose ids match, and those that they are the mean of.
func chosen(all []shape, only *regexp.Regexp) []shape {
	var needed []string
	for _, s := range all {
		if only.MatchString(s.id) {
			needed = append(append(needed, s.id), s.parts...)
		}
	}
	return slices.DeleteFunc(all, func(s shape) bool { return !slices.Contains(needed, s.id) })
}

// shape makes a closed loop of the row.
func (r row) shape() shape {
	var l load.Load // from prepare on
	var forFloor bool
	return shape{
		id: r.id, title: r.title, columns: loadColumns, fresh: true, bounds: r.bounds,
		fits: func(s *subject) bool { return !s.canned || forFloor },
		prepare: func(ctx context.Context, b *bed, _ *string) (err error) {
			l = load.Load{Clients: min(r.clients, fileLimit()/2-100), Pipeline: r.pipeline, Exchanges: r.exchanges(r.keyspace)}
			if l.Clients < r.clients {
				b.note("%s has only %d clients: a process may open %d files (ulimit -n)", r.id, l.Clients, fileLimit())
			}
			l.Order = load.Uniform(len(l.Exchanges))
			if r.zipf {
				l.Order = load.Zipf(len(l.Exchanges))
			}
			if forFloor, err = b.tellFloor(l.Exchanges); err != nil {
				return err
			}
			return r.over.fill(b, ctx, r.keyspace)
		},
		measure: func(ctx context.Context, _ *bed, s *subject, length time.Duration) ([]float64, error) {
			return sampleClosed(ctx, s, r.over, l, length)
		},
		calls: func(ctx context.Context, s *subject, length time.Duration) (map[string]float64, error) {
			return countCalls(ctx, s, r.over, l, length, (*load.Session).Closed)
		},
	}
}

// warmSession connects clients and sends a load that does not count, for what a process does once.
func warmSession(ctx context.Context, s *subject, over protocol, l load.Load, length time.Duration) (*load.Session, error) {
	session, err := dialSession(ctx, s, over, l)
	if err != nil {
		return nil, err
	}
	if _, err := session.Closed(ctx, length); err != nil {
		session.Close()
		return nil, err
	}
	return session, nil
}

// sampleClosed loads a subject that has just been started, first for what a
// process does once (connections to servers, memory), then for the numbers.
func sampleClosed(ctx context.Context, s *subject, over protocol, l load.Load, length time.Duration) ([]float64, error) {
	session, err := warmSession(ctx, s, over, l, length/5)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	before, cpuErr := s.usage()
	out, err := session.Closed(ctx, length)
	if err != nil {
		return nil, err
	}
	each, memory := costSince(s, before, cpuErr, out.Requests)
	return []float64{
		float64(out.Requests) / out.Took.Seconds(),
		load.Millis(out.Latency, 50), load.Millis(out.Latency, 99), load.Millis(out.Latency, 99.9),
		each.total, each.user, each.system, memory,
	}, nil
}

func dialSession(ctx context.Context, s *subject, over protocol, l load.Load) (*load.Session, error) {
	l.Loose = s.canned
	addr := over.addr(s)
	if addr == "" {
		return nil, fmt.Errorf("%w: it has no address for this protocol", errUnfit)
	}
	return load.Dial(ctx, addr, l)
}

// costSince returns the CPU of each request since before, and the memory in MB
// that the subject has now.
func costSince(s *subject, before usage, cpuErr error, requests int) (each cost, memory float64) {
	each, memory = cost{unknown(), unknown(), unknown()}, unknown()
	if after, err := s.usage(); err == nil && cpuErr == nil && requests > 0 {
		each = after.since(before, requests)
	}
	if s.proxy != nil {
		memory = rss(s.proxy.PID()) / megabyte
	}
	return each, memory
}

func shapeIDs() []string {
	var ids []string
	for _, s := range allShapes(true) {
		ids = append(ids, s.id)
	}
	return ids
}
