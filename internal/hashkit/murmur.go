package hashkit

import "encoding/binary"

// murmur is Austin Appleby's MurmurHash2 with a seed of 0xdeadbeef times the
// length.
// Algorithm: twemproxy's hashkit/nc_murmur.c.
func murmur(key []byte) uint32 {
	const m = 0x5bd1e995
	size := uint32(len(key))
	hash := 0xdeadbeef*size ^ size
	for len(key) >= 4 {
		word := binary.LittleEndian.Uint32(key) * m
		word = (word ^ word>>24) * m
		hash = hash*m ^ word
		key = key[4:]
	}
	if len(key) > 0 {
		hash = (hash ^ upToFour(key)) * m
	}
	hash = (hash ^ hash>>13) * m
	return hash ^ hash>>15
}
