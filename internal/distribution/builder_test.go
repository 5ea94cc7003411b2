package distribution

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// builderPools are servers whose continua are built in different ways.
func builderPools() map[string][]Server {
	twins := named(1, 2, 4) // of the same name: all their points are equal
	for i := range twins {
		twins[i].Name = "twin"
	}
	many := named(slices.Repeat([]int{1, 2}, 20)...) // so many that their points are not dense
	for i := range many {
		many[i].Name = "twin"
	}
	return map[string][]Server{
		"one":           named(1),
		"equal":         named(1, 1, 1, 1, 1),
		"with rounding": named(slices.Repeat([]int{1}, 26)...),
		"weighted":      named(1, 2, 3, 4, 50),
		"many":          named(slices.Repeat([]int{3}, 34)...),
		"equal points":  twins,
		"not dense":     many,
	}
}

func TestBuilderBuildsWhatNewDoes(t *testing.T) {
	for name, servers := range builderPools() {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			b, err := NewBuilder("ketama", servers)
			if err != nil {
				t.Fatal(err)
			}
			live := slices.Repeat([]bool{true}, len(servers))
			for range 200 {
				checkBuild(t, b, live)
				live[r.IntN(len(live))] = r.IntN(3) > 0
				live[r.IntN(len(live))] = true
			}
		})
	}
}

// The largest of those that are left leaves, again and again: each time, the
// next has half of the continuum and needs more points than ever. With the
// largest first, the last ones are too few for the bits of their numbers.
func TestBuilderWhenSharesChange(t *testing.T) {
	const count = 16
	var weights, leave []int
	for i := range count {
		weights, leave = append(weights, 1<<i), append(leave, count-1-i)
	}
	for range 2 {
		b, err := NewBuilder("ketama", named(weights...))
		if err != nil {
			t.Fatal(err)
		}
		live := slices.Repeat([]bool{true}, count)
		for _, i := range leave[:count-1] {
			checkBuild(t, b, live)
			live[i] = false
		}
		checkBuild(t, b, live)
		slices.Reverse(weights)
		slices.Reverse(leave)
	}
}

// Whatever weights servers have and whoever is live, with names that collide,
// the part is what a continuum of its own would be.
func FuzzBuilder(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4}, uint64(5))
	f.Add(slices.Repeat([]byte{1}, 48), uint64(1<<47))
	f.Fuzz(func(t *testing.T, weights []byte, dead uint64) {
		weights = weights[:min(len(weights), 64)]
		servers, live, any := make([]Server, len(weights)), make([]bool, len(weights)), false
		for i, weight := range weights {
			servers[i] = Server{Name: fmt.Sprint("s", i%50), Weight: 1 + int(weight)}
			live[i] = dead>>i&1 == 0
			any = any || live[i]
		}
		b, err := NewBuilder("ketama", servers)
		if err == nil && any {
			checkBuild(t, b, live)
		}
	})
}

// Nothing is built before it is needed, and then once.
func TestBuilderBuildsTheWholeOnce(t *testing.T) {
	b, err := NewBuilder("ketama", named(slices.Repeat([]int{1}, 100)...))
	if err != nil || b.whole != nil {
		t.Fatalf("built early, %v", err)
	}
	var group sync.WaitGroup
	wholes := make([]Distribution, 8)
	for i := range wholes {
		group.Go(func() {
			b.Locate(uint32(i) << 29)
			wholes[i] = b.Whole()
		})
	}
	group.Wait()
	for _, whole := range wholes {
		if whole != wholes[0] {
			t.Error("built twice")
		}
	}
	if again, err := b.Build(nil); err != nil || again != wholes[0] {
		t.Errorf("all of the servers: another distribution, %v", err)
	}
	if want := mustNew(t, "ketama", b.servers, nil); b.Locate(1<<31) != want.Locate(1<<31) {
		t.Error("another owner than without a builder")
	}
}

// checkBuild compares the continuum of the live with New's: its points, or where
// they are those of all, the owners at, before and after each of them.
func checkBuild(t *testing.T, b *Builder, live []bool) {
	t.Helper()
	got, err := b.Build(live)
	if err != nil {
		t.Fatal(err)
	}
	want := newKetama(members(b.servers, live))
	if k, ok := got.(*ketama); ok {
		if k.owners != want.owners || k.ownerBits != want.ownerBits || k.shift != want.shift || k.filled != want.filled ||
			!slices.Equal(k.points, want.points) || !slices.Equal(k.starts, want.starts) {
			t.Fatalf("live %v: another continuum", live)
		}
		return
	}
	check := func(hash uint32) {
		if owner := got.Locate(hash); owner != want.Locate(hash) {
			t.Fatalf("live %v: Locate(%#x) = %d, want %d", live, hash, owner, want.Locate(hash))
		}
	}
	check(0)
	check(1<<32 - 1)
	whole, p := got.(*without).whole, point(0)
	for _, s := range whole.all() {
		p = whole.long(s, p)
		check(p.value() - 1)
		check(p.value())
		check(p.value() + 1)
	}
}

// Unless a rounding changes how many points the others have, the continuum of
// all is used, and an ejection costs an allocation or two, however many points
// there are.
func TestServersThatLeaveCostNoContinuum(t *testing.T) {
	const count = 64
	b, err := NewBuilder("ketama", named(slices.Repeat([]int{1}, count)...))
	if err != nil {
		t.Fatal(err)
	}
	live := slices.Repeat([]bool{true}, count)
	cheap := 0
	for left := count - 1; left > 0; left-- {
		live[(left*7+3)%count] = false
		checkBuild(t, b, live)
		d, _ := b.Build(live)
		want := left*mostSparse >= count && digests(1, uint64(left), left) == digests(1, count, count)
		if _, got := d.(*without); got != want {
			t.Errorf("%d left: the continuum of all is used is %v, want %v", left, got, want)
		}
		if !want {
			continue
		}
		cheap++
		if bytes := bytesOf(func() { _, _ = b.Build(live) }); bytes > 8<<10 {
			t.Errorf("%d left: %d bytes", left, bytes)
		}
	}
	if cheap < count*3/4 {
		t.Errorf("%d of %d ejections cost nothing", cheap, count)
	}
}

// bytesOf is what do allocates.
func bytesOf(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestBuilderOfOtherKinds(t *testing.T) {
	servers := named(1, 2, 3)
	for _, kind := range []string{"modula", "random"} {
		b, err := NewBuilder(kind, servers)
		if err != nil {
			t.Fatal(err)
		}
		for _, live := range [][]bool{nil, {true, false, true}} {
			got, err := b.Build(live)
			want := mustNew(t, kind, servers, live)
			if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s of %v: %v, %v; want %v", kind, live, got, err, want)
			}
		}
	}
}

func TestSameBuilders(t *testing.T) {
	renamed := named(1, 2, 3)
	renamed[1].Name = "other"
	builders := []*Builder{}
	for _, b := range []struct {
		kind    string
		servers []Server
	}{{"ketama", named(1, 2, 3)}, {"modula", named(1, 2, 3)}, {"ketama", named(1, 2)}, {"ketama", named(1, 2, 4)}, {"ketama", renamed}} {
		made, err := NewBuilder(b.kind, b.servers)
		if err != nil {
			t.Fatal(err)
		}
		builders = append(builders, made)
	}
	for i, a := range builders {
		for j, b := range builders {
			if a.Same(b) != (i == j) {
				t.Errorf("builders %d and %d: the same is %v", i, j, a.Same(b))
			}
		}
	}
	if again, err := NewBuilder("ketama", named(1, 2, 3)); err != nil || !again.Same(builders[0]) {
		t.Errorf("a second one is another, %v", err)
	}
}

func TestBuilderRefuses(t *testing.T) {
	for _, tt := range []struct {
		kind    string
		servers []Server
		want    string
	}{
		{"ketama", nil, "none of 0 servers is live"},
		{"ketama", named(1, 0), "has weight 0"},
		{"modula", named(1, 0), "has weight 0"},
		{"ring", named(1), `"ring" is not a distribution`},
	} {
		if _, err := NewBuilder(tt.kind, tt.servers); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("NewBuilder(%q): %v, want %q", tt.kind, err, tt.want)
		}
	}
	b, err := NewBuilder("ketama", named(1, 1))
	if err != nil {
		t.Fatal(err)
	}
	for want, live := range map[string][]bool{"3 live flags for 2 servers": {true, true, true}, "none of 2 servers": {false, false}} {
		if _, err := b.Build(live); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Build(%v): %v, want %q", live, err, want)
		}
	}
}

func BenchmarkBuild(b *testing.B) {
	for _, count := range []int{1, 2, 10, 100, 1000, 5000} {
		b.Run(fmt.Sprintf("ketama/servers=%d", count), func(b *testing.B) {
			builder, err := NewBuilder("ketama", named(slices.Repeat([]int{1}, count)...))
			if err != nil {
				b.Fatal(err)
			}
			live := slices.Repeat([]bool{true}, count)
			live[count/2] = count == 1
			builder.Whole()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := builder.Build(live); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
