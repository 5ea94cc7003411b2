package logfile

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"testing/slogtest"
	"time"
	"unicode/utf8"
)

type buffer struct{ bytes.Buffer }

func (*buffer) Close() error { return nil }

// logged returns what log writes, without the time.
func logged(t *testing.T, log func(*slog.Logger)) string {
	t.Helper()
	file := &buffer{}
	l := newLog(file, "buffer", MaxLevel)
	log(l.Logger())
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	return withoutTimes(t, file.String())
}

func TestLine(t *testing.T) {
	for _, test := range []struct {
		rule    string
		message string
		args    []any
		want    string
	}{
		{"a message alone", "started", nil, "NOTICE started"},
		{"plain values stand as they are", "m", []any{"s", "a:1/b", "n", 7, "d", 1500 * time.Millisecond, "b", true}, "NOTICE m s=a:1/b n=7 d=1.5s b=true"},
		{"values that are no word are quoted", "m", []any{"a", "x y", "b", "", "c", `q"`, "d", "k=v", "e", `\`}, `NOTICE m a="x y" b="" c="q\"" d="k=v" e="\\"`},
		{"control bytes in values are escaped", "m", []any{"a", "x\ny\x1b[2J\x7f"}, `NOTICE m a="x\ny\x1b[2J\x7f"`},
		{"bytes that are not UTF-8 are escaped", "m\xff", []any{"a", "\xff", "b", "é"}, `NOTICE m\xff a="\xff" b=é`},
		{"control bytes in messages are escaped", "a\r\nb\x00\u202e\u0085", nil, `NOTICE a\r\nb\x00\u202e\u0085`},
		{"a backslash in a message stays", `a\b"c"`, nil, `NOTICE a\b"c"`},
		{"keys cannot forge either", "m", []any{"a\nb", 1}, `NOTICE m "a\nb"=1`},
		{"errors and byte slices are text", "m", []any{"err", errors.New("no route"), "key", []byte("k\n")}, `NOTICE m err="no route" key="k\n"`},
		{"anything else as fmt has it", "m", []any{"v", struct{ A int }{1}, "nil", nil}, `NOTICE m v={A:1} nil=<nil>`},
		{"groups are dotted", "m", []any{slog.Group("a", "b", 1, slog.Group("c", "d", 2)), slog.Group("", "e", 3)}, "NOTICE m a.b=1 a.c.d=2 e=3"},
		{"a time has a zone", "m", []any{"at", time.Date(2026, 11, 20, 23, 12, 7, 268e6, time.UTC)}, "NOTICE m at=2026-11-20T23:12:07.268Z"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			got := logged(t, func(l *slog.Logger) { l.Log(t.Context(), Notice, test.message, test.args...) })
			if got != test.want {
				t.Errorf("\ngot  %s\nwant %s", got, test.want)
			}
		})
	}
	t.Run("With and WithGroup come before the call's own", func(t *testing.T) {
		got := logged(t, func(l *slog.Logger) { l.With("a", 1).WithGroup("g").With("b", "x y").Info("m", "c", 3) })
		if want := `INFO m a=1 g.b="x y" g.c=3`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
	t.Run("the time is local, with milliseconds", func(t *testing.T) {
		file := &buffer{}
		l := newLog(file, "buffer", 5)
		at := time.Date(2026, 11, 20, 23, 12, 7, 268_999_999, time.Local)
		for _, when := range []time.Time{at, at.UTC(), {}} {
			if err := l.Logger().Handler().Handle(t.Context(), slog.NewRecord(when, Alert, "m", 0)); err != nil {
				t.Error(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		line := "[2026-11-20 23:12:07.268] ALERT m\n"
		if got := file.String(); got != line+line+"[.......................] ALERT m\n" {
			t.Errorf("got %s", got)
		}
	})
}

func TestLongLine(t *testing.T) {
	for _, test := range []struct {
		rule string
		log  func(*slog.Logger)
	}{
		{"message", func(l *slog.Logger) { l.Error(strings.Repeat("x", 1<<20)) }},
		{"runes", func(l *slog.Logger) { l.Error(strings.Repeat("é", 1<<20)) }},
		{"value", func(l *slog.Logger) { l.Error("m", "v", strings.Repeat("\x00", 1<<20)) }},
		{"byte slice", func(l *slog.Logger) { l.Error("m", "v", make([]byte, 1<<20)) }},
		{"with", func(l *slog.Logger) { l.With("v", strings.Repeat("x", 1<<20)).Error("m", "w", 1) }},
		{"many values", func(l *slog.Logger) {
			var args []any
			for i := range 10_000 {
				args = append(args, strconv.Itoa(i), i)
			}
			l.Error("m", args...)
		}},
	} {
		t.Run(test.rule, func(t *testing.T) {
			got := logged(t, test.log)
			const start = len("[2026-11-20 23:12:07.268] ")
			if size := start + len(got) + 1; size > maxLine || size < maxLine-2 || !strings.HasSuffix(got, "...") || !utf8.ValidString(got) {
				t.Errorf("%d bytes, ends in %q", size, got[len(got)-10:])
			}
		})
	}
}

// TestSlogRules holds the handler against the rules of package slog.
func TestSlogRules(t *testing.T) {
	file := &buffer{}
	l := newLog(file, "buffer", MaxLevel)
	slogtest.Run(t, func(*testing.T) slog.Handler {
		file.Reset()
		return l.Logger().Handler()
	}, func(t *testing.T) map[string]any {
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
		return parseLine(file.String())
	})
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// parseLine reads a line whose message and values are single words.
func parseLine(line string) map[string]any {
	stamp, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "] ")
	words := strings.Fields(rest)
	all := map[string]any{slog.LevelKey: words[0], slog.MessageKey: words[1]}
	if stamp != "["+noTime {
		all[slog.TimeKey] = stamp
	}
	for _, word := range words[2:] {
		key, value, _ := strings.Cut(word, "=")
		group, path := all, strings.Split(key, ".")
		for _, name := range path[:len(path)-1] {
			if group[name] == nil {
				group[name] = map[string]any{}
			}
			group = group[name].(map[string]any)
		}
		group[path[len(path)-1]] = value
	}
	return all
}

// Whatever is logged, it is one line of printable text with its value readable again.
func FuzzHandle(f *testing.F) {
	f.Add("message", "key", "value")
	f.Add("a\nb", "k\r", "v\x00\xff")
	f.Add("", "", "")
	file := &buffer{}
	l := newLog(file, "buffer", MaxLevel)
	f.Cleanup(func() { _ = l.Close() })
	f.Fuzz(func(t *testing.T, message, key, value string) {
		file.Reset()
		if err := l.Logger().Handler().Handle(context.Background(), record(message, key, value)); err != nil {
			t.Fatal(err)
		}
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
		line, ok := strings.CutSuffix(file.String(), "\n")
		if !ok || len(line) >= maxLine || strings.ContainsFunc(line, func(r rune) bool { return !strconv.IsPrint(r) }) || !utf8.ValidString(line) {
			t.Fatalf("line %q", line)
		}
		if strings.HasSuffix(line, "...") {
			return
		}
		if !strings.HasSuffix(line, "="+value) {
			at := len(line) - 1 // the quoted value at the end, from its first quote on
			for ; at >= 0 && !validQuote(line[at:], value); at-- {
			}
			if at < 0 {
				t.Fatalf("value %q is not readable in %q", value, line)
			}
		}
	})
}

func validQuote(s, want string) bool {
	got, err := strconv.Unquote(s)
	return err == nil && s[0] == '"' && got == want
}

func record(message, key, value string) slog.Record {
	r := slog.NewRecord(time.Now(), Notice, message, 0)
	r.AddAttrs(slog.String(key, value))
	return r
}
