package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"nutmeg/bench/load"
)

// drive is the load that counts: a closed loop, or an open one.
type drive func(*load.Session, context.Context, time.Duration) (load.Outcome, error)

// countCalls returns how many system calls of each name a request takes, as
// strace counts them of a subject that has just been started. Under strace the
// subject is slower than its clients, so that more comes at once than
// otherwise: good for comparing subjects, not for the calls of a real load.
func countCalls(ctx context.Context, s *subject, over protocol, l load.Load, length time.Duration, drive drive) (map[string]float64, error) {
	session, err := warmSession(ctx, s, over, l, length/5)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	var out load.Outcome
	text, err := traced(ctx, s.proxy.PID(), func() (err error) {
		out, err = drive(session, ctx, length)
		return err
	})
	if err != nil {
		return nil, err
	}
	calls, err := parseCalls(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	if out.Requests == 0 {
		return nil, fmt.Errorf("%w: no request was sent to %s in %v", errNoTrace, s.name, length)
	}
	for name := range calls {
		calls[name] /= float64(out.Requests)
	}
	return calls, nil
}

// errNoTrace is that strace is not there, may not look at a process, or has
// seen nothing of it. It is noted, and no failure.
var errNoTrace = errors.New("system calls are not counted")

// traced counts the system calls of a process while run runs, and returns what
// strace prints.
func traced(ctx context.Context, pid int, run func() error) (string, error) {
	strace := exec.CommandContext(ctx, "strace", "-c", "-f", "-p", strconv.Itoa(pid))
	said, err := strace.StderrPipe()
	if err != nil {
		return "", err
	}
	if err := strace.Start(); err != nil {
		return "", fmt.Errorf("%w: %w", errNoTrace, err)
	}
	lines := bufio.NewReader(said)
	line, err := lines.ReadString('\n')
	if err != nil || !strings.Contains(line, "attached") {
		_ = strace.Process.Kill()
		_ = strace.Wait()
		return "", fmt.Errorf("%w: strace says %q", errNoTrace, strings.TrimSpace(line))
	}
	runErr := run()
	_ = strace.Process.Signal(syscall.SIGINT)
	var rest bytes.Buffer
	_, readErr := io.Copy(&rest, lines)
	_ = strace.Wait() // it ends by the signal, which is no error of it
	return rest.String(), errors.Join(runErr, readErr)
}

// parseCalls reads the table that strace -c prints: the number of calls is the
// fourth column, the name the last.
func parseCalls(text string) (map[string]float64, error) {
	calls := map[string]float64{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 5 || fields[len(fields)-1] == "total" {
			continue
		}
		if n, err := strconv.ParseFloat(fields[3], 64); err == nil {
			calls[fields[len(fields)-1]] += n
		}
	}
	if len(calls) == 0 {
		return nil, fmt.Errorf("%w: strace has seen none; it printed %q", errNoTrace, text)
	}
	return calls, nil
}

// sumOf is the number of all calls.
func sumOf(calls map[string]float64) float64 {
	sum := 0.0
	for _, n := range calls {
		sum += n
	}
	return sum
}

// frequent lists the calls that come most often.
func frequent(calls map[string]float64) string {
	names := slices.SortedFunc(maps.Keys(calls), func(a, b string) int {
		if calls[a] != calls[b] {
			return int(1e6 * (calls[b] - calls[a]))
		}
		return strings.Compare(a, b)
	})
	var parts []string
	for _, name := range names[:min(4, len(names))] {
		if calls[name] >= 0.005 {
			parts = append(parts, name+" "+number(calls[name], 2))
		}
	}
	return strings.Join(parts, ", ")
}
