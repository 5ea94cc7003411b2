package test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// tool is a program at work: its input, and how long it may take. Programs that never end by themselves are ended when
// they have said what the test waits for.
type tool struct {
	t    *testing.T
	name string
	addr string // host:port, given as -h and -p
	in   string
}

// run runs the program until it ends, and returns what it printed. Another exit code than 0 fails the test.
func (p tool) run(args ...string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*patience)
	defer cancel()
	cmd := p.command(ctx, args)
	defer tie(cmd)()
	output, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s %q: %v\n%s", p.name, args, err, lastLines(string(output), 20))
	}
	return strings.ReplaceAll(string(output), "\r", "\n")
}

func (p tool) command(ctx context.Context, args []string) *exec.Cmd {
	p.t.Helper()
	host, port, err := net.SplitHostPort(p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, p.name, append([]string{"-h", host, "-p", port}, args...)...)
	cmd.Stdin = strings.NewReader(p.in)
	return cmd
}

// The whole suite of redis-benchmark, which nobody has to cut with -t.
func TestRedisBenchmark(t *testing.T) {
	t.Parallel()
	overServers(t, func(t *testing.T, b *redisBed) {
		for _, args := range [][]string{{"-P", "1"}, {"-P", "16"}, {"-3", "-P", "16", "-r", "1000"}} {
			output := tool{t: t, name: "redis-benchmark", addr: b.Addr()}.run(slices.Concat([]string{"-q", "-n", "300", "-c", "20"}, args)...)
			tests := 0
			for line := range strings.Lines(output) {
				line = strings.TrimSpace(line)
				switch {
				case strings.Contains(line, "requests per second"):
					tests++
				case line != "" && !strings.Contains(line, "rps="):
					t.Errorf("redis-benchmark %v says %q", args, line)
				}
			}
			if tests != 20 {
				t.Errorf("redis-benchmark %v: %d tests, want 20:\n%s", args, tests, output)
			}
		}
	})
}

func TestRedisCliModes(t *testing.T) {
	t.Parallel()
	overServers(t, func(t *testing.T, b *redisBed) {
		const keys = 400
		cli := tool{t: t, name: "redis-cli", addr: b.Addr()}
		fill := cli
		for i := range keys {
			key := fmt.Sprintf("key:%03d", i)
			fill.in += array(bulk("SET"), bulk(key), bulk("v"))
		}
		if got := fill.run("--pipe"); !strings.Contains(got, "errors: 0, replies: "+strconv.Itoa(keys)) {
			t.Errorf("--pipe: %s", got)
		}
		cli.run("RPUSH", "list", "a", "b", "c")
		cli.run("HSET", "hash", "f", "1", "g", "2")

		wantLines := func(want int, args ...string) {
			t.Helper()
			lines := strings.Fields(cli.run(args...))
			slices.Sort(lines)
			if lines = slices.Compact(lines); len(lines) != want {
				t.Errorf("%v: %d keys, want %d", args, len(lines), want)
			}
		}
		wantLines(keys+2, "--scan")
		wantLines(10, "--scan", "--pattern", "key:12*")
		for _, args := range [][]string{{"--bigkeys"}, {"--memkeys"}} {
			got := cli.run(args...)
			for _, want := range []string{"Sampled 402 keys", "Biggest   list found '\"list\"'", "Biggest   hash found '\"hash\"'", "400 strings"} {
				if !strings.Contains(got, want) {
					t.Errorf("%v: no %q in\n%s", args, want, got)
				}
			}
		}
		for _, tc := range []struct{ want, args string }{
			{"f\n1\ng\n2\n", "HGETALL hash"},
			{"f 1\ng 2\n", "-3 HGETALL hash"},
			{"1) \"a\"\n2) \"b\"\n", "--no-raw LRANGE list 0 1"},
			{"three\n", "-n 3 ECHO three"},
			{"PONG\nPONG\n", "-r 2 PING"},
			{"app\n", "--no-auth-warning --user app --pass secret ACL WHOAMI"},
			{"1\n", "--eval testdata/clients/exists.lua list"},
		} {
			if got := cli.run(strings.Fields(tc.args)...); got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.args, got, tc.want)
			}
		}
		session := cli
		session.in = "MULTI\nSET {s}a 1\nINCR {s}a\nEXEC\nSELECT 2\nDBSIZE\nRESET\nDBSIZE\n"
		if got, want := session.run(), "OK\nQUEUED\nQUEUED\nOK\n2\nOK\n0\nRESET\n403\n"; got != want {
			t.Errorf("a session: got %q, want %q", got, want)
		}
		if got := cli.run("--latency", "-i", "0.1"); len(strings.Fields(got)) != 4 {
			t.Errorf("--latency: got %q, want least, most, mean and number", got)
		}
		if got := cli.run("NUTMEG", "SERVERS"); strings.Count(got, "127.0.0.1") == 0 {
			t.Errorf("NUTMEG SERVERS: got %q", got)
		}
	})
}

// The modes of redis-cli that go on until somebody ends them.
func TestRedisCliWatches(t *testing.T) {
	t.Parallel()
	overServers(t, func(t *testing.T, b *redisBed) {
		c := b.dial(t)
		c.wantAsk(okReply, "SET", "a", "1")
		for _, tc := range []struct {
			args []string
			want string
			ask  []string // again and again, until the output has want
		}{
			{[]string{"--stat", "-i", "0.01"}, "requests", nil}, // printed when a page is full
			{[]string{"SUBSCRIBE", "news"}, "message\nnews\nhello\n", []string{"PUBLISH", "news", "hello"}},
			{[]string{"PSUBSCRIBE", "n*"}, "pmessage\nn*\nnews\nhello\n", []string{"PUBLISH", "news", "hello"}},
			{[]string{"-3", "SUBSCRIBE", "news"}, "message\nnews\nhello\n", []string{"PUBLISH", "news", "hello"}},
			{[]string{"MONITOR"}, `"SET" "seen" "by all"`, []string{"SET", "seen", "by all"}},
		} {
			t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
				tool{t: t, name: "redis-cli", addr: b.Addr()}.until(tc.want, tc.args, func() {
					if tc.ask != nil {
						_ = c.ask(tc.ask...)
					}
				})
			})
		}
	})
}

// until runs a program that does not end by itself until its output has a text, and does something now and then meanwhile.
func (p tool) until(want string, args []string, meanwhile func()) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	cmd := p.command(ctx, args)
	defer tie(cmd)()
	output, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	read := pieces(output)
	var all strings.Builder
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for open := true; open && !strings.Contains(all.String(), want); {
		select {
		case piece, more := <-read:
			open = more
			all.WriteString(piece)
		case <-tick.C:
			meanwhile()
		}
	}
	cancel()
	for range read { // until the pipe ends
	}
	_ = cmd.Wait()
	if !strings.Contains(all.String(), want) {
		p.t.Errorf("%s %q: no %q in what it printed:\n%s", p.name, args, want, lastLines(all.String(), 20))
	}
}

// pieces reads until there is no more, as things come. Somebody has to take them all.
func pieces(from io.Reader) <-chan string {
	read := make(chan string)
	go func() {
		defer close(read)
		piece := make([]byte, 4096)
		for {
			n, err := from.Read(piece)
			if n > 0 {
				read <- string(piece[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	return read
}

// The small tools around memcached.
func TestMemcachedTools(t *testing.T) {
	t.Parallel()
	n, _ := startCaches(t, 3, "")
	dial(t, n.Addr()).askCache("set a 0 0 1\r\nx\r\n", "STORED\r\n")
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"memccat", "--servers=" + n.Addr(), "a"}, "x"},
		{[]string{"memcexist", "--servers=" + n.Addr(), "a"}, ""},
		{[]string{"memcping", "--servers=" + n.Addr()}, ""},
		{[]string{"memcstat", "--servers=" + n.Addr()}, "curr_items: 1"},
		{[]string{"memctouch", "--servers=" + n.Addr(), "--expire=100", "a"}, ""},
		{[]string{"memcrm", "--servers=" + n.Addr(), "a"}, ""},
		{[]string{"memcflush", "--servers=" + n.Addr()}, ""},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		output, err := exec.CommandContext(ctx, tc.args[0], tc.args[1:]...).CombinedOutput()
		cancel()
		if err != nil || !strings.Contains(string(output), tc.want) {
			t.Errorf("%q: %v, got %q, want %q", tc.args, err, output, tc.want)
		}
	}
}
