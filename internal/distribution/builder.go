package distribution

import (
	"slices"
	"sync"
)

// Builder builds distributions of one kind over changing parts of the same
// servers. It is safe for concurrent use.
//
// It is a Distribution over all servers itself, one that is built when it is
// first needed.
type Builder struct {
	kind    string
	servers []Server
	all     []member
	once    sync.Once
	whole   Distribution // once built
}

// NewBuilder returns a builder over servers, of which all are live at first. It
// keeps the slice and builds nothing yet. Errors are New's.
func NewBuilder(kind string, servers []Server) (*Builder, error) {
	all, err := choose(servers, nil)
	if err != nil {
		return nil, err
	}
	if _, err := makerOf(kind); err != nil {
		return nil, err
	}
	return &Builder{kind: kind, servers: servers, all: all}, nil
}

// Same reports whether what b builds is what o does.
func (b *Builder) Same(o *Builder) bool {
	return b == o || b.kind == o.kind && slices.Equal(b.servers, o.servers)
}

// Whole returns the distribution over all servers. The first call builds it;
// others wait for that.
func (b *Builder) Whole() Distribution {
	b.once.Do(func() {
		build, err := makerOf(b.kind)
		if err != nil {
			panic("BUG: a kind that NewBuilder accepted: " + err.Error())
		}
		b.whole = build(b.all)
	})
	return b.whole
}

// Locate is Whole's.
func (b *Builder) Locate(hash uint32) int { return b.Whole().Locate(hash) }

// Build returns what New does for the servers that are live, for ketama in a
// fraction of the time; nil means that all are. The slice is not kept. An error
// says that live has the wrong length or that no server is live.
func (b *Builder) Build(live []bool) (Distribution, error) {
	if live == nil {
		return b.Whole(), nil
	}
	members, err := choose(b.servers, live)
	if err != nil {
		return nil, err
	}
	if whole, ok := b.Whole().(*ketama); ok {
		return partOf(whole, b.all, members), nil
	}
	return New(b.kind, b.servers, live)
}
