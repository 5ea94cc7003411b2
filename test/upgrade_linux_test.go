package test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"

	"nutmeg/internal/testkit"
)

// lineage is a daemon that others take the place of.
type lineage struct {
	*Nutmeg
	pid int // of the process in charge
}

// startLineage is startNutmeg for a daemon that is going to be upgraded.
func startLineage(t testing.TB, yaml string, args ...string) *lineage {
	t.Helper()
	if err := adoptOrphans(); err != nil {
		t.Fatal(err)
	}
	l := &lineage{Nutmeg: startNutmeg(t, yaml, args...)}
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

// Ten processes one after the other serve the same clients, who notice nothing.
func TestUpgradeUnderLoad(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) {
			server, cache := testkit.Redis(t), testkit.Memcached(t)
			socket := filepath.Join(shortDir(t), "s")
			yaml := fmt.Sprintf("nutmeg:\n  workers: %d\nalpha:\n  listen: {listen}\n  redis: true\n  servers: [\"%s:1\"]\n", workers, server.Addr())
			yaml += fmt.Sprintf("beta:\n  listen: %s 0666\n  redis: true\n  servers: [\"%s:1\"]\n", socket, server.Addr())
			yaml += fmt.Sprintf("gamma:\n  listen: {listen}\n  servers: [\"%s:1\"]\n", cache.Addr())
			l := startLineage(t, yaml)
			c := newCrowd(t)
			defer c.end()
			upgrades := 10
			for i := range 100 {
				c.redis(l.Addr(), i)
			}
			for i := range 60 {
				c.redis(socket, 1000+i)
			}
			for i := range 40 {
				c.memcached(l.AddrOf(2), i)
			}
			c.library(l.Addr())
			for range upgrades {
				c.served(300)
				l.upgrade(t)
				if t.Failed() {
					return
				}
			}
			c.served(300)
			if n := strings.Count(l.Log(), "all clients have moved to the new process"); n != upgrades {
				t.Errorf("the log tells of %d upgrades", n)
			}
			if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o666 {
				t.Errorf("the unix socket: %v, %v", info, err)
			}
		})
	}
}
