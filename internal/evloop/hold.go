package evloop

import "time"

// A client that pipelines gets the responses to what it sent from several servers, and so in pieces. To write the pieces one by one
// costs much of what pipelining saves, on both sides. So a handler says when more output is to come soon, and what there is waits
// for that a little.
//
// It is written when more has come and nothing is awaited any more, when it is no longer small, and before the loop would sleep: a
// loop that has nothing else to do looks a few times whether the rest is there, which takes about a microsecond. One that always has
// something to do writes it after holdTime.

const (
	// holdBytes is the size from which output is not held: one write of so much is cheap enough.
	holdBytes = 16 << 10
	// holdTime is for how long a busy loop holds output. Where processors are scarce, a server with the rest may wait that long for its turn.
	holdTime = int64(2 * time.Millisecond)
	// holdLooks is how many waits in a row must find nothing for what is held to be written.
	holdLooks = 4
)

// holding is the outputs that wait for more.
type holding struct {
	list  dirtyList
	begun bool  // something has been held since all was written last
	since int64 // when that began
	looks int   // how many waits since then have found nothing, in a row
	over  bool  // nothing is held in this batch
}

// MoreToCome says whether more output is to come soon. What there is of an accepted connection may wait for it, a few milliseconds at most.
func (c *Conn) MoreToCome(soon bool) { c.set(flagMore, soon) }

// Holding reports whether output waits for more to come. Who drives the loop by Step(false) goes on with that until none does.
func (l *Loop) Holding() bool { return l.holding.list.first != nil }

// reconsider puts what was held in front of the outputs to write in this batch, for which found events were there.
func (h *holding) reconsider(found int, now int64, accepted *dirtyList) {
	h.over = false
	if h.list.first == nil {
		h.begun = false
		return
	}
	if h.looks++; found > 0 {
		h.looks = 0
	}
	if h.looks >= holdLooks || now-h.since > holdTime {
		h.over, h.begun = true, false
	}
	h.list.last.nextDirty = accepted.first
	if accepted.first != nil {
		h.list.last = accepted.last
	}
	*accepted = h.list
	h.list = dirtyList{}
}

// hold makes the connection's output wait for the next batch, if more is to come.
func (h *holding) hold(c *Conn, now int64) bool {
	switch {
	case c.flags&(flagMore|flagBlocked|flagClosed) != flagMore, c.out.Len() >= holdBytes, h.over, c.loop.stopped:
		return false
	}
	if !h.begun {
		h.begun, h.since, h.looks = true, now, 0
	}
	h.list.push(c)
	return true
}
