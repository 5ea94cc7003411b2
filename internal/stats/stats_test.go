package stats

import (
	"reflect"
	"sync"
	"testing"
)

// filled returns a Worker of the given shape with every counter set to n.
func filled(n int64, serversPerPool ...int) *Worker {
	w := NewWorker(serversPerPool)
	w.TotalConnections, w.CurrConnections = n, n
	for i := range w.Pools {
		setAll(&w.Pools[i], n)
		for j := range w.Pools[i].Servers {
			setAll(&w.Pools[i].Servers[j], n)
		}
	}
	return w
}

// setAll sets each int64 field of the struct v points to.
func setAll(v any, n int64) {
	s := reflect.ValueOf(v).Elem()
	for _, f := range s.Fields() {
		if f.Kind() == reflect.Int64 {
			f.SetInt(n)
		}
	}
}

func TestNewWorkerHasTheAskedShape(t *testing.T) {
	for _, shape := range [][]int{nil, {0}, {3}, {1, 0, 2}} {
		w := NewWorker(shape)
		if len(w.Pools) != len(shape) {
			t.Fatalf("%v: %d pools", shape, len(w.Pools))
		}
		for i, n := range shape {
			if got := len(w.Pools[i].Servers); got != n {
				t.Errorf("%v: pool %d has %d servers", shape, i, got)
			}
		}
	}
}

func TestAdd(t *testing.T) {
	// sum has every counter 5, and 3 for the timestamp, of which the later stays.
	sum := filled(5, 2, 1)
	for i := range sum.Pools {
		for j := range sum.Pools[i].Servers {
			sum.Pools[i].Servers[j].EjectedAt = 3
		}
	}
	grown := filled(2, 1, 2)
	grown.TotalConnections, grown.CurrConnections = 5, 5
	setAll(&grown.Pools[0], 5)
	setAll(&grown.Pools[0].Servers[0], 5)
	grown.Pools[0].Servers[0].EjectedAt = 3

	for _, c := range []struct {
		name    string
		w, o, r *Worker
	}{
		{"counters sum and the later ejection stays", filled(2, 2, 1), filled(3, 2, 1), sum},
		{"an earlier ejection does not replace a later one", filled(3, 2, 1), filled(2, 2, 1), sum},
		{"nil adds nothing", filled(4, 2), nil, filled(4, 2)},
		{"zeros add nothing", filled(4, 2), NewWorker([]int{2}), filled(4, 2)},
		{"a larger one makes it grow", filled(3, 1), filled(2, 1, 2), grown},
		{"a smaller one leaves the rest alone", filled(2, 1, 2), filled(3, 1), grown},
		{"an empty one takes all", &Worker{}, filled(6, 1, 0, 2), filled(6, 1, 0, 2)},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := c.o.Clone()
			c.w.Add(c.o)
			if !sameWorker(c.w, c.r) {
				t.Errorf("got %+v, want %+v", c.w, c.r)
			}
			if c.o != nil && !sameWorker(c.o, before) {
				t.Errorf("the argument changed to %+v", c.o)
			}
		})
	}
}

// sameWorker is DeepEqual, except that nil and empty slices are the same.
func sameWorker(a, b *Worker) bool {
	same := a.TotalConnections == b.TotalConnections && a.CurrConnections == b.CurrConnections && len(a.Pools) == len(b.Pools)
	for i := 0; same && i < len(a.Pools); i++ {
		p, q := a.Pools[i], b.Pools[i]
		if len(p.Servers) == 0 && len(q.Servers) == 0 {
			p.Servers, q.Servers = nil, nil
		}
		same = reflect.DeepEqual(p, q)
	}
	return same
}

func TestCloneAndAddShareNothing(t *testing.T) {
	for name, copied := range map[string]func(*Worker) *Worker{
		"clone": (*Worker).Clone,
		"add": func(w *Worker) *Worker {
			sum := &Worker{}
			sum.Add(w)
			return sum
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := filled(1, 2, 1)
			c := copied(w)
			w.Add(filled(8, 2, 1, 4))
			w.Pools[0].Servers[0].EjectedAt = 99
			if !sameWorker(c, filled(1, 2, 1)) {
				t.Errorf("the copy changed with its source: %+v", c)
			}
		})
	}
	if (*Worker)(nil).Clone() != nil {
		t.Error("the clone of nil is not nil")
	}
}

func TestCountersSumWithoutAllocation(t *testing.T) {
	sum, w := filled(1, 3, 3), filled(2, 3, 3)
	if n := testing.AllocsPerRun(100, func() { sum.Add(w) }); n != 0 {
		t.Errorf("Add of equal shapes allocates %v times", n)
	}
}

// BenchmarkNeighbours lets two workers, built one after the other, count at the
// same time: with them in one cache line an increment costs more than twice as much.
func BenchmarkNeighbours(b *testing.B) {
	for _, c := range []struct {
		name   string
		worker func() *Worker
	}{
		{"padded", func() *Worker { return NewWorker([]int{2}) }},
		{"packed", func() *Worker { return &Worker{Pools: []Pool{{Servers: make([]Server, 2)}}} }},
	} {
		b.Run(c.name, func(b *testing.B) {
			workers := []*Worker{c.worker(), c.worker()}
			n := b.N
			b.ResetTimer()
			var done sync.WaitGroup
			for i, w := range workers {
				done.Go(func() {
					// The last server of the one lies beside the first of the other.
					s := &w.Pools[0].Servers[1-i]
					for range n {
						s.Requests++
						s.OutQueueBytes++
					}
				})
			}
			done.Wait()
		})
	}
}
