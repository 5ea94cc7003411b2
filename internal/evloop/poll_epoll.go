//go:build linux

package evloop

import (
	"time"

	"golang.org/x/sys/unix"
)

// Backend names the kernel interface that NewSystem uses.
const Backend = "epoll"

// epoll is the poller of Linux, level-triggered: what is not read now is reported again.
type epoll struct {
	fd     int
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
	return unix.EpollCtl(p.fd, op, fd, &e)
}

// forget does not rely on the close that mostly follows: another process may have the same socket open.
func (p *epoll) forget(fd int) {
	_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, fd, &unix.EpollEvent{}) // it was added; there is no other error
}

func (p *epoll) wait(events []Event, timeout int64) (int, error) {
	n, err := unix.EpollWait(p.fd, p.events[:min(len(events), eventsPerWait)], milliseconds(timeout))
	if err != nil {
		if err == unix.EINTR {
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
		events[i] = e
	}
	return n, nil
}

func (p *epoll) close() error { return unix.Close(p.fd) }

// milliseconds rounds a time-out up: waking too early would mean to wait once more.
func milliseconds(timeout int64) int {
	if timeout < 0 {
		return -1
	}
	return int(min((timeout+int64(time.Millisecond)-1)/int64(time.Millisecond), 1<<30))
}
