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
	"sync"
	"sync/atomic"
	"time"

	"nutmeg/internal/admin"
	"nutmeg/internal/config"
	"nutmeg/internal/daemon"
	"nutmeg/internal/evloop"
	"nutmeg/internal/handover"
	"nutmeg/internal/logfile"
	"nutmeg/internal/proxy"
	"nutmeg/internal/systemd"
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

	Program     handover.Program      // what an upgrade starts
	Predecessor *handover.Predecessor // the process that this one takes the place of; nil = none
}

// fail tells the process that this one was to take the place of why it does not.
func (o *Options) fail(cause error) {
	if o.Predecessor != nil {
		o.Predecessor.Fail(cause)
	}
}

// Run runs the daemon until a signal ends it, and returns the process's exit code. Ready is called once: with nil when
// clients are served, or with the reason why they cannot be.
func Run(o Options, ready func(error)) (exitCode int) {
	log, err := logfile.Open(o.LogFile, o.LogLevel)
	if err != nil {
		o.fail(err)
		ready(err)
		return 1
	}
	defer log.Close()
	collect(startGrowth)
	limitHeap(usableMemory(os.DirFS("/")))
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
		o.fail(err)
		ready(err)
		return 1
	}
	defer d.close()
	d.ready(ready)
	return d.serve(signals)
}

// daemonProcess is a started nutmeg: everything is open, nobody is served yet.
type daemonProcess struct {
	options   Options
	log       *slog.Logger
	reloader  *reloader
	watcher   watcher
	inherited *inheritance
	proxy     *proxy.Proxy
	stats     *statsPort
	pid       *daemon.PIDFile
	control   *control

	// turn is for what changes what is served: a reload, or an upgrade until the new process is in charge or dead. A reload
	// in the middle would be lost, or put in the way of the new process.
	turn sync.Mutex

	tookOver        chan struct{} // closed when no more clients of a predecessor come
	upgradeFailures atomic.Int64
}

func start(o Options, log *slog.Logger) (*daemonProcess, error) {
	before := fileNow(o.ConfFile) // what changes later is to be noticed
	conf, err := config.Load(o.ConfFile)
	if err != nil {
		return nil, err
	}
	d := &daemonProcess{
		options: o, log: log, watcher: watcher{read: before, seen: before}, inherited: inherit(o.Predecessor, log),
		control: newControl(), tookOver: make(chan struct{}),
	}
	d.reloader = newReloader(o.ConfFile, conf, d.apply, log)
	if err := d.open(conf); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// conf is the configuration in force.
func (d *daemonProcess) conf() *config.Config { return d.reloader.inForce.Load() }

// open opens everything that the configuration asks for. Who can connect finds the pid file there.
func (d *daemonProcess) open(conf *config.Config) (err error) {
	o := &d.options
	if o.Predecessor == nil {
		if err = d.writePID(); err != nil {
			return err
		}
	}
	address := net.JoinHostPort(o.StatsAddr, strconv.Itoa(o.StatsPort))
	statsFD, err := listenStats(address, d.inherited.stats)
	if err != nil {
		return err
	}
	d.stats = &statsPort{address: address, fd: statsFD, log: d.log}
	outsides, err := openSystems(conf.Global.Workers)
	if err != nil {
		return err
	}
	if d.proxy, err = proxy.New(withLimits(conf, len(outsides), d.log), outsides, d.log); err != nil {
		return err
	}
	d.proxy.Version = o.Version
	if err = d.listen(); err != nil {
		d.proxy.Close()
		return err
	}
	d.prepare(len(outsides))
	hostname, err := os.Hostname()
	if err != nil {
		hostname = "unknown"
	}
	d.stats.options = admin.Options{
		Service: "nutmeg", Version: o.Version, Hostname: hostname, Start: time.Now(),
		Source: d.proxy, Control: pages{d}, Log: d.log,
	}
	return nil
}

// listen opens the listeners of all pools, and what must not be done before.
func (d *daemonProcess) listen() (err error) {
	if d.options.Predecessor != nil {
		d.proxy.LeavePaths(anywhere) // they are the old process's until this one is ready
	}
	if err = d.proxy.Listen(d.inherited.pool); err != nil {
		return err
	}
	d.inherited.closeRest()
	if d.options.Predecessor != nil {
		return d.writePID() // now that nothing can fail any more
	}
	return nil
}

// prepare builds what requests would have to wait for, on all processors but one. Clients can connect already; only after another
// process, which serves them as long, is it done first.
func (d *daemonProcess) prepare(workers int) {
	prepared := make(chan struct{})
	processors := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(processors + workers) // no worker shall wait for those who build, nor they for a worker that waits
	d.proxy.Prepare(max(1, processors-1), func() {
		// A worker keeps its place in Go's scheduler while it waits. From now on all other goroutines have little to do, and
		// the place to spare for it.
		runtime.GOMAXPROCS(workers + 1)
		close(prepared)
		collect(heapGrowth)
		debug.FreeOSMemory() // what reading the configuration took
	})
	if d.options.Predecessor != nil {
		<-prepared
	}
}

// writePID writes the pid file, if there is to be one.
func (d *daemonProcess) writePID() (err error) {
	if d.options.PIDFile != "" {
		d.pid, err = daemon.CreatePIDFile(d.options.PIDFile)
	}
	return err
}

// ready tells everybody that clients are served from now on.
func (d *daemonProcess) ready(report func(error)) {
	d.proxy.LeavePaths(d.inherited.isManaged)
	if p := d.options.Predecessor; p != nil {
		if err := p.Ready(); err != nil {
			d.log.Warn("the old process is gone, and its clients", "cause", err)
		}
	}
	report(nil)
	d.tell(systemd.Ready(fmt.Sprintf("serving %d pools", len(d.conf().Pools))))
}

// How much garbage may gather, in percent of what lives, before a collection.
const (
	// startGrowth is for the start, which makes much that stays: to look at it again and again would take most of the time. The
	// first look comes at 64 MB.
	startGrowth = 1600
	// heapGrowth is for afterwards. Requests make no garbage, clients that come make little, so collections are rare anyway;
	// this says how much memory lies idle between two of them.
	heapGrowth = 30
)

// collect sets how eagerly garbage is collected, unless whoever starts the process has.
func collect(growth int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(growth)
	}
}

// limitHeap makes collections more frequent before the runtime's memory comes near all that the process may use, unless whoever
// starts it has set a limit. With max_memory as it is by default nothing ever comes that far.
func limitHeap(usable int64) {
	if os.Getenv("GOMEMLIMIT") == "" && usable > 0 {
		debug.SetMemoryLimit(usable / 10 * 9)
	}
}

// openSystems opens the outside of each worker: as many as configured, or one for each processor that the process may use.
func openSystems(workers int) ([]evloop.Outside, error) {
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
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
	go signals.handle(d)
	go d.watchdog()
	go d.watch(d.control.ctx)
	d.stats.open()
	go d.takeOver(d.options.Predecessor)
	err := d.proxy.Run()
	exitCode = d.control.finish()
	if err != nil {
		d.log.Log(context.Background(), logfile.Alert, "cannot go on", "cause", err)
		return 1
	}
	return exitCode
}

// close frees what start opened.
func (d *daemonProcess) close() {
	if d.stats != nil {
		d.stats.free()
	}
	if d.pid != nil {
		if err := d.pid.Remove(); err != nil {
			d.log.Warn("cannot remove the pid file", "cause", err)
		}
	}
}
