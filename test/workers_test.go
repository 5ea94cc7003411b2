package test

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// figure is a figure of the whole process.
func (n *Nutmeg) figure(name string) int64 {
	n.t.Helper()
	m := regexp.MustCompile(`"` + name + `":(\d+)`).FindStringSubmatch(n.Stats().Raw)
	if m == nil {
		n.t.Fatalf("the statistics have no %s", name)
	}
	value, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		n.t.Fatal(err)
	}
	return value
}

func (n *Nutmeg) waitInUse(want int64) {
	n.t.Helper()
	eventually(n.t, fmt.Sprintf("%d workers in use", want), func() error {
		if got := n.figure("workers_in_use"); got != want {
			return fmt.Errorf("%d workers have clients, busy %d thousandths, %d clients moved", got, n.figure("workers_busy"), n.figure("client_moves"))
		}
		return nil
	})
}

// TestWorkersFollowTheLoad has the load rise and fall, twice: one worker serves all at the bottom, both work at the top, and no client gets
// a wrong answer, or loses its connection, its id or its database.
func TestWorkersFollowTheLoad(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{workers: 2, busy: 10})
	steady := startLoad(t, loadOptions{addr: b.Addr(), dialect: &redisLoad, clients: 20, pace: 300 * time.Millisecond, value: 50})
	witness := b.dial(t)
	witness.wantAsk(okReply, "SELECT", "3")
	witness.wantAsk(okReply, "SET", "witness", "here")
	id := witness.clientID()
	asker, idle := b.dial(t), 22 // steady, the witness, and who asks
	b.waitInUse(1)
	for round := 1; round <= 2; round++ {
		surge := startLoad(t, loadOptions{
			addr: b.Addr(), dialect: &redisLoad, clients: 30, pace: time.Millisecond, value: 200,
			keys: func(client int) []string { return named(fmt.Sprintf("surge%d.%d.", round, client), 20) },
		})
		b.waitInUse(2)
		surge.more(2000)
		steady.more(20)
		for range 50 {
			if n := len(asker.list()); n != idle+30 {
				t.Fatalf("round %d: %d clients are listed, want %d", round, n, idle+30)
			}
		}
		if got := b.Pool("alpha").Counters["client_connections"]; got != int64(idle+30) {
			t.Errorf("round %d: client_connections is %d, want %d", round, got, idle+30)
		}
		surge.stop()
		b.waitInUse(1)
		steady.more(20)
		witness.wantAsk(bulk("here"), "GET", "witness")
		if again := witness.clientID(); again != id {
			t.Errorf("round %d: the id is %s, was %s", round, again, id)
		}
	}
	if moved := b.figure("client_moves"); moved < 5 { // others were given to the second worker when they came
		t.Errorf("%d clients moved", moved)
	}
	if err := b.Pool("alpha").want(map[string]int64{"client_err": 0, "client_connections": int64(idle), "forward_error": 0}); err != nil {
		t.Error(err)
	}
}
