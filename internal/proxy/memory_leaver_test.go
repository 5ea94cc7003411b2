package proxy

import (
	"strings"
	"testing"
	"time"
)

// TestLeaversCountForMemory: who says goodbye and does not read what it asked for holds memory like anybody else.
func TestLeaversCountForMemory(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 2, 1, "")
	const limit = 8 << 20
	a.bound(0, limit)
	key, _ := a.store(0, 100_000)
	mine, small := a.store(1, 10)
	quiet := a.talk()
	quiet.asks("GET "+mine+"\r\n", small)
	leavers := make([]*talker, 100)
	for i := range leavers {
		leavers[i] = a.talk()
		leavers[i].Pause()
		leavers[i].SendString(strings.Repeat("GET "+key+"\r\n", 10) + "QUIT\r\n")
	}
	a.wait(5 * time.Second)
	if used := a.used(); used > limit+limit/4 {
		t.Errorf("%d bytes are held with a limit of %d", used, limit)
	}
	quiet.asks("GET "+mine+"\r\n", small)
	if a.counters().MemoryClosed == 0 {
		t.Error("no client is counted as closed")
	}
	for _, c := range append(leavers, quiet) {
		c.Reset()
	}
	a.finish()
	if guests := a.proxy.workers[0].guests; guests != 0 {
		t.Errorf("%d guests are left", guests)
	}
}

// TestKeysCountForMemory: what the proxy remembers of the keys of a request can be more than the request.
func TestKeysCountForMemory(t *testing.T) {
	a := newArena(t, 1, memcacheLanguage{}, 2, 1, "")
	const limit = 8 << 20
	a.bound(0, limit)
	a.servers[0].Freeze()
	a.servers[1].Freeze()
	var clients []*talker
	for range 40 {
		c := a.talk()
		c.SendString("get" + strings.Repeat(" k j l", 50_000) + "\r\n")
		clients = append(clients, c)
	}
	w := a.proxy.workers[0]
	most := a.most(5*time.Second, func() (bytes int) {
		for c := w.clients; c != nil; c = c.next {
			for r := c.queue.oldest; r != nil; r = r.next {
				if f := r.family; f != nil {
					bytes += 4*len(f.owners) + len(f.keyBytes) + 4*len(f.keyEnds)
				}
			}
		}
		return bytes
	})
	if most+a.used() > limit+limit/4 {
		t.Errorf("%d bytes are held for keys, %d otherwise, with a limit of %d", most, a.used(), limit)
	}
	for _, c := range clients {
		c.Reset()
	}
	a.mendEverything()
	a.finish()
	if w.familyBytes != 0 {
		t.Errorf("%d bytes are counted for families that are gone", w.familyBytes)
	}
}

// TestLeaversCountAsClients: their descriptors are not free before they are gone, and neither are those of clients that
// are turned away.
func TestLeaversCountAsClients(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 2, "")
	a.bound(10, 0)
	key, _ := a.store(0, 2_000_000)
	leavers := make([]*talker, 300)
	for i := range leavers {
		leavers[i] = a.talk()
		leavers[i].Pause()
		leavers[i].SendString("GET " + key + "\r\nQUIT\r\n")
		a.wait(time.Millisecond)
	}
	open := 0
	for _, w := range a.proxy.workers {
		open += w.loop.Open()
	}
	if open > 10+mostTurnedAway+5 {
		t.Errorf("%d sockets are open with a limit of 10 clients", open)
	}
	for _, c := range leavers {
		c.Reset()
	}
	a.wait(5 * time.Second)
	a.talk().asks("PING\r\n", "+PONG\r\n")
}
