package admin

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/config"
	"nutmeg/internal/stats"
)

var start = time.Unix(1700000000, 500e6)

// twoPools has pools of two and one servers, the last with names in need of care.
func twoPools() *config.Config {
	return &config.Config{Pools: []config.Pool{
		{Name: "beta", Servers: []config.Server{{Name: "cache1"}, {Name: "127.0.0.1:11212"}}},
		{Name: `a "quoted" pool`, Servers: []config.Server{{Name: "back\\slash\t<é>\xff"}}},
	}}
}

// counted returns counters for twoPools, no two alike.
func counted() *stats.Worker {
	w := stats.NewWorker([]int{2, 1})
	w.TotalConnections, w.CurrConnections = 12, 5
	w.Workers, w.WorkersInUse, w.Busy, w.ClientMoves = 4, 3, 1250, 17
	w.Pools[0] = stats.Pool{
		ClientEOF: 1, ClientErr: 2, ClientConnections: 3, ServerEjects: 4, ForwardError: 5, Fragments: 6,
		Servers: []stats.Server{
			{
				EOF: 11, Err: 12, TimedOut: 13, Connections: 14, EjectedAt: 1763679600123456,
				Requests: 16, RequestBytes: 17, Responses: 18, ResponseBytes: 1 << 40,
				InQueue: 20, InQueueBytes: 21, OutQueue: 22, OutQueueBytes: 23,
			},
			{Requests: 31},
		},
	}
	w.Pools[1].ClientConnections = 41
	w.Pools[1].Servers[0].OutQueueBytes = 42
	return w
}

func options() Options {
	return Options{Service: "nutmeg", Version: "0.1.0", Hostname: "proxy1.example", Start: start}
}

func writeJSON(cfg *config.Config, w *stats.Worker, now time.Time) []byte {
	j := newJSONWriter(options())
	return j.append(nil, cfg, w, Changes{}, now)
}

// The golden file is written by hand after twemproxy's layout, in which lines
// are broken for the reader: each break is taken out, and the ~ that keeps a blank.
func TestJSONIsLaidOutAsTwemproxys(t *testing.T) {
	text, err := os.ReadFile("testdata/stats.golden")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, "~")
	}
	want := strings.Join(lines, "") + "\n"
	got := twemproxysOnly(string(writeJSON(twoPools(), counted(), start.Add(90*time.Second))))
	// What twemproxy does not have stands in one place, and the rest is as if it were not there.
	const ours = `"reloads":0, "reload_errors":0, "upgrade_errors":0, "workers":4, "workers_in_use":3, "workers_busy":1250, "client_moves":17, `
	if strings.Count(got, ours) != 1 || strings.Replace(got, ours, "", 1) != want {
		t.Errorf("got\n%swant, but for %s,\n%s", got, ours, want)
	}
}

// twemproxysOnly takes nutmeg's own counters away, which stand behind twemproxy's and are 0 here.
func twemproxysOnly(text string) string {
	for _, f := range stats.PoolFields()[6:] {
		text = strings.ReplaceAll(text, `, "`+f.Name+`":0`, "")
	}
	for _, f := range stats.ServerFields()[13:] {
		text = strings.ReplaceAll(text, `, "`+f.Name+`":0`, "")
	}
	return text
}

func TestJSONParsesToTheCounters(t *testing.T) {
	cfg, w := twoPools(), counted()
	var top map[string]any
	if err := json.Unmarshal(writeJSON(cfg, w, start.Add(time.Hour)), &top); err != nil {
		t.Fatal(err)
	}
	number := func(object map[string]any, key string, want int64) {
		t.Helper()
		if got, ok := object[key].(float64); !ok || int64(got) != want {
			t.Errorf("%s = %v, want %d", key, object[key], want)
		}
	}
	number(top, "uptime", 3600)
	number(top, "timestamp", 1700003600)
	number(top, "total_connections", 12)
	number(top, "curr_connections", 5)
	number(top, "reloads", 0)
	number(top, "reload_errors", 0)
	number(top, "upgrade_errors", 0)
	number(top, "workers", 4)
	number(top, "workers_in_use", 3)
	number(top, "workers_busy", 1250)
	number(top, "client_moves", 17)
	for i, p := range cfg.Pools {
		pool, ok := top[p.Name].(map[string]any)
		if !ok {
			t.Fatalf("no pool %q", p.Name)
		}
		for _, f := range stats.PoolFields() {
			number(pool, f.Name, f.Get(&w.Pools[i]))
		}
		for j, s := range p.Servers {
			server, ok := pool[strings.ToValidUTF8(s.Name, "\uFFFD")].(map[string]any)
			if !ok || len(server) != len(stats.ServerFields()) {
				t.Fatalf("server %q of %q is %v", s.Name, p.Name, server)
			}
			for _, f := range stats.ServerFields() {
				number(server, f.Name, f.Get(&w.Pools[i].Servers[j]))
			}
		}
	}
}

func TestJSONStaysWholeWhenConfigAndCountersDiffer(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  *config.Config
		w    *stats.Worker
		want string
	}{
		{"no pools", &config.Config{}, counted(), `"client_moves":17}` + "\n"},
		{"counters not there yet are zero", twoPools(), &stats.Worker{}, `"` + stats.ServerFields()[len(stats.ServerFields())-1].Name + `":0}}}` + "\n"},
		{"a pool without servers", &config.Config{Pools: []config.Pool{{Name: "p"}}}, counted(), `"` + stats.PoolFields()[len(stats.PoolFields())-1].Name + `":0}}` + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := writeJSON(c.cfg, c.w, start)
			if !json.Valid(got) || !strings.HasSuffix(string(got), c.want) {
				t.Errorf("got %s, want it to end in %s", got, c.want)
			}
		})
	}
}

func TestUptimeIsNeverNegative(t *testing.T) {
	if got := string(writeJSON(&config.Config{}, &stats.Worker{}, start.Add(-time.Hour))); !strings.Contains(got, `"uptime":0,`) {
		t.Error(got)
	}
}

// Any name is one JSON string that means what encoding/json makes of it.
func FuzzQuoted(f *testing.F) {
	for _, s := range []string{"", "cache1", `a"b`, `a\b`, "a\nb", "<é>", "\xff", "\u2028", "~\x7f", "/tmp/redis.sock:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		marshalled, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var got, want string
		if err := json.Unmarshal(appendQuoted(nil, s), &got); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if err := json.Unmarshal(marshalled, &want); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%q reads back as %q", s, got)
		}
	})
}
