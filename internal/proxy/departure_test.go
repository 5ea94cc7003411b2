package proxy

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"nutmeg/internal/config"
	"nutmeg/internal/evloop"
)

// ended reports whether all loops have been stopped.
func (p *Proxy) ended() bool {
	select {
	case <-p.stopped:
		return true
	default:
		return false
	}
}

func TestDrainFinishesRequests(t *testing.T) {
	for workers := 1; workers <= 2; workers++ {
		a := newArena(t, 1, redisLanguage{}, 2, workers, "")
		idle, busy, halfway := a.call(proxyAddress), a.call(proxyAddress), a.call(proxyAddress)
		for _, c := range []*caller{idle, busy, halfway} {
			c.says(a, "SET k v\r\n", "+OK\r\n")
			c.got = ""
		}
		for _, s := range a.servers {
			s.Freeze()
		}
		busy.SendString("GET k\r\nGET k\r\n")
		halfway.SendString("GE")
		if err := a.RunFor(a.loops, 5*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		a.proxy.Drain()
		a.until("the idle client to be closed", func() bool { return idle.closed != nil })
		late := a.call(proxyAddress)
		if err := a.RunFor(a.loops, 50*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if busy.closed != nil || halfway.closed != nil || a.proxy.ended() {
			t.Fatal("a client with a request under way is closed")
		}
		a.mendEverything()
		halfway.SendString("T k\r\n")
		a.until("the proxy to end", a.proxy.ended)
		if busy.got != "$1\r\nv\r\n$1\r\nv\r\n" || halfway.got != "$1\r\nv\r\n" {
			t.Errorf("got %q and %q", busy.got, halfway.got)
		}
		late.SendString("PING\r\n")
		if late.got != "" {
			t.Errorf("a client that came late got %q", late.got)
		}
	}
}

func TestResumeAfterHandOver(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 2, 2, "")
	stays, goes := a.call(proxyAddress), a.call(proxyAddress)
	stays.says(a, "SET k v\r\n", "+OK\r\n")
	goes.says(a, "SET k v\r\n", "+OK\r\n")
	for _, s := range a.servers {
		s.Freeze()
	}
	stays.got = ""
	stays.SendString("GET k\r\n")
	if err := a.RunFor(a.loops, 5*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	given := 0
	a.proxy.HandOver(func(h Handed) {
		given++
		_ = h.Socket.Close()
	}, func() { t.Error("the last client is said to be gone") })
	a.until("the idle client to be given away", func() bool { return given == 1 })
	a.proxy.Resume()
	a.mendEverything()
	a.until("the response", func() bool { return stays.got != "" })
	stays.says(a, "GET k\r\n", "$1\r\nv\r\n")
	other := a.call(proxyAddress)
	other.says(a, "GET k\r\n", "$1\r\nv\r\n")
	if given != 1 {
		t.Errorf("%d clients were given away", given)
	}
	a.end(stays, other)
}

// Clients that could not be given away come back, and are served, or see the proxy's end.
func TestClientsComeBackAfterTheLastHasGone(t *testing.T) {
	for _, resumes := range []bool{true, false} {
		for workers := 1; workers <= 2; workers++ {
			a := newArena(t, 1, redisLanguage{}, 2, workers, "")
			callers := []*caller{a.call(proxyAddress), a.call(proxyAddress), a.call(proxyAddress)}
			for _, c := range callers {
				c.says(a, "SET k v\r\n", "+OK\r\n")
			}
			var back []Handed
			gone := false
			a.proxy.HandOver(func(h Handed) { back = append(back, h) }, func() { gone = true })
			a.until("the last client to go", func() bool { return gone })
			if a.proxy.ended() || len(back) != len(callers) {
				t.Fatalf("%d clients are gone, the proxy has ended: %v", len(back), a.proxy.ended())
			}
			a.proxy.Resume()
			for _, h := range back {
				if err := a.proxy.Adopt(h); err != nil {
					t.Fatal(err)
				}
			}
			if !resumes {
				a.proxy.Drain()
				a.until("the proxy to end", a.proxy.ended)
				continue
			}
			for _, c := range callers {
				c.got = ""
				c.says(a, "GET k\r\n", "$1\r\nv\r\n")
			}
			a.end(callers...)
		}
	}
}

// Who never reads, asks a server that never answers, or is slow with its goodbye does not keep a process for ever.
func TestEvict(t *testing.T) {
	for workers := 1; workers <= 2; workers++ {
		a := newArena(t, 1, redisLanguage{}, 2, workers, "")
		key, _ := a.store(0, 10_000_000)
		lazy, leaver, waiting := a.talk(), a.talk(), a.talk()
		lazy.Pause()
		leaver.Pause()
		lazy.SendString("GET " + key + "\r\n")
		leaver.SendString("GET " + key + "\r\nQUIT\r\n")
		a.wait(time.Second)
		a.servers[1].Freeze()
		waiting.SendString("GET " + a.keyOf(1) + "\r\n")
		a.wait(time.Second)
		gone := false
		a.proxy.HandOver(func(Handed) { t.Error("a client was given away") }, func() { gone = true })
		a.wait(time.Second)
		if gone {
			t.Fatal("the last client is said to be gone")
		}
		a.proxy.Evict()
		a.until("the last client to be gone", func() bool { return gone })
		a.proxy.Resume()
		a.proxy.Evict()
		a.talk().asks("PING\r\n", "+PONG\r\n")
	}
}

// A pool of another protocol is another pool, whatever its name: its answers are not the client's.
func TestClientIsNotAdoptedByAnotherProtocol(t *testing.T) {
	a := newArena(t, 1, redisLanguage{}, 1, 1, "")
	c := a.call(proxyAddress)
	c.says(a, "SET k v\r\n", "+OK\r\n")
	var back []Handed
	a.proxy.HandOver(func(h Handed) { back = append(back, h) }, func() {})
	a.until("the client to go", func() bool { return len(back) == 1 })
	a.proxy.Resume()
	if err := a.change("p:\n  listen: " + proxyAddress + "\n  servers: [\"" + server0 + "\"]\n"); err != nil {
		t.Fatal(err)
	}
	c.got = ""
	if err := a.proxy.Adopt(back[0]); err != nil {
		t.Fatal(err)
	}
	c.SendString("get k\r\n")
	a.until("the client to be closed", func() bool { return c.closed != nil })
	if c.got != "" {
		t.Errorf("got %q", c.got)
	}
	a.finish()
}

// The path of a unix socket goes with its listener, unless another process listens there too.
func TestLeavePaths(t *testing.T) {
	dir, err := os.MkdirTemp("", "nutmeg-") //nolint:usetesting // t.TempDir is too long for a socket on some systems
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	text := ""
	for _, name := range []string{"stays", "goes"} {
		text += fmt.Sprintf("%s:\n  listen: %s\n  servers: [\"127.0.0.1:1:1\"]\n", name, filepath.Join(dir, name))
	}
	conf, err := config.Parse("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, leave := range []func(config.Address) bool{nil, func(a config.Address) bool { return filepath.Base(a.Path) == "stays" }} {
		outside, err := evloop.NewSystem()
		if err != nil {
			t.Fatal(err)
		}
		p, err := New(conf, []evloop.Outside{outside}, slog.New(slog.DiscardHandler))
		if err == nil {
			err = p.Listen(nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		p.LeavePaths(leave)
		p.Close()
		for _, name := range []string{"stays", "goes"} {
			_, err := os.Lstat(filepath.Join(dir, name))
			if there, want := err == nil, name == "stays" && leave != nil; there != want {
				t.Errorf("%s is there: %v, want %v", name, there, want)
			}
		}
	}
}
