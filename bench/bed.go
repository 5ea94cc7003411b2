package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"

	"nutmeg/bench/load"
	"nutmeg/internal/testkit"
)

// bed is everything that runs: servers, proxies, and where they listen.
type bed struct {
	redis, memcached     [2]*testkit.Process
	inRedis, inMemcached keyspace // what they hold, see fill
	subjects             []*subject
	versions             map[string]string // of the programs measured, by subject
	notes                []string          // what is missing, for the report
	workDir              string            // programs that were built, and files for them
	nutmeg               string            // the binary, once it is known
	capacity             float64           // of nutcracker, in requests a second; 0 until measured
}

// newBed starts the servers and one proxy of each kind.
func newBed(ctx context.Context, opts options) (*bed, error) {
	raiseFileLimit()
	b := &bed{versions: map[string]string{}, nutmeg: opts.nutmeg}
	if err := b.start(ctx, opts); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bed) start(ctx context.Context, opts options) (err error) {
	if b.workDir, err = os.MkdirTemp("", "nutmeg-bench-"); err != nil {
		return err
	}
	for i := range b.redis {
		if b.redis[i], err = testkit.StartRedis(); err != nil {
			return err
		}
		if b.memcached[i], err = testkit.StartMemcached("-c", "4096"); err != nil {
			return err
		}
	}
	for _, name := range opts.subjects {
		s, err := b.newSubject(ctx, opts, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if s == nil {
			continue
		}
		b.subjects = append(b.subjects, s)
		if s.launch != nil && !s.lazy {
			if err := s.revive(); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// note adds something that the reader of the numbers should know, once.
func (b *bed) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(b.notes, text) {
		b.notes = append(b.notes, text)
	}
}

// buildNutmeg builds ./cmd/nutmeg as "make build" does, once, unless the user
// named a binary.
func (b *bed) buildNutmeg(ctx context.Context) (string, error) {
	if b.nutmeg != "" {
		return b.nutmeg, nil
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.workDir, "nutmeg/cmd/nutmeg")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build nutmeg: %w\n%s\nname a binary with -nutmeg, or leave it out with -subjects", err, said)
	}
	b.nutmeg = filepath.Join(b.workDir, "nutmeg")
	return b.nutmeg, nil
}

// tellFloor says which requests will come; the floor program reads it when it
// starts. It reports whether that program can tell them apart.
func (b *bed) tellFloor(all []load.Exchange) (bool, error) {
	text := kinds(all)
	if text == nil {
		return false, nil
	}
	return true, os.WriteFile(b.kindsFile(), text, 0o600)
}

func (b *bed) kindsFile() string { return filepath.Join(b.workDir, "kinds") }

// close ends all processes, by process id.
func (b *bed) close() {
	for _, s := range b.subjects {
		s.close()
	}
	for i := range b.redis {
		for _, p := range []*testkit.Process{b.redis[i], b.memcached[i]} {
			if p != nil {
				p.Close()
			}
		}
	}
	_ = os.RemoveAll(b.workDir)
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
