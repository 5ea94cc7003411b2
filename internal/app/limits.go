package app

import (
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"

	"nutmeg/internal/config"
)

// processLimits is what bounds the process as a whole. 0 means no limit.
type processLimits struct {
	clients int
	memory  int64 // bytes
}

// limitsOf returns the limits of a configuration, with defaults that follow from what the machine gives the process.
// Root is the machine's file system.
func limitsOf(conf *config.Config, workers int, root fs.FS) processLimits {
	l := processLimits{clients: conf.Global.ClientConnections, memory: conf.Global.MaxMemory}
	if l.memory == 0 {
		l.memory = usableMemory(root) / 2
	}
	if l.clients == 0 {
		l.clients = clientsFor(openFiles(), descriptorsWithoutClients(conf, workers))
	}
	return l
}

// withLimits is a configuration with the limits of the process filled in.
func withLimits(conf *config.Config, workers int, log *slog.Logger) *config.Config {
	limits := limitsOf(conf, workers, os.DirFS("/"))
	limits.log(log)
	filled := *conf
	filled.Global.ClientConnections, filled.Global.MaxMemory = limits.clients, limits.memory
	return &filled
}

func (l processLimits) log(log *slog.Logger) {
	log.Info("limits of the process", "client_connections", l.clients, "max_memory", l.memory)
}

// reservedFiles is for the statistics port, the log and the runtime.
const reservedFiles = 80

// filesPerWorker is what an event loop has open besides connections.
const filesPerWorker = 3

// descriptorsWithoutClients is how many descriptors the process needs when all server connections are open. Beside those
// that are configured, a server has one for large requests.
func descriptorsWithoutClients(conf *config.Config, workers int) int {
	n := reservedFiles + filesPerWorker*workers + len(conf.Pools)
	for i := range conf.Pools {
		p := &conf.Pools[i]
		n += workers * len(p.Servers) * (p.ServerConnections + 1)
	}
	return n
}

// clientsFor is how many clients a limit of open files leaves room for; 0 if there is no such limit. It is never less
// than a quarter: server connections are opened only when they are needed, and many may never be.
func clientsFor(files uint64, others int) int {
	if files > math.MaxInt32 {
		return 0
	}
	return max(int(files)-others, int(files)/4, 1)
}

// openFiles is the limit of open files of the process, which the runtime has raised as far as it may.
func openFiles() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return math.MaxUint64
	}
	return uint64(limit.Cur) //nolint:unconvert,nolintlint // signed on some systems
}

// usableMemory is how many bytes of memory the process may use: what its control groups allow, and no more than the
// machine has. It is 0 if that cannot be found out.
func usableMemory(root fs.FS) int64 {
	least := int64(math.MaxInt64)
	for _, n := range append(groupLimits(root), physicalMemory(root)) {
		if n > 0 {
			least = min(least, n)
		}
	}
	if least == math.MaxInt64 {
		return 0
	}
	return least
}

// physicalMemory reads "MemTotal: n kB".
func physicalMemory(root fs.FS) int64 {
	for line := range strings.Lines(readFile(root, "proc/meminfo")) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "MemTotal:" {
			return parseBytes(fields[1]) * 1024
		}
	}
	return 0
}

// groupLimits are the limits of the process's control group and of all groups above it. Within a container the group's
// path may be that on the host; the root of the hierarchy is then the container's own group.
func groupLimits(root fs.FS) (limits []int64) {
	for line := range strings.Lines(readFile(root, "proc/self/cgroup")) {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		dir, file := "sys/fs/cgroup", "memory.max"
		switch {
		case id == "0" && controllers == "": // version 2
		case hasWord(controllers, "memory"):
			dir, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for at := path.Clean("/" + group); ; at = path.Dir(at) {
			limits = append(limits, parseBytes(readFile(root, path.Join(dir, at, file))))
			if at == "/" {
				break
			}
		}
	}
	return limits
}

func hasWord(list, word string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if one == word {
			return true
		}
	}
	return false
}

// parseBytes reads a number; anything else, such as "max", is 0.
func parseBytes(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// readFile is a file's text, or nothing: where a file is missing there is no limit of its kind.
func readFile(root fs.FS, name string) string {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}
	return string(text)
}
