package proxy

import (
	"testing"
	"unsafe"
)

// TestClientsAreSmall: there may be a million of them, and most have no session.
func TestClientsAreSmall(t *testing.T) {
	if size := unsafe.Sizeof(client{}); size > 224 {
		t.Errorf("a client takes %d bytes besides its session, 240 are allowed", size)
	}
}
