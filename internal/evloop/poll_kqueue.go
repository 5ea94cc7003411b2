//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package evloop

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// Backend names the kernel interface that NewSystem uses.
const Backend = "kqueue"

// kqueue is the poller of the BSDs and macOS, level-triggered. The kernel's udata field differs from platform to platform,
// so tokens are kept here, by descriptor.
type kqueue struct {
	fd     int
	tokens map[int]uint64
	events [eventsPerWait]unix.Kevent_t
}

func newPoller() (poller, error) {
	fd, err := unix.Kqueue()
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(fd)
	return &kqueue{fd: fd, tokens: map[int]uint64{}}, nil
}

func (p *kqueue) watch(fd int, token uint64, had, want Interest, known bool) error {
	p.tokens[fd] = token
	if !known {
		had = 0
	}
	var changes [2]unix.Kevent_t
	n := 0
	for _, filter := range [...]struct {
		interest Interest
		kind     int
	}{{Readable, unix.EVFILT_READ}, {Writable, unix.EVFILT_WRITE}} {
		switch {
		case want&filter.interest != 0 && had&filter.interest == 0:
			unix.SetKevent(&changes[n], fd, filter.kind, unix.EV_ADD)
			n++
		case want&filter.interest == 0 && had&filter.interest != 0:
			unix.SetKevent(&changes[n], fd, filter.kind, unix.EV_DELETE)
			n++
		}
	}
	if n == 0 {
		return nil
	}
	_, err := unix.Kevent(p.fd, changes[:n], nil, nil)
	return err
}

// forget does not rely on the close that mostly follows: another process may have the same socket open. A filter that is
// not there is no error.
func (p *kqueue) forget(fd int) {
	delete(p.tokens, fd)
	for _, kind := range [...]int{unix.EVFILT_READ, unix.EVFILT_WRITE} {
		var change [1]unix.Kevent_t
		unix.SetKevent(&change[0], fd, kind, unix.EV_DELETE)
		_, _ = unix.Kevent(p.fd, change[:], nil, nil)
	}
}

func (p *kqueue) wait(events []Event, timeout int64) (int, error) {
	var limit *unix.Timespec
	if timeout >= 0 {
		ts := unix.NsecToTimespec(min(timeout, int64(time.Hour)))
		limit = &ts
	}
	n, err := unix.Kevent(p.fd, nil, p.events[:min(len(events), eventsPerWait)], limit)
	if err != nil {
		if errors.Is(err, unix.EINTR) {
			return 0, nil
		}
		return 0, err
	}
	for i := range n {
		from := &p.events[i]
		e := Event{Token: p.tokens[int(from.Ident)]}
		if from.Filter == unix.EVFILT_READ {
			e.Ready = Readable
		} else {
			e.Ready = Writable
			e.Hangup = from.Flags&unix.EV_EOF != 0
		}
		events[i] = e
	}
	return n, nil
}

func (p *kqueue) close() error { return unix.Close(p.fd) }
