package distribution

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// named returns servers s1, s2, ... of the given weights.
func named(weights ...int) []Server {
	servers := make([]Server, len(weights))
	for i, w := range weights {
		servers[i] = Server{Name: fmt.Sprintf("s%d", i+1), Weight: w}
	}
	return servers
}

func mustNew(t testing.TB, kind string, servers []Server, live []bool) Distribution {
	t.Helper()
	d, err := New(kind, servers, live)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestNames(t *testing.T) {
	want := []string{"ketama", "modula", "random"}
	if got := Names(); !slices.Equal(got, want) {
		t.Errorf("Names() = %q, want %q", got, want)
	}
}

func TestNewRefuses(t *testing.T) {
	tests := []struct {
		rule    string
		kind    string
		servers []Server
		live    []bool
		want    string
	}{
		{"an unknown kind", "Ketama", named(1), nil, `"Ketama" is not a distribution; use one of ketama, modula, random`},
		{"no servers", "ketama", nil, nil, "none of 0 servers is live"},
		{"no live server", "modula", named(1, 1), []bool{false, false}, "none of 2 servers is live"},
		{"a weight of zero", "random", named(1, 0), nil, `server "s2" has weight 0`},
		{"a weight below zero, even of a dead server", "modula", named(-1, 1), []bool{false, true}, `server "s1" has weight -1`},
		{"too few live flags", "ketama", named(1, 1), []bool{true}, "1 live flags for 2 servers"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			d, err := New(tt.kind, tt.servers, tt.live)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New = %v, %v; want an error with %q", d, err, tt.want)
			}
		})
	}
}

func TestModulaGivesSlotsByWeight(t *testing.T) {
	check := func(live []bool, want string) {
		t.Helper()
		d := mustNew(t, "modula", named(1, 2, 3), live)
		var got strings.Builder
		for hash := range uint32(len(want)) {
			fmt.Fprint(&got, d.Locate(hash)+1)
		}
		if got.String() != want {
			t.Errorf("live %v: slots %s, want %s", live, got.String(), want)
		}
	}
	check(nil, "122333122333")
	check([]bool{true, false, true}, "13331333")
	check([]bool{false, true, false}, "2222")
}

func TestModulaWithHugeWeights(t *testing.T) {
	const million = 1000 * 1000
	d := mustNew(t, "modula", named(million, 1, 2000*million), nil)
	for _, tt := range []struct {
		hash uint32
		want int
	}{
		{0, 0},
		{million - 1, 0},
		{million, 1},
		{million + 1, 2},
		{2001 * million, 2},
		{2001*million + 1, 0},
		{2001*million + 1 + million, 1},
	} {
		if got := d.Locate(tt.hash); got != tt.want {
			t.Errorf("Locate(%d) = %d, want %d", tt.hash, got, tt.want)
		}
	}
}

// The two forms of modula divide any hash alike.
func FuzzModula(f *testing.F) {
	f.Add(uint8(1), uint8(2), uint8(3), uint32(5))
	f.Fuzz(func(t *testing.T, a, b, c uint8, hash uint32) {
		var live []member
		for i, weight := range []uint8{a, b, c} {
			if weight > 0 {
				live = append(live, member{Server{Weight: int(weight)}, uint32(i)})
			}
		}
		if len(live) == 0 {
			return
		}
		want := newModula(live).Locate(hash)
		if got := newModulaSearch(live, totalWeight(live)).Locate(hash); got != want {
			t.Errorf("search yields %d, slots %d", got, want)
		}
	})
}

func TestRandomIgnoresWeightsAndDeadServers(t *testing.T) {
	d := mustNew(t, "random", named(1, 100, 1, 7), []bool{true, true, false, true})
	counts := make([]int, 4)
	for hash := range uint32(300) {
		counts[d.Locate(hash)]++
	}
	if want := []int{100, 100, 0, 100}; !slices.Equal(counts, want) {
		t.Errorf("300 consecutive numbers went to %v, want %v", counts, want)
	}
}

func TestOneLiveServerOwnsEverything(t *testing.T) {
	for _, kind := range Names() {
		d := mustNew(t, kind, named(3, 1, 9), []bool{false, true, false})
		for _, hash := range []uint32{0, 1, 1 << 31, 1<<32 - 1} {
			if got := d.Locate(hash); got != 1 {
				t.Errorf("%s: Locate(%#x) = %d, want 1", kind, hash, got)
			}
		}
	}
}

func TestLocateDoesNotAllocate(t *testing.T) {
	for _, kind := range Names() {
		d := mustNew(t, kind, named(1, 2, 3, 4, 100000), nil)
		var hash uint32
		if allocs := testing.AllocsPerRun(1000, func() {
			hash += 0x9e3779b9
			d.Locate(hash)
		}); allocs != 0 {
			t.Errorf("%s: Locate allocates %v times", kind, allocs)
		}
	}
}
