// Command bench measures nutmeg beside nutcracker (twemproxy) and a direct
// connection, all in one interleaved run on 127.0.0.1: throughput, latency,
// CPU per request, memory.
//
//	load tool ──> nutmeg workers:1 ──┐
//	          ──> nutmeg ────────────┼──> two redis-servers, two memcacheds
//	          ──> nutcracker ────────┤
//	          ──> direct ────────────┘    (direct: the first of the two)
//
// Each shape of load runs against all subjects in turn, several rounds, because
// a shared machine is never as fast now as it was a minute ago. Ratios are
// taken within a round; what is printed is the median of the rounds and, in
// brackets, the least and the most. A bound that nutmeg is meant to keep is
// printed as "holds" or "MISSES". The exit code says only whether everything
// could be measured, never how fast it was.
//
// CPU per request is the number to trust: throughput on a small machine is
// shared between the proxy, the servers and the load tool.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// options are the command line.
type options struct {
	rounds     int
	requests   int            // of a shape whose weight is 1
	only       *regexp.Regexp // shapes to run, by id
	subjects   []string
	jsonFile   string
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
	var opts options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("only", "", "run only the shapes whose id matches this `regexp`; the ids: "+strings.Join(shapeIDs(), ", "))
	subjects := flags.String("subjects", strings.Join(subjectNames(), ","), "what to measure, separated by commas")
	flags.IntVar(&opts.rounds, "rounds", 5, "rounds for each shape and subject")
	flags.IntVar(&opts.requests, "requests", 100_000, "requests in a round; heavier shapes send fewer, pipelined ones more")
	flags.StringVar(&opts.jsonFile, "json", "", "write all samples to this `file`, too")
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
		opts.rounds, opts.requests = 1, 2000
	}
	if opts.rounds < 1 || opts.requests < 1 {
		return opts, errors.New("-rounds and -requests must be at least 1")
	}
	var err error
	if opts.only, err = regexp.Compile(*only); err != nil {
		return opts, fmt.Errorf("-only: %w", err)
	}
	opts.subjects = strings.Split(*subjects, ",")
	for _, name := range opts.subjects {
		if !slices.Contains(subjectNames(), name) {
			return opts, fmt.Errorf("-subjects: %q is not one of %s", name, strings.Join(subjectNames(), ", "))
		}
	}
	return opts, nil
}

// run measures, prints the table to out and the progress to progress. All
// processes it started are gone when it returns.
func run(ctx context.Context, opts options, out, progress io.Writer) error {
	shapes := slices.DeleteFunc(allShapes(opts.short), func(s shape) bool { return !opts.only.MatchString(s.id) })
	if len(shapes) == 0 {
		return fmt.Errorf("-only matches none of the shapes %s", strings.Join(shapeIDs(), ", "))
	}
	bed, err := newBed(ctx, opts)
	if err != nil {
		return err
	}
	defer bed.close()
	results, err := measureAll(ctx, opts, bed, shapes, progress)
	if err != nil {
		return err
	}
	if err := printReport(out, bed, opts, results); err != nil {
		return err
	}
	if opts.jsonFile != "" {
		if err := writeJSON(opts.jsonFile, bed, opts, results); err != nil {
			return err
		}
	}
	return failures(results)
}
