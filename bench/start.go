package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"nutmeg/bench/load"
)

// startShape is how long it takes from exec until a client has an answer, with
// many pools, and the CPU until there is nothing left to do.
func startShape(pools, each int) shape {
	return shape{
		id: "start", rounds: 5,
		title:   fmt.Sprintf("start with %d pools of %d servers, until the last pool answers a PING", pools, each),
		columns: []column{{name: colStart, decimals: 1, ratio: true, quartile: true}, {name: "CPU ms", decimals: 1, ratio: true, quartile: true}},
		fits:    func(s *subject) bool { return s.withPools != nil },
		measure: func(ctx context.Context, _ *bed, s *subject, _ time.Duration) ([]float64, error) {
			return startOf(ctx, s, pools, each)
		},
		bounds: []bound{atMost(colStart, 20, "")},
	}
}

// startOf measures the second start: the first one has brought the program into
// memory.
func startOf(ctx context.Context, s *subject, pools, each int) ([]float64, error) {
	r := &running{}
	addrs, err := r.ports(pools)
	if err != nil {
		return nil, err
	}
	if r, err = r.started(s.withPools(manyPools(addrs, each))); err != nil {
		return nil, err
	}
	defer r.Close()
	ping := []load.Exchange{{Request: redisRequest("PING"), Response: []byte("+PONG\r\n")}}
	took, err := r.TimeRestart(func() error { return pipeline(ctx, addrs[pools-1], ping) })
	if err != nil {
		return nil, err
	}
	cpu := unknown()
	if used, err := usageAtRest(r.PID(), 50, 3000); err == nil {
		cpu = milliseconds(used.total)
	}
	return []float64{milliseconds(took), cpu}, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// manyPools is a file with a pool at each address. Nobody is at the addresses of
// the servers, and nothing asks for them.
func manyPools(listen []string, each int) string {
	var f strings.Builder
	for i, addr := range listen {
		fmt.Fprintf(&f, "pool%d:\n  listen: %s\n  redis: true\n  distribution: ketama\n  servers:\n", i, addr)
		for server := range each {
			fmt.Fprintf(&f, "   - 127.0.0.1:1:1 server%d-%d\n", i, server)
		}
	}
	return f.String()
}
