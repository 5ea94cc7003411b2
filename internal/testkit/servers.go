package testkit

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// startTries is how often a server may find that somebody else has just taken
// the port it was given.
const startTries = 5

// StartRedis starts a redis-server on a free port that keeps nothing on disk.
// The args are added to its command line. The caller must Close it.
func StartRedis(args ...string) (*Process, error) {
	return startServer("redis-server", "redis-server", func(_ string, port int) command {
		return command{
			args:      redisArgs(args, "--port", strconv.Itoa(port), "--bind", "127.0.0.1"),
			listening: []endpoint{loopback(port)},
		}
	})
}

// StartRedisUnix is StartRedis on a unix socket only.
func StartRedisUnix(args ...string) (*Process, error) {
	return startServer("redis-server", "redis-server", func(dir string, _ int) command {
		path := filepath.Join(dir, "redis.sock")
		return command{
			args:      redisArgs(args, "--port", "0", "--unixsocket", path),
			listening: []endpoint{{"unix", path}},
		}
	})
}

func redisArgs(extra []string, args ...string) []string {
	args = append(args, "--save", "", "--appendonly", "no", "--daemonize", "no")
	return append(args, extra...)
}

// StartMemcached starts a memcached on a free port, without UDP. The args are
// added to its command line. The caller must Close it.
func StartMemcached(args ...string) (*Process, error) {
	return startServer("memcached", "memcached", func(_ string, port int) command {
		return command{
			args:      memcachedArgs(args, "-l", "127.0.0.1", "-p", strconv.Itoa(port), "-U", "0"),
			listening: []endpoint{loopback(port)},
		}
	})
}

// StartMemcachedUnix is StartMemcached on a unix socket only.
func StartMemcachedUnix(args ...string) (*Process, error) {
	return startServer("memcached", "memcached", func(dir string, _ int) command {
		path := filepath.Join(dir, "memcached.sock")
		return command{
			args:      memcachedArgs(args, "-s", path),
			listening: []endpoint{{"unix", path}},
		}
	})
}

// memcachedArgs adds what memcached needs when root starts it: a user to be.
func memcachedArgs(extra []string, args ...string) []string {
	if os.Geteuid() == 0 {
		args = append(args, "-u", "root")
	}
	return append(args, extra...)
}

// StartProxy starts nutcracker, or a program with nutcracker's command line,
// with a configuration file that holds conf, and waits until all the addresses
// after "listen:" in it accept connections. The ports in it are the caller's to
// reserve (ReservePort, FreePort); the stats port is picked here. The args are
// added to the command line. The caller must Close it.
func StartProxy(binary, conf string, args ...string) (*Process, error) {
	listening := listenAddresses(conf)
	if len(listening) == 0 {
		return nil, errors.New("cannot start a proxy whose configuration has no \"listen:\" line")
	}
	return startServer(binary, "nutcracker", func(dir string, port int) command {
		file := filepath.Join(dir, "proxy.yml")
		stats := loopback(port)
		own := []string{
			"-c", file, "-o", filepath.Join(dir, "log"), "-p", filepath.Join(dir, "pid"),
			"-s", strconv.Itoa(port), "-a", "127.0.0.1",
		}
		return command{args: append(own, args...), listening: listening, stats: stats.address}
	}, file{"proxy.yml", conf})
}

// StartCommand starts any program in a folder of its own, where it finds the
// files (name to content), and waits until all the given TCP addresses accept
// connections. The program must stay in the foreground. The caller must Close it.
func StartCommand(binary string, args, listening []string, files map[string]string) (*Process, error) {
	if len(listening) == 0 {
		return nil, fmt.Errorf("cannot wait for %s without an address that it listens on", binary)
	}
	var ends []endpoint
	for _, addr := range listening {
		ends = append(ends, endpoint{"tcp", addr})
	}
	var all []file
	for name, content := range files {
		all = append(all, file{name, content})
	}
	return startServer(binary, binary, func(string, int) command { return command{args: args, listening: ends} }, all...)
}

// file is something a server finds in its folder when it starts.
type file struct{ name, content string }

// startServer looks for the binary and starts it with what describe says. It
// takes another port and tries again when somebody else was faster.
func startServer(binary, debianPackage string, describe func(dir string, port int) command, files ...file) (*Process, error) {
	path, err := find(binary, debianPackage)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		p, err := prepare(path, describe, files)
		if err != nil {
			return nil, err
		}
		if err = p.start(); err == nil {
			err = p.waitReady()
		}
		if err == nil {
			return p, nil
		}
		taken := errors.Is(err, errExited) && strings.Contains(strings.ToLower(p.Log()), "in use")
		p.Close()
		if !taken || try == startTries {
			return nil, err
		}
	}
}

// prepare makes everything but the process itself.
func prepare(path string, describe func(dir string, port int) command, files []file) (*Process, error) {
	// Not under a test's own folder: its name may be too long for a unix socket.
	dir, err := os.MkdirTemp("", "nutmeg-")
	if err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", path, err)
	}
	p := &Process{dir: dir}
	port, release, err := ReservePort()
	if err != nil {
		p.Close()
		return nil, err
	}
	p.ports = append(p.ports, release)
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.name), []byte(f.content), 0o600); err != nil {
			p.Close()
			return nil, fmt.Errorf("cannot start %s: %w", path, err)
		}
	}
	p.command = describe(dir, port)
	p.command.binary = path
	return p, nil
}

// find returns the path of a binary. Debian puts some daemons where a user's
// PATH does not look.
func find(binary, debianPackage string) (string, error) {
	if path, err := exec.LookPath(binary); err == nil {
		return filepath.Abs(path)
	}
	if !strings.ContainsRune(binary, filepath.Separator) {
		for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
			if path, err := exec.LookPath(filepath.Join(dir, binary)); err == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("%s is not installed; install it with \"apt-get install %s\" or run scripts/install-test-tools.sh", binary, debianPackage)
}

func loopback(port int) endpoint {
	return endpoint{"tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
}

var listenLine = regexp.MustCompile(`(?m)^[ \t]*listen:[ \t]*["']?([^\s"'#]+)`)

// listenAddresses finds what the pools of a proxy's configuration listen on.
// It is no YAML parser, and need not be one for configurations in tests.
func listenAddresses(conf string) []endpoint {
	var all []endpoint
	for _, m := range listenLine.FindAllStringSubmatch(conf, -1) {
		if strings.HasPrefix(m[1], "/") {
			all = append(all, endpoint{"unix", m[1]})
		} else {
			all = append(all, endpoint{"tcp", m[1]})
		}
	}
	return all
}
