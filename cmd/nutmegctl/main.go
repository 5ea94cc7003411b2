// Nutmegctl is the operator's tool beside nutmeg: it shows the proxy at work,
// asks it, makes it reload, and says where keys are. It links what the daemon must not.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the tool at once
	p := program{name: os.Args[0], stdout: os.Stdout, stderr: os.Stderr}
	os.Exit(p.run(ctx, os.Args[1:]))
}

// program is this tool as it was called.
type program struct {
	name           string // how to call it again, for hints
	stdout, stderr io.Writer
}

// subcommand is one thing that nutmegctl does.
type subcommand struct {
	name    string
	usage   string // the words behind the name
	summary string
	// run does it. It returns when it is done, has failed or ctx has ended, and leaves nothing behind.
	run func(ctx context.Context, p program, args []string) error
}

// subcommands lists all of them. A new one is a new row here.
func subcommands() []subcommand {
	return []subcommand{
		{"demo", "[--port N] [--nutmeg FILE]", "start three servers and a proxy before them, to try it", runDemo},
		{"exec", "[-h HOST] [-p PORT] [-s SOCKET] WORD...", "send one Redis command and print the reply", runExec},
		{"plan", "[-c OLD] [-s HOST:PORT] FILE", "say what a configuration file would change, and which keys would move", runPlan},
		{"reload", "[-s HOST:PORT]", "make nutmeg read its configuration file again", runReload},
		{"status", "[-s HOST:PORT]", "show the pools and the health of their servers", runStatus},
		{"where", "-c FILE [-p POOL] KEY...", "say which server owns each key", runWhere},
	}
}

// errSilent ends the tool with exit code 1 when all has been said.
var errSilent = errors.New("failed")

// say prints to stdout, complain to stderr. Nobody is left to be told if that fails.
func (p program) say(format string, args ...any) { _, _ = fmt.Fprintf(p.stdout, format, args...) }

func (p program) complain(format string, args ...any) { _, _ = fmt.Fprintf(p.stderr, format, args...) }

// run finds the subcommand and runs it. The exit code is 0 if all went well, else 1.
func (p program) run(ctx context.Context, args []string) (exitCode int) {
	if len(args) == 0 {
		p.complain("%s", usageText())
		return 1
	}
	switch args[0] {
	case "help", "-h", "--help":
		p.say("%s", usageText())
		return 0
	}
	err := p.dispatch(ctx, args[0], args[1:])
	if err == nil {
		return 0
	}
	if !errors.Is(err, errSilent) {
		p.complain("nutmegctl: %v\n", err)
	}
	return 1
}

func (p program) dispatch(ctx context.Context, name string, args []string) error {
	var names []string
	for _, sub := range subcommands() {
		if sub.name != name {
			names = append(names, sub.name)
			continue
		}
		err := sub.run(ctx, p, args)
		if errors.Is(err, pflag.ErrHelp) {
			return nil // pflag has printed it
		}
		return err
	}
	return fmt.Errorf("there is no command %q; use one of %s", name, strings.Join(names, ", "))
}

func usageText() string {
	var b strings.Builder
	b.WriteString("Usage: nutmegctl COMMAND [options]\n\nCommands:\n")
	for _, sub := range subcommands() {
		fmt.Fprintf(&b, "  %s %s\n      %s\n", sub.name, sub.usage, sub.summary)
	}
	b.WriteString("\nnutmegctl COMMAND --help lists the options of a command.\n")
	return b.String()
}

// newFlags returns an empty set of options for the subcommand called name. Words
// behind the first one that is no option are left alone. --help goes to stdout.
func (p program) newFlags(name string) *pflag.FlagSet {
	flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
	flags.SetInterspersed(false)
	flags.SortFlags = false
	flags.SetOutput(p.stdout)
	flags.Usage = func() {
		for _, sub := range subcommands() {
			if sub.name == name {
				p.say("Usage: nutmegctl %s %s\n\n%s\n\nOptions:\n%s", sub.name, sub.usage, sub.summary, flags.FlagUsages())
			}
		}
	}
	return flags
}
