// Package buffer holds bytes on their way through the proxy: chains of chunks that come from, and go back to, a free list.
//
// A worker has one Pool and many Buffers. Small things are copied into chunks, large ones change hands chunk by chunk:
// a value that a client sends is read into a chunk once and written to the server out of that same chunk.
//
//	Buffer ──► Chunk ──► Chunk ──► Chunk        Pool: free chunks of each size class
//	           [..data]  [data..]  [data..]
//
// The package knows no sockets and no protocol. Nothing here is safe for concurrent use: a pool and all buffers filled
// from it belong to one goroutine.
package buffer

// Sizes of the chunks, in bytes, by class. A factor of eight between classes keeps the waste of a small output small
// and the number of chunks of a large one low; all are multiples of a cache line. The largest is for reading: twice as
// much at a time makes large values cheaper, and fits into the processor's own memory.
var classBytes = [...]int{128, 1024, 8192, 64 << 10, LargeBytes}

const (
	classes = 5
	// LargeBytes is the size of the largest chunk, and so the most that one read from a socket brings.
	LargeBytes = 128 << 10
)

// Chunk is a run of bytes with room behind it. It belongs to whoever holds it: a buffer, a pool, or the loop that reads into it.
type Chunk struct {
	next  *Chunk
	data  []byte // the whole room; its length is the class's size
	start int    // first byte that counts
	end   int    // one past the last
	class uint8
}

// Bytes are the bytes of the chunk that count. They alias it: valid until the chunk is changed or freed.
func (c *Chunk) Bytes() []byte { return c.data[c.start:c.end] }

// Room is the whole memory of the chunk, for reading into.
func (c *Chunk) Room() []byte { return c.data }

// Next is the chunk behind c in its buffer, nil for the last.
func (c *Chunk) Next() *Chunk { return c.next }

// SetRange says which part of the chunk's room counts, after something was read into Room.
func (c *Chunk) SetRange(start, end int) { c.start, c.end = start, end }

// Pool is a worker's free chunks. The zero value is ready.
type Pool struct {
	free [classes]freeList
	idle int
	used int
}

// Idle is how many bytes of chunks the pool keeps for later.
func (p *Pool) Idle() int { return p.idle }

// Used is how many bytes of chunks the pool has given away and not got back. It counts whole chunks: the memory that is
// held, not the bytes in it.
func (p *Pool) Used() int { return p.used }

type freeList struct {
	head  *Chunk
	count int
	// low is the smallest count since the last Trim: so many chunks were not needed in all that time.
	low int
}

// Get returns an empty chunk with room for at least size bytes, or of the largest class if size is beyond that.
func (p *Pool) Get(size int) *Chunk { return p.get(classFor(size)) }

func (p *Pool) get(class int) *Chunk {
	f := &p.free[class]
	p.used += classBytes[class]
	if c := f.head; c != nil {
		f.head = c.next
		c.next = nil
		f.count--
		f.low = min(f.low, f.count)
		p.idle -= len(c.data)
		return c
	}
	return &Chunk{data: make([]byte, classBytes[class]), class: uint8(class)}
}

// Put gives a chunk back. The caller must not touch it, or bytes of it, again.
func (p *Pool) Put(c *Chunk) {
	f := &p.free[c.class]
	c.start, c.end = 0, 0
	c.next = f.head
	f.head = c
	f.count++
	p.idle += len(c.data)
	p.used -= len(c.data)
}

// Trim lets go of half of the chunks that nobody needed since the last Trim, so that memory taken by a burst goes back
// step by step. It returns how many bytes it let go.
func (p *Pool) Trim() (released int) {
	for class := range p.free {
		f := &p.free[class]
		for range (f.low + 1) / 2 {
			c := f.head
			f.head = c.next
			c.next = nil
			f.count--
			released += classBytes[class]
		}
		f.low = f.count
	}
	p.idle -= released
	return released
}

func classFor(size int) int {
	for class, bytes := range classBytes {
		if size <= bytes {
			return class
		}
	}
	return classes - 1
}
