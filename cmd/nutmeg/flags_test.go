package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/stats"
)

func TestParseFlags(t *testing.T) {
	defaults := options{
		Verbosity: 5, ConfFile: "conf/nutmeg.yml",
		StatsAddr: "0.0.0.0", StatsPort: 22222, StatsInterval: 30 * time.Second, MbufSize: 16384,
	}
	conf := func(o *options, path string) { o.ConfFile, o.confGiven = path, true }
	for _, test := range []struct {
		rule string
		args string // words are separated by blanks; '' is an empty word
		want func(o *options)
	}{
		{"no words give the defaults", "", func(*options) {}},
		{"short switches", "-h -V -t -d -D", func(o *options) {
			o.Help, o.Version, o.TestConf, o.Daemonize, o.DescribeStats = true, true, true, true, true
		}},
		{"long switches", "--help --version --test-conf --daemonize --describe-stats", func(o *options) {
			o.Help, o.Version, o.TestConf, o.Daemonize, o.DescribeStats = true, true, true, true, true
		}},
		{"short options take the next word", "-v 6 -o log -c f -s 1 -a h -i 7 -p pid -m 512", func(o *options) {
			o.Verbosity, o.Output, o.StatsPort, o.StatsAddr, o.StatsInterval = 6, "log", 1, "h", 7*time.Millisecond
			o.PidFile, o.MbufSize = "pid", 512
			conf(o, "f")
		}},
		{
			"long options take the text behind =",
			"--verbose=6 --output=log --conf-file=f --stats-port=65535 --stats-addr=h --stats-interval=0 --pid-file=pid --mbuf-size=16777216",
			func(o *options) {
				o.Verbosity, o.Output, o.StatsPort, o.StatsAddr, o.StatsInterval = 6, "log", 65535, "h", 0
				o.PidFile, o.MbufSize = "pid", 16777216
				conf(o, "f")
			},
		},
		{"long options take the next word", "--verbose 6 --conf-file f", func(o *options) { o.Verbosity = 6; conf(o, "f") }},
		{"short switches cluster", "-hV", func(o *options) { o.Help, o.Version = true, true }},
		{"a cluster's last letter takes the next word", "-dv 6", func(o *options) { o.Daemonize, o.Verbosity = true, 6 }},
		{"a cluster's last letter takes the rest", "-dv6", func(o *options) { o.Daemonize, o.Verbosity = true, 6 }},
		{"= belongs to the value of a short option", "-c=F", func(o *options) { conf(o, "=F") }},
		{"= belongs to the value in a cluster", "-dtc=F", func(o *options) { o.Daemonize, o.TestConf = true, true; conf(o, "=F") }},
		{"only the first = ends a long name", "--conf=a=b", func(o *options) { conf(o, "a=b") }},
		{"a unique prefix is enough", "--vers --mb=600 --c f", func(o *options) { o.Version, o.MbufSize = true, 600; conf(o, "f") }},
		{"other words are ignored", "x - '' -V y", func(o *options) { o.Version = true }},
		{"-- ends the options", "-V -- -x --foo", func(o *options) { o.Version = true }},
		{"-- can be a value", "-c -- -V", func(o *options) { o.Version = true; conf(o, "--") }},
		{"an option can be a value", "-o -V --output --help", func(o *options) { o.Output = "--help" }},
		{"an empty word can be a value", "-o '' -a '' -c ''", func(o *options) { o.StatsAddr = ""; conf(o, "") }},
		{"a value can be empty behind =", "--output=", func(*options) {}},
		{"the last one of an option wins", "-v 6 -v 7", func(o *options) { o.Verbosity = 7 }},
		{"levels above 11 are 11", "-v 12", func(o *options) { o.Verbosity = 11 }},
		{"levels above any integer are 11", "-v 99999999999999999999", func(o *options) { o.Verbosity = 11 }},
		{"leading zeros are digits", "-s 00022 -m 000512", func(o *options) { o.StatsPort, o.MbufSize = 22, 512 }},
	} {
		t.Run(test.rule, func(t *testing.T) {
			want := defaults
			test.want(&want)
			got, err := parseFlags(splitWords(test.args))
			if err != nil || got != want {
				t.Errorf("parseFlags(%s)\ngot  %+v, %v\nwant %+v", test.args, got, err, want)
			}
		})
	}
}

// TestBadFlags holds the texts that twemproxy 0.5.0 prints behind
// "nutcracker: ", but for the long names and the too large interval.
func TestBadFlags(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"-v x", "option -v requires a number"},
		{"-v", "option -v requires a number"},
		{"--verbose", "option -v requires a number"},
		{"--verbose=", "option -v requires a number"},
		{"-v ''", "option -v requires a number"},
		{"-v +3", "option -v requires a number"},
		{"-v -3", "option -v requires a number"},
		{"-v 0x3", "option -v requires a number"},
		{"-o", "option -o requires a file name"},
		{"-c", "option -c requires a file name"},
		{"-p", "option -p requires a file name"},
		{"-a", "option -a requires a string"},
		{"-s", "option -s requires a number"},
		{"-s 22k", "option -s requires a number"},
		{"-s 0", "option -s value 0 is not a valid port"},
		{"-s 65536", "option -s value 65536 is not a valid port"},
		{"-s 99999999999999999999", "option -s value 99999999999999999999 is not a valid port"},
		{"-i", "option -i requires a number"},
		{"-i 1s", "option -i requires a number"},
		{"-i 2147483648", "option -i value 2147483648 is too large, the most is 2147483647"},
		{"-m", "option -m requires a number"},
		{"-m 0", "option -m requires a non-zero number"},
		{"-m 16k", "option -m requires a non-zero number"},
		{"-m 511", "mbuf chunk size must be between 512 and 16777216 bytes"},
		{"-m 16777217", "mbuf chunk size must be between 512 and 16777216 bytes"},
		{"-x", "invalid option -- 'x'"},
		{"-?", "invalid option -- '?'"},
		{"-h=foo", "invalid option -- '='"},
		{"-hVx", "invalid option -- 'x'"},
		{"-test.v", "invalid option -- 'e'"},
		{"-é", "invalid option -- 'é'"},
		{"-\xff", `invalid option -- '\xff'`},
		{"--foo=bar", "invalid option -- 'foo'"},
		{"--fo\x1bo", `invalid option -- 'fo\x1bo'`},
		{"--V", "invalid option -- 'V'"},
		{"---help", "invalid option -- '-help'"},
		{"--=x", "invalid option -- ''"},
		{"--help=foo", "option --help takes no value"},
		{"--ver", "option '--ver' is ambiguous, it may be --version or --verbose"},
		{"--stats=3", "option '--stats' is ambiguous, it may be --stats-port or --stats-addr or --stats-interval"},
		{"-V -x -v no", "invalid option -- 'x'"},
		{"-v no -x", "option -v requires a number"},
		{"-c -- -x", "invalid option -- 'x'"},
	} {
		t.Run(test.args, func(t *testing.T) {
			if o, err := parseFlags(splitWords(test.args)); err == nil || err.Error() != test.want || o != (options{}) {
				t.Errorf("got  %v (options %+v)\nwant %v", err, o, test.want)
			}
		})
	}
}

func TestConfigPath(t *testing.T) {
	for _, test := range []struct {
		rule, args string
		files      string
		want       string
	}{
		{"nutmeg's own by default", "", "", "conf/nutmeg.yml"},
		{"nutmeg's own if both exist", "", "conf/nutmeg.yml conf/nutcracker.yml", "conf/nutmeg.yml"},
		{"twemproxy's if only that exists", "", "conf/nutcracker.yml", "conf/nutcracker.yml"},
		{"the one of -c, there or not", "-c conf/nutmeg.yml", "conf/nutcracker.yml", "conf/nutmeg.yml"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			o, err := parseFlags(splitWords(test.args))
			if err != nil {
				t.Fatal(err)
			}
			exists := func(path string) bool { return strings.Contains(test.files, path) }
			if got := o.configPath(exists); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestTexts(t *testing.T) {
	golden(t, "usage.golden", usageText())
	golden(t, "usage-error.golden", usageErrorText(errors.New("option -v requires a number")))
	golden(t, "version.golden", strings.Replace(versionText("epoll"), version, "VERSION", 1))
	golden(t, "describe-stats.golden", stats.Describe())
}

// golden compares got with a file of testdata; UPDATE_GOLDEN=1 writes the file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\ngot\n%s\nwant\n%s", file, got, want)
	}
}

// Whatever the words are, the options are within their limits, an error is
// one line, and words behind "--" change nothing.
func FuzzParseFlags(f *testing.F) {
	for _, args := range []string{"-dv 6", "--vers", "-c=F", "-c -- -x", "--ver", "-\xff", "--=", "-s 0 -m 99999999999999999999"} {
		f.Add(args)
	}
	f.Fuzz(func(t *testing.T, args string) {
		words := splitWords(args)
		o, err := parseFlags(words)
		if err != nil {
			// pflag cannot have found anything that canonical let pass.
			if text := err.Error(); text == "" || strings.ContainsAny(text, "\n\r\x00\x1b") || strings.Contains(text, "flag") && !strings.Contains(args, "flag") {
				t.Errorf("error %q", text)
			}
			return
		}
		if o.Verbosity < 0 || o.Verbosity > 11 || o.StatsPort < 1 || o.StatsPort > 65535 ||
			o.StatsInterval < 0 || o.MbufSize < minMbufSize || o.MbufSize > maxMbufSize {
			t.Errorf("options out of their limits: %+v", o)
		}
		if more, err := parseFlags(append(words, "--", "-x")); err == nil && more != o {
			t.Errorf("a word behind -- changes %+v to %+v", o, more)
		}
	})
}

// splitWords splits at blanks; a word of two quotes is empty.
func splitWords(s string) []string {
	words := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' })
	for i, word := range words {
		if word == "''" {
			words[i] = ""
		}
	}
	return words
}
