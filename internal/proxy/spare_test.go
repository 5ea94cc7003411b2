package proxy

import (
	"strings"
	"testing"
	"time"

	"nutmeg/internal/resp"
	"nutmeg/internal/testkit/sim"
)

// TestLargeSplitRequestKeepsNobodyWaiting: also the parts of a large request take the connections for large ones.
func TestLargeSplitRequestKeepsNobodyWaiting(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 2, 1, "")
	client := a.Connect(proxyAddress)
	var got string
	client.OnData = func(_ *sim.Peer, data []byte) { got += string(data) }
	args := []string{"MSET"}
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} { // keys of both servers
		args = append(args, key, strings.Repeat("x", 300_000))
	}
	client.Send(resp.AppendCommand(nil, args...))
	large := 0
	if err := a.Run(a.loops, func() bool {
		for _, s := range a.proxy.workers[0].pools[0].servers {
			if s.lane.conns[0] != nil {
				t.Fatal("the large request is on the connection that others share")
			}
			if s.lane.conns[1] != nil {
				large++
			}
		}
		return got != ""
	}, time.Minute); err != nil {
		t.Fatal(err)
	}
	if got != "+OK\r\n" || large == 0 {
		t.Errorf("answered %q; connections for large requests were seen %d times", got, large)
	}
}
