package memcache

import (
	"encoding/binary"
	"math/bits"
)

// wordEnd returns the index of the first byte of data at or after i that cannot
// stand in a word (at most 0x20, or 0x7f), or len(data).
//
// Eight bytes at a time: (x - n*0x01..) &^ x & 0x80.. has its lowest set bit in
// the lowest byte below n, for n up to 128 (Anderson, Bit Twiddling Hacks).
func wordEnd(data []byte, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(data); i += 8 {
		x := binary.LittleEndian.Uint64(data[i:])
		del := x ^ 0x7f*ones
		found := (x - 0x21*ones) &^ x & highs
		found |= (del - ones) &^ del & highs
		if found != 0 {
			return i + bits.TrailingZeros64(found)>>3
		}
	}
	for ; i < len(data); i++ {
		if c := data[i]; c <= ' ' || c == 0x7f {
			return i
		}
	}
	return i
}

// shortWord gathers a word that is compared with literals and may be cut.
// Words longer than the room match no literal, so their rest is not kept.
type shortWord struct {
	n   uint8
	buf [23]byte
}

// add appends part, up to one byte more than fits, which marks the excess.
func (w *shortWord) add(part []byte) {
	copied := copy(w.buf[min(int(w.n), len(w.buf)):], part)
	if copied < len(part) {
		w.n = uint8(len(w.buf)) + 1
		return
	}
	w.n += uint8(copied)
}

// bytes returns the whole word whose last part is given: the part itself when
// the word was not cut. A word without room comes back empty. The result is
// valid until the next call.
func (w *shortWord) bytes(part []byte) []byte {
	if w.n == 0 {
		return part
	}
	w.add(part)
	if int(w.n) > len(w.buf) {
		return nil
	}
	return w.buf[:w.n]
}

// number gathers a decimal number that may be cut. The zero value is ready.
type number struct {
	value    uint64
	digits   bool // at least one digit came
	negative bool
	overflow bool // more than uint64 holds; value is meaningless
	bad      bool // something else than a digit came
	plus     bool // a plus sign, which memcached takes and this package refuses
	blank    bool // only control bytes came, which memcached passes over
	closed   bool // a control byte came behind the digits: memcached does not look further
}

// add takes the digits of part; first says that part starts the word.
func (n *number) add(part []byte, first bool) {
	if first && len(part) > 0 || n.blank {
		part = n.sign(part)
	}
	if n.closed {
		return
	}
	for _, c := range part {
		d := uint64(c - '0')
		if d > 9 {
			n.bad = true
			return
		}
		n.digits = true
		if n.value >= (1<<64-1)/10 { // rare: near the end of the range, ask precisely
			hi, lo := bits.Mul64(n.value, 10)
			sum, carry := bits.Add64(lo, d, 0)
			n.overflow = n.overflow || hi != 0 || carry != 0
			n.value = sum
			continue
		}
		n.value = n.value*10 + d
	}
}

// sign takes the sign that part may begin with.
func (n *number) sign(part []byte) []byte {
	if len(part) == 0 {
		return part
	}
	n.blank = false
	switch part[0] {
	case '-':
		n.negative = true
	case '+':
		n.plus = true
	default:
		return part
	}
	return part[1:]
}

// control takes a control byte inside the word, as C's strtol does, with which memcached reads numbers: blanks of C are
// passed over in front, and behind the digits they end the number, like NUL.
func (n *number) control(c byte) {
	isBlank := c >= '	' && c <= ''
	switch {
	case n.closed, n.bad:
	case n.digits && (isBlank || c == 0):
		n.closed = true
	case isBlank && !n.digits && !n.negative && !n.plus:
		n.blank = true
	default:
		n.bad = true
	}
}

// framed tells whether memcached takes the word for a number, though perhaps not for one in range. Not all of them are
// accepted, but as to where a request ends they are believed.
func (n *number) framed() bool { return n.digits && !n.bad }

// unsigned tells whether the word was a number of digits only, at most limit.
func (n *number) unsigned(limit uint64) bool {
	return n.wellFormed() && !n.negative && !n.overflow && n.value <= limit
}

// int32 tells whether the word was a number that fits an int32.
func (n *number) int32() bool {
	limit := uint64(1<<31 - 1)
	if n.negative {
		limit = 1 << 31
	}
	return n.wellFormed() && !n.overflow && n.value <= limit
}

// wellFormed tells whether the word was digits with an optional '-'.
func (n *number) wellFormed() bool { return n.digits && !n.bad && !n.plus }
