package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"nutmeg/internal/demo"
)

const (
	demoServers = 3
	// demoStatsPort is the daemon's default.
	demoStatsPort = 22222
)

// runDemo starts servers inside this process and nutmeg as a process before
// them, says what to type, and waits for the end of ctx. Then all of it is gone,
// the folder with the configuration too.
func runDemo(ctx context.Context, p program, args []string) (err error) {
	flags := p.newFlags("demo")
	port := flags.Int("port", defaultPort, "where the proxy listens; another one is used if the default is taken")
	binary := flags.String("nutmeg", "", "the nutmeg program (default: the one beside nutmegctl, else from PATH)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *binary == "" {
		if *binary, err = findNutmeg(); err != nil {
			return err
		}
	}
	listen, err := p.choosePort(*port, flags.Changed("port"))
	if err != nil {
		return err
	}
	backends, err := demo.Start(demoServers)
	if err != nil {
		return err
	}
	defer backends.Close()
	dir, err := os.MkdirTemp("", "nutmeg-demo-")
	if err != nil {
		return fmt.Errorf("cannot make a folder for the configuration: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	d := demonstration{
		program: p, listen: listen, stats: freePort(demoStatsPort),
		file: filepath.Join(dir, "nutmeg.yml"), text: demo.Config(loopback(listen), backends.Addresses()),
	}
	if err := os.WriteFile(d.file, []byte(d.text), 0o600); err != nil {
		return fmt.Errorf("cannot write the configuration: %w", err)
	}
	return d.run(ctx, *binary)
}

// demonstration is a demo whose servers run and whose configuration is written.
type demonstration struct {
	program
	listen, stats int    // ports
	file, text    string // the configuration
}

// run starts nutmeg, waits until ctx ends, and ends nutmeg.
func (d *demonstration) run(ctx context.Context, binary string) error {
	proxy, err := startProxy(binary, "-c", d.file, "-a", "127.0.0.1", "-s", strconv.Itoa(d.stats))
	if err != nil {
		return err
	}
	defer proxy.end()
	if err := proxy.waitReady(ctx, loopback(d.listen)); err != nil {
		if ctx.Err() != nil {
			return nil // interrupted before it began
		}
		return err
	}
	d.explain(proxy.pid())
	select {
	case <-ctx.Done():
		d.say("\nThe demo has ended.\n")
		return nil
	case <-proxy.ended:
		return fmt.Errorf("nutmeg ended by itself; it said:\n%s", proxy.said.String())
	}
}

// explain says what there is and what to type.
func (d *demonstration) explain(pid int) {
	send := fmt.Sprintf("%s exec -p %d", d.name, d.listen)
	if _, err := exec.LookPath("redis-cli"); err == nil {
		send = fmt.Sprintf("redis-cli -p %d", d.listen)
	}
	d.say(`%[1]d Redis servers run inside this process, and nutmeg before them as process %[2]d.
Its configuration is a file that twemproxy would take, too: %[3]s

%[4]s
nutmeg listens on %[5]s. In another terminal, type:

  %[6]s set greeting hello
  %[6]s get greeting
  %[6]s mset a 1 b 2 c 3
  %[6]s mget a b c
  %[7]s where -c %[3]s greeting a b c
  curl http://%[8]s/stats

Ctrl-C ends the demo.
`, demoServers, pid, d.file, indented(d.text), loopback(d.listen), send, d.name, loopback(d.stats))
}

func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}

// findNutmeg returns the daemon's program: beside this one, or in PATH.
func findNutmeg() (string, error) {
	self, err := os.Executable()
	if err == nil {
		if path, err := exec.LookPath(filepath.Join(filepath.Dir(self), "nutmeg")); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath("nutmeg")
	if err != nil {
		return "", errors.New("cannot find the program nutmeg beside nutmegctl or in PATH; run \"make build\", or name it with --nutmeg")
	}
	return path, nil
}

// choosePort returns port, or a free one with a word about it if port is taken
// and was not asked for.
func (p program) choosePort(port int, asked bool) (int, error) {
	free := freePort(port)
	switch {
	case free == port:
	case asked:
		return 0, fmt.Errorf("cannot listen on %s: the port is taken; stop the other process or choose another --port", loopback(port))
	default:
		p.say("Port %d is taken by another process, so the demo uses %d.\n\n", port, free)
	}
	return free, nil
}

// freePort returns port if nobody listens on it, else one that is free now; 0 if there is none.
func freePort(port int) int {
	for _, try := range []int{port, 0} {
		l, err := net.Listen("tcp", loopback(try))
		if err == nil {
			free := l.Addr().(*net.TCPAddr).Port
			if l.Close() == nil {
				return free
			}
		}
	}
	return 0
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
