package hashkit

import (
	"encoding/binary"
	"math/bits"
)

// oneAtATime is Bob Jenkins' one-at-a-time hash over sign-extended bytes.
// Algorithm: twemproxy's hashkit/nc_one_at_a_time.c.
func oneAtATime(key []byte) uint32 {
	var hash uint32
	for _, b := range key {
		hash += signExtend(b)
		hash += hash << 10
		hash ^= hash >> 6
	}
	hash += hash << 3
	hash ^= hash >> 11
	hash += hash << 15
	return hash
}

// jenkins is hashlittle of Bob Jenkins' lookup3.c (2006) with an initial value
// of 13.
// Algorithm: twemproxy's hashkit/nc_jenkins.c.
func jenkins(key []byte) uint32 {
	if len(key) == 0 {
		return 0
	}
	a := 0xdeadbeef + uint32(len(key)) + 13
	b, c := a, a
	// The last 1 to 12 bytes are left to the tail.
	for len(key) > 12 {
		a += binary.LittleEndian.Uint32(key)
		b += binary.LittleEndian.Uint32(key[4:])
		c += binary.LittleEndian.Uint32(key[8:])
		a, b, c = jenkinsMix(a, b, c)
		key = key[12:]
	}
	switch {
	case len(key) > 8:
		a += binary.LittleEndian.Uint32(key)
		b += binary.LittleEndian.Uint32(key[4:])
		c += upToFour(key[8:])
	case len(key) > 4:
		a += binary.LittleEndian.Uint32(key)
		b += upToFour(key[4:])
	default:
		a += upToFour(key)
	}
	return jenkinsFinal(a, b, c)
}

// jenkinsMix stirs the state between two blocks.
func jenkinsMix(a, b, c uint32) (uint32, uint32, uint32) {
	a = a - c ^ bits.RotateLeft32(c, 4)
	c += b
	b = b - a ^ bits.RotateLeft32(a, 6)
	a += c
	c = c - b ^ bits.RotateLeft32(b, 8)
	b += a
	a = a - c ^ bits.RotateLeft32(c, 16)
	c += b
	b = b - a ^ bits.RotateLeft32(a, 19)
	a += c
	c = c - b ^ bits.RotateLeft32(b, 4)
	b += a
	return a, b, c
}

// jenkinsFinal lets every bit of the state reach the result.
func jenkinsFinal(a, b, c uint32) uint32 {
	c = c ^ b - bits.RotateLeft32(b, 14)
	a = a ^ c - bits.RotateLeft32(c, 11)
	b = b ^ a - bits.RotateLeft32(a, 25)
	c = c ^ b - bits.RotateLeft32(b, 16)
	a = a ^ c - bits.RotateLeft32(c, 4)
	b = b ^ a - bits.RotateLeft32(a, 14)
	c = c ^ b - bits.RotateLeft32(b, 24)
	return c
}

// upToFour reads 1 to 4 bytes as a little-endian number.
func upToFour(tail []byte) uint32 {
	switch len(tail) {
	case 1:
		return uint32(tail[0])
	case 2:
		return uint32(binary.LittleEndian.Uint16(tail))
	case 3:
		return uint32(binary.LittleEndian.Uint16(tail)) | uint32(tail[2])<<16
	default:
		return binary.LittleEndian.Uint32(tail)
	}
}
