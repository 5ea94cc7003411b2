package test

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

// lineage is a daemon that others take the place of.
type lineage struct {
	*Nutmeg
	pid int // of the process in charge
}

// startLineage is startNutmeg for a daemon that is going to be upgraded.
func startLineage(t testing.TB, yaml string, args ...string) *lineage {
	t.Helper()
	return startLineageAt(t, nutmegBinary(t), yaml, args...)
}

func startLineageAt(t testing.TB, program, yaml string, args ...string) *lineage {
	t.Helper()
	return startLineageWith(t, program, nil, yaml, args...)
}

// startLineageWith is startLineage with a program, and files that it gets as descriptors from 3 on.
func startLineageWith(t testing.TB, program string, files []*os.File, yaml string, args ...string) *lineage {
	t.Helper()
	if err := adoptOrphans(); err != nil {
		t.Fatal(err)
	}
	l := &lineage{Nutmeg: startNutmegWith(t, files, []string{program}, yaml, args...)}
	l.pid = l.PID()
	t.Cleanup(func() {
		if l.pid != l.PID() {
			l.endOf(t, l.pid, syscall.SIGTERM)
		}
	})
	return l
}

// endOf sends a signal to a process of the lineage, waits for its end, and wants exit code 0.
func (l *lineage) endOf(t testing.TB, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Errorf("process %d: %v", pid, err)
		return
	}
	l.wantEnd(t, pid)
}

// wantEnd waits for a process of the lineage to end well.
func (l *lineage) wantEnd(t testing.TB, pid int) {
	t.Helper()
	if pid == l.PID() {
		l.ended = true
		l.waitExit()
		if code := l.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("process %d: %v", pid, l.cmd.ProcessState)
		}
		return
	}
	var status syscall.WaitStatus
	eventually(t, fmt.Sprintf("process %d to end", pid), func() error {
		switch ended, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil); {
		case err != nil:
			return err
		case ended != pid:
			return fmt.Errorf("process %d runs", pid)
		}
		return nil
	})
	if status.ExitStatus() != 0 {
		t.Errorf("process %d ended with %v", pid, status)
	}
}

// upgrade has a new process take over, and waits until the old one has ended.
func (l *lineage) upgrade(t testing.TB) {
	t.Helper()
	old := l.pid
	l.startUpgrade(t)
	l.wantEnd(t, old)
}

// startUpgrade is upgrade, but the old process may still be there.
func (l *lineage) startUpgrade(t testing.TB) {
	t.Helper()
	old := l.pid
	if err := syscall.Kill(old, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a new process", func() error {
		pid, err := l.pidInFile()
		if err == nil && pid == old {
			err = fmt.Errorf("process %d is in charge", pid)
		}
		l.pid = pid
		return err
	})
}

func (l *lineage) pidInFile() (int, error) {
	text, err := os.ReadFile(l.path("pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(text))
}

// crowd is clients that ask without pause, and know every answer.
type crowd struct {
	t       testing.TB
	stop    atomic.Bool
	answers atomic.Int64
	clients sync.WaitGroup
}

func newCrowd(t testing.TB) *crowd { return &crowd{t: t} }

// redis adds a client that sends pipelines of SET and GET.
func (c *crowd) redis(addr string, number int) {
	conn := dial(c.t, addr)
	c.clients.Go(func() {
		for round := 0; !c.stop.Load(); round++ {
			var send, want strings.Builder
			for i := range 1 + (number+round)%3 {
				key, value := fmt.Sprintf("k%d.%d", number, i), strings.Repeat(strconv.Itoa(round), 1+round%50)
				send.WriteString(request("SET", key, value) + request("GET", key))
				want.WriteString(okReply + bulk(value))
			}
			if !c.exchange(conn, number, send.String(), want.String()) {
				return
			}
		}
	})
}

// memcached adds a client that speaks the other protocol.
func (c *crowd) memcached(addr string, number int) {
	conn := dial(c.t, addr)
	c.clients.Go(func() {
		for round := 0; !c.stop.Load(); round++ {
			value := strconv.Itoa(round)
			send := fmt.Sprintf("set k%d 0 0 %d\r\n%s\r\nget k%d\r\n", number, len(value), value, number)
			if !c.exchange(conn, number, send, fmt.Sprintf("STORED\r\nVALUE k%d 0 %d\r\n%s\r\nEND\r\n", number, len(value), value)) {
				return
			}
		}
	})
}

func (c *crowd) exchange(conn *rawConn, number int, send, want string) bool {
	if err := conn.exchange(send, want); err != nil {
		c.t.Errorf("client %d: %v", number, err)
		return false
	}
	c.answers.Add(1)
	return true
}

// library adds a connection pool of go-redis that is used by several goroutines, and must not connect again.
func (c *crowd) library(addr string) {
	const users = 8
	var dials atomic.Int64
	client := redis.NewClient(&redis.Options{
		Addr: addr, MaxRetries: -1, PoolSize: users, MinIdleConns: users,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials.Add(1)
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		},
	})
	c.t.Cleanup(func() {
		_ = client.Close()
		if n := dials.Load(); n > users {
			c.t.Errorf("the library connected %d times for %d users", n, users)
		}
	})
	for user := range users {
		c.clients.Go(func() {
			for round := 0; !c.stop.Load(); round++ {
				key, value := fmt.Sprintf("library%d", user), strconv.Itoa(round)
				err := client.Set(context.Background(), key, value, 0).Err()
				got, getErr := client.Get(context.Background(), key).Result()
				if err != nil || getErr != nil || got != value {
					c.t.Errorf("user %d of the library: got %q, errors %v and %v; want %q", user, got, err, getErr, value)
					return
				}
				c.answers.Add(1)
			}
		})
	}
}

// served waits until the crowd has got some more answers.
func (c *crowd) served(more int64) {
	c.t.Helper()
	from := c.answers.Load()
	eventually(c.t, "answers", func() error {
		if n := c.answers.Load() - from; n < more {
			return fmt.Errorf("%d answers", n)
		}
		return nil
	})
}

func (c *crowd) end() {
	c.stop.Store(true)
	c.clients.Wait()
}
