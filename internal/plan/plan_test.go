package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// pools writes a file of count pools with servers of names s0, s1, ...
func pools(count, servers int, options string) string {
	var b strings.Builder
	for i := range count {
		fmt.Fprintf(&b, "p%d: {listen: \"*:%d\", %s servers: [", i, 1+i, options)
		for j := range servers {
			fmt.Fprintf(&b, "\"a:%d:1 s%d\", ", 1+j, j)
		}
		b.WriteString("]}\n")
	}
	return b.String()
}

func TestNothingChangesFromAConfigurationToItself(t *testing.T) {
	for _, options := range []string{"", "distribution: random,", "distribution: modula, redis: true, redis_auth: x,"} {
		conf := pools(3, 4, options)
		p := mustCompare(t, parse(t, conf), parse(t, conf))
		if !p.Empty() || len(p.Listeners) != 0 {
			t.Errorf("%q: %+v", options, p)
		}
	}
}

func TestEveryDifferenceMakesAPlan(t *testing.T) {
	const base = `alpha: {listen: "*:1", servers: ["a:1:1 x"]}`
	for _, other := range []string{
		"nutmeg: {watch: true}\n" + base,
		base + "\n" + `beta: {listen: "*:2", servers: ["a:1:1"]}`,
		`beta: {listen: "*:1", servers: ["a:1:1 x"]}`,
		`alpha: {listen: "*:1", timeout: 1, servers: ["a:1:1 x"]}`,
		`alpha: {listen: "*:1", servers: ["a:1:2 x"]}`,
		`alpha: {listen: "*:1", servers: ["a:2:1 x"]}`,
		`alpha: {listen: "*:1", servers: ["a:1:1 y"]}`,
		`alpha: {listen: "*:1", servers: ["a:1:1 x", "a:2:1 y"]}`,
	} {
		for _, files := range [][2]string{{base, other}, {other, base}} {
			if p := mustCompare(t, parse(t, files[0]), parse(t, files[1])); p.Empty() || p.String() == (&Plan{}).String() {
				t.Errorf("from\n%s\nto\n%s\nthe plan is empty", files[0], files[1])
			}
		}
	}
}

// Forwards and backwards the same keys move, in the other direction.
func TestMovesAddUp(t *testing.T) {
	small, large := parse(t, pools(1, 5, "")), parse(t, pools(1, 7, ""))
	there, back := mustCompare(t, small, large).Changed[0].Keys[0], mustCompare(t, large, small).Changed[0].Keys[0]
	sum := 0
	for _, m := range there.Moves {
		sum += m.Keys
		if !slices.Contains(back.Moves, Move{From: m.To, To: m.From, Keys: m.Keys}) {
			t.Errorf("%+v has no counterpart on the way back", m)
		}
	}
	if sum != there.Moved || there.Moved != back.Moved || there.Sample != sampleKeys {
		t.Errorf("%d keys move, %d in all moves, %d on the way back, of %d", there.Moved, sum, back.Moved, there.Sample)
	}
	if share := float64(there.Moved) / sampleKeys; share < 0.2 || share > 0.36 { // 2/7 with an even continuum
		t.Errorf("%.3f of the keys move", share)
	}
}

func TestSampleIsSharedByManyPools(t *testing.T) {
	for _, c := range []struct{ pools, sample int }{{0, sampleKeys}, {1, sampleKeys}, {20, sampleKeys}, {40, sampleKeys / 2}, {1 << 20, sampleLeast}} {
		if got := sampleFor(c.pools); got != c.sample {
			t.Errorf("%d pools: %d keys each, want %d", c.pools, got, c.sample)
		}
	}
	// Pools whose keys stay cost nothing, so they do not count.
	same := strings.ReplaceAll(pools(30, 1, ""), "p", "q")
	same = strings.ReplaceAll(same, "*:", "h:")
	p := mustCompare(t, parse(t, same+pools(2, 1, "")), parse(t, strings.ReplaceAll(same, "servers", "timeout: 1, servers")+pools(2, 2, "")))
	if len(p.Changed) != 32 {
		t.Fatalf("%d pools change", len(p.Changed))
	}
	for _, pool := range p.Changed {
		switch moves := strings.HasPrefix(pool.Name, "p"); {
		case moves && pool.Keys[0].Sample != sampleKeys:
			t.Errorf("pool %s: %d keys were tried, want %d", pool.Name, pool.Keys[0].Sample, sampleKeys)
		case !moves && pool.Keys != nil:
			t.Errorf("pool %s: %d keys were tried, want none", pool.Name, pool.Keys[0].Sample)
		}
	}
}

func TestPasswordsAreNowhere(t *testing.T) {
	with := func(password string) string {
		return `alpha: {listen: "*:1", redis: true, redis_auth: ` + password + `, servers: ["a:1:1"]}`
	}
	p := mustCompare(t, parse(t, with("hush1")), parse(t, with("hush2")))
	if text := p.String() + fmt.Sprintf("%+v", p.Changed); strings.Contains(text, "hush") || !strings.Contains(text, "redis_auth") {
		t.Error(text)
	}
}

func TestMadeUpKeysHoldTheTagOnce(t *testing.T) {
	seen := map[string]bool{}
	for key := range madeUpKeys("{}", 1000) {
		open, end := strings.IndexByte(string(key), '{'), strings.IndexByte(string(key), '}')
		if open != 0 || end < 2 || end == len(key)-1 {
			t.Fatalf("key %q", key)
		}
		seen[string(key)] = true
	}
	if len(seen) < 990 {
		t.Errorf("%d different keys of 1000", len(seen))
	}
}

func BenchmarkCompareThousandServers(b *testing.B) {
	from, to := parse(b, pools(1, 1000, "")), parse(b, pools(1, 1001, ""))
	for b.Loop() {
		if p := mustCompare(b, from, to); p.Empty() {
			b.Fatal("nothing changes")
		}
	}
}
