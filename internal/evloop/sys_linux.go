package evloop

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"nutmeg/internal/buffer"
)

// The calls of the request path go to the kernel without telling the Go scheduler: on a socket that never blocks they
// return within microseconds, and the bookkeeping for a call that may block costs as much as the smallest of them.
// recvfrom and sendto do on a socket what read and write do, without the detour through the kernel's file layer.

func sysRead(fd int, p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, ErrWouldBlock
		default:
			return 0, errno
		}
	}
}

// vectorLength bounds the chunks of one writev; more than a socket's buffer is not taken anyway.
const vectorLength = 64

// ioVector is the argument of writev, kept so that a write allocates nothing.
type ioVector struct {
	entries [vectorLength]unix.Iovec
}

// write sends the front of out. It returns ErrWouldBlock, with what was sent, when the socket took less than it was offered.
func (v *ioVector) write(fd int, out *buffer.Buffer) (int, error) {
	count, total := 0, 0
	for c := out.First(); c != nil && count < vectorLength; c = c.Next() {
		bytes := c.Bytes()
		if len(bytes) == 0 {
			continue
		}
		v.entries[count].Base = unsafe.SliceData(bytes)
		v.entries[count].SetLen(len(bytes))
		total += len(bytes)
		count++
	}
	for {
		var n uintptr
		var errno syscall.Errno
		if count == 1 {
			n, _, errno = syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(v.entries[0].Base)), uintptr(total), unix.MSG_NOSIGNAL, 0, 0)
		} else {
			n, _, errno = syscall.RawSyscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&v.entries[0])), uintptr(count))
		}
		switch errno {
		case 0:
			if int(n) < total {
				return int(n), ErrWouldBlock
			}
			return int(n), nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, ErrWouldBlock
		default:
			return 0, errno
		}
	}
}

// sysYield has others go first that want the processor.
func sysYield() { _, _, _ = syscall.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

func sysSocket(family int) (int, error) {
	return unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
}

// sysAccept does not ask for the peer's address, which x/sys would allocate: few ever need it.
func sysAccept(fd int) (int, error) {
	for {
		conn, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch errno {
		case 0:
			return int(conn), nil
		case syscall.EINTR:
		default:
			return -1, errno
		}
	}
}

func setReusePort(fd int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
}
