package main

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// version is set by the release build: -ldflags "-X main.version=1.2.3".
var version = "0.1.0-dev"

// versionText returns the version block, which also stands before the usage
// text of -h and before the stats of -D. backend is how the event loop waits
// on this platform: epoll, kqueue, poll.
func versionText(backend string) string {
	return fmt.Sprintf("This is nutmeg-%s\nasync event backend: %s\n\n", version, backend)
}

// usageText returns the usage text, with one line for each row of the option table.
func usageText() string {
	var b strings.Builder
	b.WriteString(`Usage: nutmeg [-?hVdDt] [-v verbosity level] [-o output file]
              [-c conf file] [-s stats port] [-a stats addr]
              [-i stats interval] [-p pid file] [-m mbuf size]

Options:
`)
	new(options).flagSet().VisitAll(func(flag *pflag.Flag) {
		fmt.Fprintf(&b, "  -%s, --%-16s : %s\n", flag.Shorthand, flag.Name+valueMark(flag), flag.Usage)
	})
	b.WriteString("\n")
	return b.String()
}

// usageErrorText returns the answer to a bad command line, of which err is
// what parseFlags said.
func usageErrorText(err error) string {
	return fmt.Sprintf("nutmeg: %v\n%s", err, usageText())
}

// valueMark is the "=N" or "=S" behind an option's name.
func valueMark(flag *pflag.Flag) string {
	switch {
	case !takesValue(flag):
		return ""
	case valueNoun(flag) == "a number":
		return "=N"
	default:
		return "=S"
	}
}
