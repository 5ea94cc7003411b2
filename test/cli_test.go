package test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"nutmeg/internal/testkit"
)

// runNutmeg runs the daemon in a folder until it ends by itself.
func runNutmeg(t *testing.T, dir string, args ...string) (stdout, stderr string, exitCode int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, nutmegBinary(t), args...)
	var out, err bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &err
	defer tie(cmd)()
	failure := cmd.Run()
	if exit := (*exec.ExitError)(nil); failure != nil && !errors.As(failure, &exit) {
		t.Fatalf("nutmeg %q: %v", args, failure)
	}
	if ctx.Err() != nil {
		t.Fatalf("nutmeg %q did not end; it printed:\n%s", args, err.String())
	}
	return out.String(), err.String(), cmd.ProcessState.ExitCode()
}

// writeFile makes a file in dir and returns its path.
func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// commandLineText is one of the texts that the command's own tests hold.
func commandLineText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../cmd/nutmeg/testdata", name+".golden"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const goodConf = "alpha:\n  listen: 127.0.0.1:22121\n  servers:\n  - 127.0.0.1:11211:1\n"

// Everything goes to stderr, as with twemproxy.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir, "good.yml", goodConf)
	usage, stats := commandLineText(t, "usage"), commandLineText(t, "describe-stats")
	_, version, _ := runNutmeg(t, dir, "-V")
	if want := "This is nutmeg-"; !strings.HasPrefix(version, want) || strings.Count(version, "\n") != 3 || !strings.HasSuffix(version, "\n\n") {
		t.Errorf("-V: got %q", version)
	}
	const ok = "nutmeg: configuration file 'good.yml' syntax is ok\n"
	for _, test := range []struct {
		args, want string
		exitCode   int
	}{
		{"-V", version, 0},
		{"--version", version, 0},
		{"--vers", version, 0},
		{"-h", version + usage, 0},
		{"-hV", version + usage, 0},
		{"--help", version + usage, 0},
		{"-D", version + stats, 0},
		{"-V -t -c none.yml", version, 0},
		{"-t -c good.yml", ok, 0},
		{"-tcgood.yml", ok, 0},
		{"--test-conf --conf-file=good.yml", ok, 0},
		{"-t -c good.yml -d", ok, 0},
		{"-t word -c good.yml", ok, 0},
		{"-v x", "nutmeg: option -v requires a number\n" + usage, 1},
		{"-h -v", "nutmeg: option -v requires a number\n" + usage, 1},
		{"-x", "nutmeg: invalid option -- 'x'\n" + usage, 1},
		{"--bogus", "nutmeg: invalid option -- 'bogus'\n" + usage, 1},
		{"-s 65536", "nutmeg: option -s value 65536 is not a valid port\n" + usage, 1},
		{"-m 511", "nutmeg: mbuf chunk size must be between 512 and 16777216 bytes\n" + usage, 1},
		{"-m 0", "nutmeg: option -m requires a non-zero number\n" + usage, 1},
		{"-c", "nutmeg: option -c requires a file name\n" + usage, 1},
	} {
		t.Run(test.args, func(t *testing.T) {
			stdout, stderr, exitCode := runNutmeg(t, dir, strings.Fields(test.args)...)
			if stdout != "" {
				t.Errorf("stdout: %q", stdout)
			}
			if stderr != test.want || exitCode != test.exitCode {
				t.Errorf("exit code %d, %q; want %d, %q", exitCode, stderr, test.exitCode, test.want)
			}
		})
	}
}

const badConf = `alpha:
  listen: 127.0.0.1:70000
  hash: fnv1a64
  servers:
  - 127.0.0.1:1
beta:
  listen: 127.0.0.1:1234
gamma:
  listen: 127.0.0.1:1234
  redis: True
  servers:
  - 127.0.0.1:1:0 a
`

// faultsOfBadConf are the faults of badConf in a file bad.yml.
const faultsOfBadConf = `bad.yml:2:11: alpha.listen: port "70000" is out of range; use 1 to 65535
bad.yml:3:9: alpha.hash: "fnv1a64" is not a hash function; did you mean "fnv1a_64"?
bad.yml:5:5: alpha.servers[0]: "127.0.0.1:1" has no weight; write "127.0.0.1:1:1"
bad.yml:6:1: beta: servers is missing; add a list of host:port:weight entries
`

func TestBadConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir, "bad.yml", badConf)
	t.Run("-t prints every fault", func(t *testing.T) {
		_, stderr, exitCode := runNutmeg(t, dir, "-t", "-c", "bad.yml")
		if exitCode != 1 || !strings.HasPrefix(stderr, faultsOfBadConf) ||
			!strings.Contains(stderr, "\nbad.yml:10:10: gamma.redis: ") || !strings.Contains(stderr, "\nbad.yml:12:5: gamma.servers[0]: ") ||
			!strings.HasSuffix(stderr, "\nnutmeg: configuration file 'bad.yml' syntax is invalid\n") {
			t.Errorf("exit code %d:\n%s", exitCode, stderr)
		}
	})
	t.Run("a start prints and logs every fault", func(t *testing.T) {
		_, stderr, exitCode := runNutmeg(t, dir, "-c", "bad.yml", "-o", "log", "-p", "pid")
		if exitCode != 1 || !strings.HasPrefix(stderr, "nutmeg: "+faultsOfBadConf) {
			t.Errorf("exit code %d:\n%s", exitCode, stderr)
		}
		log, err := os.ReadFile(filepath.Join(dir, "log"))
		if err != nil || !strings.Contains(string(log), "cannot start") || !strings.Contains(string(log), "bad.yml:3:9: alpha.hash") {
			t.Errorf("the log is %q, %v", log, err)
		}
		wantNoFile(t, filepath.Join(dir, "pid"))
	})
	t.Run("a file that is not there", func(t *testing.T) {
		_, stderr, exitCode := runNutmeg(t, dir, "-t", "-c", "none.yml")
		if exitCode != 1 || !strings.Contains(stderr, "none.yml: no such file or directory\n") ||
			!strings.HasSuffix(stderr, "nutmeg: configuration file 'none.yml' syntax is invalid\n") {
			t.Errorf("exit code %d:\n%s", exitCode, stderr)
		}
		if _, stderr, exitCode = runNutmeg(t, dir, "-c", "none.yml"); exitCode != 1 || !strings.Contains(stderr, "none.yml: no such file or directory\n") {
			t.Errorf("without -t: exit code %d:\n%s", exitCode, stderr)
		}
	})
}

func wantNoFile(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there (%v)", path, err)
	}
}

// What keeps the daemon from starting: it says why, leaves nothing behind and ends with 1.
func TestFailedStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	takenPort := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
	free := func() string { return strconv.Itoa(testkit.FreePort(t)) }
	conf := func(listen string) string { return strings.Replace(goodConf, "127.0.0.1:22121", listen, 1) }
	for _, test := range []struct {
		rule, conf string
		args       []string
		want       string
	}{
		{
			"a pool's port is taken", conf("127.0.0.1:" + takenPort),
			[]string{"-s", free()},
			"cannot listen on 127.0.0.1:" + takenPort + " (pool alpha): address already in use; stop the other process or change \"listen\"\n",
		},
		{
			"the second pool's port is taken", conf("DIR/sock") + strings.Replace(conf("127.0.0.1:"+takenPort), "alpha", "beta2", 1),
			[]string{"-s", free()},
			"cannot listen on 127.0.0.1:" + takenPort + " (pool beta2): address already in use; stop the other process or change \"listen\"\n",
		},
		{
			"the statistics port is taken", conf("127.0.0.1:" + free()),
			[]string{"-s", takenPort},
			"cannot listen on 127.0.0.1:" + takenPort + " (statistics): listen tcp 127.0.0.1:" + takenPort + ": bind: address already in use; choose another port with -s\n",
		},
		{
			"a file is where the unix socket should be", conf("DIR/nutmeg.yml"),
			[]string{"-s", free()},
			"cannot listen on DIR/nutmeg.yml (pool alpha): DIR/nutmeg.yml exists and is not a socket; stop the other process or change \"listen\"\n",
		},
		{
			"the folder of the unix socket is not there", conf("DIR/none/sock"),
			[]string{"-s", free()},
			"cannot listen on DIR/none/sock (pool alpha): no such file or directory; stop the other process or change \"listen\"\n",
		},
		{
			"the folder of the pid file is not there", conf("127.0.0.1:" + free()),
			[]string{"-s", free(), "-p", "none/pid"},
			"cannot write the pid file: open none/pid: no such file or directory\n",
		},
		{
			"the log file cannot be opened", conf("127.0.0.1:" + free()),
			[]string{"-s", free(), "-o", "none/log"},
			"opening log file 'none/log' failed: no such file or directory\n",
		},
	} {
		t.Run(test.rule, func(t *testing.T) {
			dir := shortDir(t)
			fill := func(text string) string { return strings.ReplaceAll(text, "DIR", dir) }
			path := writeFile(t, dir, "nutmeg.yml", fill(test.conf))
			args := append([]string{"-c", path, "-a", "127.0.0.1", "-o", "log", "-p", "pid"}, test.args...)
			_, stderr, exitCode := runNutmeg(t, dir, args...)
			if want := "nutmeg: " + fill(test.want); exitCode != 1 || stderr != want {
				t.Errorf("exit code %d, %q; want 1, %q", exitCode, stderr, want)
			}
			wantNoFile(t, filepath.Join(dir, "pid"))
			wantNoFile(t, filepath.Join(dir, "sock"))
			if text, err := os.ReadFile(path); err != nil || string(text) != fill(test.conf) {
				t.Errorf("the configuration file is now %q, %v", text, err)
			}
			if _, _, again := runNutmeg(t, dir, append([]string{"-d"}, args...)...); again != 1 {
				t.Errorf("with -d: exit code %d, want 1", again)
			}
		})
	}
}

// The default configuration file is nutmeg's own, or else twemproxy's.
func TestDefaultConfFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "conf"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"nutcracker.yml", "nutmeg.yml"} {
		writeFile(t, dir, filepath.Join("conf", name), goodConf)
		_, stderr, exitCode := runNutmeg(t, dir, "-t")
		if want := fmt.Sprintf("nutmeg: configuration file 'conf/%s' syntax is ok\n", name); stderr != want || exitCode != 0 {
			t.Errorf("exit code %d, %q; want 0, %q", exitCode, stderr, want)
		}
	}
}
