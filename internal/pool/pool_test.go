package pool

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/config"
)

const (
	second = int64(time.Second)
	limit  = 2
	retry  = 30 * second
)

// modulaPool is a pool of count servers of weight 1 that own hash modulo count;
// two failures eject a server for 30 s.
func modulaPool(count int) *config.Pool {
	p := &config.Pool{
		Name:    "alpha",
		Routing: config.Routing{Hash: "crc32a", Distribution: "modula"},
		Health:  config.Health{AutoEject: true, FailureLimit: limit, RetryTimeout: time.Duration(retry)},
	}
	for i := range count {
		p.Servers = append(p.Servers, config.Server{Name: fmt.Sprintf("s%d", i), Weight: 1})
	}
	return p
}

func mustNew(t testing.TB, p *config.Pool) *Pool {
	t.Helper()
	pool, err := New(p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// spread renders which servers the hashes 0, 1, ... 5 go to at a time; "-" is a
// refusal.
func spread(p *Pool, now int64) string { return spreadOf(p, 0, now) }

// spreadOf is spread as worker sees it.
func spreadOf(p *Pool, worker int, now int64) string {
	var b strings.Builder
	for hash := range uint32(6) {
		if server, ok := p.Pick(hash, now, worker); ok {
			fmt.Fprint(&b, server)
		} else {
			b.WriteByte('-')
		}
	}
	return b.String()
}

func checkSpread(t *testing.T, p *Pool, now int64, want string) {
	t.Helper()
	if got := spread(p, now); got != want {
		t.Errorf("at %v hashes go to %s, want %s", time.Duration(now), got, want)
	}
}

// fail reports so many failures of server and checks which of them ejects; 0
// means none.
func fail(t *testing.T, p *Pool, server, times int, now int64, ejecting int) {
	t.Helper()
	for i := range times {
		if got := p.Failed(server, now, 0, "").Outcome == Ejected; got != (i+1 == ejecting) {
			t.Errorf("failure %d of server %d: ejected = %v", i+1, server, got)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	tests := []struct {
		rule   string
		change func(p *config.Pool)
		want   string
	}{
		{"an unknown hash", func(p *config.Pool) { p.Routing.Hash = "sha1" }, `"sha1" is not a hash function`},
		{"an unknown distribution", func(p *config.Pool) { p.Routing.Distribution = "ring" }, `"ring" is not a distribution`},
		{"half a hash tag", func(p *config.Pool) { p.Routing.HashTag = "{" }, `hash tag "{" has 1 bytes`},
		{"a pool without servers", func(p *config.Pool) { p.Servers = nil }, "none of 0 servers is live"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			c := modulaPool(2)
			tt.change(c)
			_, err := New(c, Options{})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "pool alpha: ") {
				t.Errorf("New: %v; want an error of pool alpha with %q", err, tt.want)
			}
		})
	}
}

func TestHash(t *testing.T) {
	const apple = 2838417488 // crc32a of it
	tests := []struct {
		rule    string
		servers int
		tag     string
		key     string
		want    uint32
	}{
		{"the whole key without a tag", 2, "", "apple", apple},
		{"the tag only", 2, "{}", "user:{apple}:9", apple},
		{"the whole key if the tag is missing", 2, "{}", "apple", apple},
		{"the empty key", 2, "{}", "", 0},
		{"any key of a pool of one server", 1, "{}", "user:{apple}:9", 0},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			c := modulaPool(tt.servers)
			c.Routing.HashTag = tt.tag
			if got := mustNew(t, c).Hash([]byte(tt.key)); got != tt.want {
				t.Errorf("Hash(%q) = %d, want %d", tt.key, got, tt.want)
			}
		})
	}
}

func TestEmptyKeyHashesToZeroWithEveryHash(t *testing.T) {
	c := modulaPool(2)
	c.Routing.Hash = "md5"
	if got := mustNew(t, c).Hash(nil); got != 0 {
		t.Errorf("Hash(nil) = %d, want 0", got)
	}
}

func TestRandom(t *testing.T) {
	for _, kind := range []string{"ketama", "modula", "random"} {
		c := modulaPool(3)
		c.Routing.Distribution = kind
		if got := mustNew(t, c).Random(); got != (kind == "random") {
			t.Errorf("%s: Random() = %v", kind, got)
		}
	}
}

func TestOneServerOwnsEverything(t *testing.T) {
	for _, kind := range []string{"ketama", "modula", "random"} {
		c := modulaPool(1)
		c.Routing.Distribution = kind
		p := mustNew(t, c)
		for _, hash := range []uint32{0, 1, 1 << 31, math.MaxUint32} {
			if server, ok := p.Pick(hash, 0, 0); server != 0 || !ok {
				t.Errorf("%s: Pick(%d) = %d, %v", kind, hash, server, ok)
			}
		}
	}
}

func TestNothingAllocatesWhileServersStay(t *testing.T) {
	for _, kind := range []string{"ketama", "modula", "random"} {
		c := modulaPool(5)
		c.Routing.Distribution, c.Routing.HashTag = kind, "{}"
		p := mustNew(t, c)
		key := []byte("user:{12345}:profile")
		allEjected := mustNew(t, modulaPool(1))
		fail(t, allEjected, 0, limit, 0, limit)
		fail(t, p, 3, limit, 0, limit)
		if allocs := testing.AllocsPerRun(1000, func() {
			hash := p.Hash(key)
			p.Pick(hash, 1, 0)
			p.Owner(hash)
			p.Succeeded(0, 1, 0)
			p.Failed(3, 1, 0, "")
			allEjected.Pick(hash, 1, 0)
		}); allocs != 0 {
			t.Errorf("%s: %v allocations", kind, allocs)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, count := range []int{3, 100, 1000} {
		b.Run(fmt.Sprintf("ketama/servers=%d", count), func(b *testing.B) {
			c := modulaPool(count)
			c.Routing.Distribution = "ketama"
			p := mustNew(b, c)
			b.ReportAllocs()
			var hash uint32
			for b.Loop() {
				hash = hash*1664525 + 1013904223
				p.Pick(hash, 1, 0)
			}
		})
	}
}

func BenchmarkHashAndPick(b *testing.B) {
	c := modulaPool(10)
	c.Routing = config.Routing{Hash: "fnv1a_64", Distribution: "ketama", HashTag: "{}"}
	p := mustNew(b, c)
	key := []byte("user:00001234567")
	b.ReportAllocs()
	for b.Loop() {
		server, _ := p.Pick(p.Hash(key), 1, 0)
		p.Succeeded(server, 1, 0)
	}
}

// An ejection and a return as the worker that causes them pays for them, with
// one server more out each time, so that no distribution is remembered.
func BenchmarkEject(b *testing.B) {
	for _, count := range []int{100, 1000} {
		b.Run(fmt.Sprintf("ketama/servers=%d", count), func(b *testing.B) {
			c := modulaPool(count)
			c.Routing.Distribution, c.Health.FailureLimit = "ketama", 1
			p := mustNew(b, c)
			b.ReportAllocs()
			server, now := 0, int64(0)
			for b.Loop() {
				if p.Failed(server, now, 0, "refused").Outcome != Ejected {
					b.Fatal("not ejected")
				}
				if server++; server == count-1 {
					server, now = 0, now+retry
					p.Pick(0, now, 0)
				}
			}
		})
	}
}
