package distribution

import (
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"

	"nutmeg/internal/hashkit"
)

// searchContinuum is the definition: plain binary search over every point,
// with wrap-around.
type searchContinuum struct {
	values []uint32
	owners []uint32
}

func newSearchContinuum(points []point) *searchContinuum {
	c := &searchContinuum{}
	for _, p := range points {
		c.values = append(c.values, p.value())
		c.owners = append(c.owners, p.owner())
	}
	return c
}

func (c *searchContinuum) Locate(hash uint32) int {
	i := sort.Search(len(c.values), func(i int) bool { return c.values[i] >= hash })
	if i == len(c.values) {
		i = 0
	}
	return int(c.owners[i])
}

// members returns the live among servers; nil means that all are.
func members(servers []Server, live []bool) (all []member) {
	for i, s := range servers {
		if live == nil || live[i] {
			all = append(all, member{s, uint32(i)})
		}
	}
	return all
}

// pointCounts returns how many points each of the servers has.
func pointCounts(servers []Server) []int {
	counts := make([]int, len(servers))
	points, _ := new(workbench).continuumPoints(members(servers, nil))
	for _, p := range points {
		counts[p.owner()]++
	}
	return counts
}

func TestKetamaAgreesWithTwemproxy(t *testing.T) {
	tests := []struct {
		rule   string
		names  string
		weight []int
		live   []bool
		points int
		want   string // the server of key:0, key:1, ... key:19
	}{
		{"equal weights", "s", []int{1, 1, 1}, nil, 480, "11332232113222212331"},
		{"equal weights, the second dead", "s", []int{1, 1, 1}, []bool{true, false, true}, 320, "11331331113313313331"},
		{"unequal weights", "s", []int{1, 2, 3}, nil, 480, "13332232313222232333"},
		{"unequal weights, the second dead", "s", []int{1, 2, 3}, []bool{true, false, true}, 320, "13331331313313333333"},
	}
	hash, _ := hashkit.ByName("md5")
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			servers := named(tt.weight...)
			if points, _ := new(workbench).continuumPoints(members(servers, tt.live)); len(points) != tt.points {
				t.Errorf("%d points, want %d", len(points), tt.points)
			}
			d := mustNew(t, "ketama", servers, tt.live)
			var got strings.Builder
			for i := range 20 {
				fmt.Fprint(&got, d.Locate(hash(fmt.Appendf(nil, "key:%d", i)))+1)
			}
			if got.String() != tt.want {
				t.Errorf("keys go to %s, want %s", got.String(), tt.want)
			}
		})
	}
}

func TestPointCounts(t *testing.T) {
	tests := []struct {
		rule    string
		weights []int
		want    []int
	}{
		{"points follow the weights", []int{1, 2, 3, 4}, []int{64, 128, 192, 256}},
		{"one server", []int{7}, []int{160}},
		{"a tiny share has no points", []int{100000, 1}, []int{316, 0}},
		{"shares far apart", []int{1, 100, 1000}, []int{0, 40, 432}},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			if got := pointCounts(named(tt.weights...)); !slices.Equal(got, tt.want) {
				t.Errorf("weights %v have points %v, want %v", tt.weights, got, tt.want)
			}
		})
	}
}

func TestEqualWeightsLosePointsToRounding(t *testing.T) {
	short := []int{25, 47, 50, 55, 61, 71, 94, 100, 107, 109, 110, 115, 122}
	for n := 1; n <= 128; n++ {
		want := 160
		if slices.Contains(short, n) {
			want = 156
		}
		if got := pointsPerDigest * digests(1, uint64(n), n); got != want {
			t.Errorf("%d equal servers have %d points each, want %d", n, got, want)
		}
	}
}

func TestLongNamesAreCut(t *testing.T) {
	long := strings.Repeat("x", maxPointName)
	for _, size := range []int{maxPointName - 3, maxPointName - 2, maxPointName - 1, maxPointName} {
		server := Server{Name: long[:size], Weight: 1}
		var want []uint32
		for j := range 40 {
			text := fmt.Sprintf("%s-%d", server.Name, j)
			digest := md5.Sum([]byte(text[:min(len(text), 272)]))
			for word := 0; word < 16; word += 4 {
				want = append(want, binary.LittleEndian.Uint32(digest[word:]))
			}
		}
		slices.Sort(want)
		var got []uint32
		points, _ := new(workbench).continuumPoints(members([]Server{server}, nil))
		for _, p := range points {
			got = append(got, p.value())
		}
		if !slices.Equal(got, want) {
			t.Errorf("points of a name of %d bytes are not those of its first 272 bytes", size)
		}
	}
}

// Cut names give two servers the same points: the first server keeps them.
func TestEqualPointsBelongToTheFirstServer(t *testing.T) {
	long := strings.Repeat("x", 300)
	servers := []Server{{"a", 1}, {long + "1", 1}, {long + "2", 1}}
	d := mustNew(t, "ketama", servers, nil)
	owners := make([]int, 3)
	for i := range uint32(1 << 16) {
		owners[d.Locate(i<<16)]++
	}
	if owners[0] == 0 || owners[1] == 0 || owners[2] != 0 {
		t.Errorf("hashes per server %v, want none for the last only", owners)
	}
}

func TestLocateAtEveryPoint(t *testing.T) {
	for _, weights := range [][]int{{1, 1}, {1, 2, 3, 4}, {100000, 1}, slices.Repeat([]int{1}, 25), slices.Repeat([]int{2}, 300)} {
		points, _ := new(workbench).continuumPoints(members(named(weights...), nil))
		want := newSearchContinuum(points)
		d := mustNew(t, "ketama", named(weights...), nil)
		check := func(hash uint32) {
			if got := d.Locate(hash); got != want.Locate(hash) {
				t.Errorf("%d servers: Locate(%#x) = %d, want %d", len(weights), hash, got, want.Locate(hash))
			}
		}
		check(0)
		check(1<<32 - 1)
		for _, p := range points {
			check(p.value() - 1)
			check(p.value())
			check(p.value() + 1)
		}
	}
}

// checkIndexed compares the indexed continuum over points with the definition,
// at hashes and at, before and after every point.
func checkIndexed(t *testing.T, points []point, hashes ...uint32) {
	t.Helper()
	slices.Sort(points)
	want := newSearchContinuum(points)
	highest := uint32(0)
	for _, p := range points {
		hashes = append(hashes, p.value()-1, p.value(), p.value()+1)
		highest = max(highest, p.owner())
	}
	k := connect([]member{{index: highest}}, points, startsOf(points))
	for _, hash := range hashes {
		if got := k.Locate(hash); got != want.Locate(hash) {
			t.Fatalf("%d points, owners to %d: Locate(%#x) = %d, want %d", len(points), highest, hash, got, want.Locate(hash))
		}
	}
	checkLong(t, k, points)
}

// checkLong compares the points that a continuum gives back with those that it
// was made of.
func checkLong(t *testing.T, k *ketama, want []point) {
	t.Helper()
	var got []point
	p := point(0)
	for _, s := range k.all() {
		p = k.long(s, p)
		got = append(got, p)
	}
	if k.filled {
		want = fill(want, int(k.ownerBits))
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%d points: other points come back, filled is %v", len(want), k.filled)
	}
}

// However the values lie and however few points there are for the servers, short
// points and their buckets find what plain search does.
func TestLocateIsPlainSearch(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, value := range map[string]func() uint32{
		"spread":            r.Uint32,
		"all equal":         func() uint32 { return 1 << 31 },
		"few values":        func() uint32 { return r.Uint32N(7) << 29 },
		"all in one bucket": func() uint32 { return 0x12345678 + r.Uint32N(500) },
		"both ends":         func() uint32 { return r.Uint32N(50) - 25 },
		"crowds":            func() uint32 { return r.Uint32() >> (r.Uint32N(3) * 12) },
		"all but a gap":     func() uint32 { return r.Uint32() | 1<<31 },
		"all but the ends":  func() uint32 { return 1<<29 + r.Uint32N(3<<30) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, servers := range []uint32{1, 2, 3, 1000} {
				for _, count := range []int{1, 2, 3, 4, 5, 9, 160, 2000} {
					points := []point{makePoint(value(), servers-1)}
					for len(points) < count {
						points = append(points, makePoint(value(), r.Uint32N(servers)))
					}
					hashes := []uint32{0, 1, 1 << 31, 1<<32 - 2, 1<<32 - 1}
					for range 200 {
						hashes = append(hashes, r.Uint32())
					}
					checkIndexed(t, points, hashes...)
				}
			}
		})
	}
}

func TestLocateAmongManyServers(t *testing.T) {
	const count = 40_000
	r := rand.New(rand.NewPCG(1, 2))
	servers := make([]member, count)
	check := func(name string, k *ketama, points []point, filled bool) {
		if k.filled != filled {
			t.Errorf("%s: points are added is %v, want %v", name, k.filled, filled)
		}
		want := newSearchContinuum(points)
		for range 5000 {
			value := points[r.IntN(len(points))].value()
			for _, hash := range []uint32{r.Uint32(), value - 1, value, value + 1, 0, 1<<32 - 1} {
				if got := k.Locate(hash); got != want.Locate(hash) {
					t.Fatalf("%s: Locate(%#x) = %d, want %d", name, hash, got, want.Locate(hash))
				}
			}
		}
	}
	all := make([]point, count*pointsPerServer)
	for i := range servers {
		servers[i] = member{Server{fmt.Sprint("s", i), 1}, uint32(i)}
		for j := range pointsPerServer { // names would take longer
			all[i*pointsPerServer+j] = makePoint(r.Uint32(), uint32(i))
		}
	}
	all, starts := sortPoints(all, nil)
	check("all", connect(servers, all, starts), all, false)
	for name, live := range map[string][]member{
		"the last":     servers[count-1:],
		"a few":        {servers[3], servers[77], servers[12345], servers[count-1]},
		"the last 500": servers[count-500:],
	} {
		points, starts := new(workbench).continuumPoints(live)
		check(name, connect(live, points, starts), points, true)
	}
}

// Where points are added, a part cannot be taken from the whole.
func TestPointsOfAllServersAreDense(t *testing.T) {
	for _, count := range []int{1, 2, 3, 4, 5, 9, 10, 17, 33, 65, 100, 129, 257, 513, 1000, 1025} {
		if newKetama(members(named(slices.Repeat([]int{1}, count)...), nil)).filled {
			t.Errorf("%d servers: points are added", count)
		}
	}
}

// A continuum takes 1.5 KB for each of many equal servers, at most.
func TestContinuumIsSmall(t *testing.T) {
	for _, count := range []int{10, 100, 1000, 1023, 1025} {
		k := newKetama(members(named(slices.Repeat([]int{1}, count)...), nil))
		if bytes := 4*cap(k.points) + 4*cap(k.starts); bytes > count*1600 {
			t.Errorf("%d servers: %d bytes", count, bytes)
		}
	}
}

func TestLocateWhenPointsCluster(t *testing.T) {
	cluster := func(first, step uint32, count int) (points []point) {
		for i := range uint32(count) {
			points = append(points, makePoint(first+i*step, i%3))
		}
		return points
	}
	tests := []struct {
		rule   string
		points []point
	}{
		{"one point at the bottom", cluster(0, 1, 1)},
		{"one point at the top", cluster(1<<32-1, 1, 1)},
		{"both ends", []point{makePoint(0, 1), makePoint(1<<32-1, 2)}},
		{"all at the bottom", cluster(0, 1, 1000)},
		{"all at the top", cluster(1<<32-1000, 1, 1000)},
		{"all in the middle of one bucket", cluster(0x12345678, 3, 5000)},
		{"around a bucket's edge", cluster(1<<31-8, 1, 16)},
		{"a cluster and a few strays", append(cluster(0x70000000, 1, 300), makePoint(5, 4), makePoint(0xfffffff0, 5))},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			checkIndexed(t, tt.points, 0, 1, 1<<31, 1<<32-2, 1<<32-1)
		})
	}
}

// Whatever points there are, the index finds what plain search finds.
func FuzzLocate(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x01\xff\xff\xff\xff\x02"), uint8(0), uint32(7))
	f.Add([]byte(strings.Repeat("\x12\x34\x56\x78\x01\x12\x34\x56\x79\x02", 9)), uint8(16), uint32(1<<31))
	f.Fuzz(func(t *testing.T, raw []byte, crowd uint8, hash uint32) {
		var points []point
		for ; len(raw) >= 5; raw = raw[5:] {
			value := binary.BigEndian.Uint32(raw) >> (crowd & 31) // crowd them at the bottom
			points = append(points, makePoint(value, uint32(raw[4])))
		}
		if len(points) > 0 {
			checkIndexed(t, points, hash, 0, 1<<32-1)
		}
	})
}

func BenchmarkLocate(b *testing.B) {
	for _, count := range []int{1, 2, 10, 100, 1000, 5000} {
		servers := named(slices.Repeat([]int{1}, count)...)
		points, _ := new(workbench).continuumPoints(members(servers, nil))
		for _, d := range []struct {
			name string
			Distribution
		}{
			{"search", newSearchContinuum(points)},
			{"ketama", mustNew(b, "ketama", servers, nil)},
			{"modula", mustNew(b, "modula", servers, nil)},
		} {
			b.Run(fmt.Sprintf("%s/servers=%d", d.name, count), func(b *testing.B) {
				b.ReportAllocs()
				locate, hash := d.Distribution, uint32(1)
				for b.Loop() {
					hash = hash*1664525 + 1013904223 // spread over the whole range
					locate.Locate(hash)
				}
			})
		}
	}
}

func BenchmarkNew(b *testing.B) {
	for _, count := range []int{1, 2, 10, 100, 1000, 5000} {
		servers := named(slices.Repeat([]int{1}, count)...)
		b.Run(fmt.Sprintf("ketama/servers=%d", count), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mustNew(b, "ketama", servers, nil)
			}
		})
	}
}
