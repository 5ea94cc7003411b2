package logfile

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

// maxLine limits a line, its newline included. What is longer ends in "...".
const maxLine = 4096

const timeLayout = "2006-01-02 15:04:05.000"

// noTime stands for the time of a record without one, as in twemproxy's lines about signals.
const noTime = "......................."

// handler formats records, one line each:
//
//	[2026-11-20 23:12:07.268] WARN cannot connect server=s1 err="connection refused"
//
// Keys of groups are joined with dots. Control bytes, newlines before all, and bytes
// that are not UTF-8 are escaped as in Go, so that nothing logged can forge a line
// or steer a terminal.
type handler struct {
	log    *Log
	prefix string // of keys: the open groups, each with its dot
	attrs  string // formatted attributes of With
}

func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	return number(level) <= h.log.Level()
}

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	buf := lines.Get().(*[]byte)
	line := append((*buf)[:0], '[')
	if r.Time.IsZero() {
		line = append(line, noTime...)
	} else {
		line = r.Time.Local().AppendFormat(line, timeLayout)
	}
	line = append(line, "] "...)
	line = append(line, name(number(r.Level))...)
	line = append(line, ' ')
	line = appendEscaped(line, r.Message)
	line = append(line, h.attrs...)
	r.Attrs(func(attr slog.Attr) bool {
		line = appendAttr(line, h.prefix, attr)
		return len(line) < maxLine
	})
	line = endLine(line)
	h.log.out.put(line)
	*buf = line
	lines.Put(buf)
	return nil
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	line := []byte(h.attrs)
	for _, attr := range attrs {
		line = appendAttr(line, h.prefix, attr)
	}
	return &handler{log: h.log, prefix: h.prefix, attrs: string(line)}
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &handler{log: h.log, prefix: h.prefix + name + ".", attrs: h.attrs}
}

// lines holds buffers to format in.
var lines = sync.Pool{New: func() any { return new([]byte) }}

// appendAttr appends " key=value", or that of each member of a group.
func appendAttr(line []byte, prefix string, attr slog.Attr) []byte {
	value := attr.Value.Resolve()
	if attr.Key == "" && value.Equal(slog.Value{}) {
		return line
	}
	if value.Kind() == slog.KindGroup {
		if attr.Key != "" {
			prefix += attr.Key + "."
		}
		for _, member := range value.Group() {
			line = appendAttr(line, prefix, member)
		}
		return line
	}
	line = append(line, ' ')
	line = appendQuoted(line, prefix+attr.Key)
	line = append(line, '=')
	return appendValue(line, value)
}

func appendValue(line []byte, value slog.Value) []byte {
	switch value.Kind() {
	case slog.KindString:
		return appendQuoted(line, value.String())
	case slog.KindTime:
		return value.Time().AppendFormat(line, time.RFC3339Nano)
	case slog.KindAny:
		if bytes, ok := value.Any().([]byte); ok {
			return appendQuoted(line, string(bytes[:min(len(bytes), maxLine)]))
		}
		return appendQuoted(line, fmt.Sprintf("%+v", value.Any()))
	default:
		return append(line, value.String()...) // numbers, booleans, durations
	}
}

// appendQuoted appends s, in quotes if it would not be one word without.
func appendQuoted(line []byte, s string) []byte {
	s = s[:min(len(s), maxLine)]
	if isWord(s) {
		return append(line, s...)
	}
	return strconv.AppendQuote(line, s)
}

func isWord(s string) bool {
	for _, r := range s {
		if r == ' ' || r == '"' || r == '=' || r == '\\' || r == utf8.RuneError || !strconv.IsPrint(r) {
			return false
		}
	}
	return s != ""
}

// appendEscaped appends s without quotes. Its backslashes stay, so it is for
// reading, not for parsing.
func appendEscaped(line []byte, s string) []byte {
	s = s[:min(len(s), maxLine)]
	for i, r := range s {
		switch {
		case r == utf8.RuneError:
			// A byte that is no UTF-8 is a rune for itself, and so is a real U+FFFD.
			_, size := utf8.DecodeRuneInString(s[i:])
			line = appendUnquoted(line, s[i:i+size])
		case strconv.IsPrint(r):
			line = utf8.AppendRune(line, r)
		default:
			line = appendUnquoted(line, string(r))
		}
	}
	return line
}

// appendUnquoted appends s, quoted but without the quotes.
func appendUnquoted(line []byte, s string) []byte {
	quoted := strconv.Quote(s)
	return append(line, quoted[1:len(quoted)-1]...)
}

// endLine shortens the line to maxLine and ends it.
func endLine(line []byte) []byte {
	const mark = "..."
	if len(line) >= maxLine {
		end := maxLine - len(mark) - 1
		for end > 0 && !utf8.RuneStart(line[end]) {
			end--
		}
		line = append(line[:end], mark...)
	}
	return append(line, '\n')
}
