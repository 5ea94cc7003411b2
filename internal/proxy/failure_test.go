package proxy

import (
	"syscall"
	"testing"
)

// TestLackOfTheProxyEjectsNobody: who takes all descriptors of the proxy must not thereby take the servers from everybody.
func TestLackOfTheProxyEjectsNobody(t *testing.T) {
	tests := []struct {
		errno syscall.Errno
		eject bool
	}{
		{syscall.EMFILE, false},
		{syscall.ENFILE, false},
		{syscall.EADDRNOTAVAIL, false},
		{syscall.ECONNRESET, true},
		{syscall.ECONNREFUSED, true},
	}
	for _, tt := range tests {
		t.Run(tt.errno.Error(), func(t *testing.T) {
			a := newArena(t, 1, redisLanguage{}, 2, 1, "  auto_eject_hosts: true\n  server_failure_limit: 1\n")
			p := a.proxy.workers[0].pools[0]
			conn := p.servers[0].open(&p.servers[0].lane, 0, nil)
			conn.conn.Close()
			conn.Closed(tt.errno)
			if ejected := p.stats.ServerEjects == 1; ejected != tt.eject {
				t.Errorf("ejected: %v, want %v", ejected, tt.eject)
			}
		})
	}
}

// TestAilments: only errors that say something about the server, not about the request, count against it.
func TestAilments(t *testing.T) {
	tests := []struct{ response, want string }{
		{"+OK\r\n", ""},
		{"$3\r\nOOM\r\n", ""},
		{"-ERR wrong number of arguments\r\n", ""},
		{"-OOMPH\r\n", ""},
		{"-OOM command not allowed when used memory > 'maxmemory'.\r\n", "OOM"},
		{"-LOADING Redis is loading the dataset in memory\r\n", "LOADING"},
		{"-BUSY\r\n", "BUSY"},
		{"-ERR max number of clients reached\r\n", full},
		{"-ERR max\r\n", ""},
	}
	for _, tt := range tests {
		if got := ailment([]byte(tt.response)); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.response, got, tt.want)
		}
	}
}
