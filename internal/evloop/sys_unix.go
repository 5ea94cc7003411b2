//go:build unix && !linux

package evloop

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"

	"nutmeg/internal/buffer"
)

func sysRead(fd int, p []byte) (int, error) {
	for {
		n, err := unix.Read(fd, p)
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return 0, ErrWouldBlock
		default:
			return 0, err
		}
	}
}

// gatherBytes is how much of an output one write offers the socket.
const gatherBytes = 64 << 10

// ioVector gathers small chunks for one write: not every platform has a writev that Go can call.
type ioVector struct {
	gathered []byte
}

// write sends the front of out. It returns ErrWouldBlock, with what was sent, when the socket took less than it was offered.
func (v *ioVector) write(fd int, out *buffer.Buffer) (int, error) {
	bytes := out.First().Bytes()
	if len(bytes) < gatherBytes/2 && out.First().Next() != nil {
		v.gathered = v.gathered[:0]
		for c := out.First(); c != nil && len(v.gathered)+len(c.Bytes()) <= gatherBytes; c = c.Next() {
			v.gathered = append(v.gathered, c.Bytes()...)
		}
		if len(v.gathered) > len(bytes) {
			bytes = v.gathered
		}
	}
	for {
		n, err := unix.Write(fd, bytes)
		switch {
		case err == nil:
			if n < len(bytes) {
				return n, ErrWouldBlock
			}
			return n, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return 0, ErrWouldBlock
		default:
			return 0, err
		}
	}
}

// sysYield does nothing where it has not been measured.
func sysYield() {}

// A descriptor is inherited by programs until prepare has said otherwise, so none may be started in between.

func sysSocket(family int) (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		return -1, err
	}
	return prepare(fd)
}

func sysAccept(fd int) (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	conn, _, err := unix.Accept(fd)
	if err != nil {
		return -1, err
	}
	return prepare(conn)
}

func prepare(fd int) (int, error) {
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
