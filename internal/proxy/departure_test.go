package proxy

import (
	"fmt"
	"log/slog"
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

// successor is a second proxy in the world of an arena, which takes the listeners of the first over.
func (a *arena) successor(conf *config.Config, workers int) *Proxy {
	a.t.Helper()
	var outsides []evloop.Outside
	for i := range workers {
		outsides = append(outsides, a.Outside(fmt.Sprintf("successor%d", i)))
	}
	p, err := New(conf, outsides, slog.New(slog.DiscardHandler))
	if err != nil {
		a.t.Fatal(err)
	}
	if err := p.Listen(func(at config.Address) evloop.Socket { return a.proxy.listeners[at].socket.Release() }); err != nil {
		a.t.Fatal(err)
	}
	return p
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
	})
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
