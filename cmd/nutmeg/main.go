// Nutmeg is a proxy for Redis and memcached that takes the place of twemproxy (nutcracker): same command line, same
// configuration file, every key on its server.
package main

import (
	"fmt"
	"io"
	"os"

	"nutmeg/internal/app"
	"nutmeg/internal/config"
	"nutmeg/internal/daemon"
	"nutmeg/internal/evloop"
	"nutmeg/internal/handover"
	"nutmeg/internal/stats"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

// run is the program but for the process around it. All that it prints goes to stderr, as with twemproxy.
func run(args []string, stderr io.Writer) (exitCode int) {
	program, err := handover.FindProgram() // while its file is what was started
	var predecessor *handover.Predecessor
	if err == nil {
		predecessor, err = handover.Inherit()
	}
	if err != nil {
		fmt.Fprintf(stderr, "nutmeg: %v\n", err)
		return 1
	}
	o, err := parseFlags(args)
	if err != nil {
		if predecessor != nil {
			predecessor.Fail(err)
		}
		fmt.Fprint(stderr, usageErrorText(err))
		return 1
	}
	if o.Help || o.Version || o.DescribeStats {
		describe(o, stderr)
		return 0
	}
	confFile := o.configPath(exists)
	if o.TestConf {
		return testConfig(confFile, stderr)
	}
	ready := func(err error) {
		if err != nil {
			fmt.Fprintf(stderr, "nutmeg: %v\n", err)
		}
	}
	if o.Daemonize && predecessor == nil { // whose session this process is in already
		child, report, err := daemon.Detach()
		if !child {
			ready(err)
			return exitCodeOf(err)
		}
		if err != nil {
			return 1
		}
		ready = report
	}
	return app.Run(app.Options{
		Version: version, ConfFile: confFile, LogFile: o.Output, LogLevel: o.Verbosity,
		StatsAddr: o.StatsAddr, StatsPort: o.StatsPort, PIDFile: o.PidFile,
		Program: program, Predecessor: predecessor,
	}, ready)
}

func describe(o options, stderr io.Writer) {
	fmt.Fprint(stderr, versionText(evloop.Backend))
	if o.Help {
		fmt.Fprint(stderr, usageText())
	}
	if o.DescribeStats {
		fmt.Fprint(stderr, stats.Describe())
	}
}

// testConfig checks a configuration file and prints every fault of it.
func testConfig(path string, stderr io.Writer) (exitCode int) {
	_, err := config.Load(path)
	if err != nil {
		fmt.Fprintf(stderr, "%v\nnutmeg: configuration file '%s' syntax is invalid\n", err, path)
		return 1
	}
	fmt.Fprintf(stderr, "nutmeg: configuration file '%s' syntax is ok\n", path)
	return 0
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func exitCodeOf(err error) int {
	if err != nil {
		return 1
	}
	return 0
}
