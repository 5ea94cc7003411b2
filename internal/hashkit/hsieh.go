package hashkit

import "encoding/binary"

// hsieh is Paul Hsieh's SuperFastHash, starting at 0 instead of the length. Of
// a three-byte tail the last byte is sign-extended, of a one-byte tail it is
// not.
// Algorithm: twemproxy's hashkit/nc_hsieh.c.
func hsieh(key []byte) uint32 {
	var hash uint32
	for len(key) >= 4 {
		word := binary.LittleEndian.Uint32(key)
		hash += word & 0xffff
		hash = hash<<16 ^ word>>16<<11 ^ hash
		hash += hash >> 11
		key = key[4:]
	}
	switch len(key) {
	case 3:
		hash += uint32(binary.LittleEndian.Uint16(key))
		hash ^= hash << 16
		hash ^= signExtend(key[2]) << 18
		hash += hash >> 11
	case 2:
		hash += uint32(binary.LittleEndian.Uint16(key))
		hash ^= hash << 11
		hash += hash >> 17
	case 1:
		hash += uint32(key[0])
		hash ^= hash << 10
		hash += hash >> 1
	}
	hash ^= hash << 3
	hash += hash >> 5
	hash ^= hash << 4
	hash += hash >> 17
	hash ^= hash << 25
	hash += hash >> 6
	return hash
}
