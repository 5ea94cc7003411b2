//go:build unix

package evloop_test

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nutmeg/internal/evloop"
)

// inherited is a duplicate of a socket's descriptor, as another process would get it: it blocks, and survives exec.
func inherited(t *testing.T, s evloop.Socket) int {
	t.Helper()
	fd, ok := evloop.FD(s)
	if !ok {
		t.Fatal("no descriptor")
	}
	other, err := unix.Dup(fd)
	if err == nil {
		err = unix.SetNonblock(other, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	return other
}

func wantPrepared(t *testing.T, fd int) {
	t.Helper()
	status, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || status&unix.O_NONBLOCK == 0 {
		t.Errorf("status flags %#x, %v: it blocks", status, err)
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor flags %#x, %v: programs inherit it", flags, err)
	}
}

func TestInheritedSocketsServe(t *testing.T) {
	onSystems(t, func(t *testing.T, a *arena) {
		for _, addr := range []evloop.Address{a.tcp(), a.unix()} {
			g := a.listen(addr, nil)
			fd := inherited(t, g.listener.Socket())
			g.listener.Close()
			socket, err := evloop.InheritListener(fd)
			if err != nil {
				t.Fatal(err)
			}
			wantPrepared(t, fd)
			if got := evloop.LocalAddress(socket); got != addr {
				t.Errorf("bound to %+v, want %+v", got, addr)
			}
			if g.listener, err = a.loop.Accept(socket, evloop.SocketOptions{}, g); err != nil {
				t.Fatal(err)
			}
			client := a.dial(addr)
			a.run(func() bool { return client.opened && len(g.nodes) == 1 })
			g.listener.Close()

			released := g.nodes[0].Release()
			fd = inherited(t, released)
			if err := released.Close(); err != nil {
				t.Fatal(err)
			}
			conn, err := evloop.InheritConn(fd)
			if err != nil {
				t.Fatal(err)
			}
			wantPrepared(t, fd)
			server := &node{}
			if err := a.loop.Adopt(&server.Conn, conn, server); err != nil {
				t.Fatal(err)
			}
			echoing(server)
			client.Send(pattern(100000))
			a.run(func() bool { return client.got.Len() == 100000 })
			wantBytes(t, "echo", client.got.Bytes(), pattern(100000))
			client.Close()
			server.Close()
		}
		if a.loop.Open() != 0 {
			t.Errorf("%d sockets left", a.loop.Open())
		}
	})
}

func TestInheritRefusesWhatIsNoSuchSocket(t *testing.T) {
	outside, err := evloop.NewSystem()
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	listener, err := outside.Listen((&arena{t: t}).tcp(), evloop.ListenOptions{Backlog: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	listening, _ := evloop.FD(listener)
	var pair, datagrams [2]int
	if pair, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0); err != nil {
		t.Fatal(err)
	}
	if datagrams, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, row := range []struct {
		name    string
		inherit func(int) (evloop.Socket, error)
		fd      int
		want    string
	}{
		{"a file", evloop.InheritListener, int(file.Fd()), "not a socket"},
		{"nothing", evloop.InheritConn, 1 << 20, "bad file descriptor"},
		{"datagrams", evloop.InheritConn, datagrams[0], "another kind"},
		{"a connection as listener", evloop.InheritListener, pair[0], "nobody listens"},
		{"a listener as connection", evloop.InheritConn, listening, "it is a listening socket"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if _, err := row.inherit(row.fd); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
	for _, fd := range append(pair[:], datagrams[:]...) {
		if err := unix.Close(fd); err != nil {
			t.Errorf("a refused descriptor was closed: %v", err)
		}
	}
	if _, ok := evloop.FD(nil); ok {
		t.Error("no socket has a descriptor")
	}
	if got := evloop.LocalAddress(nil); got != (evloop.Address{}) {
		t.Errorf("no socket is bound to %+v", got)
	}
}

func TestRelistenChangesTheModeInPlace(t *testing.T) {
	onSystems(t, func(t *testing.T, a *arena) {
		addr := a.unix()
		socket, err := a.outside.Listen(addr, evloop.ListenOptions{Backlog: 1, Mode: 0o600})
		if err != nil {
			t.Fatal(err)
		}
		client := a.dial(addr) // waits in the backlog over the change
		a.run(func() bool { return client.opened })
		for _, mode := range []os.FileMode{0o660, 0, 0o606} {
			if err := a.outside.Relisten(socket, addr, evloop.ListenOptions{Backlog: 64, Mode: mode}); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(addr.Path)
			if want := mode; err != nil || want != 0 && info.Mode().Perm() != want {
				t.Errorf("mode %v, %v; want %v", info.Mode(), err, want)
			}
		}
		g := &gate{arena: a}
		if g.listener, err = a.loop.Accept(socket, evloop.SocketOptions{}, g); err != nil {
			t.Fatal(err)
		}
		a.run(func() bool { return len(g.nodes) == 1 })
		if err := os.Remove(addr.Path); err != nil {
			t.Fatal(err)
		}
		if err := a.outside.Relisten(socket, addr, evloop.ListenOptions{Backlog: 1, Mode: 0o600}); err == nil {
			t.Error("the path is gone, and its mode was changed")
		}
		client.Close()
		g.nodes[0].Close()
		g.listener.Close()
		if err := a.outside.Relisten(socket, addr, evloop.ListenOptions{Backlog: 1}); err == nil {
			t.Error("a closed socket listens again")
		}
	})
}
