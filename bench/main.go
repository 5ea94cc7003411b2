// Command bench measures nutmeg beside nutcracker (twemproxy), HAProxy, a
// program that does as little as possible, a direct connection, and any other
// proxy, all in one interleaved run on 127.0.0.1: CPU per request, throughput,
// latency, memory, system calls.
//
//	load ──> nutmeg, one worker ──┐
//	     ──> nutmeg ──────────────┤
//	     ──> nutcracker ──────────┼──> two redis-servers, two memcacheds
//	     ──> any other proxy ─────┘
//	     ──> haproxy ────────────────> the first of the two, bytes unseen
//	     ──> direct ─────────────────> the first of the two
//	     ──> floor                     nobody: one read, one write, a response that never changes
//
// Each shape of load runs against all subjects in turn, several rounds, because
// a shared machine is never as fast now as it was a minute ago. Ratios are
// taken within a round; what is printed is the median of the rounds and the
// quartiles. A bound that nutmeg is meant to keep is printed as "held" or
// "MISSED". The exit code says only whether everything could be measured, never
// how fast it was.
//
// CPU per request is the number to trust: throughput on a small machine is
// shared between the proxy, the servers and the load tool. docs/performance.md
// says how to read the rest, and how to add a proxy.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	rounds     int
	length     time.Duration  // of a sample
	only       *regexp.Regexp // shapes to run, by id
	subjects   []string
	proxies    map[string]string // commands of -proxy, by name
	calls      bool
	jsonFile   string
	from       string
	page       string
	nutmeg     string // path, or empty to build it
	nutcracker string
	short      bool
}

func main() {
	opts, err := parseFlags(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, opts, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func parseFlags(args []string) (options, error) {
	opts := options{proxies: map[string]string{}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("only", "", "run only the shapes whose id matches this `regexp`; the ids: "+strings.Join(shapeIDs(), ", "))
	subjects := flags.String("subjects", strings.Join(subjectNames(), ","), "what to measure, separated by commas; what -proxy names comes in addition")
	flags.IntVar(&opts.rounds, "rounds", 5, "rounds for each shape and subject")
	flags.DurationVar(&opts.length, "time", 500*time.Millisecond, "how long a sample takes; three times that at fixed rates")
	var templates []string
	flags.Func("proxy", "one more proxy: `name=command`, with {listen} {server1} {server2} or {mclisten} {mcserver1} {mcserver2} for host:port, {listen.port} for a port,\n"+
		"and {config:FILE} for a file in which the same is filled in; may be given again", func(text string) error {
		templates = append(templates, text)
		return nil
	})
	flags.BoolVar(&opts.calls, "calls", true, "count system calls with strace, in a run of their own")
	flags.StringVar(&opts.jsonFile, "json", "", "write all samples to this `file`, too")
	flags.StringVar(&opts.from, "from", "", "measure nothing, report what a `file` of -json holds")
	flags.StringVar(&opts.page, "page", "", "write the figures into this `file`, between its markers, and the pictures beside it")
	flags.StringVar(&opts.nutmeg, "nutmeg", "", "nutmeg `binary` (default: build ./cmd/nutmeg)")
	flags.StringVar(&opts.nutcracker, "nutcracker", "nutcracker", "nutcracker `binary`")
	flags.BoolVar(&opts.short, "short", false, "one tiny round, to see that everything runs; its numbers mean nothing")
	if err := flags.Parse(args); err != nil {
		return opts, err
	}
	if flags.NArg() > 0 {
		return opts, fmt.Errorf("unexpected argument %q; all options are flags", flags.Arg(0))
	}
	if opts.short {
		opts.rounds, opts.length = 1, 20*time.Millisecond
	}
	if opts.rounds < 1 || opts.length <= 0 {
		return opts, errors.New("-rounds must be at least 1, -time longer than 0")
	}
	if opts.length > stepLimit/5 {
		return opts, fmt.Errorf("-time may be %v at the most; for better numbers take more -rounds", stepLimit/5)
	}
	var err error
	if opts.only, err = regexp.Compile(*only); err != nil {
		return opts, fmt.Errorf("-only: %w", err)
	}
	for _, text := range templates {
		name, command, err := parseTemplate(text)
		if err != nil {
			return opts, fmt.Errorf("-proxy %q: %w", text, err)
		}
		opts.proxies[name] = command
	}
	return opts, opts.choose(*subjects)
}

// choose sets the subjects, those of -proxy last.
func (opts *options) choose(names string) error {
	opts.subjects = strings.Split(names, ",")
	for _, name := range opts.subjects {
		if !slices.Contains(subjectNames(), name) {
			return fmt.Errorf("-subjects: %q is not one of %s", name, strings.Join(subjectNames(), ", "))
		}
	}
	for name := range opts.proxies {
		if slices.Contains(subjectNames(), name) {
			return fmt.Errorf("-proxy: the name %q is taken", name)
		}
		opts.subjects = append(opts.subjects, name)
	}
	slices.Sort(opts.subjects[len(opts.subjects)-len(opts.proxies):])
	return nil
}

// run measures, prints the table to out and the progress to progress. All
// processes it started are gone when it returns.
func run(ctx context.Context, opts options, out, progress io.Writer) error {
	rep, err := opts.report(ctx, progress)
	if err != nil {
		return err
	}
	if err := rep.print(out); err != nil {
		return err
	}
	if opts.jsonFile != "" {
		if err := rep.write(opts.jsonFile); err != nil {
			return err
		}
	}
	if opts.page != "" {
		if err := rep.publish(opts.page); err != nil {
			return err
		}
	}
	return failures(rep.results, rep.subjects)
}

// report measures, or reads what was measured before.
func (opts options) report(ctx context.Context, progress io.Writer) (report, error) {
	if opts.from != "" {
		return readReport(opts.from)
	}
	shapes := chosen(allShapes(opts.short), opts.only)
	if len(shapes) == 0 {
		return report{}, fmt.Errorf("-only matches none of the shapes %s", strings.Join(shapeIDs(), ", "))
	}
	rep := report{
		date: time.Now().UTC().Truncate(time.Second), machine: machine(), rounds: opts.rounds, length: opts.length, short: opts.short,
		subjects: opts.subjects,
	}
	disturbed := watchOut(runtime.NumCPU())
	err := rep.measure(ctx, opts, shapes, progress)
	if note := disturbed(); note != "" {
		rep.notes = append(rep.notes, note)
	}
	return rep, err
}

// measure starts all processes, takes all samples, and ends the processes.
func (rep *report) measure(ctx context.Context, opts options, shapes []shape, progress io.Writer) error {
	bed, err := newBed(ctx, opts)
	if err != nil {
		return err
	}
	defer bed.close()
	if _, err := exec.LookPath("strace"); err != nil && opts.calls {
		opts.calls = false
		bed.note("%v: strace is not installed; apt-get install strace", errNoTrace)
	}
	rep.results, err = measureAll(ctx, opts, bed, shapes, progress)
	rep.versions, rep.notes = bed.versions, bed.notes
	return err
}
