package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"nutmeg/internal/testkit"
)

// bed is where daemons run.
type bed struct {
	nutmeg, dir string
	short       bool // once over everything; the numbers mean nothing
}

// setup is the configuration of a daemon.
type setup struct {
	servers     int    // in all
	perPool     int    // 0 = all in one pool
	workers     int    // 0 = one
	connections int    // to each server; 0 = the default
	settings    string // more lines for each pool
	address     string // of every server; "" = one that does not exist
}

// text is the file. Servers have names of their own and may share an address.
// Nobody listens at the ones that are made up, and nothing asks for them.
func (s setup) text(b *bed) string {
	perPool := s.perPool
	if perPool == 0 {
		perPool = s.servers
	}
	var f strings.Builder
	fmt.Fprintf(&f, "nutmeg:\n  workers: %d\n", max(s.workers, 1))
	for n := range s.servers {
		if n%perPool == 0 {
			fmt.Fprintf(&f, "pool%d:\n  listen: %s\n  redis: true\n  auto_eject_hosts: true\n", n/perPool, b.socket(n/perPool))
			if s.connections > 0 {
				fmt.Fprintf(&f, "  server_connections: %d\n  preconnect: true\n", s.connections)
			}
			f.WriteString(s.settings + "  servers:\n")
		}
		address := s.address
		if address == "" {
			address = filepath.Join(b.dir, "none")
		}
		fmt.Fprintf(&f, "   - %s:1 server%d.example.net:6379\n", address, n)
	}
	return f.String()
}

// socket is where the clients of a pool connect.
func (b *bed) socket(pool int) string { return filepath.Join(b.dir, fmt.Sprintf("p%d", pool)) }

// daemon is a proxy that runs.
type daemon struct {
	*testkit.Process
	bed     *bed
	last    string // socket of the last pool
	clients []net.Conn
}

// start runs a daemon. The caller closes it.
func (b *bed) start(s setup) (*daemon, error) {
	text := s.text(b)
	p, err := testkit.StartProxy(b.nutmeg, text)
	if err != nil {
		return nil, err
	}
	return &daemon{Process: p, bed: b, last: b.socket(strings.Count(text, "listen:") - 1)}, nil
}

// restart starts the daemon again and returns how long it takes until the last
// of its pools can be connected to.
func (d *daemon) restart() (time.Duration, error) {
	return d.TimeRestart(func() error {
		c, err := net.Dial("unix", d.last)
		if err != nil {
			return err
		}
		return c.Close()
	})
}

func (d *daemon) close() {
	for _, c := range d.clients {
		_ = c.Close()
	}
	d.Close()
}

// cpu is the processor time that the daemon's threads have had, in seconds.
func (d *daemon) cpu() (seconds float64, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", d.PID()))
	if err != nil || len(tasks) == 0 {
		return 0, errors.Join(err, errors.New("the kernel does not say what threads cost (/proc/PID/task/*/schedstat)"))
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has just ended
		}
		var nanoseconds float64
		if _, err := fmt.Sscan(string(text), &nanoseconds); err != nil {
			return 0, err
		}
		seconds += nanoseconds / 1e9
	}
	return seconds, nil
}

// costOf is the processor time of what act does and of what follows from it,
// until the daemon is quiet again, in milliseconds.
func (d *daemon) costOf(act func() error) (milliseconds float64, err error) {
	before, err := d.quiet()
	if err != nil {
		return 0, err
	}
	if err := act(); err != nil {
		return 0, err
	}
	after, err := d.quiet()
	return (after - before) * 1000, err
}

// quiet waits until the daemon does next to nothing and returns its processor
// time.
func (d *daemon) quiet() (cpu float64, err error) {
	const step, enough, little = 10 * time.Millisecond, 8, 50e-6
	last := -1.0
	for still := 0; still < enough; still++ {
		time.Sleep(step)
		if cpu, err = d.cpu(); err != nil {
			return 0, err
		}
		if cpu > last+little {
			still = 0
		}
		last = cpu
	}
	return cpu, nil
}

// memory is what is resident, in KiB, once the daemon is quiet.
func (d *daemon) memory() (kib float64, err error) {
	if _, err := d.quiet(); err != nil {
		return 0, err
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", d.PID()))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		if rest, found := bytes.CutPrefix(line, []byte("Rss:")); found {
			_, err = fmt.Sscan(string(rest), &kib)
		}
	}
	return kib, err
}

// open opens clients of the first pool, each of which sends a PING.
func (d *daemon) open(count int) error {
	for range count {
		c, err := net.Dial("unix", d.bed.socket(0))
		if err != nil {
			return err
		}
		d.clients = append(d.clients, c)
		if err := ping(c, 1); err != nil {
			return err
		}
	}
	return nil
}

// ping has a client ask so many times, one after the other. No server is asked.
func ping(c net.Conn, times int) error {
	var buffer [7]byte
	for range times {
		if _, err := c.Write([]byte("PING\r\n")); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, buffer[:]); err != nil {
			return err
		}
		if string(buffer[:]) != "+PONG\r\n" {
			return fmt.Errorf("PING is answered %q", buffer[:])
		}
	}
	return nil
}

// scrape reads a page of the stats port.
func (d *daemon) scrape(path string) error {
	response, err := http.Get("http://" + d.StatsAddr() + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, bufio.NewReader(response.Body)); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, response.Status)
	}
	return nil
}

// reload changes the configuration and waits until that has happened.
func (d *daemon) reload(to setup) error {
	if err := os.WriteFile(filepath.Join(d.Dir(), "proxy.yml"), []byte(to.text(d.bed)), 0o600); err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodPost, "http://"+d.StatsAddr()+"/reload", nil)
	if err != nil {
		return err
	}
	request.Header.Set("X-Nutmeg-Control", "1")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("reload: %s: %s", response.Status, text)
	}
	return err
}

// sockets is how many sockets the daemon has open.
func (d *daemon) sockets() (count float64, err error) {
	dir := fmt.Sprintf("/proc/%d/fd", d.PID())
	files, err := os.ReadDir(dir)
	for _, f := range files {
		if to, err := os.Readlink(filepath.Join(dir, f.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			count++
		}
	}
	return count, err
}

// raiseFileLimit lets this process have as many files open as it may.
func raiseFileLimit() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
}
