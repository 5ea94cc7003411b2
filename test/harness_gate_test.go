package test

import (
	"io"
	"sync"
	"testing"
)

// gate is a server's script that answers at once, but for GET of the key "held": that waits for the gate to open.
type gate struct {
	open chan struct{}
	once sync.Once
}

func newGate(t testing.TB) *gate {
	g := &gate{open: make(chan struct{})}
	t.Cleanup(g.lift)
	return g
}

func (g *gate) lift() { g.once.Do(func() { close(g.open) }) }

func (g *gate) serve(c *scriptedConn) {
	for words := c.request(); words != nil; words = c.request() {
		if words[len(words)-1] == "held" {
			<-g.open
		}
		if _, err := io.WriteString(c, bulk(words[len(words)-1])); err != nil {
			return
		}
	}
}
