package logfile

import (
	"errors"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func TestOpen(t *testing.T) {
	t.Run("a file that cannot be opened", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "missing", "log")
		_, err := Open(path, 5)
		if want := "opening log file '" + path + "' failed: no such file or directory"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
	t.Run("an old file is appended to", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "log")
		for _, message := range []string{"first", "second"} {
			l := open(t, path)
			l.Logger().Error(message)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if got := messages(t, path); got != "ERR first|ERR second" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("a new file has mode 0644 less umask", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "log")
		if err := open(t, path).Close(); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode()&^0o644 != 0 || info.Mode()&0o600 != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	})
	t.Run("stderr is neither reopened nor closed", func(t *testing.T) {
		l := open(t, "")
		if err := l.Reopen(); err != nil {
			t.Error(err)
		}
		if err := l.CatchCrashes(); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stderr.Stat(); err != nil {
			t.Error(err)
		}
	})
}

func TestLevels(t *testing.T) {
	t.Run("each slog level is one of twemproxy's", func(t *testing.T) {
		all := []slog.Level{Emerg, Alert, Crit, Error, Warn, Notice, Info, Debug, Verb, VVerb, VVVerb, PVerb}
		for i, level := range all {
			if number(level) != i {
				t.Errorf("number(%v) = %d, want %d", level, number(level), i)
			}
		}
		for level, want := range map[slog.Level]int{
			math.MaxInt: 0, 21: 0, 19: 1, 5: 4, 3: 5, 1: 6, -1: 7, -19: 11, -21: 11, math.MinInt: 11,
		} {
			if number(level) != want {
				t.Errorf("number(%d) = %d, want %d", level, number(level), want)
			}
		}
	})
	t.Run("the level stays within 0 and 11", func(t *testing.T) {
		l := open(t, "")
		for _, test := range []struct{ set, lower, raise int }{{-1, 0, 1}, {0, 0, 1}, {1, 0, 1}, {5, 4, 5}, {11, 10, 11}, {12, 10, 11}} {
			l.SetLevel(test.set)
			if lower, raise := l.Lower(), l.Raise(); lower != test.lower || raise != test.raise {
				t.Errorf("from %d: lowered to %d, raised to %d, want %d and %d", test.set, lower, raise, test.lower, test.raise)
			}
		}
		if l.SetLevel(11); l.Raise() != 11 || l.Level() != 11 {
			t.Errorf("raised above 11: %d", l.Level())
		}
	})
	t.Run("events above the level are not logged", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "log")
		l := open(t, path)
		for level := range MaxLevel + 1 {
			l.SetLevel(level)
			for _, event := range []slog.Level{Emerg, Error, Notice, Info, PVerb} {
				l.Logger().Log(t.Context(), event, "x")
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		got := messages(t, path)
		for level, want := range map[string]int{"EMERG x": 12, "ERR x": 9, "NOTICE x": 7, "INFO x": 6, "PVERB x": 1} {
			if n := strings.Count("|"+got, "|"+level); n != want {
				t.Errorf("%d times %s, want %d", n, level, want)
			}
		}
	})
	t.Run("an event that is not logged costs no memory", func(t *testing.T) {
		logger := open(t, "").Logger()
		if n := testing.AllocsPerRun(100, func() { logger.Debug("x") }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

func TestReopen(t *testing.T) {
	t.Run("after a rename a new file is begun", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "log")
		l := open(t, path)
		l.Logger().Error("before")
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		l.Logger().Error("renamed")
		if err := l.Reopen(); err != nil {
			t.Fatal(err)
		}
		l.Logger().Error("after")
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
		if got := messages(t, path+".1"); got != "ERR before|ERR renamed" {
			t.Errorf("old file: %s", got)
		}
		if got := messages(t, path); got != "ERR after" {
			t.Errorf("new file: %s", got)
		}
	})
	t.Run("the old file stays if the new one cannot be opened", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "a")
		path := filepath.Join(dir, "log")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		l := open(t, path)
		if err := os.Rename(dir, dir+".moved"); err != nil {
			t.Fatal(err)
		}
		if err := l.Reopen(); err == nil || !strings.HasPrefix(err.Error(), "opening log file '") {
			t.Errorf("got %v", err)
		}
		l.Logger().Error("still here")
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
		if got := messages(t, filepath.Join(dir+".moved", "log")); got != "ERR still here" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("after Close it is an error", func(t *testing.T) {
		l := open(t, filepath.Join(t.TempDir(), "log"))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := l.Reopen(); err == nil {
			t.Error("no error")
		}
		if err := l.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	})
}

// The test binary started anew is the program that crashes.
func TestCatchCrashes(t *testing.T) {
	const pathVar = "LOGFILE_TEST_CRASH"
	if path := os.Getenv(pathVar); path != "" {
		l := open(t, path)
		if err := errors.Join(l.CatchCrashes(), os.Rename(path, path+".1"), l.Reopen()); err != nil {
			t.Fatal(err)
		}
		go panic("this is the crash")
		select {}
	}
	path := filepath.Join(t.TempDir(), "log")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCatchCrashes$")
	cmd.Env = append(os.Environ(), pathVar+"="+path)
	if err := cmd.Run(); err == nil {
		t.Error("no crash")
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), "this is the crash") {
		t.Errorf("the log after Reopen: %q, %v", text, err)
	}
}

// All use one log at once; every line must come out, whole.
func TestConcurrentUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := open(t, path)
	const goroutines, each = 4, 200
	var group sync.WaitGroup
	for range goroutines {
		group.Go(func() {
			logger := l.Logger().With("worker", 1)
			for i := range each {
				logger.Error("line", "i", i)
				switch i % 50 {
				case 10:
					l.Raise()
				case 20:
					l.Lower()
				case 30:
					if err := l.Reopen(); err != nil {
						t.Error(err)
					}
				case 40:
					if err := l.Sync(); err != nil {
						t.Error(err)
					}
				}
				runtime.Gosched()
			}
		})
	}
	group.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count("|"+messages(t, path), "|ERR line worker=1 i="); n != goroutines*each {
		t.Errorf("%d whole lines, want %d", n, goroutines*each)
	}
}

// open opens a log that is closed with the test.
func open(t *testing.T, path string) *Log {
	t.Helper()
	l, err := Open(path, 5)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

var lineStart = regexp.MustCompile(`^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] `)

// messages returns a file's lines without their times, joined by bars.
func messages(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return withoutTimes(t, string(text))
}

func withoutTimes(t *testing.T, text string) string {
	t.Helper()
	if text == "" {
		return ""
	}
	body, ok := strings.CutSuffix(text, "\n")
	if !ok {
		t.Errorf("the last line has no end: %q", text)
	}
	lines := strings.Split(body, "\n")
	for i, line := range lines {
		if !lineStart.MatchString(line) {
			t.Errorf("line without time: %q", line)
		}
		lines[i] = lineStart.ReplaceAllString(line, "")
	}
	return strings.Join(lines, "|")
}
