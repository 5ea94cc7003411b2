//go:build unix

package evloop

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// FD is the descriptor of a socket of the operating system, which stays the socket's; false for any other socket and for a
// closed one.
func FD(s Socket) (fd int, ok bool) {
	f, ok := s.(*fdSocket)
	if !ok || f.fd < 0 {
		return -1, false
	}
	return int(f.fd), true
}

// InheritListener makes a socket of a descriptor on which somebody else, an earlier process or the service manager, listens
// for streams. It sets the descriptor to not block and to be closed in programs that this one starts.
// On an error the descriptor stays the caller's.
func InheritListener(fd int) (Socket, error) { return inherit(fd, true) }

// InheritConn is InheritListener for a connected socket.
func InheritConn(fd int) (Socket, error) { return inherit(fd, false) }

func inherit(fd int, listening bool) (Socket, error) {
	local, err := checkStream(fd, listening)
	if err == nil {
		unix.CloseOnExec(fd)
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot take over descriptor %d: %w", fd, err)
	}
	return &fdSocket{fd: int32(fd), local: local}, nil
}

// checkStream reports whether fd is a unix socket; the error says why it is not the stream socket that is wanted.
func checkStream(fd int, listening bool) (local bool, err error) {
	switch kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); {
	case errors.Is(err, unix.ENOTSOCK):
		return false, errors.New("it is not a socket")
	case err != nil:
		return false, err
	case kind != unix.SOCK_STREAM:
		return false, errors.New("it is a socket of another kind than TCP and unix streams")
	}
	// Some systems do not tell; there a wrong socket shows at its first use.
	if on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err == nil && (on != 0) != listening {
		if listening {
			return false, errors.New("nobody listens on that socket")
		}
		return false, errors.New("it is a listening socket, not a connection")
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return false, err
	}
	switch sa.(type) {
	case *unix.SockaddrUnix:
		return true, nil
	case *unix.SockaddrInet4, *unix.SockaddrInet6:
		return false, nil
	}
	return false, errors.New("it belongs to neither TCP nor unix sockets")
}

// LocalAddress is where a socket of the operating system is bound. A host of all interfaces is empty, as in Outside.Listen;
// a socket that is bound nowhere, or no socket of the operating system, has the zero Address.
func LocalAddress(s Socket) Address {
	fd, ok := FD(s)
	if !ok {
		return Address{}
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return Address{}
	}
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return tcpAddress(netip.AddrFrom4(a.Addr), a.Port)
	case *unix.SockaddrInet6:
		return tcpAddress(netip.AddrFrom16(a.Addr).Unmap(), a.Port)
	case *unix.SockaddrUnix:
		return Address{Path: a.Name}
	}
	return Address{}
}

func tcpAddress(ip netip.Addr, port int) Address {
	if ip.IsUnspecified() {
		return Address{Port: port}
	}
	return Address{Host: ip.String(), Port: port}
}

// Relisten calls listen(2) again, which on a listening socket sets the backlog and nothing else.
func (s *system) Relisten(socket Socket, addr Address, opt ListenOptions) error {
	fd, ok := FD(socket)
	if !ok {
		return os.ErrClosed
	}
	if addr.Path != "" && opt.Mode != 0 {
		if err := os.Chmod(addr.Path, opt.Mode); err != nil {
			return err
		}
	}
	return unix.Listen(fd, opt.Backlog)
}
