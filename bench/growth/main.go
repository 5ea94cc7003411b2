// Command growth measures what the proxy's costs grow with: memory, processor
// time and connections over the number of servers, workers and clients. It runs
// the real daemon on unix sockets in a directory of its own, several sizes one
// after the other, and fits the exponent e of cost = c * n^e to what it sees:
// 0 is a cost that does not grow, 1 one in proportion.
//
// Processor time is what the kernel has charged to the daemon's threads, which a
// busy machine lengthens a little and never by what others use. Each cost is the
// least of some repetitions. A law that grows faster than it is allowed to is
// printed as MISSED; the exit code says only whether everything could be
// measured.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
)

// options are the command line.
type options struct {
	only   *regexp.Regexp
	short  bool
	nutmeg string
}

func main() {
	var o options
	only := flag.String("only", "", "measure only the laws whose id matches this `regexp`")
	flag.BoolVar(&o.short, "short", false, "tiny sizes, to see that everything runs; the numbers mean nothing")
	flag.StringVar(&o.nutmeg, "nutmeg", "", "nutmeg `binary` (default: build ./cmd/nutmeg)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if o.only, err = regexp.Compile(*only); err == nil {
		err = run(ctx, o, os.Stdout)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "growth: %v\n", err)
		os.Exit(1)
	}
}

// run measures all laws and prints each as soon as it is known.
func run(ctx context.Context, o options, out io.Writer) error {
	raiseFileLimit()
	dir, err := os.MkdirTemp("", "growth")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.nutmeg == "" {
		o.nutmeg = filepath.Join(dir, "nutmeg")
		build := exec.CommandContext(ctx, "go", "build", "-o", o.nutmeg, "nutmeg/cmd/nutmeg")
		if text, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("cannot build the daemon: %w\n%s", err, text)
		}
	}
	b := &bed{nutmeg: o.nutmeg, dir: dir, short: o.short}
	for _, l := range laws() {
		if !o.only.MatchString(l.id) {
			continue
		}
		sizes := l.sizes
		if o.short {
			sizes = []int{1, 3}
		}
		var costs []float64
		for _, n := range sizes {
			if err := ctx.Err(); err != nil {
				return err
			}
			cost, err := l.measure(b, n)
			if err != nil {
				return fmt.Errorf("%s, n = %d: %w", l.id, n, err)
			}
			costs = append(costs, cost)
		}
		l.print(out, sizes, costs)
	}
	return nil
}

// print shows one law: what it costs at each size, and how that grows.
func (l *law) print(out io.Writer, sizes []int, costs []float64) {
	fmt.Fprintf(out, "%-18s %s, %s\n", l.id, l.what, l.unit)
	for i, n := range sizes {
		fmt.Fprintf(out, "%18d %12s", n, significant(costs[i]))
		if l.each {
			fmt.Fprintf(out, "  %12s each", significant(costs[i]/float64(n)))
		}
		fmt.Fprintln(out)
	}
	e := exponent(sizes, costs)
	verdict := "held"
	if !(e <= l.most) {
		verdict = "MISSED"
	}
	fmt.Fprintf(out, "%18s n^%.2f  at most n^%.2f: %s\n\n", "", e, l.most, verdict)
}

// significant prints three digits.
func significant(x float64) string {
	switch {
	case x >= 100 || x <= -100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10 || x <= -10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.3g", x)
}
