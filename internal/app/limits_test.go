package app

import (
	"math"
	"os"
	"testing"
	"testing/fstest"

	"nutmeg/internal/config"
)

func TestUsableMemory(t *testing.T) {
	const meminfo = "MemTotal:        8000 kB\nMemFree:         100 kB\n"
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"nothing is known", nil, 0},
		{"the machine's memory", map[string]string{"proc/meminfo": meminfo}, 8000 * 1024},
		{"a group of version 2", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "1000000\n",
		}, 1000000},
		{"a group above is tighter", map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "1000000\n", "sys/fs/cgroup/a/memory.max": "400000\n",
		}, 400000},
		{"a group without a limit", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n",
		}, 8000 * 1024},
		{"the path is the host's", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/docker/abc\n", "sys/fs/cgroup/memory.max": "3000000\n",
		}, 3000000},
		{"a group of version 1", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "3:cpu,cpuacct:/x\n2:memory:/x\n",
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes": "5000000\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 5000000},
		{"version 1 without a limit", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "2:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 8000 * 1024},
		{"rubbish", map[string]string{"proc/meminfo": "MemTotal: many kB\n", "proc/self/cgroup": "::\n\n0\n"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := fstest.MapFS{}
			for name, text := range tt.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			if got := usableMemory(root); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
			if got := limitsOf(&config.Config{}, 1, root).memory; got != tt.want/2 {
				t.Errorf("the default of max_memory is %d, want half of %d", got, tt.want)
			}
		})
	}
}

func TestConfiguredLimitsStay(t *testing.T) {
	conf := &config.Config{Global: config.Global{ClientConnections: 7, MaxMemory: 1 << 40}}
	if got, want := limitsOf(conf, 1, os.DirFS("/")), (processLimits{clients: 7, memory: 1 << 40}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestClientsFor(t *testing.T) {
	conf := &config.Config{Pools: []config.Pool{
		{Servers: make([]config.Server, 3), ServerConnections: 1},
		{Servers: make([]config.Server, 2), ServerConnections: 4},
	}}
	// 3 servers with 1+1 connections and 2 with 4+1, for each of 2 workers; 2 listeners; 3 for each worker.
	if got, want := descriptorsWithoutClients(conf, 2), 80+2*(3*2+2*5)+2+2*3; got != want {
		t.Errorf("%d descriptors without clients, want %d", got, want)
	}
	for _, tt := range []struct {
		name   string
		files  uint64
		others int
		want   int
	}{
		{"what is left", 1024, 120, 904},
		{"a quarter at least", 1024, 5000, 256},
		{"one at least", 2, 80, 1},
		{"no limit", math.MaxUint64, 120, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := clientsFor(tt.files, tt.others); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}
