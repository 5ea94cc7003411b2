package proxy

import (
	"log/slog"
	"time"

	"nutmeg/internal/stats"
)

// What a limit does comes in this order: first nothing more is read (stall), then requests are refused, and at last a
// client is closed. Limits are read through the pool each time, because a reload changes them.

// limit is a bound of the configuration, by what happens when it is reached.
type limit uint8

const (
	limitClientStall limit = iota
	limitServerStall
	limitServerRefuse
	limitConnections
	limitDescriptors
	limitRequestKeys
	limitRequestSize
	limitRequestTime
	limitIdle
	limitOverflow
	limitMemoryRefuse
	limitMemoryClose
	eventTorn // no limit, and counted and logged likewise
	numLimits
)

// limitEvents says how each limit is logged and counted. Those of servers are counted with the server.
var limitEvents = [numLimits]struct {
	level   slog.Level
	message string
	counter func(*stats.Pool) *int64
}{
	limitClientStall: {
		slog.LevelInfo, "client is not read from for now: client_buffer or client_requests is reached",
		func(p *stats.Pool) *int64 { return &p.ClientStalls },
	},
	limitServerStall: {slog.LevelInfo, "client is not read from for now: server_buffer or server_requests is reached", nil},
	limitServerRefuse: {
		slog.LevelWarn, "request refused: twice server_buffer or server_requests is reached", nil,
	},
	limitConnections: {
		slog.LevelWarn, "client refused: client_connections is reached",
		func(p *stats.Pool) *int64 { return &p.ClientRefused },
	},
	limitDescriptors: {
		slog.LevelWarn, "cannot accept clients for a moment; raise the limit of open files (ulimit -n)",
		func(p *stats.Pool) *int64 { return &p.AcceptFailed },
	},
	limitRequestKeys: {
		slog.LevelWarn, "request refused: it has more keys than request_keys",
		func(p *stats.Pool) *int64 { return &p.RequestExcessKeys },
	},
	limitRequestSize: {
		slog.LevelWarn, "request refused: it is larger than request_size",
		func(p *stats.Pool) *int64 { return &p.RequestTooLarge },
	},
	limitRequestTime: {
		slog.LevelWarn, "client closed: its request did not come whole within request_timeout",
		func(p *stats.Pool) *int64 { return &p.RequestTimedOut },
	},
	limitIdle: {
		slog.LevelInfo, "client closed: idle for client_idle_timeout",
		func(p *stats.Pool) *int64 { return &p.ClientIdle },
	},
	limitOverflow: {
		slog.LevelWarn, "client closed: responses of more than client_buffer_limit wait for it",
		func(p *stats.Pool) *int64 { return &p.ClientOverflow },
	},
	limitMemoryRefuse: {
		slog.LevelWarn, "request refused: max_memory is reached",
		func(p *stats.Pool) *int64 { return &p.MemoryRefused },
	},
	limitMemoryClose: {
		slog.LevelWarn, "client closed: max_memory is reached, and it holds the most",
		func(p *stats.Pool) *int64 { return &p.MemoryClosed },
	},
	eventTorn: {
		slog.LevelWarn, "client closed: its server failed in the middle of a response that the client was being sent",
		func(p *stats.Pool) *int64 { return &p.ClientTorn },
	},
}

// limitLogInterval is how often each kind of event is logged at most, by one worker, over all its pools.
const limitLogInterval = int64(time.Second)

// quiet lets one event in each interval be logged.
type quiet struct {
	loggedAt   int64 // 0 = never
	suppressed int   // events since then that were not
}

// pass reports whether an event at a time is to be logged, and how many before it were not.
func (q *quiet) pass(now int64) (suppressed int, ok bool) {
	if q.loggedAt != 0 && now-q.loggedAt < limitLogInterval {
		q.suppressed++
		return 0, false
	}
	suppressed = q.suppressed
	*q = quiet{loggedAt: now}
	return suppressed, true
}

// reached counts and logs that a limit of the pool was reached. Who is asked for a client or a server only if it is
// logged; detail is more to log, in pairs.
func (p *workerPool) reached(l limit, who func() string, detail ...any) {
	event := &limitEvents[l]
	if event.counter != nil {
		*event.counter(p.stats)++
	}
	w := p.worker
	if !w.log.Enabled(w.context, event.level) {
		return
	}
	suppressed, ok := w.quiet[l].pass(w.loop.Now())
	if !ok {
		return
	}
	args := append([]any{"pool", p.name()}, detail...)
	if who != nil {
		args = append(args, "client", who())
	}
	if suppressed > 0 {
		args = append(args, "more_since_last", suppressed)
	}
	w.log.Log(w.context, event.level, event.message, args...)
}

// hit is reached for a limit of a client.
func (c *client) hit(l limit, detail ...any) { c.pool.reached(l, c.conn.Peer, detail...) }

// mark is how many bytes may be held for the client before it is not read from any more.
func (c *client) mark() int { return min(c.pool.conf.Limits.ClientBuffer, c.worker.heldMark) }

// full reports whether nothing more may be taken from the client for now.
func (c *client) full() bool {
	return c.held+c.conn.Unsent() > c.mark() || int(c.requests) >= c.pool.conf.Limits.ClientRequests || c.bound()
}

// drained reports whether enough is gone of what made the client full.
func (c *client) drained() bool {
	return c.held+c.conn.Unsent() <= c.mark()/2 && int(c.requests) <= c.pool.conf.Limits.ClientRequests/2 && !c.bound()
}

// bound reports whether the client has to wait whatever it holds: for room on a server connection, or for its turn.
func (c *client) bound() bool { return c.crowded() || c.waitsInTurn() }

// waitsInTurn reports whether the client's next request would overtake one that is in flight, or one that is held.
func (c *client) waitsInTurn() bool { return c.holding || c.alone && c.requests > 0 }

// collect counts n more bytes of r's response that wait in the proxy for a client; of a fragment, for its parent's.
func (r *request) collect(n int) {
	if r.parent != nil {
		r = r.parent
	}
	c := r.client
	if c == nil {
		return // an errand's
	}
	r.collected += n
	c.held += n
	c.collected += n
	c.checkOverflow()
}

// dropResponse forgets what has come of a response that will not become whole.
func (w *worker) dropResponse(r *request) {
	if n := r.response.Len(); n > 0 && r.wanted() {
		r.collect(-n)
	}
	r.response.Reset(&w.loop.Chunks)
}

// checkOverflow closes the client, at the end of the batch, if responses of more than its limit wait for it. Its largest
// response does not count: whoever asks for a value that large must be able to get it.
func (c *client) checkOverflow() {
	limit := c.pool.conf.Limits.ClientBufferLimit
	waiting := c.collected + c.conn.Unsent()
	if limit == 0 || waiting <= limit || c.overflowed || waiting-c.largestResponse() <= limit {
		return
	}
	c.overflowed = true
	c.hit(limitOverflow)
	c.callBack()
}

// largestResponse is the size of the largest response that waits for the client, or what is left of it in the output.
func (c *client) largestResponse() int {
	largest := c.largestUnsent()
	for r := c.queue.oldest; r != nil; r = r.next {
		largest = max(largest, r.collected)
	}
	return largest
}

// largeBytes is from which size a response is remembered as large. Not to count smaller ones makes no difference that matters.
const largeBytes = 16 << 10

func (c *client) largestUnsent() int {
	if c.burden == nil {
		return 0
	}
	if written := c.conn.Written(); c.burden.largeEnd > written {
		return int(min(uint64(c.burden.largeSize), c.burden.largeEnd-written))
	}
	return 0
}

// sendResponse moves a response that was collected to the output.
func (c *client) sendResponse(r *request) {
	n := r.response.Len()
	c.conn.SendBuffer(&r.response)
	c.noteLarge(n)
}

// noteLarge remembers the n bytes at the end of the output, which are of one response, if that is the largest there.
func (c *client) noteLarge(n int) {
	if n >= largeBytes && n > c.largestUnsent() {
		at := c.needBurden()
		at.largeSize, at.largeEnd = n, c.conn.Written()+uint64(c.conn.Unsent())
	}
}
