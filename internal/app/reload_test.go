package app

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/config"
)

const twoServers = `
nutmeg: {workers: 1}
alpha:
  listen: 127.0.0.1:22121
  servers: ["127.0.0.1:11211:1 a", "127.0.0.1:11212:1 b"]
`

// reloadBed is a reloader over a file, with a proxy that only notes what it is told.
type reloadBed struct {
	*reloader
	t       *testing.T
	applied []*config.Config
	fails   error
	log     bytes.Buffer
}

func newReloadBed(t *testing.T) *reloadBed {
	t.Helper()
	b := &reloadBed{t: t}
	path := filepath.Join(t.TempDir(), "nutmeg.yml")
	b.reloader = newReloader(path, nil, func(c *config.Config) error {
		if b.fails == nil {
			b.applied = append(b.applied, c)
		}
		return b.fails
	}, slog.New(slog.NewTextHandler(&b.log, nil)))
	b.write(twoServers)
	conf, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	b.inForce.Store(conf)
	return b
}

func (b *reloadBed) write(text string) {
	b.t.Helper()
	if err := os.WriteFile(b.file, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func TestReload(t *testing.T) {
	b := newReloadBed(t)
	report, err := b.reload("test")
	if err != nil || !strings.Contains(report, "Nothing changes") || len(b.applied) != 0 {
		t.Errorf("the same file again: %q, %v, applied %d times", report, err, len(b.applied))
	}
	b.write(strings.Replace(twoServers, "11212:1 b", "11212:2 b", 1))
	report, err = b.reload("test")
	if err != nil || !strings.Contains(report, "alpha") || len(b.applied) != 1 || b.inForce.Load() != b.applied[0] {
		t.Errorf("another weight: %q, %v, applied %d times", report, err, len(b.applied))
	}
	if b.reloads.Load() != 2 || b.errors.Load() != 0 {
		t.Errorf("%d reloads and %d errors are counted", b.reloads.Load(), b.errors.Load())
	}
}

func TestReloadThatFailsChangesNothing(t *testing.T) {
	b := newReloadBed(t)
	before := b.inForce.Load()
	b.write("alpha:\n  listen: 127.0.0.1:22121\n  hash: fnv\n  servers: [\"127.0.0.1:11211\"]\n")
	if _, err := b.reload("test"); err == nil {
		t.Error("a bad file was accepted")
	}
	for _, part := range []string{"alpha.hash", "alpha.servers[0]"} {
		if !strings.Contains(b.log.String(), part) {
			t.Errorf("the log does not name %s:\n%s", part, &b.log)
		}
	}
	b.write(strings.Replace(twoServers, "22121", "22122", 1))
	b.fails = errors.New("cannot listen")
	if _, err := b.reload("test"); !errors.Is(err, b.fails) {
		t.Errorf("the error is %v", err)
	}
	if b.inForce.Load() != before || b.errors.Load() != 2 || b.reloads.Load() != 0 {
		t.Errorf("%d errors, %d reloads", b.errors.Load(), b.reloads.Load())
	}
}

// TestReloadKeepsWhatOnlyANewProcessCanChange: what stays as it is is told of at each reload, not only at the first.
func TestReloadKeepsWhatOnlyANewProcessCanChange(t *testing.T) {
	b := newReloadBed(t)
	b.write(strings.Replace(twoServers, "workers: 1", "workers: 3", 1))
	for range 2 {
		report, err := b.reload("test")
		if err != nil || !strings.Contains(report, "new process") {
			t.Errorf("%q, %v", report, err)
		}
		if got := b.inForce.Load().Global.Workers; got != 1 {
			t.Errorf("%d workers are said to be in force", got)
		}
	}
}

func TestCompareDoesNothing(t *testing.T) {
	b := newReloadBed(t)
	report, err := b.compare("next.yml", []byte(strings.Replace(twoServers, "11212:1 b", "11212:1 c", 1)))
	if err != nil || !strings.Contains(report, "move") {
		t.Errorf("%q, %v", report, err)
	}
	if _, err := b.compare("next.yml", []byte("alpha: 1")); err == nil || !strings.Contains(err.Error(), "next.yml:1:") {
		t.Errorf("a bad file: %v", err)
	}
	if len(b.applied) != 0 {
		t.Error("it was applied")
	}
}

func TestWatcherWaitsUntilTheFileLiesStill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	write := func(text string) {
		t.Helper()
		at = at.Add(time.Second)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	w := watcher{read: fileNow(path), seen: fileNow(path)}
	look := func(step string, want bool) {
		t.Helper()
		if got := w.look(fileNow(path)); got != want {
			t.Errorf("%s: %v", step, got)
		}
	}
	look("nothing has changed", false)
	write("t")
	look("just changed", false)
	write("two")
	look("changed again", false)
	look("lies still", true)
	look("has been read", false)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	look("gone", false)
	look("still gone", false)
	write("two")
	look("back", false)
	look("back and still", true)
}
