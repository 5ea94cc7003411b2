package stats

import (
	"fmt"
	"strings"
)

// Kind says how a counter moves, which is what a monitoring system must know to
// read it.
type Kind uint8

// The kinds of counter.
const (
	Counter   Kind = iota // only ever rises while the process lives
	Gauge                 // rises and falls
	Timestamp             // a point in time, in microseconds since the Unix epoch; 0 = never
)

// String returns the kind in lower case.
func (k Kind) String() string {
	switch k {
	case Counter:
		return "counter"
	case Gauge:
		return "gauge"
	case Timestamp:
		return "timestamp"
	}
	return "unknown"
}

// Field describes one counter of a T, which is Pool or Server.
type Field[T any] struct {
	Name string // key in the stats JSON; exporters match on it
	Text string // meaning, in the words of twemproxy's -D
	Kind Kind
	Get  func(*T) int64 // reads the counter; never nil
}

// PoolFields returns the counters of a pool: twemproxy's in its order, then nutmeg's
// own. The slice is new on every call: fetch it once and keep it.
//
// Names, texts and order of the first six are twemproxy 0.5.0's (STATS_POOL_CODEC in nc_stats.h).
func PoolFields() []Field[Pool] {
	return []Field[Pool]{
		{"client_eof", "# eof on client connections", Counter, func(p *Pool) int64 { return p.ClientEOF }},
		{"client_err", "# errors on client connections", Counter, func(p *Pool) int64 { return p.ClientErr }},
		{"client_connections", "# active client connections", Gauge, func(p *Pool) int64 { return p.ClientConnections }},
		{"server_ejects", "# times backend server was ejected", Counter, func(p *Pool) int64 { return p.ServerEjects }},
		{"forward_error", "# times we encountered a forwarding error", Counter, func(p *Pool) int64 { return p.ForwardError }},
		{"fragments", "# fragments created from a multi-vector request", Counter, func(p *Pool) int64 { return p.Fragments }},
		{"client_stalls", "# times a client was not read from (client_buffer, client_requests)", Counter, func(p *Pool) int64 { return p.ClientStalls }},
		{"client_refused", "# clients refused (client_connections)", Counter, func(p *Pool) int64 { return p.ClientRefused }},
		{"accept_failed", "# times clients could not be accepted for lack of descriptors", Counter, func(p *Pool) int64 { return p.AcceptFailed }},
		{"request_excess_keys", "# requests refused (request_keys)", Counter, func(p *Pool) int64 { return p.RequestExcessKeys }},
		{"request_too_large", "# requests refused (request_size)", Counter, func(p *Pool) int64 { return p.RequestTooLarge }},
		{"request_timedout", "# clients closed (request_timeout)", Counter, func(p *Pool) int64 { return p.RequestTimedOut }},
		{"client_idle", "# clients closed (client_idle_timeout)", Counter, func(p *Pool) int64 { return p.ClientIdle }},
		{"client_overflow", "# clients closed (client_buffer_limit)", Counter, func(p *Pool) int64 { return p.ClientOverflow }},
		{"memory_refused", "# requests refused (max_memory)", Counter, func(p *Pool) int64 { return p.MemoryRefused }},
		{"memory_closed", "# clients closed (max_memory)", Counter, func(p *Pool) int64 { return p.MemoryClosed }},
		{"client_torn", "# clients closed (their server failed in the middle of a response)", Counter, func(p *Pool) int64 { return p.ClientTorn }},
	}
}

// ServerFields returns the counters of a server: twemproxy's in its order, then
// nutmeg's own. The slice is new on every call: fetch it once and keep it.
//
// Names, texts and order of the first 13 are twemproxy 0.5.0's (STATS_SERVER_CODEC in nc_stats.h).
func ServerFields() []Field[Server] {
	return []Field[Server]{
		{"server_eof", "# eof on server connections", Counter, func(s *Server) int64 { return s.EOF }},
		{"server_err", "# errors on server connections", Counter, func(s *Server) int64 { return s.Err }},
		{"server_timedout", "# timeouts on server connections", Counter, func(s *Server) int64 { return s.TimedOut }},
		{"server_connections", "# active server connections", Gauge, func(s *Server) int64 { return s.Connections }},
		{"server_ejected_at", "timestamp when server was ejected in usec since epoch", Timestamp, func(s *Server) int64 { return s.EjectedAt }},
		{"requests", "# requests", Counter, func(s *Server) int64 { return s.Requests }},
		{"request_bytes", "total request bytes", Counter, func(s *Server) int64 { return s.RequestBytes }},
		{"responses", "# responses", Counter, func(s *Server) int64 { return s.Responses }},
		{"response_bytes", "total response bytes", Counter, func(s *Server) int64 { return s.ResponseBytes }},
		{"in_queue", "# requests in incoming queue", Gauge, func(s *Server) int64 { return s.InQueue }},
		{"in_queue_bytes", "current request bytes in incoming queue", Gauge, func(s *Server) int64 { return s.InQueueBytes }},
		{"out_queue", "# requests in outgoing queue", Gauge, func(s *Server) int64 { return s.OutQueue }},
		{"out_queue_bytes", "current request bytes in outgoing queue", Gauge, func(s *Server) int64 { return s.OutQueueBytes }},
		{"server_stalls", "# times a client was not read from (server_buffer, server_requests)", Counter, func(s *Server) int64 { return s.Stalls }},
		{"server_refused", "# requests refused (server_buffer, server_requests)", Counter, func(s *Server) int64 { return s.Refused }},
		{"dedicated", "# connections lent to single clients, or ready to be", Gauge, func(s *Server) int64 { return s.Dedicated }},
		{"dedicated_waits", "# times a client waited for one (dedicated_connections)", Counter, func(s *Server) int64 { return s.DedicatedWaits }},
	}
}

// Describe returns both tables in the form in which twemproxy's -D prints its own
// below its version block: a line for each counter, ended by "\n".
func Describe() string {
	var b strings.Builder
	b.WriteString("pool stats:\n")
	describe(&b, PoolFields())
	b.WriteString("\nserver stats:\n")
	describe(&b, ServerFields())
	return b.String()
}

func describe[T any](b *strings.Builder, fields []Field[T]) {
	for _, f := range fields {
		fmt.Fprintf(b, "  %-20s\"%s\"\n", f.Name, f.Text)
	}
}
