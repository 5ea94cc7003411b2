package load

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pollFor is epoll_wait with a limit in nanoseconds (Linux 5.11 or newer). An
// interrupted wait is one in which nothing happened.
func pollFor(poller int, events []unix.EpollEvent, limit time.Duration) (int, error) {
	timeout := unix.NsecToTimespec(int64(limit))
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(poller), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)),
		uintptr(unsafe.Pointer(&timeout)), 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	case unix.ENOSYS:
		return 0, fmt.Errorf("cannot wait for less than a millisecond: %w; Linux 5.11 or newer is needed", errno)
	default:
		return 0, fmt.Errorf("cannot wait: %w", errno)
	}
}

// preciseTimers makes the kernel wake this thread when its wait ends, and not
// up to 50 microseconds later. The caller has locked the thread, and calls
// what is returned when it is done.
func preciseTimers() (restore func()) {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // without it the loop is late, which Outcome.Late shows
	return func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) }
}
