package proxy

import (
	"strings"
	"testing"
	"time"

	"nutmeg/internal/resp"
	"nutmeg/internal/testkit/sim"
)

// TestLargeRequestLeavesNoScratch: what one large request needed does not stay with the worker for ever.
func TestLargeRequestLeavesNoScratch(t *testing.T) {
	for _, name := range []string{"ECHO", "PING", "GET"} {
		t.Run(name, func(t *testing.T) {
			a := newArena(t, 1, redisLanguage{}, 2, 1, "")
			client := a.Connect(proxyAddress)
			got := 0
			client.OnData = func(_ *sim.Peer, data []byte) { got += len(data) }
			client.Send(resp.AppendCommand(nil, name, strings.Repeat("x", 5_000_000)))
			if err := a.Run(a.loops, func() bool { return got > 4 }, time.Minute); err != nil {
				t.Fatal(err)
			}
			if err := a.RunFor(a.loops, time.Second); err != nil {
				t.Fatal(err)
			}
			w := a.proxy.workers[0]
			if kept := cap(w.scratch) + cap(w.flat) + cap(w.inline) + cap(w.message.scratch); kept > 1<<20 {
				t.Errorf("%d bytes of scratch are kept", kept)
			}
		})
	}
}
