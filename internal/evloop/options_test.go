//go:build unix

package evloop

import (
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSocketOptions holds what is set on both sides of a TCP connection.
func TestSocketOptions(t *testing.T) {
	for _, keepAlive := range []bool{false, true} {
		t.Run("keepalive "+strconv.FormatBool(keepAlive), func(t *testing.T) {
			outside, err := NewSystem()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = outside.Close() })
			port := freePort(t)
			listener, err := outside.Listen(Address{Host: "127.0.0.1", Port: port}, ListenOptions{Backlog: 8})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = listener.Close() })
			options := SocketOptions{KeepAlive: keepAlive}
			dialed, _, err := outside.Dial(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port)), "", options)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = dialed.Close() })
			if err := outside.Watch(listener, 1, Readable); err != nil {
				t.Fatal(err)
			}
			var events [4]Event
			if n, err := outside.Wait(events[:], int64(5*time.Second)); n != 1 || err != nil {
				t.Fatalf("%d events, %v", n, err)
			}
			accepted, err := listener.Accept(options)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = accepted.Close() })
			for side, socket := range map[string]Socket{"dialed": dialed, "accepted": accepted} {
				fd := int(socket.(*fdSocket).fd)
				if on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE); (on != 0) != keepAlive || err != nil {
					t.Errorf("%s: SO_KEEPALIVE is %d, %v", side, on, err)
				}
				if on, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); on == 0 || err != nil {
					t.Errorf("%s: TCP_NODELAY is %d, %v", side, on, err)
				}
			}
		})
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return port
}
