package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"nutmeg/internal/testkit"
)

// The subjects, in the order of the table. Ratios are to nutcracker.
const (
	nutmegOne  = "nutmeg-1" // workers: 1, to be compared with twemproxy's one thread
	nutmegAll  = "nutmeg"   // its default: a worker for each core
	nutcracker = "nutcracker"
	direct     = "direct" // no proxy at all
)

func subjectNames() []string { return []string{nutmegOne, nutmegAll, nutcracker, direct} }

// bed is everything that runs: servers, proxies, and where they listen.
type bed struct {
	redis, memcached [2]*testkit.Process
	subjects         []*subject
	versions         map[string]string // of the programs measured
	workDir          string            // holds the nutmeg that was built
}

// subject is one thing to be measured. Its proxy lives through all rounds;
// measurements of memory start another one of their own with launch.
type subject struct {
	name            string
	binary          string
	conf            string           // everything but the listeners, see launch
	proxy           *testkit.Process // nil for direct
	redis, memcache string           // addresses to send load to
	release         []func()         // gives ports back
}

// newBed starts the servers and one proxy of each kind.
func newBed(ctx context.Context, opts options) (*bed, error) {
	raiseFileLimit()
	b := &bed{versions: map[string]string{}}
	if err := b.start(ctx, opts); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bed) start(ctx context.Context, opts options) (err error) {
	for i := range b.redis {
		if b.redis[i], err = testkit.StartRedis(); err != nil {
			return err
		}
		if b.memcached[i], err = testkit.StartMemcached("-c", "4096"); err != nil {
			return err
		}
	}
	for _, name := range opts.subjects {
		s := &subject{name: name, conf: b.pools()}
		b.subjects = append(b.subjects, s)
		switch name {
		case direct:
			s.redis, s.memcache = b.redis[0].Addr(), b.memcached[0].Addr()
			continue
		case nutcracker:
			s.binary = opts.nutcracker
		case nutmegOne:
			s.conf += "nutmeg:\n  workers: 1\n"
			fallthrough
		case nutmegAll:
			if err := b.buildNutmeg(ctx, &opts); err != nil {
				return err
			}
			s.binary = opts.nutmeg
		}
		if s.proxy, s.redis, s.memcache, err = s.launch(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		b.versions[name] = version(ctx, s.binary)
	}
	return nil
}

// pools is the configuration that all proxies get. LISTEN1 and LISTEN2 are
// filled in by launch. The servers have names, so that every run spreads the
// keys in the same way, whatever the ports. The hash is one that spreads 16
// numbered keys, too: fnv1a_64 would send them all to one server.
func (b *bed) pools() string {
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
	return pool("redis", "LISTEN1", "true", b.redis) + pool("memcached", "LISTEN2", "false", b.memcached)
}

// launch starts a new proxy of this kind and returns the addresses of its Redis
// and its memcached pool. The caller closes it.
func (s *subject) launch() (p *testkit.Process, redis, memcache string, err error) {
	var addrs [2]string
	for i := range addrs {
		port, release, err := testkit.ReservePort()
		if err != nil {
			return nil, "", "", err
		}
		s.release = append(s.release, release)
		addrs[i] = fmt.Sprintf("127.0.0.1:%d", port)
	}
	conf := strings.NewReplacer("LISTEN1", addrs[0], "LISTEN2", addrs[1]).Replace(s.conf)
	p, err = testkit.StartProxy(s.binary, conf)
	return p, addrs[0], addrs[1], err
}

// buildNutmeg builds ./cmd/nutmeg as "make build" does, once, and sets
// opts.nutmeg, unless the user named a binary.
func (b *bed) buildNutmeg(ctx context.Context, opts *options) (err error) {
	if opts.nutmeg != "" {
		return nil
	}
	if b.workDir == "" {
		if b.workDir, err = os.MkdirTemp("", "nutmeg-bench-"); err != nil {
			return err
		}
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.workDir, "nutmeg/cmd/nutmeg")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if said, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("cannot build nutmeg: %w\n%s\nname a binary with -nutmeg, or leave it out with -subjects", err, said)
		}
	}
	opts.nutmeg = filepath.Join(b.workDir, "nutmeg")
	return nil
}

// version returns the first line that the binary prints for --version, on
// either stream; twemproxy uses the error stream.
func version(ctx context.Context, binary string) string {
	said, err := exec.CommandContext(ctx, binary, "--version").CombinedOutput()
	line, _, _ := bytes.Cut(said, []byte("\n"))
	if err != nil && len(line) == 0 {
		return "unknown"
	}
	return strings.TrimSpace(string(line))
}

// close ends all processes, by process id.
func (b *bed) close() {
	for _, s := range b.subjects {
		if s.proxy != nil {
			s.proxy.Close()
		}
		for _, release := range s.release {
			release()
		}
	}
	for i := range b.redis {
		for _, p := range []*testkit.Process{b.redis[i], b.memcached[i]} {
			if p != nil {
				p.Close()
			}
		}
	}
	if b.workDir != "" {
		_ = os.RemoveAll(b.workDir)
	}
}

// fileLimit returns how many files a process started from here may open, a
// million at the most.
func fileLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return int(min(limit.Cur, 1_000_000)) // the type of Cur differs between systems
}

// raiseFileLimit raises the limit for this program and those it starts. The Go
// runtime does the former at start, but gives children the old limit back,
// unless the program sets the limit itself.
func raiseFileLimit() {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return
	}
	limit.Cur = limit.Max
	_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// cpuTime returns the CPU time the subject's proxy has used; an error if it has
// no proxy.
func (s *subject) cpuTime() (time.Duration, error) {
	if s.proxy == nil {
		return 0, errors.ErrUnsupported
	}
	return cpuTime(s.proxy.PID())
}

// revive restarts a proxy that has failed a measurement, so that the next shape
// does not pay for it.
func (s *subject) revive() error {
	if s.proxy == nil {
		return nil
	}
	if err := s.proxy.Restart(); err != nil {
		return errors.Join(errors.New("the proxy does not start again"), err)
	}
	return nil
}
