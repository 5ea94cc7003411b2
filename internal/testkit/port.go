package testkit

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// Ports are picked below the range that kernels hand out to outgoing
// connections (32768 and up on Linux), so no client of any test can sit on one.
const (
	firstPort = 20000
	lastPort  = 31999
)

// FreePort returns a TCP port of 127.0.0.1 that nobody listens on and that no
// other FreePort, in any test process of this machine, returns until t ends.
func FreePort(t testing.TB) int {
	t.Helper()
	port, release, err := ReservePort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return port
}

// ReservePort is FreePort outside of tests: the port is the caller's until
// release is called or the calling process ends.
//
// Go runs the tests of several packages at once, in a process each. A bind
// check alone would give two of them the same port, so each port also has a
// lock file, which the kernel unlocks when its owner dies.
func ReservePort() (port int, release func(), err error) {
	dir := filepath.Join(os.TempDir(), "nutmeg-test-ports-"+strconv.Itoa(os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, nil, fmt.Errorf("cannot make the folder of port locks: %w", err)
	}
	for range 200 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		lock, err := lockPort(dir, port)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			continue
		}
		if err != nil {
			return 0, nil, fmt.Errorf("cannot lock port %d: %w", port, err)
		}
		if bindable(port) {
			return port, func() { _ = lock.Close() }, nil
		}
		_ = lock.Close()
	}
	return 0, nil, fmt.Errorf("no free port between %d and %d after 200 tries; stop some of the servers on 127.0.0.1", firstPort, lastPort)
}

// lockPort takes the lock of port or returns EWOULDBLOCK. Closing the file
// gives the lock back; the file itself stays, since removing it would race.
func lockPort(dir string, port int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(port)), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// bindable tells whether a server could listen on the port now, on the
// loopback address and on all addresses.
func bindable(port int) bool {
	for _, host := range []string{"127.0.0.1", ""} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}
