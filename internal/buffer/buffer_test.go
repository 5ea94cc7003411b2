package buffer_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"nutmeg/internal/buffer"
)

// content is what is in b, chunk by chunk.
func content(b *buffer.Buffer) []byte {
	var all []byte
	for c := b.First(); c != nil; c = c.Next() {
		all = append(all, c.Bytes()...)
	}
	return all
}

func fill(random *rand.Rand, size int) []byte {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	return data
}

// size is mostly small, and sometimes around or beyond the largest chunk.
func size(random *rand.Rand) int { return random.IntN(1 << random.IntN(17)) }

// model is some buffers of one pool beside bytes.Buffers that had the same done to them.
type model struct {
	t       *testing.T
	random  *rand.Rand
	pool    buffer.Pool
	buffers [4]buffer.Buffer
	want    [4]bytes.Buffer
}

func (m *model) step() {
	i, j := m.random.IntN(len(m.buffers)), m.random.IntN(len(m.buffers))
	b, want := &m.buffers[i], &m.want[i]
	switch m.random.IntN(10) {
	case 0, 1, 2:
		data := fill(m.random, size(m.random))
		want.Write(data)
		b.Append(&m.pool, data)
		clear(data) // it must have been copied
	case 3:
		data := string(fill(m.random, size(m.random)))
		want.WriteString(data)
		b.AppendString(&m.pool, data)
	case 4:
		m.appendChunk(b, want)
	case 5:
		if i != j {
			want.ReadFrom(&m.want[j]) //nolint:errcheck // a bytes.Buffer does not fail
			b.Take(&m.pool, &m.buffers[j])
		}
	case 6, 7:
		n := m.random.IntN(b.Len() + 1)
		want.Next(n)
		b.Discard(&m.pool, n)
	case 8:
		offset := m.random.IntN(b.Len() + 1)
		n := m.random.IntN(b.Len() - offset + 1)
		part := want.Bytes()[offset : offset+n]
		if got := b.View(offset, n, make([]byte, 0, n)); !bytes.Equal(got, part) {
			m.t.Errorf("View(%d, %d) of %d bytes is wrong", offset, n, b.Len())
		}
		if i != j {
			m.want[j].Write(part)
			b.CopyRange(&m.pool, &m.buffers[j], offset, n)
		}
	case 9:
		if m.random.IntN(4) == 0 {
			want.Reset()
			b.Reset(&m.pool)
		}
		m.pool.Trim()
	}
}

// appendChunk does what a loop does that reads into a chunk and gives it away.
func (m *model) appendChunk(b *buffer.Buffer, want *bytes.Buffer) {
	c := m.pool.Get(size(m.random))
	room := c.Room()
	n := copy(room, fill(m.random, m.random.IntN(len(room)+1)))
	start := m.random.IntN(n + 1)
	c.SetRange(start, n)
	want.Write(room[start:n])
	b.AppendChunk(c)
}

func (m *model) check() {
	for i := range m.buffers {
		b := &m.buffers[i]
		if got := content(b); b.Len() != m.want[i].Len() || !bytes.Equal(got, m.want[i].Bytes()) {
			m.t.Fatalf("buffer %d has %d bytes and says %d, want %d", i, len(got), b.Len(), m.want[i].Len())
		}
	}
}

func TestBufferBehavesLikeAQueueOfBytes(t *testing.T) {
	for seed := range uint64(30) {
		m := &model{t: t, random: rand.New(rand.NewPCG(seed, 0))}
		for range 150 {
			m.step()
			m.check()
		}
		for i := range m.buffers {
			if m.buffers[i].Len() > m.pool.Used() {
				t.Fatalf("seed %d: a buffer of %d bytes, and %d bytes are in use", seed, m.buffers[i].Len(), m.pool.Used())
			}
			m.buffers[i].Reset(&m.pool)
		}
		if m.pool.Used() != 0 {
			t.Fatalf("seed %d: %d bytes are in use and nobody has them", seed, m.pool.Used())
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		idle, released := m.pool.Idle(), 0
		for range 32 { // each lets go of half
			released += m.pool.Trim()
		}
		if released != idle || m.pool.Idle() != 0 {
			t.Fatalf("seed %d: %d bytes were idle, trimming released %d and left %d", seed, idle, released, m.pool.Idle())
		}
	}
}

func TestEmptyBufferHoldsNoMemory(t *testing.T) {
	var pool buffer.Pool
	var b buffer.Buffer
	b.Append(&pool, []byte("something"))
	b.Discard(&pool, b.Len())
	if b.First() != nil || pool.Idle() == 0 {
		t.Errorf("first chunk %v, %d bytes idle; want the chunk back in the pool", b.First(), pool.Idle())
	}
}

func TestSmallOutputsBecomeOneChunk(t *testing.T) {
	var pool buffer.Pool
	var out buffer.Buffer
	out.Append(&pool, make([]byte, 129)) // a chunk of 1024
	for range 8 {
		var response buffer.Buffer
		response.AppendString(&pool, "+OK\r\n")
		out.Take(&pool, &response)
	}
	if out.First().Next() != nil {
		t.Error("a run of short responses lies in several chunks")
	}
}

func TestLargeOutputsChangeHands(t *testing.T) {
	var pool buffer.Pool
	var out, response buffer.Buffer
	out.AppendString(&pool, "+OK\r\n")
	response.Append(&pool, make([]byte, 5000))
	chunk := response.First()
	out.Take(&pool, &response)
	if out.First().Next() != chunk || response.First() != nil || response.Len() != 0 {
		t.Error("a large response was copied")
	}
}

func TestViewInOneChunkIsInPlace(t *testing.T) {
	var pool buffer.Pool
	var b buffer.Buffer
	b.AppendString(&pool, "hello world")
	if got := b.View(6, 5, nil); string(got) != "world" || &got[0] != &b.First().Bytes()[6] {
		t.Errorf("got %q, copied", got)
	}
	if got := b.View(11, 0, nil); len(got) != 0 {
		t.Errorf("got %q at the end", got)
	}
}

func TestTrimGivesUnusedChunksBackStepByStep(t *testing.T) {
	var pool buffer.Pool
	var b buffer.Buffer
	burst := make([]byte, 100*buffer.LargeBytes)
	b.Append(&pool, burst)
	b.Reset(&pool)
	full := pool.Idle()
	if full < len(burst) {
		t.Fatalf("%d bytes idle after a burst of %d", full, len(burst))
	}
	if released := pool.Trim(); released != 0 {
		t.Errorf("the first Trim released %d bytes that were in use since the last one", released)
	}
	if released := pool.Trim(); released < full*2/5 || released > full*3/5 {
		t.Errorf("the second Trim released %d of %d bytes, want about half", released, full)
	}
	kept := pool.Idle()
	b.Append(&pool, burst[:kept/4*3]) // what is in use is not let go
	b.Reset(&pool)
	if released := pool.Trim(); released > kept/4 {
		t.Errorf("released %d bytes, of which at most %d were not needed", released, kept/4)
	}
}

func TestChunkHasRoomForWhatIsAskedFor(t *testing.T) {
	var pool buffer.Pool
	for _, test := range []struct{ size, room int }{
		{0, 128},
		{1, 128},
		{128, 128},
		{129, 1024},
		{1025, 8192},
		{8193, 64 << 10},
		{64<<10 + 1, buffer.LargeBytes},
		{buffer.LargeBytes, buffer.LargeBytes},
		{buffer.LargeBytes + 1, buffer.LargeBytes},
	} {
		if got := len(pool.Get(test.size).Room()); got != test.room {
			t.Errorf("Get(%d) has room for %d bytes, want %d", test.size, got, test.room)
		}
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	var pool buffer.Pool
	var in, out, copied buffer.Buffer
	data := make([]byte, 30000)
	scratch := make([]byte, 0, len(data))
	if n := testing.AllocsPerRun(100, func() {
		in.Append(&pool, data)
		in.AppendString(&pool, "tail")
		in.CopyRange(&pool, &copied, 100, 20000)
		out.Take(&pool, &in)
		out.View(50, 29000, scratch)
		out.Discard(&pool, 15000)
		out.Reset(&pool)
		copied.Discard(&pool, copied.Len())
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestSmallOutputsAreOneChunk appends responses as a pipeline's come: they leave with one write, and hold one chunk.
func TestSmallOutputsAreOneChunk(t *testing.T) {
	var pool buffer.Pool
	var b buffer.Buffer
	piece := bytes.Repeat([]byte("x"), 71)
	var want []byte
	for i := range 100 {
		piece[0] = byte(i)
		b.Append(&pool, piece)
		want = append(want, piece...)
		if b.First().Next() != nil {
			t.Fatalf("%d bytes lie in several chunks", b.Len())
		}
	}
	if !bytes.Equal(b.First().Bytes(), want) || b.Len() != len(want) {
		t.Fatalf("%d bytes differ from the %d appended", b.Len(), len(want))
	}
	if pool.Used() != 8192 {
		t.Errorf("they hold %d bytes, want 8192", pool.Used())
	}
	b.Discard(&pool, 7000)
	b.Append(&pool, make([]byte, 1200)) // what is left moves as well
	if b.First().Next() != nil || b.Len() != 1300 {
		t.Errorf("%d bytes lie in several chunks, or are not 1300", b.Len())
	}
	b.Reset(&pool)
	if pool.Used() != 0 {
		t.Errorf("%d bytes are still in use", pool.Used())
	}
}

func BenchmarkAppendAndDiscard(b *testing.B) {
	var pool buffer.Pool
	var buf buffer.Buffer
	data := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		for range 16 {
			buf.Append(&pool, data)
		}
		buf.Discard(&pool, buf.Len())
	}
}

// TestCursorFindsWhatALookFromTheFrontFinds, whatever the order of the looks.
func TestCursorFindsWhatALookFromTheFrontFinds(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	var p buffer.Pool
	var b buffer.Buffer
	for range 50 {
		b.Append(&p, fill(random, size(random)))
	}
	all := content(&b)
	var at buffer.Cursor
	scratch := make([]byte, 0, len(all))
	for i := range 2000 {
		offset := random.IntN(len(all) + 1)
		n := random.IntN(min(len(all)-offset, 3000) + 1)
		want := all[offset : offset+n]
		if got := b.ViewFrom(&at, offset, n, scratch); !bytes.Equal(got, want) {
			t.Fatalf("look %d at %d, %d bytes: not what is there", i, offset, n)
		}
		var dst buffer.Buffer
		if b.CopyRangeFrom(&at, &p, &dst, offset, n); !bytes.Equal(content(&dst), want) {
			t.Fatalf("copy %d of %d, %d bytes: not what is there", i, offset, n)
		}
		dst.Reset(&p)
	}
}
