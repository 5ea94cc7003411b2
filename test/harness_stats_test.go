package test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"testing"
	"time"
)

// Stats is what the statistics port says, parsed.
type Stats struct {
	Service, Version  string
	Total, Curr       int64 // connections
	Pools             map[string]PoolStats
	Raw               string
	uptime, timestamp int64
}

// PoolStats is the statistics of a pool: its own counters and those of its servers, by the names of the JSON.
type PoolStats struct {
	Counters map[string]int64
	Servers  map[string]map[string]int64
}

// Sum adds up a counter of all servers.
func (p PoolStats) Sum(counter string) int64 {
	var sum int64
	for server := range maps.Values(p.Servers) {
		sum += server[counter]
	}
	return sum
}

// Stats asks the statistics port.
func (n *Nutmeg) Stats() Stats {
	n.t.Helper()
	text, err := readStats(n.statsAddr)
	if err != nil {
		n.t.Fatalf("cannot read the statistics: %v", err)
	}
	s, err := parseStats(text)
	if err != nil {
		n.t.Fatalf("cannot parse the statistics: %v\n%s", err, text)
	}
	return s
}

// Pool asks the statistics port for one pool.
func (n *Nutmeg) Pool(name string) PoolStats {
	n.t.Helper()
	p, ok := n.Stats().Pools[name]
	if !ok {
		n.t.Fatalf("the statistics have no pool %q", name)
	}
	return p
}

// waitPool asks for the statistics of a pool until check accepts them: a counter may be published a moment after the
// response that it counts has arrived.
func (n *Nutmeg) waitPool(name, what string, check func(PoolStats) error) {
	n.t.Helper()
	eventually(n.t, what, func() error { return check(n.Pool(name)) })
}

func readStats(addr string) (string, error) {
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience))
	text, err := io.ReadAll(c)
	return string(text), err
}

func parseStats(text string) (Stats, error) {
	s := Stats{Raw: text, Pools: map[string]PoolStats{}}
	var top map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &top); err != nil {
		return s, err
	}
	plain := map[string]any{
		"service": &s.Service, "version": &s.Version, "uptime": &s.uptime, "timestamp": &s.timestamp,
		"total_connections": &s.Total, "curr_connections": &s.Curr, "source": new(string),
	}
	for name, raw := range top {
		if dst, ok := plain[name]; ok {
			if err := json.Unmarshal(raw, dst); err != nil {
				return s, fmt.Errorf("%s: %w", name, err)
			}
			continue
		}
		if raw[0] != '{' {
			continue // a figure of the whole process that twemproxy does not have
		}
		p, err := parsePool(raw)
		if err != nil {
			return s, fmt.Errorf("pool %s: %w", name, err)
		}
		s.Pools[name] = p
	}
	return s, nil
}

func parsePool(raw json.RawMessage) (PoolStats, error) {
	p := PoolStats{Counters: map[string]int64{}, Servers: map[string]map[string]int64{}}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return p, err
	}
	for name, raw := range fields {
		if raw[0] == '{' {
			server := map[string]int64{}
			if err := json.Unmarshal(raw, &server); err != nil {
				return p, fmt.Errorf("server %s: %w", name, err)
			}
			p.Servers[name] = server
			continue
		}
		var value int64
		if err := json.Unmarshal(raw, &value); err != nil {
			return p, fmt.Errorf("%s: %w", name, err)
		}
		p.Counters[name] = value
	}
	return p, nil
}

// want compares counters of a pool, given as {name: value}, and sums of its servers' counters.
func (p PoolStats) want(counters map[string]int64) error {
	for name, want := range counters {
		got, ok := p.Counters[name]
		if !ok {
			got = p.Sum(name)
		}
		if got != want {
			return fmt.Errorf("%s is %d, want %d", name, got, want)
		}
	}
	return nil
}

func TestStatsOfAFreshDaemon(t *testing.T) {
	t.Parallel()
	n := startNutmeg(t, "alpha:\n  listen: {listen}\n  redis: true\n  servers:\n  - 127.0.0.1:1:1 a\n")
	s := n.Stats()
	if s.Service != "nutmeg" || s.Version == "" || s.uptime < 0 || s.timestamp == 0 {
		t.Errorf("unexpected head: %s", s.Raw)
	}
	if err := s.Pools["alpha"].want(map[string]int64{"fragments": 0, "forward_error": 0, "requests": 0, "server_ejects": 0}); err != nil {
		t.Error(err)
	}
}
