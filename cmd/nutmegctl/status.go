package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"nutmeg/internal/admin"
)

// runStatus prints how a daemon is: its pools, and the health of their servers.
func runStatus(ctx context.Context, p program, args []string) error {
	flags := p.newFlags("status")
	address := addressFlag(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := noArguments(flags); err != nil {
		return err
	}
	s, err := askForStatus(ctx, *address)
	if err != nil {
		return err
	}
	s.printProcess(p)
	if err := s.printPools(p); err != nil {
		return err
	}
	return s.printServers(p)
}

// status is how a daemon is, in two answers: a server that has come or gone
// between them has no counters, or no health.
type status struct {
	process struct {
		Service      string `json:"service"`
		Version      string `json:"version"`
		Source       string `json:"source"`
		Uptime       int64  `json:"uptime"`    // seconds
		Timestamp    int64  `json:"timestamp"` // seconds since the Unix epoch
		Connections  int64  `json:"curr_connections"`
		Reloads      int64  `json:"reloads"`
		ReloadErrors int64  `json:"reload_errors"`
	}
	top     map[string]json.RawMessage // of the statistics: pools among other things
	servers []admin.ServerState
}

func askForStatus(ctx context.Context, address string) (*status, error) {
	health, err := ask(ctx, http.MethodGet, address, "/servers", nil)
	if err != nil {
		return nil, err
	}
	counters, err := ask(ctx, http.MethodGet, address, "/stats", nil)
	if err != nil {
		return nil, err
	}
	var s status
	var answer struct {
		Servers *[]admin.ServerState `json:"servers"`
	}
	for _, step := range []struct {
		text string
		into any
	}{{health, &answer}, {counters, &s.process}, {counters, &s.top}} {
		if err := json.Unmarshal([]byte(step.text), step.into); err != nil {
			return nil, fmt.Errorf("what answers at %s is not nutmeg: %w", address, err)
		}
	}
	if answer.Servers == nil {
		return nil, fmt.Errorf("what answers at %s is not nutmeg: there are no servers in its answer", address)
	}
	s.servers = *answer.Servers
	return &s, nil
}

// number returns a counter of a pool, or of one of its servers if it is named, as text; "-" if it is not there.
func (s *status) number(pool, server, counter string) string {
	object := s.top[pool]
	for _, key := range []string{server, counter} {
		if key == "" {
			continue
		}
		var inside map[string]json.RawMessage
		if json.Unmarshal(object, &inside) != nil {
			return "-"
		}
		object = inside[key]
	}
	number, err := strconv.ParseInt(string(object), 10, 64)
	if err != nil {
		return "-"
	}
	return strconv.FormatInt(number, 10)
}

func (s *status) printProcess(p program) {
	d := &s.process
	p.say("%s %s on %s, up %s, %d connections, %d reloads, %d failed reloads\n\n",
		printable(d.Service), printable(d.Version), printable(d.Source), time.Duration(d.Uptime)*time.Second, d.Connections, d.Reloads, d.ReloadErrors)
}

func (s *status) printPools(p program) error {
	rows := [][]string{{"POOL", "CLIENTS", "SERVERS", "OUT", "ERRORS", "EJECTIONS"}}
	for first := 0; first < len(s.servers); { // those of a pool are together
		name := s.servers[first].Pool
		next, out := first, 0
		for ; next < len(s.servers) && s.servers[next].Pool == name; next++ {
			if isOut(&s.servers[next]) {
				out++
			}
		}
		rows = append(rows, []string{
			printable(name), s.number(name, "", "client_connections"), strconv.Itoa(next - first), strconv.Itoa(out),
			s.number(name, "", "forward_error"), s.number(name, "", "server_ejects"),
		})
		first = next
	}
	return printTable(p.stdout, rows)
}

func (s *status) printServers(p program) error {
	p.say("\n")
	rows := [][]string{{"POOL", "SERVER", "ADDRESS", "STATE", "FOR", "RETRY", "CONNECTIONS", "REQUESTS", "WAITING", "EJECTIONS", "FAILURES", "LAST FAILURE"}}
	for i := range s.servers {
		v := &s.servers[i]
		retry, cause := "-", "-"
		if isOut(v) {
			retry = (time.Duration(v.Retry) * time.Millisecond).String()
		}
		if v.Cause != "" {
			cause = printable(v.Cause)
		}
		rows = append(rows, []string{
			printable(v.Pool), printable(v.Server), printable(v.Address), printable(v.State), s.age(v), retry,
			s.number(v.Pool, v.Server, "server_connections"), s.number(v.Pool, v.Server, "requests"), s.number(v.Pool, v.Server, "out_queue"),
			strconv.FormatInt(v.Ejections, 10), strconv.FormatInt(v.Failures, 10), cause,
		})
	}
	return printTable(p.stdout, rows)
}

// isOut reports whether other servers have the keys of this one.
func isOut(v *admin.ServerState) bool {
	return v.State == "ejected" || v.State == "probing" || v.State == "trial"
}

// age is how long a server's state has lasted, by the daemon's own clock.
func (s *status) age(v *admin.ServerState) string {
	seconds := s.process.Uptime
	if v.Since != 0 {
		seconds = max(0, s.process.Timestamp-v.Since/1e6)
	}
	return (time.Duration(seconds) * time.Second).String()
}

// printTable aligns the columns. What it cannot write, Flush tells.
func printTable(w io.Writer, rows [][]string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		_, _ = fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	return table.Flush()
}
