package proxy

import (
	"strconv"

	"nutmeg/internal/command"
)

// MONITOR shows a client the requests of all clients of its pool. Each worker writes down those of its own while there is anybody to
// see them, and passes on at the end of a batch what it has written.

// tape is what a worker has written down for the monitors of a pool in a batch.
type tape struct {
	text   []byte
	lines  int
	missed []int // by worker: lines that its monitors were not shown, and have not been told of
}

const (
	// longestLine is how much of a request is shown. Arguments may be half a gigabyte.
	longestLine = 64 << 10
	// fullTape is how much is written down before it is passed on, also amid a batch.
	fullTape = 1 << 20
	// mostTapes bounds what is on its way to a worker: one that does not keep up misses some.
	mostTapes = 16 << 20
	// mostUnseen closes a monitor that does not read, where the configuration has no limit for what waits for a client.
	mostUnseen = 64 << 20
)

// monitor makes the client see the requests of all. It is answered when all workers write down, so none is missed from then on.
func (p *redisProtocol) monitor(c *client, m *message) {
	s := c.needSession()
	switch {
	case s.monitoring:
		c.spendSkip() // Redis gives no answer either
		return
	case c.requests > 0:
		c.hold(m) // so that what is shown comes behind the answer
		return
	}
	s.monitoring = true
	index := c.worker.index
	c.inquire(func(pool *workerPool, answer func(found)) {
		pool.changeAudience(index, 1)
		answer(found{})
	}, func([]found) []byte {
		if !c.gone {
			c.pool.monitors = append(c.pool.monitors, c)
		}
		return okText
	})
}

// endMonitor takes the client out of those who are shown requests.
func (c *client) endMonitor() {
	if !c.session.monitoring {
		return
	}
	c.session.monitoring = false
	p, of, index := c.pool, c.pool.census, c.worker.index
	for i, other := range p.monitors {
		if other == c {
			p.monitors = append(p.monitors[:i], p.monitors[i+1:]...)
			break
		}
	}
	p.changeAudience(index, -1)
	for _, w := range c.worker.proxy.workers {
		if w != c.worker {
			w.loop.Post(func() {
				if p := w.poolOf[of]; p != nil {
					p.changeAudience(index, -1)
				}
			})
		}
	}
}

// monitors reports whether the client is shown requests.
func (c *client) monitors() bool { return c.session != nil && c.session.monitoring }

// changeAudience counts the pool's monitors on a worker.
func (p *workerPool) changeAudience(worker, n int) {
	if p.audience == nil {
		p.audience = make([]int, len(p.worker.proxy.workers))
		p.tape.missed = make([]int, len(p.audience))
	}
	p.audience[worker] += n
	for _, n := range p.audience {
		if n > 0 {
			return
		}
	}
	p.audience, p.tape = nil, tape{}
}

// show writes down a request.
func (p *redisProtocol) show(c *client, m *message, cmd *command.Command) {
	s := c.session
	switch {
	case cmd.Flags.Has(command.Admin):
		return // not for everybody's eyes: passwords, among others
	case s != nil && m.rope == &s.held.rope:
		return // it was shown when it came
	case s != nil && s.monitoring && replicaMustNot(cmd):
		return // it is not executed
	}
	pool := c.pool
	t := &pool.tape
	if t.lines == 0 {
		c.worker.taped = append(c.worker.taped, pool)
	}
	t.lines++
	address := c.address()
	if path := pool.conf.Listen.Address.Path; path != "" {
		address = "unix:" + path
	}
	t.text = appendMoment(t.text, c.worker.timeOfDay(), c.identityKey().database, address)
	t.text = appendShown(t.text, m, secretsOf(m, cmd))
	if len(t.text) >= fullTape {
		pool.play()
	}
}

// timeOfDay is that of the batch.
func (w *worker) timeOfDay() (microseconds int64) {
	if w.wallOf != w.loop.Now() {
		w.wall, w.wallOf = w.loop.Outside().Wall().UnixMicro(), w.loop.Now()
	}
	return w.wall
}

// appendMoment begins a line.
func appendMoment(dst []byte, microseconds int64, database int, address string) []byte {
	const second = 1_000_000
	dst = strconv.AppendInt(append(dst, '+'), microseconds/second, 10)
	fraction := strconv.AppendInt(nil, second+microseconds%second, 10)
	dst = append(append(dst, '.'), fraction[1:]...)
	dst = strconv.AppendInt(append(dst, " ["...), int64(database), 10)
	return append(append(append(dst, ' '), address...), ']')
}

// appendShown appends the arguments, and ends the line. Those that secret says are not shown.
func appendShown(dst []byte, m *message, secret func(i int) bool) []byte {
	room := longestLine
	for i := range m.Len() {
		if room <= 0 {
			dst = strconv.AppendInt(append(dst, " ...("...), int64(m.Len()-i), 10)
			dst = append(dst, " more arguments)"...)
			break
		}
		if secret(i) {
			dst = append(dst, ` "(redacted)"`...)
			continue
		}
		span := m.args[i]
		shown := min(span.Len(), room)
		room -= shown + 1
		dst = appendQuoted(append(dst, ' '), m.bytes(span.Start, span.Start+uint32(shown)))
		if rest := span.Len() - shown; rest > 0 {
			dst = strconv.AppendInt(append(dst, "...("...), int64(rest), 10)
			dst = append(dst, " more bytes)"...)
		}
	}
	return append(dst, "\r\n"...)
}

// appendQuoted appends a string as Redis shows it to people.
func appendQuoted(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, b := range text {
		switch {
		case b == '\\' || b == '"':
			dst = append(dst, '\\', b)
		case b == '\n':
			dst = append(dst, `\n`...)
		case b == '\r':
			dst = append(dst, `\r`...)
		case b == '\t':
			dst = append(dst, `\t`...)
		case b == '\a':
			dst = append(dst, `\a`...)
		case b == '\b':
			dst = append(dst, `\b`...)
		case b < ' ' || b > '~':
			dst = append(dst, '\\', 'x', hex[b>>4], hex[b&15])
		default:
			dst = append(dst, b)
		}
	}
	return append(dst, '"')
}

// secretsOf says which arguments are passwords, and who has them.
func secretsOf(m *message, cmd *command.Command) func(i int) bool {
	first, last := 0, -1
	switch cmd.Name {
	case "auth":
		first, last = 1, m.Len()-1
	case "hello":
		for i := 2; i < m.Len() && last < 0; i++ {
			if isWord(m.Arg(i), "AUTH") {
				first, last = i+1, i+2
			}
		}
	case "migrate":
		for i := 6; i < m.Len() && last < 0; i++ {
			switch {
			case isWord(m.Arg(i), "AUTH"):
				first, last = i+1, i+1
			case isWord(m.Arg(i), "AUTH2"):
				first, last = i+1, i+2
			}
		}
	}
	return func(i int) bool { return first <= i && i <= last }
}

// playTapes passes on what the batch's requests were.
func (w *worker) playTapes() {
	for i, p := range w.taped {
		p.play()
		w.taped[i] = nil
	}
	w.taped = w.taped[:0]
}

// play passes on what is written down.
func (p *workerPool) play() {
	t := &p.tape
	if len(t.text) == 0 {
		t.lines = 0
		return // nobody looks any more
	}
	w, of := p.worker, p.census
	for i, n := range p.audience {
		to := w.proxy.workers[i]
		switch {
		case n == 0:
			t.missed[i] = 0
		case to == w:
			p.display(t.text)
		case to.tapes.Load() > mostTapes:
			t.missed[i] += t.lines
		default:
			text := append(p.appendMissed(nil, i), t.text...)
			to.tapes.Add(int64(len(text)))
			to.loop.Post(func() {
				to.tapes.Add(-int64(len(text)))
				if p := to.poolOf[of]; p != nil {
					p.display(text)
				}
			})
		}
	}
	t.text, t.lines = t.text[:0], 0
	if cap(t.text) > keptScratch {
		t.text = nil
	}
}

// appendMissed appends a line that tells a worker's monitors of those that they were not shown.
func (p *workerPool) appendMissed(dst []byte, worker int) []byte {
	n := p.tape.missed[worker]
	if n == 0 {
		return dst
	}
	p.tape.missed[worker] = 0
	dst = appendMoment(dst, p.worker.timeOfDay(), 0, "nutmeg")
	return append(dst, ` "`+strconv.Itoa(n)+" requests are not shown: there are too many\"\r\n"...)
}

// display gives the monitors of this worker lines. One that does not read is closed in the end: it slows down nobody.
func (p *workerPool) display(text []byte) {
	limit := p.conf.Limits.ClientBufferLimit
	if limit == 0 {
		limit = mostUnseen
	}
	for _, c := range p.monitors {
		if c.session.mute.off || c.overflowed {
			continue
		}
		c.conn.Send(text)
		c.lastActive = p.worker.loop.Now()
		if c.conn.Unsent() > limit {
			c.overflowed = true
			c.hit(limitOverflow)
			c.callBack()
		}
	}
}

// replicaMustNot reports whether Redis refuses a command to a monitor, which it takes for a kind of replica.
func replicaMustNot(cmd *command.Command) bool {
	return cmd.Flags&(command.Write|command.ReadOnly|command.MayReplicate) != 0
}
