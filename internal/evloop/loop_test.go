package evloop_test

import (
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"nutmeg/internal/evloop"
)

func TestPostRunsEveryFunctionInItsCallersOrder(t *testing.T) {
	onSystems(t, func(t *testing.T, a *arena) {
		const posters, each = 8, 2000
		var last [posters]int
		ran := 0
		for p := range posters {
			go func() {
				for i := range each {
					a.loop.Post(func() {
						if last[p] != i {
							t.Errorf("function %d of poster %d ran after %d others", i, p, last[p])
						}
						last[p]++
						ran++
					})
				}
			}()
		}
		for ran < posters*each {
			if err := a.loop.Step(true); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestPostFromAPostedFunctionRunsLater(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		var order []int
		a.loop.Post(func() {
			a.loop.Post(func() { order = append(order, 3) })
			order = append(order, 1)
		})
		a.loop.Post(func() { order = append(order, 2) })
		a.run(func() bool { return len(order) == 3 })
		if !slices.Equal(order, []int{1, 2, 3}) {
			t.Errorf("order %v", order)
		}
	})
}

func TestRunEndsAtStop(t *testing.T) {
	onSystems(t, func(t *testing.T, a *arena) {
		done := make(chan error)
		go func() { done <- a.loop.Run() }()
		a.loop.Post(a.loop.Stop)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// tick is a timer of the model test.
type tick struct {
	evloop.Timer
	test  *timerTest
	due   int64
	fired int
}

type timerTest struct {
	t      *testing.T
	loop   *evloop.Loop
	random *rand.Rand
	ticks  []tick
	armed  map[*tick]bool // the model
}

func (k *tick) Expired() {
	x := k.test
	if !x.armed[k] || k.due != x.loop.Now() || k.Armed() {
		x.t.Errorf("fired at %d, due at %d, armed in the model: %v", x.loop.Now(), k.due, x.armed[k])
	}
	for other := range x.armed {
		if other.due < k.due {
			x.t.Errorf("fired before a timer that was due %d ns earlier", k.due-other.due)
		}
	}
	delete(x.armed, k)
	k.fired++
	x.change(x.random.IntN(3)) // timers change timers
}

// change arms, moves and disarms a few timers.
func (x *timerTest) change(count int) {
	for range count {
		k := &x.ticks[x.random.IntN(len(x.ticks))]
		if x.random.IntN(3) == 0 {
			x.loop.Disarm(&k.Timer)
			delete(x.armed, k)
		} else {
			k.due = x.loop.Now() + 1 + x.random.Int64N(int64(50*time.Millisecond))
			x.loop.Arm(&k.Timer, k.due, k)
			x.armed[k] = true
		}
		if k.Armed() != x.armed[k] {
			x.t.Errorf("Armed is %v", k.Armed())
		}
	}
	least, ok := x.loop.NextTimer()
	for k := range x.armed {
		if !ok || k.due < least {
			x.t.Errorf("NextTimer is %d, %v; one is due at %d", least, ok, k.due)
		}
	}
}

func TestTimersFireInOrderAndOnTime(t *testing.T) {
	for seed := range uint64(20) {
		a, _ := onSim(t, seed)
		x := &timerTest{t: t, loop: a.loop, random: rand.New(rand.NewPCG(seed, 1)), ticks: make([]tick, 40), armed: map[*tick]bool{}}
		for i := range x.ticks {
			x.ticks[i].test = x
		}
		for range 100 {
			x.change(5)
			a.runFor(10 * time.Millisecond)
		}
		total := 0
		for i := range x.ticks {
			total += x.ticks[i].fired
		}
		if total < 300 {
			t.Errorf("seed %d: only %d timers fired", seed, total)
		}
	}
}

func TestTimerEndsAWait(t *testing.T) {
	onSystems(t, func(t *testing.T, a *arena) {
		before := a.outside.Now()
		a.runFor(30 * time.Millisecond)
		if took := a.outside.Now() - before; took < int64(30*time.Millisecond) {
			t.Errorf("fired after %v", time.Duration(took))
		}
		if a.batches > 50 { // who does not sleep has many thousand; signals of Go's scheduler end a wait, a few on a busy machine
			t.Errorf("%d batches, want the loop to sleep in between", a.batches)
		}
	})
}

func TestRoundTripAllocatesNothing(t *testing.T) {
	onSystems(t, func(t *testing.T, a *arena) {
		client, server := a.pair(a.tcp())
		server.onReceived = func(data []byte) {
			server.Send(data)
			server.got.Reset()
		}
		request, came := pattern(100), 0
		client.onReceived = func(data []byte) { came += len(data) }
		roundTrip := func() {
			came = 0
			client.got.Reset()
			client.Send(request)
			for wait := false; came < len(request); wait = true { // the first step writes
				if err := a.loop.Step(wait); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 100 {
			roundTrip()
		}
		if n := testing.AllocsPerRun(200, roundTrip); n != 0 {
			t.Errorf("%v allocations a round trip", n)
		}
		client.Close()
		server.Close()
	})
}

// worker runs a loop on its own goroutine and writes its number to every connection.
type worker struct {
	loop  *evloop.Loop
	other *worker // gets every second connection
	count int
	mark  byte
}

type marked struct{ node }

func (w *worker) BatchDone()         {}
func (w *worker) AcceptFailed(error) {}

func (w *worker) Accepted(s evloop.Socket) {
	to := w
	if w.count++; w.count%2 == 0 {
		to = w.other
	}
	to.loop.Post(func() {
		n := &marked{}
		if to.loop.Adopt(&n.Conn, s, n) != nil {
			return
		}
		for range 20000 {
			n.Send([]byte{to.mark, to.mark, to.mark, to.mark, to.mark, to.mark, to.mark})
		}
		n.CloseGracefully(nil)
	})
}

// What one worker accepts another may adopt; from then on nothing of it is the first one's. Run with -race.
func TestAdoptedSocketBelongsToItsNewLoop(t *testing.T) {
	var workers [2]*worker
	for i := range workers {
		outside, err := evloop.NewSystem()
		if err != nil {
			t.Fatal(err)
		}
		defer outside.Close()
		workers[i] = &worker{mark: 'a' + byte(i)}
		workers[i].loop = evloop.New(outside, workers[i])
	}
	workers[0].other = workers[1]
	addr := (&arena{t: t}).tcp()
	socket, err := workers[0].loop.Outside().Listen(addr, evloop.ListenOptions{Backlog: 16})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := workers[0].loop.Accept(socket, evloop.SocketOptions{}, workers[0]); err != nil {
		t.Fatal(err)
	}
	var loops, clients sync.WaitGroup
	for _, w := range workers {
		loops.Go(func() { _ = w.loop.Run() })
	}
	for range 8 {
		clients.Go(func() { readMarked(t, addr.String(), 140000) })
	}
	clients.Wait()
	for _, w := range workers {
		w.loop.Post(w.loop.Stop)
	}
	loops.Wait()
}

func readMarked(t *testing.T, addr string, want int) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	data, err := io.ReadAll(conn)
	if err != nil || len(data) != want {
		t.Errorf("got %d bytes, %v; want %d", len(data), err, want)
	}
	for _, c := range data {
		if c != data[0] {
			t.Errorf("a connection got bytes of another one")
			return
		}
	}
}
