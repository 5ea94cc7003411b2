//go:build unix

package evloop

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// pollPoller is poll(2), for platforms without anything better. Each wait costs time for every connection, ready or not.
type pollPoller struct {
	fds    []unix.PollFd
	tokens []uint64    // beside fds
	index  map[int]int // from descriptor to its place in fds
	next   int         // where the next wait begins to report, so that a full events slice starves nobody
}

func newPollPoller() *pollPoller { return &pollPoller{index: map[int]int{}} }

func (p *pollPoller) watch(fd int, token uint64, _, want Interest, _ bool) error {
	i, ok := p.index[fd]
	if !ok {
		i = len(p.fds)
		p.index[fd] = i
		p.fds = append(p.fds, unix.PollFd{Fd: int32(fd)})
		p.tokens = append(p.tokens, 0)
	}
	p.tokens[i] = token
	p.fds[i].Events = 0
	if want&Readable != 0 {
		p.fds[i].Events |= unix.POLLIN
	}
	if want&Writable != 0 {
		p.fds[i].Events |= unix.POLLOUT
	}
	return nil
}

func (p *pollPoller) forget(fd int) {
	i, ok := p.index[fd]
	if !ok {
		return
	}
	last := len(p.fds) - 1
	p.fds[i], p.tokens[i] = p.fds[last], p.tokens[last]
	p.index[int(p.fds[i].Fd)] = i
	delete(p.index, fd)
	p.fds, p.tokens = p.fds[:last], p.tokens[:last]
}

func (p *pollPoller) wait(events []Event, timeout int64) (int, error) {
	limit := -1
	if timeout >= 0 {
		limit = int(min((timeout+int64(time.Millisecond)-1)/int64(time.Millisecond), 1<<30))
	}
	if _, err := unix.Poll(p.fds, limit); err != nil {
		if errors.Is(err, unix.EINTR) {
			return 0, nil
		}
		return 0, err
	}
	n := 0
	for range p.fds {
		if n == len(events) {
			break
		}
		p.next = (p.next + 1) % len(p.fds)
		got := p.fds[p.next].Revents
		if got == 0 {
			continue
		}
		e := Event{Token: p.tokens[p.next]}
		if got&unix.POLLIN != 0 {
			e.Ready |= Readable
		}
		if got&unix.POLLOUT != 0 {
			e.Ready |= Writable
		}
		e.Hangup = got&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
		events[n] = e
		n++
	}
	return n, nil
}

func (p *pollPoller) close() error { return nil }
