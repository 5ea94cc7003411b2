package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
)

// outcome is what a load tool saw. Latencies are in milliseconds.
type outcome struct {
	requests  int
	perSecond float64
	p50, p99  float64
}

// redisLoad is one way to call redis-benchmark.
type redisLoad struct {
	pipeline  int
	keys      int
	valueSize int
	test      string   // one of its own tests, or
	command   []string // a command of ours
}

// run sends the given number of requests from 50 clients.
func (l redisLoad) run(ctx context.Context, addr string, requests int) (outcome, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return outcome{}, err
	}
	args := []string{
		"-h", host, "-p", port, "-c", strconv.Itoa(clients), "-n", strconv.Itoa(requests), "--csv",
		"-P", strconv.Itoa(l.pipeline), "-r", strconv.Itoa(l.keys), "-d", strconv.Itoa(l.valueSize),
	}
	if l.test != "" {
		args = append(args, "-t", l.test)
	}
	args = append(args, l.command...)
	var said, complaints bytes.Buffer
	tool := exec.CommandContext(ctx, "redis-benchmark", args...)
	tool.Stdout, tool.Stderr = &said, &complaints
	if err := tool.Run(); err != nil {
		return outcome{}, fmt.Errorf("redis-benchmark: %w %s", contextOr(ctx, err), complaints.Bytes())
	}
	result, err := parseCSV(said.String())
	if err != nil {
		return outcome{}, fmt.Errorf("redis-benchmark: %w; it printed:\n%s%s", err, said.Bytes(), complaints.Bytes())
	}
	result.requests = requests
	return result, nil
}

// parseCSV reads what redis-benchmark --csv prints: a line of column names and
// a line for the only test. Since 6.2 the columns have names.
func parseCSV(text string) (outcome, error) {
	start := strings.Index(text, `"test"`)
	if start < 0 {
		return outcome{}, fmt.Errorf("no CSV header; redis-tools 6.2 or newer is needed")
	}
	rows, err := csv.NewReader(strings.NewReader(text[start:])).ReadAll()
	if err != nil {
		return outcome{}, fmt.Errorf("cannot read its CSV: %w", err)
	}
	if len(rows) != 2 {
		return outcome{}, fmt.Errorf("%d lines of CSV, want 2", len(rows))
	}
	column := make(map[string]float64)
	for i, name := range rows[0][1:] {
		if column[name], err = strconv.ParseFloat(rows[1][i+1], 64); err != nil {
			return outcome{}, fmt.Errorf("column %s of its CSV: %w", name, err)
		}
	}
	result := outcome{perSecond: column["rps"], p50: column["p50_latency_ms"], p99: column["p99_latency_ms"]}
	if result.perSecond <= 0 {
		return outcome{}, fmt.Errorf("its CSV has no requests per second")
	}
	return result, nil
}

// contextOr returns why ctx ended, if it has; err is then only a consequence.
func contextOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
