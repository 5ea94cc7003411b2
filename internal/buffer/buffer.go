package buffer

// Buffer is a queue of bytes in chunks: append at the back, discard at the front. The zero value is an empty buffer, which holds no memory.
type Buffer struct {
	head, tail *Chunk
	size       int
}

// Len is the number of bytes in the buffer.
func (b *Buffer) Len() int { return b.size }

// First is the first chunk, nil if the buffer is empty.
func (b *Buffer) First() *Chunk { return b.head }

// Append copies data to the back of the buffer.
func (b *Buffer) Append(p *Pool, data []byte) {
	b.size += len(data)
	if t := b.tail; t != nil {
		n := copy(t.data[t.end:], data)
		t.end += n
		data = data[n:]
	}
	for len(data) > 0 {
		c := b.grow(p, len(data))
		n := copy(c.data[c.end:], data)
		c.end += n
		data = data[n:]
	}
}

// Reserve makes an empty buffer begin with a chunk for size bytes, or with one of the largest. Something is to be appended next:
// until then First is a chunk without bytes.
func (b *Buffer) Reserve(p *Pool, size int) {
	if b.tail == nil {
		b.link(p.Get(size))
	}
}

// AppendString is Append for a string.
func (b *Buffer) AppendString(p *Pool, data string) {
	b.size += len(data)
	if t := b.tail; t != nil {
		n := copy(t.data[t.end:], data)
		t.end += n
		data = data[n:]
	}
	for len(data) > 0 {
		c := b.grow(p, len(data))
		n := copy(c.data[c.end:], data)
		c.end += n
		data = data[n:]
	}
}

// grow returns a chunk at the back with room for at least some of size more bytes. Each is a class above the one before it, so a
// buffer that goes on growing soon does so in large steps. What little the buffer has moves along: to write one chunk costs
// less than to write two.
func (b *Buffer) grow(p *Pool, size int) *Chunk {
	t := b.tail
	if t == nil {
		c := p.get(classFor(size))
		b.link(c)
		return c
	}
	c := p.get(max(classFor(size), min(int(t.class)+1, classes-1)))
	if t == b.head && t.end-t.start <= copyBytes {
		c.end = copy(c.data, t.Bytes())
		p.Put(t)
		*b = Buffer{size: b.size}
	}
	b.link(c)
	return c
}

func (b *Buffer) link(c *Chunk) {
	if b.tail == nil {
		b.head = c
	} else {
		b.tail.next = c
	}
	b.tail = c
}

// AppendChunk moves c to the back of the buffer, which owns it from then on.
func (b *Buffer) AppendChunk(c *Chunk) {
	b.size += c.end - c.start
	b.link(c)
}

// Take moves everything in from to the back of b; from is empty afterwards. Both must be filled from the same pool.
// Small contents are copied, so that a run of short responses leaves as one chunk; large ones change hands.
func (b *Buffer) Take(p *Pool, from *Buffer) {
	switch {
	case from.size == 0:
		return
	case from.size <= copyBytes && b.tail != nil:
		for c := from.head; c != nil; c = c.next {
			b.Append(p, c.Bytes())
		}
		from.Reset(p)
		return
	case b.tail == nil:
		b.head = from.head
	default:
		b.tail.next = from.head
	}
	b.tail = from.tail
	b.size += from.size
	*from = Buffer{}
}

// copyBytes is the size up to which copying is cheaper than one more entry of a writev.
const copyBytes = 2048

// Discard drops n bytes, at most Len, from the front and gives emptied chunks back to the pool.
func (b *Buffer) Discard(p *Pool, n int) {
	b.size -= n
	for c := b.head; c != nil; c = b.head {
		have := c.end - c.start
		if n < have {
			c.start += n
			return
		}
		n -= have
		b.head = c.next
		p.Put(c)
	}
	b.tail = nil
}

// Move moves n bytes, at most Len, from the front of b to the back of dst. Both must be filled from the same pool.
// Large chunks change hands whole, the rest is copied.
func (b *Buffer) Move(p *Pool, dst *Buffer, n int) {
	for n > 0 {
		c := b.head
		have := c.end - c.start
		if have <= n && have > copyBytes {
			b.head = c.next
			if b.head == nil {
				b.tail = nil
			}
			b.size -= have
			c.next = nil
			dst.AppendChunk(c)
			n -= have
			continue
		}
		have = min(have, n)
		dst.Append(p, c.data[c.start:c.start+have])
		b.Discard(p, have)
		n -= have
	}
}

// Reset drops all bytes.
func (b *Buffer) Reset(p *Pool) {
	for c := b.head; c != nil; {
		next := c.next
		p.Put(c)
		c = next
	}
	*b = Buffer{}
}

// View returns the n bytes that begin at offset: in place when they lie in one chunk, else copied to scratch, whose
// capacity must be at least n then. The range must lie within the buffer.
func (b *Buffer) View(offset, n int, scratch []byte) []byte {
	var at Cursor
	return b.ViewFrom(&at, offset, n, scratch)
}

// Cursor remembers the chunk of a buffer where something was found last. Who looks at ranges from front to back passes
// each chunk once with it, instead of all of them for every range. The zero value is ready, for one buffer that is not
// changed meanwhile.
type Cursor struct {
	chunk *Chunk
	start int // where the chunk begins in the buffer
}

// seek returns the chunk with the byte at offset and where in the chunk that is; nil if the buffer ends before.
func (b *Buffer) seek(at *Cursor, offset int) (c *Chunk, within int) {
	if at.chunk == nil || offset < at.start {
		*at = Cursor{chunk: b.head}
	}
	for at.chunk != nil && offset-at.start >= at.chunk.end-at.chunk.start {
		at.start += at.chunk.end - at.chunk.start
		at.chunk = at.chunk.next
	}
	return at.chunk, offset - at.start
}

// ViewFrom is View that begins to look at the cursor.
func (b *Buffer) ViewFrom(at *Cursor, offset, n int, scratch []byte) []byte {
	c, offset := b.seek(at, offset)
	if c == nil {
		return scratch[:0]
	}
	if bytes := c.Bytes()[offset:]; len(bytes) >= n {
		return bytes[:n]
	}
	scratch = scratch[:0]
	for ; c != nil && len(scratch) < n; c = c.next {
		bytes := c.Bytes()[offset:]
		scratch = append(scratch, bytes[:min(len(bytes), n-len(scratch))]...)
		offset = 0
	}
	return scratch
}

// CopyRange appends the n bytes of b that begin at offset to dst, which is filled from p. The range must lie within b.
func (b *Buffer) CopyRange(p *Pool, dst *Buffer, offset, n int) {
	var at Cursor
	b.CopyRangeFrom(&at, p, dst, offset, n)
}

// CopyRangeFrom is CopyRange that begins to look at the cursor.
func (b *Buffer) CopyRangeFrom(at *Cursor, p *Pool, dst *Buffer, offset, n int) {
	c, offset := b.seek(at, offset)
	for ; c != nil && n > 0; c = c.next {
		bytes := c.Bytes()[offset:]
		bytes = bytes[:min(len(bytes), n)]
		dst.Append(p, bytes)
		n -= len(bytes)
		offset = 0
	}
}
