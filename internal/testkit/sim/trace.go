package sim

import (
	"fmt"
	"strings"
	"time"
)

// traceLength is how many of the last events are kept.
const traceLength = 200

// trace keeps the last events as numbers; text is made of them only when somebody asks.
type trace struct {
	entries [traceLength]traceEntry
	count   uint64
	digest  uint64
}

type traceEntry struct {
	at     int64
	what   string
	link   uint32 // 0: no connection
	toward uint8  // the end that it happened to
	amount int
}

// record adds an event of a connection. what is a constant.
func (w *World) record(what string, link uint32, side uint8, amount int) {
	t := &w.trace
	t.entries[t.count%traceLength] = traceEntry{w.now, what, link, side, amount}
	t.count++
	d := t.digest
	for _, v := range [...]uint64{uint64(w.now), uint64(link)<<1 | uint64(side), uint64(amount), uint64(len(what))<<8 | uint64(what[0])} {
		d = (d ^ v) * 0x9e3779b97f4a7c15
		d ^= d >> 29
	}
	t.digest = d
}

// Note adds a line of the test's own to the trace.
func (w *World) Note(what string) { w.record("note: "+what, 0, 0, 0) }

// Digest is a hash of everything that has happened so far: equal for two runs that went the same way.
func (w *World) Digest() uint64 { return w.trace.digest }

// Trace is the last events, one a line: the time, the connection and who of it (> the one that dialed, < the other), what
// happened, and how many bytes.
func (w *World) Trace() string {
	var b strings.Builder
	t := &w.trace
	for i := t.count - min(t.count, traceLength); i < t.count; i++ {
		e := &t.entries[i%traceLength]
		fmt.Fprintf(&b, "%14v", time.Duration(e.at))
		if e.link != 0 {
			fmt.Fprintf(&b, "  %4d%c", e.link, "><"[e.toward])
		}
		fmt.Fprintf(&b, "  %s", e.what)
		if e.amount != 0 {
			fmt.Fprintf(&b, " %d", e.amount)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
