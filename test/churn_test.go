package test

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nutmeg/internal/testkit"
)

// The two long runs: a few seconds each unless told otherwise. "go test ./test -run Churn -churn 5m -v" prints figures.
var (
	churn = flag.Duration("churn", 0, "how long TestServerChurn runs, with 10000 clients of which 1000 are active; 0: 4s with a tenth of them")
	soak  = flag.Duration("soak", 0, "how long TestClientChurn runs; 0: 4s")
)

// watched is what a process used during a run, look by look.
type watched struct {
	n     *Nutmeg
	start time.Time
	looks []figures
}

func (w *watched) look(note string) {
	f := w.n.figures()
	w.looks = append(w.looks, f)
	w.n.t.Logf("%7.1fs  %v  %s", time.Since(w.start).Seconds(), f, note)
}

// wantFlat fails the test if the last third of the looks shows more than the middle third: of memory by a tenth and a few MB,
// of descriptors and threads at all but a few. The first third is warming up.
func (w *watched) wantFlat() {
	w.n.t.Helper()
	third := len(w.looks) / 3
	if third == 0 {
		return
	}
	most := func(looks []figures, of func(figures) int) int {
		return of(slices.MaxFunc(looks, func(a, b figures) int { return of(a) - of(b) }))
	}
	for _, part := range []struct {
		name  string
		of    func(figures) int
		slack func(before int) int
	}{
		{"resident bytes", func(f figures) int { return f.resident }, func(before int) int { return before/10 + 4<<20 }},
		{"descriptors", func(f figures) int { return f.descriptors }, func(int) int { return 8 }},
		{"threads", func(f figures) int { return f.threads }, func(int) int { return 4 }},
	} {
		before, after := most(w.looks[third:2*third], part.of), most(w.looks[2*third:], part.of)
		if after > before+part.slack(before) {
			w.n.t.Errorf("%s grow: %d, then %d", part.name, before, after)
		}
	}
}

// TestServerChurn: three servers are killed and restarted in turn, while most clients are idle and some are not.
func TestServerChurn(t *testing.T) {
	duration, clients := *churn, 10_000
	if duration == 0 {
		t.Parallel()
		duration, clients = 4*time.Second, 1000
	}
	var servers []*testkit.Process
	conf := "nutmeg:\n  workers: 2\n  worker_busy: 5\nalpha:\n  listen: {listen}\n  redis: true\n  backlog: 4096\n  timeout: 5000\n" +
		"  auto_eject_hosts: true\n  server_failure_limit: 3\n  server_retry_timeout: 500\n  servers:\n"
	for i := range 3 {
		servers = append(servers, testkit.Redis(t))
		conf += fmt.Sprintf("  - %s:1 s%d\n", servers[i].Addr(), i)
	}
	n := startNutmeg(t, conf)
	active := startLoad(t, loadOptions{
		addr: n.Addr(), dialect: &redisLoad, clients: clients / 10, pace: 200 * time.Millisecond, loses: true, moves: true, value: 50,
		errors: lostTexts + "|" + refusedText + "|" + timedOutText,
	})
	idle := make([]*rawConn, clients-clients/10)
	for i := range idle {
		conn, err := active.dial(i)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		idle[i] = &rawConn{t: t, conn: conn, r: nil}
		idle[i].pingIdle()
	}
	w := &watched{n: n, start: time.Now()}
	round := max(duration/30, 400*time.Millisecond)
	tick := time.NewTicker(round / 2)
	defer tick.Stop()
	for i := 0; time.Since(w.start) < duration; i++ {
		server := servers[i%3]
		server.Kill()
		<-tick.C
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		<-tick.C
		w.look(active.String())
		if err := active.fault(); err != nil {
			t.Fatalf("wrong: %v", err)
		}
	}
	active.recovered(int64(clients / 5))
	active.stop()
	for _, c := range idle {
		c.pingIdle()
	}
	w.look("in the end")
	w.wantFlat()
}

// pingIdle asks for a PONG without a reader's buffer: there are ten thousand clients.
func (c *rawConn) pingIdle() {
	c.t.Helper()
	_ = c.conn.SetDeadline(time.Now().Add(patience))
	c.send("PING\r\n")
	got := make([]byte, len(pongReply))
	if _, err := io.ReadFull(c.conn, got); err != nil || string(got) != pongReply {
		c.t.Fatalf("an idle client got %q and error %v", got, err)
	}
}

// TestClientChurn: clients of both protocols come, ask, and leave in every way there is.
func TestClientChurn(t *testing.T) {
	duration := *soak
	if duration == 0 {
		t.Parallel()
		duration = 4 * time.Second
	}
	n := startNutmeg(t, fmt.Sprintf("nutmeg:\n  workers: 2\nalpha:\n  listen: {listen}\n  redis: true\n  servers:\n  - %s:1 a\n  - %s:1 b\n"+
		"beta:\n  listen: {listen}\n  servers:\n  - %s:1 a\n  - %s:1 b\n",
		testkit.Redis(t).Addr(), testkit.Redis(t).Addr(), testkit.Memcached(t, "-t", "1").Addr(), testkit.Memcached(t, "-t", "1").Addr()))
	loads := []*load{
		newLoad(t, loadOptions{addr: n.AddrOf(0), dialect: &redisLoad, value: 200}),
		newLoad(t, loadOptions{addr: n.AddrOf(1), dialect: &memcacheLoad, value: 200, loses: true}), // when it is full
	}
	var group sync.WaitGroup
	for p, l := range loads {
		for i := range 8 {
			group.Go(func() { l.failed(i, l.comeAndGo(i, rand.New(rand.NewPCG(uint64(p), uint64(i))))) })
		}
	}
	w := &watched{n: n, start: time.Now()}
	tick := time.NewTicker(max(duration/30, 200*time.Millisecond))
	defer tick.Stop()
	for time.Since(w.start) < duration {
		<-tick.C
		w.look(loads[0].String() + "; " + loads[1].String())
		for _, l := range loads {
			if err := l.fault(); err != nil {
				t.Fatalf("wrong: %v", err)
			}
		}
	}
	for _, l := range loads {
		l.stop()
	}
	group.Wait()
	for _, pool := range []string{"alpha", "beta"} {
		n.waitPool(pool, "nothing to be left", func(p PoolStats) error {
			return p.want(map[string]int64{"client_connections": 0, "in_queue": 0, "out_queue": 0, "forward_error": 0, "server_err": 0})
		})
	}
	w.wantFlat()
}

// comeAndGo is one client after the other, until the load stops. Each has keys of its own.
func (l *load) comeAndGo(slot int, random *rand.Rand) error {
	tick := time.NewTicker(usualPace)
	defer tick.Stop()
	for visit := 0; ; visit++ {
		conn, err := l.dial(slot)
		if err != nil {
			return err
		}
		c := l.newClient(visit*16+slot, conn) // a number that no other client has had, and so keys of its own
		for range random.IntN(20) {
			select {
			case <-l.stopping:
				return conn.Close()
			case <-tick.C:
			}
			if err := c.pipeline(1 + random.IntN(6)); err != nil {
				return err
			}
		}
		if err := c.leave(random.IntN(5)); err != nil {
			return err
		}
	}
}

// leave ends a client's connection, with or without requests under way.
func (c *loadClient) leave(how int) error {
	tcp := c.conn.(*net.TCPConn)
	if how > 1 {
		request, _ := c.get(c.keys...)
		text := strings.Repeat(request, 5)
		_, _ = io.WriteString(tcp, text[:len(text)-how])
	}
	switch how {
	case 1, 2:
		_ = tcp.SetLinger(0)
	case 3:
		if err := tcp.CloseWrite(); err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, tcp)
	}
	return tcp.Close()
}
