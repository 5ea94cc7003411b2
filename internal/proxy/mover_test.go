package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/testkit/sim"
)

// newMoving is an arena with workers that are busy when a test says so.
func newMoving(t *testing.T, workers int, settings string) *arena {
	t.Helper()
	a := newArena(t, 1, redisLanguage{}, 2, workers, settings)
	a.proxy.busyMark.Store(600)
	return a
}

// busy says how busy the workers are from now on.
func (a *arena) busy(shares ...float64) {
	for i, share := range shares {
		a.proxy.workers[i].loop.Outside().(*sim.Outside).SetLoad(share)
	}
}

// population is how many clients each worker has.
func (a *arena) population() (counts []int) {
	for _, w := range a.proxy.workers {
		n := 0
		for c := w.clients; c != nil; c = c.next {
			n++
		}
		counts = append(counts, n)
	}
	return counts
}

// crowdOf is clients that say something all the time.
func (a *arena) crowdOf(n int) (crowd []*caller) {
	for i := range n {
		c := a.call(proxyAddress)
		c.says(a, fmt.Sprintf("SET key%d %d\r\n", i, i), "+OK\r\n")
		crowd = append(crowd, c)
	}
	return crowd
}

// chat has the crowd ask for a while, and checks what it is told.
func (a *arena) chat(crowd []*caller, d time.Duration) {
	a.t.Helper()
	for end := a.Now() + d; a.Now() < end; {
		for i, c := range crowd {
			c.got = ""
			c.SendString(fmt.Sprintf("GET key%d\r\nECHO x\r\n", i))
		}
		a.wait(50 * time.Millisecond)
		for i, c := range crowd {
			value := fmt.Sprint(i)
			if want := fmt.Sprintf("$%d\r\n%s\r\n$1\r\nx\r\n", len(value), value); c.got != want {
				a.t.Fatalf("client %d got %q, want %q", i, c.got, want)
			}
		}
	}
}

func (a *arena) idOf(c *caller) string {
	a.t.Helper()
	c.got = ""
	c.SendString("CLIENT ID\r\n")
	a.until("an id", func() bool { return strings.HasSuffix(c.got, "\r\n") })
	return c.got
}

// TestClientsFollowTheLoad: one worker serves all while that is enough, all do when it is not, and one again in the end.
func TestClientsFollowTheLoad(t *testing.T) {
	a := newMoving(t, 3, "")
	crowd := a.crowdOf(12)
	var ids []string
	for _, c := range crowd {
		ids = append(ids, a.idOf(c))
	}
	a.busy(0.5, 0, 0)
	a.chat(crowd, 5*time.Second)
	if got := fmt.Sprint(a.population()); got != "[12 0 0]" {
		t.Errorf("with one worker that is not busy: %s", got)
	}
	a.busy(1, 0, 0)
	for a.proxy.moved.Load() == 0 {
		a.chat(crowd, 50*time.Millisecond)
	}
	a.busy(0.55, 0.55, 0)
	a.chat(crowd, 5*time.Second)
	if got := fmt.Sprint(a.population()); got != "[6 6 0]" {
		t.Errorf("with one worker that was busy: %s", got)
	}
	a.busy(1, 1, 0)
	a.chat(crowd, 5*time.Second)
	if got := a.population(); got[2] == 0 {
		t.Errorf("with two workers that are busy: %v", got)
	}
	if n := len(a.servers[0].Peers()); n != 3 {
		t.Errorf("%d connections to a server", n)
	}
	a.busy(0.1, 0.1, 0.1)
	a.chat(crowd, 20*time.Second)
	if got := fmt.Sprint(a.population()); got != "[12 0 0]" {
		t.Errorf("with workers that are calm: %s", got)
	}
	for i, c := range crowd {
		if id := a.idOf(c); id != ids[i] {
			t.Errorf("client %d was %q and is %q", i, ids[i], id)
		}
	}
	a.wait(time.Duration(usualPace.rest))
	if n := len(a.servers[0].Peers()); n != 1 {
		t.Errorf("%d connections to a server are left", n)
	}
	moves := int64(0)
	for _, w := range a.proxy.workers {
		moves += w.snapshot().ClientMoves
	}
	if st := a.counters(); st.ClientConnections != 12 || st.ClientEOF+st.ClientErr != 0 || moves < 12 || moves > 40 {
		t.Errorf("%d clients, %d of them closed, %d moves", st.ClientConnections, st.ClientEOF+st.ClientErr, moves)
	}
	a.busy(0, 0, 0)
	a.end(crowd...)
}

// TestWorkersWithoutWorkAreLeftAlone: nobody is woken to find out that there is nothing to do.
func TestWorkersWithoutWorkAreLeftAlone(t *testing.T) {
	a := newMoving(t, 2, "")
	crowd := a.crowdOf(3)
	a.busy(1, 0)
	a.chat(crowd, 2*time.Second)
	a.busy(0, 0)
	a.wait(2 * time.Minute)
	for i, w := range a.proxy.workers {
		if w.mover.timer.Armed() || w.mover.rest.Armed() {
			t.Errorf("worker %d looks around though nothing happens", i)
		}
		if w.share.Load() != 0 {
			t.Errorf("worker %d says that it works, %d thousandths", i, w.share.Load())
		}
	}
	a.end(crowd...)
}

// TestIdleClientsComeTogether: when load ends at once, nobody has to say anything for workers to become one.
func TestIdleClientsComeTogether(t *testing.T) {
	a := newMoving(t, 2, "")
	crowd := a.crowdOf(9)
	a.busy(1, 0)
	a.chat(crowd, 6*time.Second)
	if got := a.population(); got[1] == 0 {
		t.Errorf("with a worker that is busy: %v", got)
	}
	a.busy(0, 0)
	a.wait(15 * time.Second)
	if got := fmt.Sprint(a.population()); got != "[9 0]" {
		t.Errorf("with nothing to do: %s", got)
	}
	a.end(crowd...)
}

// TestPreconnectedStay: connections that are there before clients are stay when these have gone.
func TestPreconnectedStay(t *testing.T) {
	a := newMoving(t, 2, "  preconnect: true\n")
	crowd := a.crowdOf(4)
	a.busy(1, 0)
	a.chat(crowd, 2*time.Second)
	a.busy(0, 0)
	a.wait(2 * time.Minute)
	if n := len(a.servers[0].Peers()); n != 2 {
		t.Errorf("%d connections to a server, want one of each worker", n)
	}
	a.end(crowd...)
}

// everybodyTo has all clients of worker 0 that can go to another one.
func (a *arena) everybodyTo(to int) {
	a.t.Helper()
	from := a.proxy.workers[0]
	from.loop.Post(func() {
		m := from.mover
		m.to, m.left, m.all, m.until = a.proxy.workers[to], 1000, true, from.loop.Now()+int64(time.Second)
	})
	a.wait(time.Second)
}

// TestSessionsTravel: what a client has set is the same on another worker.
func TestSessionsTravel(t *testing.T) {
	a := newMoving(t, 2, "  redis_auth: secret\n")
	for _, s := range a.servers {
		s.password = "secret"
	}
	c := a.call(proxyAddress)
	c.says(a, "AUTH secret\r\nSELECT 3\r\nCLIENT SETNAME me\r\nSET k three\r\n", "+OK\r\n+OK\r\n+OK\r\n+OK\r\n")
	mute := a.call(proxyAddress)
	mute.SendString("AUTH secret\r\nCLIENT REPLY OFF\r\n")
	a.wait(time.Second)
	id := a.idOf(c)
	a.everybodyTo(1)
	if got := fmt.Sprint(a.population()); got != "[0 2]" {
		t.Fatalf("the clients are on %s", got)
	}
	c.got = ""
	c.says(a, "GET k\r\nCLIENT GETNAME\r\n", "$5\r\nthree\r\n$2\r\nme\r\n")
	if again := a.idOf(c); again != id {
		t.Errorf("the client was %q and is %q", id, again)
	}
	mute.got = ""
	mute.SendString("PING\r\nCLIENT REPLY ON\r\n")
	mute.awaits(a, "+OK\r\n")
	for i, w := range a.proxy.workers {
		if n := len(w.pools[0].identities); n != 1 && i == 1 {
			t.Errorf("worker %d has %d identities", i, n)
		}
	}
	a.end(c, mute)
}

// TestWhoCannotTravel: a client with something of its own on a server, or with half a request, stays where it is, and is served there.
func TestWhoCannotTravel(t *testing.T) {
	for _, state := range []struct{ name, says, hears, then, want string }{
		{"half a request", "PING\r\nGE", "+PONG\r\n", "T nothing\r\n", "$-1\r\n"},
		{"half a value", "PING\r\nSET k 12", "+PONG\r\n", "3\r\nGET k\r\n", "+OK\r\n$3\r\n123\r\n"},
		{"a transaction", "MULTI\r\nSET k v\r\n", "+OK\r\n+QUEUED\r\n", "EXEC\r\n", "*1\r\n+OK\r\n"},
		{"a transaction without a command", "MULTI\r\n", "+OK\r\n", "EXEC\r\n", "*0\r\n"},
		{"a watched key", "WATCH k\r\n", "+OK\r\n", "UNWATCH\r\n", "+OK\r\n"},
		{"a subscription", "SUBSCRIBE x\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n", "PING\r\n", "*2\r\n$4\r\npong\r\n$0\r\n\r\n"},
		{"somebody who monitors", "MONITOR\r\n", "+OK\r\n", "PING\r\n", ""},
	} {
		a := newMoving(t, 2, "")
		c, other := a.call(proxyAddress), a.call(proxyAddress)
		c.says(a, state.says, state.hears)
		other.says(a, "PING\r\n", "+PONG\r\n")
		a.everybodyTo(1)
		if got := fmt.Sprint(a.population()); got != "[1 1]" {
			t.Errorf("%s: the clients are on %s", state.name, got)
		}
		c.got = ""
		if c.SendString(state.then); state.want != "" {
			c.awaits(a, state.want)
		}
		a.end(c, other)
	}
}

// TestBusyConnectionsAreBroughtToRest: also clients that always have requests in flight are shared among workers, without one being
// answered out of turn. One whose server is slow is left alone.
func TestBusyConnectionsAreBroughtToRest(t *testing.T) {
	const requests = 5000
	for _, slow := range []bool{false, true} {
		a := newMoving(t, 2, "")
		a.proxy.pace = simPace
		var crowd []*caller
		sent := make([]int, 4)
		for i := range sent {
			c := a.call(proxyAddress)
			c.says(a, "PING\r\n", "+PONG\r\n")
			c.got = ""
			crowd = append(crowd, c)
			var again func()
			again = func() {
				if sent[i] < requests {
					sent[i]++
					c.SendString(fmt.Sprintf("SET n%d %d\r\nGET n%d\r\n", i, sent[i], i))
					a.After(100*time.Microsecond, again)
				}
			}
			again()
		}
		if slow {
			for _, s := range a.servers {
				s.Freeze()
			}
		}
		a.busy(1, 0)
		if slow {
			a.wait(100 * time.Millisecond)
		} else { // not each try succeeds: some are in the middle of what takes longer
			a.until("clients to move", func() bool { return a.population()[1] > 0 })
		}
		a.busy(0.5, 0.5)
		if got := fmt.Sprint(a.population()); (got == "[4 0]") != slow || slices.Min(sent) == requests {
			t.Errorf("slow %v: after %d requests the clients are on %s", slow, sent, got)
		}
		a.mendEverything()
		var want strings.Builder
		for n := range requests {
			value := fmt.Sprint(n + 1)
			fmt.Fprintf(&want, "+OK\r\n$%d\r\n%s\r\n", len(value), value)
		}
		a.until("all answers", func() bool {
			for i := range crowd {
				if sent[i] < requests || !strings.HasSuffix(crowd[i].got, fmt.Sprintf("\r\n%d\r\n", requests)) {
					return false
				}
			}
			return true
		})
		for i, c := range crowd {
			if c.got != want.String() {
				t.Errorf("slow %v: client %d was answered out of turn", slow, i)
			}
		}
		a.busy(0, 0)
		a.end(crowd...)
	}
}

// TestSilentRequestsAreWaitedFor: what a client has sent without wanting a response has been done before it goes.
func TestSilentRequestsAreWaitedFor(t *testing.T) {
	a := newArena(t, 1, memcacheLanguage{}, 1, 2, "")
	a.proxy.busyMark.Store(600)
	c := a.call(proxyAddress)
	c.says(a, "set k 0 0 1\r\n1\r\n", "STORED\r\n")
	a.servers[0].Freeze()
	c.SendString("set k 0 0 1 noreply\r\n2\r\n")
	a.wait(time.Millisecond)
	a.everybodyTo(1)
	if got := fmt.Sprint(a.population()); got != "[1 0]" {
		t.Errorf("the client is on %s", got)
	}
	a.servers[0].Thaw()
	a.everybodyTo(1)
	if got := fmt.Sprint(a.population()); got != "[0 1]" {
		t.Errorf("the client is on %s", got)
	}
	c.got = ""
	c.says(a, "get k\r\n", "VALUE k 0 1\r\n2\r\nEND\r\n")
	a.end(c)
}

// TestEachClientIsFoundOnce: CLIENT LIST and CLIENT KILL meet each client once, also while they move.
func TestEachClientIsFoundOnce(t *testing.T) {
	a := newMoving(t, 3, "")
	a.proxy.pace = simPace
	crowd := a.crowdOf(40)
	asker := a.call(proxyAddress)
	for round := range 200 {
		busiest := round / 16
		a.busy(float64(busiest%2), float64((busiest+1)%2), float64(busiest%3)/2)
		for _, c := range crowd {
			c.SendString("PING\r\n")
		}
		asker.got = ""
		asker.SendString("CLIENT LIST TYPE normal\r\n")
		a.wait(time.Duration(1+round%7) * 300 * time.Microsecond)
		a.until("the list", func() bool { return strings.HasSuffix(asker.got, "\n\r\n") })
		if n := strings.Count(asker.got, "id="); n != 41 {
			t.Fatalf("round %d: %d clients are listed", round, n)
		}
	}
	if n := a.proxy.moved.Load(); n < 30 {
		t.Errorf("only %d parcels of clients went", n)
	}
	asker.got = ""
	asker.says(a, "CLIENT KILL TYPE normal\r\n", ":40\r\n")
	a.wait(time.Second)
	for i, c := range crowd {
		if c.closed == nil {
			t.Errorf("client %d was not closed", i)
		}
	}
	a.busy(0, 0, 0)
	a.end(asker)
}

// TestLeaveOnTheWay: a client that is on its way to a worker when that has seen off all its clients, and the proxy's last one at that, leaves like
// the others, and is waited for.
func TestLeaveOnTheWay(t *testing.T) {
	a := newMoving(t, 3, "")
	c := a.call(proxyAddress)
	c.says(a, "PING\r\n", "+PONG\r\n")
	a.everybodyTo(1)
	given, gone := 0, 0
	a.proxy.HandOver(func(h Handed) { given++; _ = h.Socket.Close() }, func() {
		if gone++; given != 1 {
			t.Errorf("the last client is said to be gone, and %d were given away", given)
		}
	})
	step := func(worker int) {
		t.Helper()
		if err := a.loops[worker].Step(false); err != nil {
			t.Fatal(err)
		}
	}
	step(0)
	step(2)
	w := a.proxy.workers[1]
	m := w.mover
	m.to, m.left, m.all, m.until = a.proxy.workers[2], 1, true, w.loop.Now()+1
	m.give()
	step(1)
	if got := fmt.Sprint(a.population()); got != "[0 0 0]" || given+gone != 0 {
		t.Fatalf("the clients are on %s, %d were given away", got, given)
	}
	a.until("the client to go", func() bool { return gone > 0 })
	a.wait(time.Second)
	if given != 1 || gone != 1 {
		t.Errorf("%d clients were given away, the last has gone %d times", given, gone)
	}
}
