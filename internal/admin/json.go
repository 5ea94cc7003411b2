package admin

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"nutmeg/internal/config"
	"nutmeg/internal/stats"
)

// jsonWriter writes the stats as twemproxy does: the same keys in the same order
// with the same blanks, because some exporters take the text apart by hand.
//
// A pool's object holds its counters and then its servers under their names, so a
// server named like a counter gives the same key twice, and likewise a pool named
// like a key of the top. As in twemproxy nothing guards against it here; parsers
// mostly take the last. Unlike twemproxy's, names are escaped.
type jsonWriter struct {
	service, source, version string
	start                    time.Time
	pool                     []stats.Field[stats.Pool]
	server                   []stats.Field[stats.Server]
}

func newJSONWriter(o Options) jsonWriter {
	return jsonWriter{
		service: o.Service, source: o.Hostname, version: o.Version, start: o.Start,
		pool: stats.PoolFields(), server: stats.ServerFields(),
	}
}

// append appends one line with its "\n" to dst: names from cfg, counters from w.
// What twemproxy does not have comes behind what it has.
// Counters that w lacks are 0; those without a name in cfg are left out.
// Safe for concurrent use.
func (j *jsonWriter) append(dst []byte, cfg *config.Config, w *stats.Worker, r Changes, now time.Time) []byte {
	dst = append(dst, '{')
	dst = appendText(dst, "service", j.service)
	dst = appendText(dst, "source", j.source)
	dst = appendText(dst, "version", j.version)
	dst = appendNumber(dst, "uptime", int64(max(0, now.Sub(j.start))/time.Second))
	dst = appendNumber(dst, "timestamp", now.Unix())
	dst = appendNumber(dst, "total_connections", w.TotalConnections)
	dst = appendNumber(dst, "curr_connections", w.CurrConnections)
	dst = appendNumber(dst, "reloads", r.Reloads)
	dst = appendNumber(dst, "reload_errors", r.ReloadErrors)
	dst = appendNumber(dst, "upgrade_errors", r.UpgradeErrors)
	dst = appendNumber(dst, "workers", w.Workers)
	dst = appendNumber(dst, "workers_in_use", w.WorkersInUse)
	dst = appendNumber(dst, "workers_busy", w.Busy)
	dst = appendNumber(dst, "client_moves", w.ClientMoves)
	for i := range cfg.Pools {
		dst = j.appendPool(dst, &cfg.Pools[i], at(w.Pools, i))
	}
	dst = endObject(dst)
	dst[len(dst)-1] = '\n' // in place of the comma
	return dst
}

func (j *jsonWriter) appendPool(dst []byte, names *config.Pool, p *stats.Pool) []byte {
	dst = beginObject(dst, names.Name)
	for _, f := range j.pool {
		dst = appendNumber(dst, f.Name, f.Get(p))
	}
	for i := range names.Servers {
		dst = beginObject(dst, names.Servers[i].Name)
		s := at(p.Servers, i)
		for _, f := range j.server {
			dst = appendNumber(dst, f.Name, f.Get(s))
		}
		dst = endObject(dst)
	}
	return endObject(dst)
}

// at returns element i of list, or a zero one where list is shorter.
func at[T any](list []T, i int) *T {
	if i < len(list) {
		return &list[i]
	}
	return new(T)
}

// The functions below build the line from left to right. A value ends in ", ",
// an object in ",", and endObject takes back the separator before it: that is how
// twemproxy comes to write ", " after a number and "," after an object
// (stats_end_nesting in nc_stats.c).

func appendText(dst []byte, key, value string) []byte {
	dst = append(appendQuoted(dst, key), ':')
	return append(appendQuoted(dst, value), ", "...)
}

func appendNumber(dst []byte, key string, n int64) []byte {
	dst = append(appendQuoted(dst, key), ':')
	return append(strconv.AppendInt(dst, n, 10), ", "...)
}

func beginObject(dst []byte, key string) []byte {
	return append(appendQuoted(dst, key), ": {"...)
}

func endObject(dst []byte) []byte {
	return append(bytes.TrimRight(dst, ", "), "},"...)
}

// appendQuoted appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD.
func appendQuoted(dst []byte, s string) []byte {
	if plain(s) {
		dst = append(dst, '"')
		dst = append(dst, s...)
		return append(dst, '"')
	}
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false) // nobody embeds this in a page; keep names readable
	_ = e.Encode(s)        // cannot fail for a string
	return append(dst, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}

// plain reports whether s needs no escaping: printable ASCII without quote and
// backslash.
func plain(s string) bool {
	for i := range len(s) {
		if b := s[i]; b < ' ' || b > '~' || b == '"' || b == '\\' {
			return false
		}
	}
	return true
}
