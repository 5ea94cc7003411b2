package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"nutmeg/internal/testkit"
)

// The subjects, in the order of the table; those of -proxy follow.
const (
	nutmegOne  = "nutmeg-1" // workers: 1, to be compared with twemproxy's one thread
	nutmegAll  = "nutmeg"   // its default
	nutcracker = "nutcracker"
	haproxy    = "haproxy" // copies bytes between the client and the first server
	floor      = "floor"   // one read, one write and no server: see floor/floor.c
	direct     = "direct"  // no proxy at all: the first server
)

func subjectNames() []string {
	return []string{nutmegOne, nutmegAll, nutcracker, haproxy, floor, direct}
}

// subject is one thing to be measured. Its process is started anew for each
// sample; measurements of memory start another one of their own with launch.
type subject struct {
	name   string
	launch func() (*running, error) // nil for direct
	// withPools starts the same program with other pools; nil if it does not read
	// twemproxy's file.
	withPools func(pools string) (*testkit.Process, error)
	// lazy waits with the first start until a shape asks for it.
	lazy bool
	// canned gives every request of a kind the same response: only lengths can
	// be compared, and memory says nothing.
	canned          bool
	proxy           *running // nil for direct
	redis, memcache string   // addresses to send load to; empty if it has no such thing
}

// running is a process of a subject, and where it listens.
type running struct {
	*testkit.Process
	redis, memcache string
	release         []func() // gives ports back
}

func (r *running) Close() {
	r.Process.Close()
	for _, release := range r.release {
		release()
	}
}

// revive starts the subject's process, or starts it again.
func (s *subject) revive() (err error) {
	if s.launch == nil {
		return nil
	}
	if s.proxy != nil {
		if err := s.proxy.Restart(); err != nil {
			return fmt.Errorf("%s does not start again: %w", s.name, err)
		}
		return nil
	}
	if s.proxy, err = s.launch(); err != nil {
		return err
	}
	s.redis, s.memcache = s.proxy.redis, s.proxy.memcache
	return nil
}

func (s *subject) close() {
	if s.proxy != nil {
		s.proxy.Close()
	}
}

// usage returns the CPU that the subject's process has used, once it has come
// to rest: the kernel brings the account of a thread up to date when the thread
// stops running, else only at its next tick, up to 4 ms later. It is an error
// if there is no process.
func (s *subject) usage() (usage, error) {
	if s.proxy == nil {
		return usage{}, errors.ErrUnsupported
	}
	return usageAtRest(s.proxy.PID(), 5, 30)
}

// usageAtRest returns the CPU that a process has used, once enough
// milliseconds have passed without more, or after so many tries, one a
// millisecond.
func usageAtRest(pid, enough, tries int) (usage, error) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	last, err := usageOf(pid)
	for still := 0; err == nil && still < enough && tries > 0; tries-- {
		<-tick.C
		before := last.total
		if last, err = usageOf(pid); last.total == before {
			still++
		} else {
			still = 0
		}
	}
	return last, err
}

// errMissing is a program that is not there: its subject is left out.
var errMissing = errors.New("not installed")

// newSubject prepares one subject. It is nil if the subject needs a program
// that can be done without, and that is not there; a note says so.
func (b *bed) newSubject(ctx context.Context, opts options, name string) (*subject, error) {
	s := &subject{name: name}
	var err error
	switch name {
	case direct:
		s.redis, s.memcache = b.redis[0].Addr(), b.memcached[0].Addr()
	case nutmegOne, nutmegAll, nutcracker:
		err = b.twemproxyLike(ctx, s, opts)
	case haproxy:
		err = b.haproxy(ctx, s)
	case floor:
		err = b.floor(ctx, s)
	default:
		t := opts.proxies[name]
		s.launch = func() (*running, error) { return b.launchTemplate(t) }
		b.versions[name] = t
	}
	if errors.Is(err, errMissing) {
		b.note("%s is left out: %v", name, err)
		return nil, nil
	}
	return s, err
}

// ports reserves n addresses for a process.
func (r *running) ports(n int) ([]string, error) {
	var addrs []string
	for range n {
		port, release, err := testkit.ReservePort()
		if err != nil {
			return nil, err
		}
		r.release = append(r.release, release)
		addrs = append(addrs, fmt.Sprintf("127.0.0.1:%d", port))
	}
	return addrs, nil
}

// started fills in the process, or gives back what is reserved for it.
func (r *running) started(p *testkit.Process, err error) (*running, error) {
	if err != nil {
		for _, release := range r.release {
			release()
		}
		return nil, err
	}
	r.Process = p
	return r, nil
}

// twemproxyLike prepares a proxy with twemproxy's command line and file.
func (b *bed) twemproxyLike(ctx context.Context, s *subject, opts options) (err error) {
	binary, settings := opts.nutcracker, ""
	if s.name != nutcracker {
		if binary, err = b.buildNutmeg(ctx); err != nil {
			return err
		}
	}
	if s.name == nutmegOne {
		settings = "nutmeg:\n  workers: 1\n"
	}
	b.versions[s.name] = version(ctx, binary, "--version")
	s.withPools = func(pools string) (*testkit.Process, error) { return testkit.StartProxy(binary, pools+settings) }
	s.launch = func() (*running, error) {
		r := &running{}
		addrs, err := r.ports(2)
		if err != nil {
			return r.started(nil, err)
		}
		r.redis, r.memcache = addrs[0], addrs[1]
		return r.started(s.withPools(b.pools(addrs[0], addrs[1])))
	}
	return nil
}

// pools is the configuration that nutcracker and nutmeg get. The servers have names, so that every run
// spreads the keys in the same way, whatever the ports. The hash is one that
// spreads 16 numbered keys, too: fnv1a_64 would send them all to one server.
func (b *bed) pools(redis, memcached string) string {
	pool := func(name, listen, redis string, servers [2]*testkit.Process) string {
		return fmt.Sprintf(`%s:
  listen: %s
  hash: murmur
  distribution: ketama
  redis: %s
  backlog: 1024
  servers:
   - %s:1 one
   - %s:1 two
`, name, listen, redis, servers[0].Addr(), servers[1].Addr())
	}
	return pool("redis", redis, "true", b.redis) + pool("memcached", memcached, "false", b.memcached)
}

// haproxy prepares HAProxy as a pump of bytes: what it costs to pass them on
// without looking at them.
func (b *bed) haproxy(ctx context.Context, s *subject) error {
	binary := lookUp("haproxy")
	if binary == "" {
		return fmt.Errorf("%w; apt-get install haproxy", errMissing)
	}
	b.versions[s.name] = version(ctx, binary, "-v")
	s.launch = func() (*running, error) {
		r := &running{}
		addrs, err := r.ports(2)
		if err != nil {
			return r.started(nil, err)
		}
		r.redis, r.memcache = addrs[0], addrs[1]
		conf := fmt.Sprintf(`global
  nbthread 1
  maxconn %d
defaults
  mode tcp
  timeout connect 10s
  timeout client 1h
  timeout server 1h
listen redis
  bind %s
  server one %s
listen memcached
  bind %s
  server one %s
`, min(10_000, fileLimit()/2-100), addrs[0], b.redis[0].Addr(), addrs[1], b.memcached[0].Addr())
		return r.started(testkit.StartCommand(binary, []string{"-db", "-f", "haproxy.cfg"}, addrs, map[string]string{"haproxy.cfg": conf}))
	}
	return nil
}

//go:embed floor/floor.c
var floorSource []byte

// floor compiles the floor program. It has one port for both protocols.
func (b *bed) floor(ctx context.Context, s *subject) error {
	cc := lookUp("cc")
	if cc == "" {
		return fmt.Errorf("no C compiler: cc is %w; apt-get install gcc libc6-dev", errMissing)
	}
	source, binary := filepath.Join(b.workDir, "floor.c"), filepath.Join(b.workDir, "floor")
	if err := os.WriteFile(source, floorSource, 0o600); err != nil {
		return err
	}
	if said, err := exec.CommandContext(ctx, cc, "-O2", "-o", binary, source).CombinedOutput(); err != nil {
		return fmt.Errorf("cannot compile it, leave it out with -subjects: %w\n%s", err, said)
	}
	s.lazy, s.canned = true, true
	s.launch = func() (*running, error) {
		r := &running{}
		addrs, err := r.ports(1)
		if err != nil {
			return r.started(nil, err)
		}
		r.redis, r.memcache = addrs[0], addrs[0]
		_, port, _ := strings.Cut(addrs[0], ":")
		return r.started(testkit.StartCommand(binary, []string{port, b.kindsFile()}, addrs, nil))
	}
	return nil
}

// lookUp returns the path of a program, also where a user's PATH does not
// look, or nothing.
func lookUp(name string) string {
	for _, dir := range []string{"", "/usr/sbin/", "/usr/local/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path
		}
	}
	return ""
}

// version returns the first line that the binary prints when asked for its
// version, on either stream; twemproxy uses the error stream.
func version(ctx context.Context, binary, flag string) string {
	said, err := exec.CommandContext(ctx, binary, flag).CombinedOutput()
	line, _, _ := bytes.Cut(said, []byte("\n"))
	if err != nil && len(line) == 0 {
		return "unknown"
	}
	return strings.TrimSpace(string(line))
}
