package proxy

import (
	"nutmeg/internal/buffer"
	"nutmeg/internal/memcache"
	"nutmeg/internal/resp"
)

// intake is the parser of a client's requests together with what it has of a request that was cut.
//
// Nearly all requests come whole, so clients own none: the worker has one for each batch to parse with, and leaves it
// to the client that a cut request belongs to until the rest has come. An idle client thus holds no parser and no buffer.
type intake struct {
	rope  buffer.Buffer // the bytes of the cut request so far
	since int64         // when it was cut
	skips bool          // the request is refused: its bytes are parsed, and not kept
	next  *intake
	redis struct {
		parser  resp.RequestParser
		request resp.Request
		refusal string // what a request that is skipped is answered with
	}
	memcache struct {
		parser  memcache.RequestParser
		request memcache.Request
	}
}

// backlog is input of a client that is not parsed for now. Like an intake it is lent to clients that need one.
type backlog struct {
	buffer.Buffer
	next *backlog
}

func (b *backlog) size() int {
	if b == nil {
		return 0
	}
	return b.Len()
}

func (w *worker) newBacklog() *backlog {
	b := w.freeBacklogs
	if b == nil {
		return &backlog{}
	}
	w.freeBacklogs, b.next = b.next, nil
	return b
}

func (w *worker) freeBacklog(b *backlog) {
	b.Reset(&w.loop.Chunks)
	w.freeBacklogs, b.next = b, w.freeBacklogs
}

// keptArgs bounds the arguments that an intake keeps room for.
const keptArgs = 8192

func (w *worker) newIntake() *intake {
	if in := w.freeIntakes; in != nil {
		w.freeIntakes = in.next
		in.next = nil
		return in
	}
	return &intake{}
}

// intakeOf returns the client's intake, or the worker's for a request that begins now.
func (w *worker) intakeOf(c *client) *intake {
	if c.cut != nil {
		return c.cut
	}
	return w.intake
}

// keep leaves the intake with the client, with more bytes of its cut request. Large pieces stay in the memory they were read into.
func (w *worker) keep(c *client, in *intake, piece []byte, source input) {
	if c.cut == nil {
		c.cut = in
		w.intake = w.newIntake()
		c.watchCut()
	}
	if !in.skips {
		w.store(&in.rope, piece, source)
	}
}

// skip drops what has come of a refused request, and has the rest of it dropped as it comes.
func (w *worker) skip(in *intake) {
	in.skips = true
	in.rope.Reset(&w.loop.Chunks)
}

// release makes the intake ready for the next request.
func (w *worker) release(c *client, in *intake) {
	if c.cut == nil {
		in.redis.request.Reset()
		if in.rope.Len() > 0 {
			in.rope.Reset(&w.loop.Chunks)
		}
		return
	}
	c.cut = nil
	w.freeIntake(in)
}

func (w *worker) freeIntake(in *intake) {
	in.rope.Reset(&w.loop.Chunks)
	in.skips = false
	in.redis.refusal = ""
	in.redis.parser = resp.RequestParser{}
	if cap(in.redis.request.Args) > keptArgs {
		in.redis.request.Args = nil
	}
	in.redis.request.Reset()
	in.memcache.parser = memcache.RequestParser{}
	in.memcache.request.Reset()
	in.next = w.freeIntakes
	w.freeIntakes = in
}

// input is where bytes that a handler was given lie: in the loop's read buffer, of which whole is all that was read, or elsewhere.
type input struct {
	whole []byte // nil if the bytes do not lie in the loop's read buffer
}

// detachBytes is the size from which a piece keeps the whole chunk that it was read into, rather than be copied out.
const detachBytes = buffer.LargeBytes / 4

// store appends piece to b. A large piece that is the end of the input changes hands instead of being copied.
func (w *worker) store(b *buffer.Buffer, piece []byte, source input) {
	n := len(source.whole)
	if len(piece) >= detachBytes && n >= len(piece) && &source.whole[n-1] == &piece[len(piece)-1] {
		b.AppendChunk(w.loop.Detach(n-len(piece), n))
		return
	}
	b.Append(&w.loop.Chunks, piece)
}

// flattenBytes is the size up to which a request that came in pieces is put together before it is looked at.
const flattenBytes = 16 << 10

// message is a whole request's bytes: flat where they lie together, else a rope.
type message struct {
	flat    []byte
	rope    *buffer.Buffer
	at      buffer.Cursor // in rope: ranges are mostly asked for from front to back
	args    []resp.Span   // Redis: the arguments
	sendAs  string        // Redis: what servers call the command; "" = what the client did
	scratch []byte
}

// gather makes the message of a request whose last piece is at hand. A large one that has come whole changes hands all the same.
func (w *worker) gather(c *client, in *intake, piece []byte, source input) *message {
	m := &w.message
	m.flat, m.rope, m.at, m.sendAs = piece, nil, buffer.Cursor{}, ""
	if c.cut == nil && len(piece) < detachBytes {
		return m
	}
	w.store(&in.rope, piece, source)
	m.over(w, &in.rope)
	return m
}

// over makes m the message that a rope holds.
func (m *message) over(w *worker, rope *buffer.Buffer) {
	m.flat, m.rope, m.at, m.sendAs = nil, rope, buffer.Cursor{}, ""
	if first := rope.First(); len(first.Bytes()) == rope.Len() {
		m.flat = first.Bytes()
	} else if rope.Len() <= flattenBytes {
		w.flat = w.flat[:0]
		for chunk := first; chunk != nil; chunk = chunk.Next() {
			w.flat = append(w.flat, chunk.Bytes()...)
		}
		m.flat = w.flat
	}
}

// size is the number of bytes of the request.
func (m *message) size() int {
	if m.flat != nil {
		return len(m.flat)
	}
	return m.rope.Len()
}

// bytes returns a range of the request. It is valid until the next call of bytes for the same message.
func (m *message) bytes(start, end uint32) []byte {
	if m.flat != nil {
		return m.flat[start:end]
	}
	n := int(end - start)
	if cap(m.scratch) < n {
		m.scratch = make([]byte, 0, n)
	}
	return m.rope.ViewFrom(&m.at, int(start), n, m.scratch)
}

// Len and Arg make a message the arguments of a Redis command.
func (m *message) Len() int { return len(m.args) }

// Arg returns argument i; it is valid until the next call of Arg.
func (m *message) Arg(i int) []byte { return m.bytes(m.args[i].Start, m.args[i].End) }

// sendRange appends a range of the request to a server connection.
func (m *message) sendRange(s *serverConn, start, end uint32) {
	if m.flat != nil {
		s.append(m.flat[start:end])
		return
	}
	n := int(end - start)
	s.appended += uint64(n)
	m.rope.CopyRangeFrom(&m.at, s.chunks(), s.output(), int(start), n)
}

// sendCopy appends the whole request to a server connection, and can be called for others as well.
func (m *message) sendCopy(s *serverConn) {
	if m.sendAs != "" {
		m.sendRenamed(s)
		return
	}
	m.sendRange(s, 0, uint32(m.size()))
}

// sendAll moves the whole request to a server connection.
func (m *message) sendAll(s *serverConn) {
	switch {
	case m.sendAs != "":
		m.sendRenamed(s)
		return
	case m.rope == nil || m.flat != nil && len(m.flat) < detachBytes:
		s.append(m.flat)
		return
	}
	s.appended += uint64(m.rope.Len())
	s.output().Take(s.chunks(), m.rope)
}
