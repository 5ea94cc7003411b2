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
			conn := p.servers[0].open(0)
			conn.conn.Close()
			conn.Closed(tt.errno)
			if ejected := p.stats.ServerEjects == 1; ejected != tt.eject {
				t.Errorf("ejected: %v, want %v", ejected, tt.eject)
			}
		})
	}
}
