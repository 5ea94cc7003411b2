package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/pflag"
)

// options is the command line, checked. Every field has its final value but
// ConfFile, see configPath.
type options struct {
	Help, Version, DescribeStats bool // print and exit 0; all that are set are printed
	TestConf                     bool // check the configuration and exit
	Daemonize                    bool

	Verbosity int    // log level, 0..11
	Output    string // log file; "" is stderr
	ConfFile  string
	PidFile   string // "" is none

	StatsAddr     string
	StatsPort     int           // 1..65535
	StatsInterval time.Duration // 0 is allowed
	MbufSize      int           // bytes, minMbufSize..maxMbufSize

	confGiven bool
}

const (
	maxVerbosity     = 11
	defaultConfFile  = "conf/nutmeg.yml"
	inheritConfFile  = "conf/nutcracker.yml"
	minMbufSize      = 512
	maxMbufSize      = 16 << 20
	maxStatsInterval = math.MaxInt32 // ms
)

// configPath returns the configuration file to read: the one of -c, else
// conf/nutmeg.yml, else twemproxy's conf/nutcracker.yml if only that exists.
func (o *options) configPath(exists func(path string) bool) string {
	if !o.confGiven && !exists(o.ConfFile) && exists(inheritConfFile) {
		return inheritConfFile
	}
	return o.ConfFile
}

// parseFlags reads the command line (without the program's name) by the rules
// of GNU getopt_long and with twemproxy's options. Words that are no options
// are ignored. The first bad option ends it: the error's text, after
// "nutmeg: ", is the line to print before the usage text, and the options
// are then of no use.
func parseFlags(args []string) (options, error) {
	var o options
	flags := o.flagSet()
	words, bad := canonical(flags, args)
	// words end where canonical met something bad, so a bad value in them
	// came first.
	if err := flags.Parse(words); err != nil {
		if value := (*pflag.InvalidValueError)(nil); errors.As(err, &value) {
			err = value.Unwrap()
		}
		return options{}, err
	}
	if bad != nil {
		return options{}, bad
	}
	o.confGiven = flags.Changed("conf-file")
	return o, nil
}

// flagSet returns the table of options, in the order of the usage text, which
// is made from it. It sets o to the defaults, and parsing sets it further.
func (o *options) flagSet() *pflag.FlagSet {
	*o = options{Verbosity: 5, StatsPort: 22222, StatsInterval: 30 * time.Second, MbufSize: 16384}
	flags := pflag.NewFlagSet("nutmeg", pflag.ContinueOnError)
	flags.SortFlags = false

	flags.BoolVarP(&o.Help, "help", "h", false, "this help")
	flags.BoolVarP(&o.Version, "version", "V", false, "show version and exit")
	flags.BoolVarP(&o.TestConf, "test-conf", "t", false, "test configuration for syntax errors and exit")
	flags.BoolVarP(&o.Daemonize, "daemonize", "d", false, "run as a daemon")
	flags.BoolVarP(&o.DescribeStats, "describe-stats", "D", false, "print stats description and exit")
	flags.FuncP("verbose", "v",
		fmt.Sprintf("set logging level (default: %d, min: 0, max: %d)", o.Verbosity, maxVerbosity), o.setVerbosity)
	flags.StringVarP(&o.Output, "output", "o", "", "set logging file (default: stderr)")
	flags.StringVarP(&o.ConfFile, "conf-file", "c", defaultConfFile,
		"set configuration file (default: "+defaultConfFile+")")
	flags.FuncP("stats-port", "s",
		fmt.Sprintf("set stats monitoring port (default: %d)", o.StatsPort), o.setStatsPort)
	flags.StringVarP(&o.StatsAddr, "stats-addr", "a", "0.0.0.0", "set stats monitoring ip (default: 0.0.0.0)")
	flags.FuncP("stats-interval", "i",
		fmt.Sprintf("set stats aggregation interval in msec (default: %d msec)", o.StatsInterval.Milliseconds()), o.setStatsInterval)
	flags.StringVarP(&o.PidFile, "pid-file", "p", "", "set pid file (default: off)")
	flags.FuncP("mbuf-size", "m",
		fmt.Sprintf("set size of mbuf chunk in bytes (default: %d bytes)", o.MbufSize), o.setMbufSize)
	return flags
}

func (o *options) setVerbosity(s string) error {
	n, ok := number(s)
	if !ok {
		return errors.New("option -v requires a number")
	}
	o.Verbosity = min(n, maxVerbosity)
	return nil
}

func (o *options) setStatsPort(s string) error {
	n, ok := number(s)
	if !ok {
		return errors.New("option -s requires a number")
	}
	if n < 1 || n > 65535 {
		return fmt.Errorf("option -s value %s is not a valid port", s)
	}
	o.StatsPort = n
	return nil
}

func (o *options) setStatsInterval(s string) error {
	n, ok := number(s)
	if !ok {
		return errors.New("option -i requires a number")
	}
	if n > maxStatsInterval {
		return fmt.Errorf("option -i value %s is too large, the most is %d", s, maxStatsInterval)
	}
	o.StatsInterval = time.Duration(n) * time.Millisecond
	return nil
}

func (o *options) setMbufSize(s string) error {
	n, ok := number(s)
	if !ok || n == 0 {
		return errors.New("option -m requires a non-zero number")
	}
	if n < minMbufSize || n > maxMbufSize {
		return fmt.Errorf("mbuf chunk size must be between %d and %d bytes", minMbufSize, maxMbufSize)
	}
	o.MbufSize = n
	return nil
}

// number reads a number that is digits only: no sign, no blank. One too large
// for an int is math.MaxInt.
func number(s string) (n int, ok bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		n = math.MaxInt
	}
	return n, true
}

// canonical rewrites a command line to words of the form --name or
// --name=value, which getopt_long and pflag read alike. Elsewhere they differ:
// pflag takes no abbreviated names, drops the "=" of -c=F, lets -h=x and
// --help=x pass and skips -test.anything.
//
// With an error, words hold what came before the bad option.
func canonical(flags *pflag.FlagSet, args []string) (words []string, err error) {
	g := getopt{flags: flags, args: args}
	for err == nil && len(g.args) > 0 {
		word := g.args[0]
		g.args = g.args[1:]
		switch {
		case word == "--":
			return g.words, nil
		case strings.HasPrefix(word, "--"):
			err = g.long(word[2:])
		case len(word) > 1 && word[0] == '-':
			err = g.shorts(word[1:])
		}
	}
	return g.words, err
}

// getopt is a cursor over a command line: args are still to be read, words
// have been written.
type getopt struct {
	flags *pflag.FlagSet
	args  []string
	words []string
}

// long reads what stands behind "--": a name or the start of one that no
// other option shares, and perhaps "=value".
func (g *getopt) long(s string) error {
	name, value, hasValue := strings.Cut(s, "=")
	flag, err := g.find(name)
	if err != nil {
		return err
	}
	if !takesValue(flag) {
		if hasValue {
			return fmt.Errorf("option --%s takes no value", flag.Name)
		}
		g.words = append(g.words, "--"+flag.Name)
		return nil
	}
	if !hasValue {
		return g.valueFromNextWord(flag)
	}
	g.words = append(g.words, "--"+flag.Name+"="+value)
	return nil
}

// shorts reads a cluster of option letters, without its "-". The first letter
// that takes a value takes the rest of the word or else the next word.
func (g *getopt) shorts(letters string) error {
	for letters != "" {
		r, size := utf8.DecodeRuneInString(letters)
		var flag *pflag.Flag
		if r < utf8.RuneSelf {
			flag = g.flags.ShorthandLookup(letters[:1])
		}
		if flag == nil {
			return unknownOption(letters[:size])
		}
		letters = letters[size:]
		switch {
		case !takesValue(flag):
			g.words = append(g.words, "--"+flag.Name)
		case letters == "":
			return g.valueFromNextWord(flag)
		default:
			g.words = append(g.words, "--"+flag.Name+"="+letters)
			return nil
		}
	}
	return nil
}

// valueFromNextWord takes the next word as it is, also if it looks like an option.
func (g *getopt) valueFromNextWord(flag *pflag.Flag) error {
	if len(g.args) == 0 {
		return fmt.Errorf("option -%s requires %s", flag.Shorthand, valueNoun(flag))
	}
	g.words = append(g.words, "--"+flag.Name+"="+g.args[0])
	g.args = g.args[1:]
	return nil
}

// find returns the option whose name is, or alone begins with, name.
func (g *getopt) find(name string) (*pflag.Flag, error) {
	if flag := g.flags.Lookup(name); flag != nil {
		return flag, nil
	}
	var found []*pflag.Flag
	var names []string
	g.flags.VisitAll(func(flag *pflag.Flag) {
		if strings.HasPrefix(flag.Name, name) {
			found = append(found, flag)
			names = append(names, "--"+flag.Name)
		}
	})
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0 || name == "":
		return nil, unknownOption(name)
	}
	return nil, fmt.Errorf("option '--%s' is ambiguous, it may be %s", name, strings.Join(names, " or "))
}

// unknownOption is twemproxy's text. The name stays on one line, whatever is in it.
func unknownOption(name string) error {
	quoted := strconv.Quote(name)
	return fmt.Errorf("invalid option -- '%s'", strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`))
}

// takesValue reports whether the option must be followed by a value.
func takesValue(flag *pflag.Flag) bool { return flag.NoOptDefVal == "" }

// valueNoun says what is missing where the value is.
func valueNoun(flag *pflag.Flag) string {
	switch flag.Name {
	case "stats-addr":
		return "a string"
	case "output", "conf-file", "pid-file":
		return "a file name"
	default:
		return "a number"
	}
}
