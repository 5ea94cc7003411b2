package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// huge is a response that no buffer of a simulated network holds.
const hugeSize = 20 << 20

func huge(l language) string {
	value := strings.Repeat("h", hugeSize)
	if _, ok := l.(memcacheLanguage); ok {
		return fmt.Sprintf("VALUE k 0 %d\r\n%s\r\nEND\r\n", hugeSize, value)
	}
	return fmt.Sprintf("$%d\r\n%s\r\n", hugeSize, value)
}

// readSlowly has the first client stop while a huge response flows to it.
func (f *flowArena) readSlowly() {
	f.t.Helper()
	f.asksOf(f.first, 0)
	f.server[0].SendString(huge(f.language))
	f.until("the first bytes", func() bool { return len(f.first.got) > 1<<20 })
	f.first.Pause()
}

// TestSlowClientIsWaitedFor: while nobody else wants anything of the server, a huge response waits there for its client, for
// as long as that takes.
func TestSlowClientIsWaitedFor(t *testing.T) {
	inBoth(t, func(t *testing.T, l language) {
		f := newFlowArena(t, l, 1, "  timeout: 1000\n")
		f.readSlowly()
		if most := f.most(10*time.Second, f.used); most > 4*flowAhead {
			t.Errorf("%d bytes are used for a client that does not read", most)
		}
		f.first.Resume()
		f.first.wants(huge(l))
		f.asksOf(f.first, 0)
		f.server[0].SendString(small(l))
		f.first.wants(small(l))
		f.first.Close()
		f.finish()
	})
}

// TestNobodyWaitsForASlowClient: a request of another client, or the end of the connection's time, has it read on.
func TestNobodyWaitsForASlowClient(t *testing.T) {
	for name, comes := range map[string]func(f *flowArena, l language){
		"another client": func(f *flowArena, l language) {
			other := f.talk()
			f.asksOf(other, 0)
			f.server[0].SendString(small(l))
			other.wants(small(l))
			other.Close()
		},
		"a reload": func(f *flowArena, _ language) { f.proxy.workers[0].pools[0].servers[0].retire() },
		"the server ends": func(f *flowArena, _ language) {
			f.server[0].CloseWrite() // behind what it has said
			f.proxy.workers[0].pools[0].servers[0].retire()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBoth(t, func(t *testing.T, l language) {
				f := newFlowArena(t, l, 1, "  timeout: 1000\n")
				f.readSlowly()
				f.wait(5 * time.Second)
				comes(f, l)
				f.until("all of it", func() bool { return f.used() > hugeSize*3/4 })
				f.first.Resume()
				f.first.wants(huge(l))
				f.first.Close()
				f.finish()
			})
		})
	}
}

// TestSlowClientThatLeavesIsNotWaitedFor: the rest of its response is swallowed.
func TestSlowClientThatLeavesIsNotWaitedFor(t *testing.T) {
	inBoth(t, func(t *testing.T, l language) {
		f := newFlowArena(t, l, 1, "  timeout: 1000\n")
		f.readSlowly()
		f.wait(5 * time.Second)
		f.first.Reset()
		other := f.talk()
		f.asksOf(other, 0)
		f.server[0].SendString(small(l))
		other.wants(small(l))
		other.Close()
		f.finish()
	})
}
