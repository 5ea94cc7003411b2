//go:build unix

package handover

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary is also the new process of its tests: with roleVar set, it plays the role.
const roleVar = "HANDOVER_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		os.Exit(play(role))
	}
	os.Exit(m.Run())
}

// play is the new process's main. Its exit codes are told apart by the tests.
func play(role string) int {
	switch role {
	case "exits without a word":
		return 3
	case "hangs":
		time.Sleep(time.Hour)
	case "breaks the connection and lives":
		if syscall.Close(inheritedFD) != nil {
			return 5
		}
		time.Sleep(time.Hour)
	}
	p, err := Inherit()
	if err != nil || p == nil {
		return 4
	}
	switch role {
	case "fails":
		p.Fail(errors.New("first line\nsecond line"))
		return 1
	case "is killed":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	greetListeners(p)
	if p.Ready() != nil {
		return 6
	}
	return serve(p, role)
}

// greetListeners accepts one connection of every listener and tells it the listener's name, and what the environment holds.
func greetListeners(p *Predecessor) {
	for _, l := range slices.Clone(p.listeners) {
		fd, _ := p.Listener(l.Name)
		_ = syscall.SetNonblock(fd, false)
		go func() {
			if conn, _, err := syscall.Accept(fd); err == nil {
				say(conn, l.Name+" "+strings.Join(leftovers(), " "))
				_ = syscall.Close(conn)
			}
		}()
	}
}

func leftovers() (names []string) {
	for _, name := range stale {
		if _, set := os.LookupEnv(name); set {
			names = append(names, name)
		}
	}
	return names
}

// serve greets every client with what was said of it, and holds it.
func serve(p *Predecessor, role string) int {
	limit, _ := strconv.Atoi(role[strings.LastIndexByte(role, ' ')+1:])
	for taken := 0; ; taken++ {
		if limit > 0 && taken == limit {
			return act(p, role)
		}
		c, err := p.Next()
		if errors.Is(err, io.EOF) {
			return 0
		}
		if err != nil {
			return 7
		}
		say(c.FD, describe(c))
	}
}

// act is what a process does that has taken some clients.
func act(p *Predecessor, role string) int {
	switch {
	case strings.HasPrefix(role, "dies"):
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case strings.HasPrefix(role, "stops"):
		p.Stop()
	case strings.HasPrefix(role, "goes wrong"):
		p.Close()
	}
	time.Sleep(time.Hour)
	return 0
}

func describe(c Client) string {
	return fmt.Sprintf("%s %d %08x\n", c.Pool, len(c.State), crc32.ChecksumIEEE(c.State))
}

func say(fd int, text string) { _, _ = syscall.Write(fd, []byte(text)) }
