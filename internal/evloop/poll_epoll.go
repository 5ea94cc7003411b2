//go:build linux

package evloop

import (
	"errors"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Backend names the kernel interface that NewSystem uses.
const Backend = "epoll"

// epoll is the poller of Linux. For connections it is edge-triggered: else each report would be followed by a look whether it
// still holds, a twentieth of the work of short requests.
type epoll struct {
	fd     int
	coarse bool // there is no wait of less than a millisecond
	events [eventsPerWait]unix.EpollEvent
}

func newPoller() (poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &epoll{fd: fd}, nil
}

func (p *epoll) watch(fd int, token uint64, _, want Interest, known bool) error {
	op := unix.EPOLL_CTL_MOD
	if !known {
		op = unix.EPOLL_CTL_ADD
	}
	e := unix.EpollEvent{Fd: int32(uint32(token)), Pad: int32(uint32(token >> 32))}
	if want&Readable != 0 {
		e.Events |= unix.EPOLLIN | unix.EPOLLRDHUP
	}
	if want&Writable != 0 {
		e.Events |= unix.EPOLLOUT
	}
	if want&Changes != 0 {
		e.Events |= unix.EPOLLET
	}
	return unix.EpollCtl(p.fd, op, fd, &e)
}

// forget does not rely on the close that mostly follows: another process may have the same socket open.
func (p *epoll) forget(fd int) {
	_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, fd, &unix.EpollEvent{}) // it was added; there is no other error
}

// attentive is for how long a wait keeps its place in Go's scheduler, in nanoseconds. A longer one gives the place away: the
// scheduler's monitor, which looks for such places every few microseconds, and taking the place back cost 2 us and more a
// wait. A place that is kept is looked at every 10 ms; a process without clients shall not be woken up for that.
const attentive = int64(10 * time.Millisecond)

func (p *epoll) wait(events []Event, timeout int64) (int, error) {
	most := min(len(events), eventsPerWait)
	n, err := 0, error(nil)
	if !p.coarse {
		brief := attentive
		if timeout >= 0 {
			brief = min(brief, timeout)
			timeout -= brief
		}
		n, err = p.waitBriefly(most, brief)
	}
	if n == 0 && err == nil && (timeout != 0 || p.coarse) {
		n, err = unix.EpollWait(p.fd, p.events[:most], milliseconds(timeout))
	}
	if err != nil {
		if errors.Is(err, unix.EINTR) {
			return 0, nil
		}
		return 0, err
	}
	for i := range n {
		from := &p.events[i]
		e := Event{Token: uint64(uint32(from.Pad))<<32 | uint64(uint32(from.Fd))}
		if from.Events&(unix.EPOLLIN|unix.EPOLLRDHUP) != 0 {
			e.Ready |= Readable
		}
		if from.Events&unix.EPOLLOUT != 0 {
			e.Ready |= Writable
		}
		e.Hangup = from.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0
		e.Ended = from.Events&unix.EPOLLRDHUP != 0
		events[i] = e
	}
	return n, nil
}

// waitBriefly waits without telling Go's scheduler. A signal, by which the scheduler makes itself heard, ends it.
func (p *epoll) waitBriefly(most int, timeout int64) (int, error) {
	limit := struct{ seconds, nanoseconds int64 }{nanoseconds: timeout}
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), uintptr(most),
		uintptr(unsafe.Pointer(&limit)), 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, errno
	}
	p.coarse = true // an older kernel, or a sandbox that does not know the call; what else is wrong the other call will say
	return 0, nil
}

func (p *epoll) close() error { return unix.Close(p.fd) }

// milliseconds rounds a time-out up: waking too early would mean to wait once more.
func milliseconds(timeout int64) int {
	if timeout < 0 {
		return -1
	}
	return int(min((timeout+int64(time.Millisecond)-1)/int64(time.Millisecond), 1<<30))
}
