package distribution

import (
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// referencePoints is the definition: names are printed and hashed one by one.
func referencePoints(m member, first, end int) (points []point) {
	for j := first; j < end; j++ {
		text := fmt.Sprintf("%s-%d", m.Name, j)
		digest := md5.Sum([]byte(text[:min(len(text), 272)]))
		for word := 0; word < 16; word += 4 {
			points = append(points, makePoint(binary.LittleEndian.Uint32(digest[word:]), m.index))
		}
	}
	return points
}

// Names of every length, those that fill a block to the last byte among them,
// and numbers that get longer on the way.
func TestPointsAreDigestsOfNames(t *testing.T) {
	for size := range 300 {
		m := member{Server{Name: strings.Repeat("n", size)}, uint32(size)}
		for _, count := range []int{0, 1, 2, 9, 10, 11, 40, 99, 100, 101} {
			for _, first := range []int{0, 1, 9, count} {
				if got, want := appendPoints(nil, m, first, count), referencePoints(m, first, count); !slices.Equal(got, want) {
					t.Fatalf("a name of %d bytes, digests %d to %d: other points", size, first, count)
				}
			}
		}
	}
}

func FuzzPoints(f *testing.F) {
	f.Add("10.0.0.1:6379", uint16(0), uint16(40))
	f.Add("\xff\x00-", uint16(990), uint16(1001))
	f.Fuzz(func(t *testing.T, name string, first, end uint16) {
		m := member{Server{Name: name}, 7}
		if got, want := appendPoints(nil, m, int(first), int(end)), referencePoints(m, int(first), int(end)); !slices.Equal(got, want) {
			t.Errorf("%q, digests %d to %d: other points", name, first, end)
		}
	})
}

func TestPointsAreSorted(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, value := range map[string]func(i uint32) uint32{
		"spread":               func(uint32) uint32 { return r.Uint32() },
		"many equal ones":      func(i uint32) uint32 { return i % 7 << 29 },
		"all equal":            func(uint32) uint32 { return 1 << 31 },
		"all in one bucket":    func(uint32) uint32 { return 0x12345678 + r.Uint32()%5000 },
		"all at the top":       func(uint32) uint32 { return -r.Uint32() % 50 },
		"crowds and strangers": func(i uint32) uint32 { return r.Uint32() >> (i % 3 * 12) },
		"in order":             func(i uint32) uint32 { return i << 18 },
		"in reverse":           func(i uint32) uint32 { return -i << 18 },
	} {
		t.Run(name, func(t *testing.T) {
			for _, count := range []int{0, 1, 2, 3, 15, 16, 17, 18, 100, 5000} {
				points := make([]point, count)
				for i := range points {
					points[i] = makePoint(value(uint32(i)), r.Uint32()%1000)
				}
				want := slices.Clone(points)
				slices.Sort(want)
				got, starts := sortPoints(points, nil)
				if !slices.Equal(got, want) {
					t.Fatalf("%d points: not in ascending order", count)
				}
				if !slices.Equal(starts, startsOf(got)) {
					t.Fatalf("%d points: buckets start elsewhere", count)
				}
			}
		})
	}
}

// A continuum costs a few arrays, however many servers there are.
func TestContinuumCostsFewAllocations(t *testing.T) {
	for _, count := range []int{3, 100, 1000} {
		live := members(named(slices.Repeat([]int{1}, count)...), nil)
		if allocs := testing.AllocsPerRun(1, func() { newKetama(live) }); allocs > 6 {
			t.Errorf("%d servers: %v allocations", count, allocs)
		}
	}
}
