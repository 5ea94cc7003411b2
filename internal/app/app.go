// Package app is the one place that knows everything: it builds the proxy out of its rooms, starts it, listens to signals and shuts it down.
package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"nutmeg/internal/admin"
	"nutmeg/internal/config"
	"nutmeg/internal/daemon"
	"nutmeg/internal/evloop"
	"nutmeg/internal/logfile"
	"nutmeg/internal/proxy"
)

// Options is what the command line decides.
type Options struct {
	Version   string
	ConfFile  string
	LogFile   string // "" is stderr
	LogLevel  int    // 0 to 11
	StatsAddr string
	StatsPort int
	PIDFile   string // "" is none
}

// statsShutdown bounds how long answers of the stats port may still take when the process ends.
const statsShutdown = time.Second

// Run runs the daemon until a signal ends it, and returns the process's exit code. Ready is called once: with nil when
// clients are served, or with the reason why they cannot be.
func Run(o Options, ready func(error)) (exitCode int) {
	log, err := logfile.Open(o.LogFile, o.LogLevel)
	if err != nil {
		ready(err)
		return 1
	}
	defer log.Close()
	collectEagerly()
	_ = log.CatchCrashes() // without it a crash is still seen, if not where
	l := log.Logger()
	l.Log(context.Background(), logfile.Emerg, fmt.Sprintf("nutmeg-%s built for %s %s started on pid %d",
		o.Version, runtime.GOOS, runtime.GOARCH, os.Getpid()))
	defer l.Log(context.Background(), logfile.Emerg, "done")

	signals := newSignals(log, l) // before anybody can know that there is a process to signal
	defer signals.stop()
	d, err := start(o, l)
	if err != nil {
		l.Log(context.Background(), logfile.Alert, "cannot start", "cause", err)
		ready(err)
		return 1
	}
	defer d.close()
	ready(nil)
	return d.serve(signals)
}

// daemonProcess is a started nutmeg: everything is open, nobody is served yet.
type daemonProcess struct {
	log   *slog.Logger
	proxy *proxy.Proxy
	admin *admin.Server
	stats net.Listener
	pid   *daemon.PIDFile
}

func start(o Options, log *slog.Logger) (*daemonProcess, error) {
	conf, err := config.Load(o.ConfFile)
	if err != nil {
		return nil, err
	}
	d := &daemonProcess{log: log}
	if err := d.open(o, conf); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// open opens everything that the configuration asks for.
func (d *daemonProcess) open(o Options, conf *config.Config) (err error) {
	if o.PIDFile != "" {
		if d.pid, err = daemon.CreatePIDFile(o.PIDFile); err != nil {
			return err
		}
	}
	address := net.JoinHostPort(o.StatsAddr, strconv.Itoa(o.StatsPort))
	if d.stats, err = net.Listen("tcp", address); err != nil {
		return fmt.Errorf("cannot listen on %s (statistics): %w; choose another port with -s", address, err)
	}
	outsides, err := openSystems(conf.Global.Workers)
	if err != nil {
		return err
	}
	if d.proxy, err = proxy.New(withLimits(conf, len(outsides), d.log), outsides, d.log); err != nil {
		return err
	}
	if err = d.proxy.Listen(nil); err != nil {
		d.proxy.Close()
		return err
	}
	hostname, err := os.Hostname()
	if err != nil {
		hostname = "unknown"
	}
	d.admin = admin.New(admin.Options{
		Service: "nutmeg", Version: o.Version, Hostname: hostname, Start: time.Now(),
		Source: d.proxy, Log: d.log,
	})
	return nil
}

// heapGrowth is how much garbage may gather, in percent of what lives, before a collection. Requests make none, clients
// that come make little, so collections are rare anyway; this says how much memory lies idle between two of them.
const heapGrowth = 30

func collectEagerly() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
}

// openSystems opens the outside of each worker: as many as configured, or one for each processor that the process may use.
func openSystems(workers int) ([]evloop.Outside, error) {
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	// With places to spare Go's scheduler moves a busy worker to another thread each time that it interrupts it, a hundred
	// times a second. All other goroutines have little to do; they run while a worker waits, or at such an interruption.
	runtime.GOMAXPROCS(workers)
	outsides := make([]evloop.Outside, workers)
	for i := range outsides {
		var err error
		if outsides[i], err = evloop.NewSystem(); err != nil {
			return nil, fmt.Errorf("cannot open the event loop of worker %d: %w", i, err)
		}
	}
	return outsides, nil
}

// serve runs until a signal, or a failure that leaves nothing to run.
func (d *daemonProcess) serve(signals *signals) (exitCode int) {
	ended := make(chan int, 1)
	go func() {
		code, ok := signals.handle()
		if ok {
			ended <- code
			d.proxy.Stop()
		}
	}()
	go func() {
		if err := d.admin.Serve(d.stats); err != nil && d.log != nil {
			d.log.Debug("statistics port closed", "cause", err)
		}
	}()
	if err := d.proxy.Run(); err != nil {
		d.log.Log(context.Background(), logfile.Alert, "cannot go on", "cause", err)
		return 1
	}
	return <-ended
}

// close frees what start opened.
func (d *daemonProcess) close() {
	if d.admin != nil {
		ctx, cancel := context.WithTimeout(context.Background(), statsShutdown)
		defer cancel()
		_ = d.admin.Shutdown(ctx) // what is not answered by then is not answered
	}
	if d.stats != nil {
		_ = d.stats.Close()
	}
	if d.pid != nil {
		if err := d.pid.Remove(); err != nil {
			d.log.Warn("cannot remove the pid file", "cause", err)
		}
	}
}
