package proxy

import (
	"testing"
	"time"
)

func TestPlace(t *testing.T) {
	for _, c := range []struct {
		name string
		all  []standing
		mark int
		want int
	}{
		{"the first while nobody is busy", []standing{{share: 0, clients: 90}, {share: 0}}, 700, 0},
		{"the first that is not busy", []standing{{share: 700}, {share: 800}, {share: 699, clients: 90}, {share: 0}}, 700, 2},
		{"an idle one below a busy one", []standing{{share: 100}, {share: 900}}, 700, 0},
		{"that with the fewest clients while all are busy", []standing{{share: 900, clients: 9}, {share: 1000, clients: 7}, {share: 950, clients: 8}}, 700, 1},
		{"by turns without a mark", []standing{{clients: 2}, {clients: 1}, {clients: 1}}, 0, 1},
	} {
		if got := place(c.all, c.mark); got != c.want {
			t.Errorf("%s: worker %d, want %d", c.name, got, c.want)
		}
	}
}

func TestDecide(t *testing.T) {
	nothing := gift{}
	for _, c := range []struct {
		name         string
		all          []standing
		self, active int
		want         gift
	}{
		{"a busy one gives half of its clients to an idle one", []standing{{share: 1000, clients: 50}, {}}, 0, 50, gift{to: 1, count: 25}},
		{"so many that both have the same to do", []standing{{share: 900, clients: 90}, {share: 300, clients: 30}}, 0, 90, gift{to: 1, count: 30}},
		{"only of those that are active", []standing{{share: 1000, clients: 5000}, {}}, 0, 10, gift{to: 1, count: 5}},
		{"a busy one gives to the first that is not", []standing{{share: 1000, clients: 9}, {share: 650, clients: 9}, {}, {}}, 0, 9, gift{to: 2, count: 4}},
		{"also to one below it", []standing{{share: 100, clients: 9}, {share: 1000, clients: 10}}, 1, 10, gift{to: 0, count: 4}},
		{"a worker that is not busy enough gives nothing", []standing{{share: 699, clients: 50}, {}}, 0, 50, nothing},
		{"one client cannot be divided", []standing{{share: 1000, clients: 1}, {}}, 0, 1, nothing},
		{"two can", []standing{{share: 1000, clients: 2}, {}}, 0, 2, gift{to: 1, count: 1}},
		{"not to one that has got clients a moment ago", []standing{{share: 1000, clients: 50}, {waits: true}, {}}, 0, 50, gift{to: 2, count: 25}},
		{"if all are busy, to the least busy", []standing{{share: 1000, clients: 50}, {share: 790}, {share: 720}}, 0, 50, gift{to: 2, count: 7}},
		{"if all are as busy, to nobody", []standing{{share: 1000, clients: 50}, {share: 850}, {share: 900}}, 0, 50, nothing},
		{"two calm ones become one", []standing{{share: 200, clients: 50}, {share: 200, clients: 50}}, 1, 0, gift{to: 0, all: true}},
		{"the first never gives for calm", []standing{{share: 200, clients: 50}, {share: 200, clients: 50}}, 0, 0, nothing},
		{"two that are not calm together stay two", []standing{{share: 300, clients: 50}, {share: 200, clients: 50}}, 1, 0, nothing},
		{"to the first that has room", []standing{{share: 600, clients: 50}, {share: 200, clients: 50}, {share: 100, clients: 7}}, 2, 0, gift{to: 1, all: true}},
		{"an idle one gives idle clients to the first", []standing{{share: 0}, {share: 0, clients: 7}}, 1, 0, gift{to: 0, all: true}},
		{"one at a time", []standing{{share: 0, waits: true}, {share: 0, clients: 7}}, 1, 0, nothing},
		{"who has none gives none", []standing{{}, {}}, 1, 0, nothing},
	} {
		g, ok := decide(c.all, c.self, c.active, 700)
		if g != c.want || ok != (c.want != nothing) {
			t.Errorf("%s: %+v %v, want %+v", c.name, g, ok, c.want)
		}
	}
}

// TestDecisionsSettle: under a load that stays as it is, clients do not go to and fro, whatever the load.
func TestDecisionsSettle(t *testing.T) {
	const clients, mark = 200, 700
	for load := 0; load <= 4000; load += 50 {
		counts := []int{clients, 0, 0, 0}
		quiet := 0
		for round := 0; quiet < len(counts)+1; round++ {
			if round > 100 {
				t.Fatalf("a load of %d finds no rest: %v", load, counts)
			}
			all := make([]standing, len(counts))
			for i, n := range counts {
				all[i] = standing{share: min(load*n/clients, 1000), clients: n}
			}
			quiet++
			self := round % len(counts)
			if g, ok := decide(all, self, counts[self], mark); ok {
				if g.all {
					g.count = counts[self]
				}
				counts[self] -= g.count
				counts[g.to] += g.count
				quiet = 0
			}
		}
		if load < mark && counts[0] != clients {
			t.Errorf("a load of %d is spread over %v", load, counts)
		}
		if load == 4000 && (counts[0] > 70 || counts[3] < 40) {
			t.Errorf("a full load is spread over %v", counts)
		}
	}
}

func TestMeter(t *testing.T) {
	const tick = int64(250 * time.Millisecond)
	var m meter
	m.begin(sample{at: 5 * tick, worked: 1000, process: 7000})
	if batches, process := m.measure(); batches != 0 || process != 0 || m.settled() {
		t.Errorf("after no time: %d, %d, settled %v", batches, process, m.settled())
	}
	for i := int64(1); i <= 3; i++ {
		if m.settled() {
			t.Errorf("settled after %d ticks", i-1)
		}
		m.add(sample{at: (5 + i) * tick, worked: 1000 + i*tick/2, process: 7000 + i*tick})
	}
	if batches, process := m.measure(); batches != 500 || process != 1000 || !m.settled() {
		t.Errorf("half of the time: %d, %d, settled %v", batches, process, m.settled())
	}
	for i := int64(4); i <= 7; i++ { // the last second is what counts
		m.add(sample{at: (5 + i) * tick, worked: 1000 + 3*tick/2, process: 7000 + 3*tick})
	}
	if batches, process := m.measure(); batches != 0 || process != 0 {
		t.Errorf("a second of rest: %d, %d", batches, process)
	}
}

func TestShareOf(t *testing.T) {
	for _, c := range []struct {
		name                       string
		batches, all, process, got int
	}{
		{"what the process takes is shared out", 600, 800, 400, 300},
		{"waiting for a processor is no work", 1000, 1000, 400, 400},
		{"system calls between batches are", 300, 300, 450, 450},
		{"the clock has to do where nothing else is known", 600, 800, 0, 600},
		{"nobody takes more than all", 900, 900, 1800, 1000},
		{"who does nothing takes nothing", 0, 0, 20, 0},
	} {
		if got := shareOf(c.batches, c.all, c.process); got != c.got {
			t.Errorf("%s: %d, want %d", c.name, got, c.got)
		}
	}
}
