package proxy

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/resp"
)

func TestPressure(t *testing.T) {
	for _, tt := range []struct {
		held, limit int64
		want        pressure
	}{
		{1 << 40, 0, pressureNone},
		{75, 100, pressureNone},
		{800, 1000, pressureTight},
		{950, 1000, pressureScarce},
		{1000, 1000, pressureScarce},
		{1001, 1000, pressureStarved},
		{math.MaxInt64, 1 << 40, pressureStarved},
	} {
		if got := pressureOf(tt.held, tt.limit); got != tt.want {
			t.Errorf("%d of %d: %v, want %v", tt.held, tt.limit, got, tt.want)
		}
	}
}

// TestMemoryOfTheProcess: many clients ask for much and do not read. What is held stays near the limit; quiet clients
// stay connected, are refused at worst, and go on.
func TestMemoryOfTheProcess(t *testing.T) {
	for _, workers := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) {
			a := newArena(t, 1, redisLanguage{}, 2, workers, "")
			const limit = 8 << 20
			a.bound(0, limit)
			key, _ := a.store(0, 100_000)
			mine, small := a.store(1, 10)
			quiet := make([]*talker, 6) // on all workers
			for i := range quiet {
				quiet[i] = a.talk()
				quiet[i].asks("GET "+mine+"\r\n", small)
			}
			greedy := make([]*talker, 40)
			for i := range greedy {
				greedy[i] = a.talk()
				greedy[i].Pause()
				greedy[i].SendString(strings.Repeat("GET "+key+"\r\n", 100))
			}
			// One batch of each worker may bring a few reads for each client before anything can be done.
			most := a.most(10*time.Second, a.used)
			if bound := limit + limit/4 + workers*2<<20; most > bound {
				t.Errorf("%d bytes are held with a limit of %d", most, limit)
			}
			if most < limit {
				t.Errorf("only %d bytes were held: the test is too weak", most)
			}
			for _, c := range quiet {
				c.asks("GET "+mine+"\r\n", small)
			}
			c := a.counters()
			if c.MemoryClosed == 0 || c.MemoryClosed == int64(len(greedy)) {
				t.Errorf("%d of %d greedy clients were closed", c.MemoryClosed, len(greedy))
			}
			for _, c := range append(greedy, quiet...) {
				c.Reset()
			}
			a.finish()
			for i, w := range a.proxy.workers {
				w.publish(1)
				if w.heldMark != math.MaxInt || w.requests != 0 {
					t.Errorf("worker %d: mark %d, %d requests", i, w.heldMark, w.requests)
				}
			}
			if held := a.proxy.memory.held.Load(); held != int64(a.used()) {
				t.Errorf("%d bytes are said to be held, and %d are", held, a.used())
			}
		})
	}
}

// starve makes the only worker believe that others hold more than there is, or ends that.
func (a *arena) starve(on bool) {
	foreign := int64(-1 << 30)
	if on {
		foreign = 1 << 30
	}
	a.proxy.memory.held.Add(foreign)
	a.loops[0].Post(func() {})
	a.wait(time.Millisecond)
}

func TestRequestsAreRefusedWithoutMemory(t *testing.T) {
	const words = "nutmeg is out of memory (max_memory)\r\n"
	for _, tt := range []struct {
		name     string
		language language
		request  string
		want     string
		normal   string
	}{
		{"redis", redisLanguage{}, "GET k\r\n", "-ERR " + words, "$-1\r\n"},
		{"redis, over two servers", redisLanguage{}, "DEL a b c d e f\r\n", "-ERR " + words, ":0\r\n"},
		{"redis PING", redisLanguage{}, "PING\r\n", "+PONG\r\n", "+PONG\r\n"},
		{"memcached", memcacheLanguage{}, "get k\r\n", "SERVER_ERROR " + words, "END\r\n"},
		{"memcached without reply", memcacheLanguage{}, "delete k noreply\r\nbogus\r\n", "ERROR\r\n", "ERROR\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newArena(t, 1, tt.language, 2, 1, "")
			a.bound(0, 64<<20)
			c := a.talk()
			c.asks(tt.request, tt.normal)
			a.starve(true)
			c.asks(tt.request, tt.want)
			a.starve(false)
			c.asks(tt.request, tt.normal)
			want := int64(1)
			if tt.want == tt.normal {
				want = 0
			}
			if strings.HasSuffix(tt.name, "reply") {
				want = 1
			}
			if n := a.counters().MemoryRefused; n != want {
				t.Errorf("%d refused requests are counted, want %d", n, want)
			}
		})
	}
}

// TestLargeRequestIsNotCollectedWithoutMemory: what comes of it is dropped, and the client goes on behind it.
func TestLargeRequestIsNotCollectedWithoutMemory(t *testing.T) {
	value := strings.Repeat("x", 3_000_000)
	for _, tt := range []struct {
		name                string
		language            language
		request, want, next string
	}{
		{"redis", redisLanguage{}, string(resp.AppendCommand(nil, "SET", "k", value)), "-ERR nutmeg is out of memory (max_memory)\r\n", "$-1\r\n"},
		{"memcached", memcacheLanguage{}, "set k 0 0 3000000\r\n" + value + "\r\n", "SERVER_ERROR nutmeg is out of memory (max_memory)\r\n", "END\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newArena(t, 1, tt.language, 1, 1, "")
			a.bound(0, 64<<20)
			c := a.talk()
			a.engineClient()
			a.starve(true)
			before := a.used()
			c.SendString(tt.request)
			if most := a.most(10*time.Second, func() int { return a.used() - before }); most > 300_000 {
				t.Errorf("%d bytes of the request were held", most)
			}
			c.wants(tt.want)
			a.starve(false)
			c.asks("get k\r\n", tt.next)
		})
	}
}

// TestMemoryDoesNotStayOverTheLimit: clients that never read must not keep everybody else refused.
func TestMemoryDoesNotStayOverTheLimit(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 2, 1, "")
	key, _ := a.store(0, 2_000_000)
	mine, small := a.store(1, 10)
	greedy, quiet := a.talk(), a.talk()
	greedy.Pause()
	greedy.SendString("GET " + key + "\r\n")
	a.wait(time.Second)
	a.bound(0, a.proxy.memory.held.Load()*9/10)
	a.loops[0].Post(func() {})
	a.wait(10 * time.Millisecond)
	quiet.asks("GET "+mine+"\r\n", "-ERR nutmeg is out of memory (max_memory)\r\n")
	a.wait(3 * time.Second)
	quiet.asks("GET "+mine+"\r\n", small)
	if c := a.counters(); c.MemoryClosed != 1 {
		t.Errorf("%d clients were closed, want the one that holds most", c.MemoryClosed)
	}
}
