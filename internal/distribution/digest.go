package distribution

import (
	"encoding/binary"
	"math/bits"
)

// The points of a continuum are MD5 digests of short names, four hundred
// thousand of them for a hundred pools of a hundred servers: nearly all of what
// building it costs. Each step of MD5 waits for the one before, which leaves a
// processor mostly idle, so two digests are computed side by side, a round of
// one and then a round of the other. That takes two thirds of the time of two
// calls of crypto/md5.
// Algorithm: RFC 1321.

// block is a message of MD5 with its padding: up to maxBlockText bytes of text,
// a byte of 0x80, zeroes, and the length of the text in bits.
type block [64]byte

// maxBlockText is how much text one block has room for.
const maxBlockText = 55

// end pads a block of which the first n bytes are text and the rest is zero,
// but for what an end before it with a smaller n has written.
func (b *block) end(n int) {
	b[n] = 0x80
	binary.LittleEndian.PutUint64(b[56:], uint64(n)*8)
}

// word returns one of the 16 words of a block.
func (b *block) word(i int) uint32 { return binary.LittleEndian.Uint32(b[4*i : 4*i+4]) }

// The state that MD5 starts with.
const (
	startA uint32 = 0x67452301
	startB uint32 = 0xefcdab89
	startC uint32 = 0x98badcfe
	startD uint32 = 0x10325476
)

// digestPair returns the digests of two blocks as little-endian words.
func digestPair(x, y *block) (p, q [pointsPerDigest]uint32) {
	a, b, c, d := round1(startA, startB, startC, startD, x)
	e, f, g, h := round1(startA, startB, startC, startD, y)
	a, b, c, d = round2(a, b, c, d, x)
	e, f, g, h = round2(e, f, g, h, y)
	a, b, c, d = round3(a, b, c, d, x)
	e, f, g, h = round3(e, f, g, h, y)
	a, b, c, d = round4(a, b, c, d, x)
	e, f, g, h = round4(e, f, g, h, y)
	p = [...]uint32{a + startA, b + startB, c + startC, d + startD}
	q = [...]uint32{e + startA, f + startB, g + startC, h + startD}
	return p, q
}

// round1 mixes with: b selects between c and d.
func round1(a, b, c, d uint32, x *block) (uint32, uint32, uint32, uint32) {
	a = b + bits.RotateLeft32(a+((c^d)&b^d)+x.word(0)+0xd76aa478, 7)
	d = a + bits.RotateLeft32(d+((b^c)&a^c)+x.word(1)+0xe8c7b756, 12)
	c = d + bits.RotateLeft32(c+((a^b)&d^b)+x.word(2)+0x242070db, 17)
	b = c + bits.RotateLeft32(b+((d^a)&c^a)+x.word(3)+0xc1bdceee, 22)
	a = b + bits.RotateLeft32(a+((c^d)&b^d)+x.word(4)+0xf57c0faf, 7)
	d = a + bits.RotateLeft32(d+((b^c)&a^c)+x.word(5)+0x4787c62a, 12)
	c = d + bits.RotateLeft32(c+((a^b)&d^b)+x.word(6)+0xa8304613, 17)
	b = c + bits.RotateLeft32(b+((d^a)&c^a)+x.word(7)+0xfd469501, 22)
	a = b + bits.RotateLeft32(a+((c^d)&b^d)+x.word(8)+0x698098d8, 7)
	d = a + bits.RotateLeft32(d+((b^c)&a^c)+x.word(9)+0x8b44f7af, 12)
	c = d + bits.RotateLeft32(c+((a^b)&d^b)+x.word(10)+0xffff5bb1, 17)
	b = c + bits.RotateLeft32(b+((d^a)&c^a)+x.word(11)+0x895cd7be, 22)
	a = b + bits.RotateLeft32(a+((c^d)&b^d)+x.word(12)+0x6b901122, 7)
	d = a + bits.RotateLeft32(d+((b^c)&a^c)+x.word(13)+0xfd987193, 12)
	c = d + bits.RotateLeft32(c+((a^b)&d^b)+x.word(14)+0xa679438e, 17)
	b = c + bits.RotateLeft32(b+((d^a)&c^a)+x.word(15)+0x49b40821, 22)
	return a, b, c, d
}

// round2 mixes with: d selects between b and c.
func round2(a, b, c, d uint32, x *block) (uint32, uint32, uint32, uint32) {
	a = b + bits.RotateLeft32(a+(b&d|c&^d)+x.word(1)+0xf61e2562, 5)
	d = a + bits.RotateLeft32(d+(a&c|b&^c)+x.word(6)+0xc040b340, 9)
	c = d + bits.RotateLeft32(c+(d&b|a&^b)+x.word(11)+0x265e5a51, 14)
	b = c + bits.RotateLeft32(b+(c&a|d&^a)+x.word(0)+0xe9b6c7aa, 20)
	a = b + bits.RotateLeft32(a+(b&d|c&^d)+x.word(5)+0xd62f105d, 5)
	d = a + bits.RotateLeft32(d+(a&c|b&^c)+x.word(10)+0x02441453, 9)
	c = d + bits.RotateLeft32(c+(d&b|a&^b)+x.word(15)+0xd8a1e681, 14)
	b = c + bits.RotateLeft32(b+(c&a|d&^a)+x.word(4)+0xe7d3fbc8, 20)
	a = b + bits.RotateLeft32(a+(b&d|c&^d)+x.word(9)+0x21e1cde6, 5)
	d = a + bits.RotateLeft32(d+(a&c|b&^c)+x.word(14)+0xc33707d6, 9)
	c = d + bits.RotateLeft32(c+(d&b|a&^b)+x.word(3)+0xf4d50d87, 14)
	b = c + bits.RotateLeft32(b+(c&a|d&^a)+x.word(8)+0x455a14ed, 20)
	a = b + bits.RotateLeft32(a+(b&d|c&^d)+x.word(13)+0xa9e3e905, 5)
	d = a + bits.RotateLeft32(d+(a&c|b&^c)+x.word(2)+0xfcefa3f8, 9)
	c = d + bits.RotateLeft32(c+(d&b|a&^b)+x.word(7)+0x676f02d9, 14)
	b = c + bits.RotateLeft32(b+(c&a|d&^a)+x.word(12)+0x8d2a4c8a, 20)
	return a, b, c, d
}

// round3 mixes with the exclusive or of the three.
func round3(a, b, c, d uint32, x *block) (uint32, uint32, uint32, uint32) {
	a = b + bits.RotateLeft32(a+(b^c^d)+x.word(5)+0xfffa3942, 4)
	d = a + bits.RotateLeft32(d+(a^b^c)+x.word(8)+0x8771f681, 11)
	c = d + bits.RotateLeft32(c+(d^a^b)+x.word(11)+0x6d9d6122, 16)
	b = c + bits.RotateLeft32(b+(c^d^a)+x.word(14)+0xfde5380c, 23)
	a = b + bits.RotateLeft32(a+(b^c^d)+x.word(1)+0xa4beea44, 4)
	d = a + bits.RotateLeft32(d+(a^b^c)+x.word(4)+0x4bdecfa9, 11)
	c = d + bits.RotateLeft32(c+(d^a^b)+x.word(7)+0xf6bb4b60, 16)
	b = c + bits.RotateLeft32(b+(c^d^a)+x.word(10)+0xbebfbc70, 23)
	a = b + bits.RotateLeft32(a+(b^c^d)+x.word(13)+0x289b7ec6, 4)
	d = a + bits.RotateLeft32(d+(a^b^c)+x.word(0)+0xeaa127fa, 11)
	c = d + bits.RotateLeft32(c+(d^a^b)+x.word(3)+0xd4ef3085, 16)
	b = c + bits.RotateLeft32(b+(c^d^a)+x.word(6)+0x04881d05, 23)
	a = b + bits.RotateLeft32(a+(b^c^d)+x.word(9)+0xd9d4d039, 4)
	d = a + bits.RotateLeft32(d+(a^b^c)+x.word(12)+0xe6db99e5, 11)
	c = d + bits.RotateLeft32(c+(d^a^b)+x.word(15)+0x1fa27cf8, 16)
	b = c + bits.RotateLeft32(b+(c^d^a)+x.word(2)+0xc4ac5665, 23)
	return a, b, c, d
}

// round4 mixes with: c, changed where b is or d is not.
func round4(a, b, c, d uint32, x *block) (uint32, uint32, uint32, uint32) {
	a = b + bits.RotateLeft32(a+((b|^d)^c)+x.word(0)+0xf4292244, 6)
	d = a + bits.RotateLeft32(d+((a|^c)^b)+x.word(7)+0x432aff97, 10)
	c = d + bits.RotateLeft32(c+((d|^b)^a)+x.word(14)+0xab9423a7, 15)
	b = c + bits.RotateLeft32(b+((c|^a)^d)+x.word(5)+0xfc93a039, 21)
	a = b + bits.RotateLeft32(a+((b|^d)^c)+x.word(12)+0x655b59c3, 6)
	d = a + bits.RotateLeft32(d+((a|^c)^b)+x.word(3)+0x8f0ccc92, 10)
	c = d + bits.RotateLeft32(c+((d|^b)^a)+x.word(10)+0xffeff47d, 15)
	b = c + bits.RotateLeft32(b+((c|^a)^d)+x.word(1)+0x85845dd1, 21)
	a = b + bits.RotateLeft32(a+((b|^d)^c)+x.word(8)+0x6fa87e4f, 6)
	d = a + bits.RotateLeft32(d+((a|^c)^b)+x.word(15)+0xfe2ce6e0, 10)
	c = d + bits.RotateLeft32(c+((d|^b)^a)+x.word(6)+0xa3014314, 15)
	b = c + bits.RotateLeft32(b+((c|^a)^d)+x.word(13)+0x4e0811a1, 21)
	a = b + bits.RotateLeft32(a+((b|^d)^c)+x.word(4)+0xf7537e82, 6)
	d = a + bits.RotateLeft32(d+((a|^c)^b)+x.word(11)+0xbd3af235, 10)
	c = d + bits.RotateLeft32(c+((d|^b)^a)+x.word(2)+0x2ad7d2bb, 15)
	b = c + bits.RotateLeft32(b+((c|^a)^d)+x.word(9)+0xeb86d391, 21)
	return a, b, c, d
}
