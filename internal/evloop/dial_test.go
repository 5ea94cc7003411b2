package evloop_test

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"nutmeg/internal/evloop"
)

func ip(t *testing.T, text string) netip.Addr {
	t.Helper()
	addr, err := netip.ParseAddr(text)
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func TestDialRefused(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		n := a.dial(a.tcp())
		if n.failure != nil {
			t.Error("told before Dial returned")
		}
		n.SendString("never sent")
		a.run(func() bool { return n.failure != nil })
		wantError(t, n.failure, syscall.ECONNREFUSED)
		if n.opened || a.loop.Open() != 0 {
			t.Errorf("opened %v, %d sockets left", n.opened, a.loop.Open())
		}
		n = a.dial(a.unix())
		a.run(func() bool { return n.failure != nil })
		wantError(t, n.failure, syscall.ENOENT)
	})
}

func TestDialToANameTriesItsAddresses(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		addr := a.tcp()
		g := a.listen(addr, echoing)
		n := a.dial(evloop.Address{Host: a.name, Port: addr.Port})
		n.SendString("queued before the name was known")
		a.run(func() bool { return n.got.Len() == 32 })
		if !strings.HasPrefix(n.Peer(), "127.0.0.1:") {
			t.Errorf("the peer is %q", n.Peer())
		}
		n.Close()
		g.listener.Close()
	})
}

func TestDialToANameThatNobodyAnswersFor(t *testing.T) {
	a, w := onSim(t, 3)
	w.SetHost("nutmeg.test", ip(t, "10.0.0.1"), ip(t, "10.0.0.2"), ip(t, "10.0.0.3"))
	n := a.dial(evloop.Address{Host: "nutmeg.test", Port: 1})
	a.run(func() bool { return n.failure != nil })
	wantError(t, n.failure, syscall.ECONNREFUSED)

	n = a.dial(evloop.Address{Host: "nowhere.test", Port: 1})
	a.run(func() bool { return n.failure != nil })
	var unresolved *evloop.ResolveError
	if !errors.As(n.failure, &unresolved) || unresolved.Host != "nowhere.test" {
		t.Errorf("got %v, want a ResolveError", n.failure)
	}
	if a.loop.Open() != 0 {
		t.Errorf("%d sockets left", a.loop.Open())
	}
}

func TestCloseWhileDialing(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		addr := a.tcp()
		g := a.listen(addr, nil)
		for _, host := range []string{addr.Host, a.name} {
			n := a.dial(evloop.Address{Host: host, Port: addr.Port})
			n.Close()
			a.runFor(20 * time.Millisecond)
			if n.opened || n.failure != nil {
				t.Errorf("told of a connection that was closed: opened %v, failure %v", n.opened, n.failure)
			}
		}
		g.listener.Close()
		for _, n := range g.nodes {
			n.Close()
		}
		if a.loop.Open() != 0 {
			t.Errorf("%d sockets left", a.loop.Open())
		}
	})
}

func TestHangingDialIsClosedByItsOwner(t *testing.T) {
	a, w := onSim(t, 5)
	w.Hang("10.0.0.1:1")
	n := a.dial(evloop.Address{Host: "10.0.0.1", Port: 1})
	a.runFor(time.Hour)
	if n.opened || n.failure != nil || n.Open() || n.Conn.Closed() {
		t.Errorf("opened %v, failure %v, open %v, closed %v", n.opened, n.failure, n.Open(), n.Conn.Closed())
	}
	n.Close()
	if a.loop.Open() != 0 {
		t.Errorf("%d sockets left", a.loop.Open())
	}
}

func TestClosedListenerRefuses(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		addr := a.tcp()
		g := a.listen(addr, echoing)
		before := a.dial(addr)
		a.run(func() bool { return before.opened && len(g.nodes) == 1 })
		g.listener.Close()
		g.listener.Close()
		after := a.dial(addr)
		a.run(func() bool { return after.failure != nil })
		wantError(t, after.failure, syscall.ECONNREFUSED)
		before.SendString("still there")
		a.run(func() bool { return before.got.Len() == 11 })
		before.Close()
	})
}

func TestListenOnUsedAddressFails(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		addr := a.tcp()
		g := a.listen(addr, nil)
		_, err := a.outside.Listen(addr, evloop.ListenOptions{Backlog: 1})
		wantError(t, err, syscall.EADDRINUSE)
		g.listener.Close()
	})
}

func TestReusePortSharesAnAddress(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		addr := a.tcp()
		for range 3 {
			s, err := a.outside.Listen(addr, evloop.ListenOptions{Backlog: 1, ReusePort: true})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
		}
	})
}

func TestUnixListenerMode(t *testing.T) {
	onSystems(t, func(t *testing.T, a *arena) {
		addr := a.unix()
		for _, mode := range []os.FileMode{0o600, 0o666} { // the second takes the first one's place
			s, err := a.outside.Listen(addr, evloop.ListenOptions{Backlog: 1, Mode: mode})
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(addr.Path)
			if err != nil || info.Mode().Perm() != mode {
				t.Errorf("mode %v, error %v; want %v", info.Mode(), err, mode)
			}
			_ = s.Close()
		}
	})
}

func TestUnixListenerSparesOtherFiles(t *testing.T) {
	onSystems(t, func(t *testing.T, a *arena) {
		addr := a.unix()
		if err := os.WriteFile(addr.Path, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := a.outside.Listen(addr, evloop.ListenOptions{Backlog: 1})
		if err == nil || !strings.Contains(err.Error(), "not a socket") {
			t.Errorf("got %v", err)
		}
		if data, err := os.ReadFile(addr.Path); err != nil || string(data) != "precious" {
			t.Errorf("the file is %q, %v", data, err)
		}
	})
}

// A closed connection's descriptor may already be another's.
func TestPeerOfAClosedConnectionIsNobodyElses(t *testing.T) {
	onAll(t, func(t *testing.T, a *arena) {
		addr := a.tcp()
		g := a.listen(addr, nil)
		first := a.dial(addr)
		a.run(func() bool { return first.opened && len(g.nodes) == 1 })
		first.Close()
		second := a.dial(addr)
		a.run(func() bool { return second.opened && len(g.nodes) == 2 })
		if peer := first.Peer(); peer != "unknown" {
			t.Errorf("a closed connection says that its peer is %q", peer)
		}
		second.Close()
		for _, n := range g.nodes {
			n.Close()
		}
		g.listener.Close()
	})
}
