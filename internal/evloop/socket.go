//go:build unix

package evloop

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"nutmeg/internal/buffer"
)

// fdSocket is a socket of the operating system.
type fdSocket struct {
	system  *system
	fd      int32
	watched Interest
	known   bool // the poller has been told of it
	local   bool // a unix socket
}

func (s *fdSocket) Read(p []byte) (int, error) {
	n, err := sysRead(int(s.fd), p)
	if err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (s *fdSocket) Write(out *buffer.Buffer) (int, error) {
	return s.system.vector.write(int(s.fd), out)
}

// Close frees the descriptor, whose number may be another socket's at once.
func (s *fdSocket) Close() error {
	fd := s.fd
	s.fd = -1
	return unix.Close(int(fd))
}

func (s *fdSocket) CloseWrite() error { return unix.Shutdown(int(s.fd), unix.SHUT_WR) }

func (s *fdSocket) PendingError() error {
	n, err := unix.GetsockoptInt(int(s.fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if n != 0 {
		return unix.Errno(n)
	}
	return nil
}

func (s *fdSocket) Accept(opt SocketOptions) (Socket, error) {
	fd, err := sysAccept(int(s.fd))
	switch {
	case err == nil:
	case errors.Is(err, unix.EAGAIN):
		return nil, ErrWouldBlock
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ENOMEM):
		return nil, ErrTooManyFiles
	default:
		return nil, err
	}
	if !s.local {
		setStreamOptions(fd, opt)
	}
	return &fdSocket{system: s.system, fd: int32(fd), local: s.local}, nil
}

func (s *fdSocket) Peer() string {
	sa, err := unix.Getpeername(int(s.fd))
	if err != nil {
		return "unknown"
	}
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)).String()
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port)).String()
	case *unix.SockaddrUnix:
		if a.Name != "" {
			return a.Name
		}
	}
	return "unix"
}

// setStreamOptions sets what makes a TCP connection faster or tidier; it works without them too, so failures are let pass.
func setStreamOptions(fd int, opt SocketOptions) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if opt.KeepAlive {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	}
}

func sockaddr(ip netip.AddrPort) (family int, sa unix.Sockaddr) {
	if ip.Addr().Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(ip.Port()), Addr: ip.Addr().As4()}
	}
	a := &unix.SockaddrInet6{Port: int(ip.Port()), Addr: ip.Addr().As16()}
	if zone := ip.Addr().Zone(); zone != "" {
		if i, err := net.InterfaceByName(zone); err == nil {
			a.ZoneId = uint32(i.Index)
		}
	}
	return unix.AF_INET6, a
}

func (s *system) Dial(ip netip.AddrPort, path string, opt SocketOptions) (Socket, bool, error) {
	var family int
	var sa unix.Sockaddr
	if path != "" {
		family, sa = unix.AF_UNIX, &unix.SockaddrUnix{Name: path}
	} else {
		family, sa = sockaddr(ip)
	}
	fd, err := sysSocket(family)
	if err != nil {
		return nil, false, err
	}
	if path == "" {
		setStreamOptions(fd, opt)
	}
	socket := &fdSocket{system: s, fd: int32(fd), local: path != ""}
	switch err := unix.Connect(fd, sa); {
	case err == nil:
		return socket, true, nil
	case errors.Is(err, unix.EINPROGRESS), errors.Is(err, unix.EINTR):
		return socket, false, nil
	case path != "" && errors.Is(err, unix.EAGAIN):
		err = unix.ECONNREFUSED // the backlog of a unix socket is full
		fallthrough
	default:
		_ = unix.Close(fd)
		return nil, false, err
	}
}

func (s *system) Listen(addr Address, opt ListenOptions) (Socket, error) {
	fd, err := listen(addr, opt)
	if err != nil {
		return nil, err
	}
	return &fdSocket{system: s, fd: int32(fd), local: addr.Path != ""}, nil
}

func listen(addr Address, opt ListenOptions) (fd int, err error) {
	family, sa, err := listenAddress(addr)
	if err != nil {
		return -1, err
	}
	if fd, err = sysSocket(family); err != nil {
		return -1, err
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	if addr.Path != "" {
		return fd, listenUnix(fd, sa, addr.Path, opt)
	}
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return fd, err
	}
	if opt.ReusePort {
		if err = setReusePort(fd); err != nil {
			return fd, err
		}
	}
	if family == unix.AF_INET6 && addr.Host == "" {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0) // where both families share a socket, use that
	}
	if err = unix.Bind(fd, sa); err != nil {
		return fd, err
	}
	return fd, unix.Listen(fd, opt.Backlog)
}

// listenUnix takes the place of a socket that an earlier process left behind, and of nothing else.
func listenUnix(fd int, sa unix.Sockaddr, path string, opt ListenOptions) error {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != os.ModeSocket {
			return fmt.Errorf("%s exists and is not a socket", path)
		}
		if answers(sa) {
			return unix.EADDRINUSE
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	if err := unix.Bind(fd, sa); err != nil {
		return err
	}
	if opt.Mode != 0 {
		if err := os.Chmod(path, opt.Mode); err != nil {
			return err
		}
	}
	return unix.Listen(fd, opt.Backlog)
}

// answers reports whether somebody listens at a unix socket.
func answers(sa unix.Sockaddr) bool {
	fd, err := sysSocket(unix.AF_UNIX)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	err = unix.Connect(fd, sa)
	return err == nil || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINPROGRESS) // a full backlog is somebody's, too
}

func listenAddress(addr Address) (family int, sa unix.Sockaddr, err error) {
	if addr.Path != "" {
		return unix.AF_UNIX, &unix.SockaddrUnix{Name: addr.Path}, nil
	}
	if addr.Host == "" {
		if supportsIPv6() {
			return unix.AF_INET6, &unix.SockaddrInet6{Port: addr.Port}, nil
		}
		return unix.AF_INET, &unix.SockaddrInet4{Port: addr.Port}, nil
	}
	to, err := net.ResolveTCPAddr("tcp", addr.String())
	if err != nil {
		return 0, nil, err
	}
	ip := to.AddrPort()
	family, sa = sockaddr(netip.AddrPortFrom(ip.Addr().Unmap(), ip.Port()))
	return family, sa, nil
}

func supportsIPv6() bool {
	fd, err := sysSocket(unix.AF_INET6)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	return unix.Bind(fd, &unix.SockaddrInet6{Addr: netip.IPv6Loopback().As16()}) == nil
}
