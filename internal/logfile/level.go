package logfile

import "log/slog"

// The slog levels of twemproxy's levels 0 to 11, in that order. Those that slog
// has a name for have slog's value.
const (
	Emerg  slog.Level = 20 // 0: always logged: start, end, signals
	Alert  slog.Level = 16 // 1: twemproxy logs all its errors here
	Crit   slog.Level = 12
	Error             = slog.LevelError
	Warn              = slog.LevelWarn
	Notice slog.Level = 2 // 5: the default
	Info              = slog.LevelInfo
	Debug             = slog.LevelDebug
	Verb   slog.Level = -8
	VVerb  slog.Level = -12
	VVVerb slog.Level = -16
	PVerb  slog.Level = -20 // 11
)

// MaxLevel is the greatest of twemproxy's levels.
const MaxLevel = 11

// number returns which of twemproxy's levels an slog level is. One in between
// counts as the less urgent of its two neighbours.
func number(level slog.Level) int {
	level = max(PVerb, min(level, Emerg)) // the arithmetic must not overflow
	switch {
	case level >= Warn:
		return int(Emerg-level+3) / 4
	case level >= Notice:
		return 5
	default:
		return 6 + int(Info-level+3)/4
	}
}

// name returns the name of one of twemproxy's levels.
func name(number int) string {
	return [...]string{
		"EMERG", "ALERT", "CRIT", "ERR", "WARN", "NOTICE",
		"INFO", "DEBUG", "VERB", "VVERB", "VVVERB", "PVERB",
	}[number]
}
