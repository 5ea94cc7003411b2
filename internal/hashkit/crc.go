package hashkit

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
)

// crc16Tables are tables of CRC-16/XMODEM: polynomial 0x1021, most significant
// bit first. The first is what a byte leaves in the register, each next one what
// it has become one byte later.
var crc16Tables = makeCRC16Tables()

func makeCRC16Tables() *[8][256]uint16 {
	var tables [8][256]uint16
	for i := range 256 {
		crc := uint16(i) << 8
		for range 8 {
			carry := crc & 0x8000
			crc <<= 1
			if carry != 0 {
				crc ^= 0x1021
			}
		}
		tables[0][i] = crc
	}
	for later := 1; later < len(tables); later++ {
		for i, crc := range tables[later-1] {
			tables[later][i] = crc<<8 ^ tables[0][crc>>8]
		}
	}
	return &tables
}

// crc16 is the CCITT checksum in a register that is 32 bits wide and never cut
// to 16: what is shifted out of the low half stays in the result. Only the low
// half is fed back, so it equals the textbook's CRC-16; and of the upper half
// only what the last two bytes have shifted there is left. All before them is
// the textbook's, eight bytes at a time (slicing: Kounavis and Berry, 2005).
// Algorithm: twemproxy's hashkit/nc_crc16.c.
func crc16(key []byte) uint32 {
	t := crc16Tables
	var low uint16
	for len(key) >= 8+2 {
		w := binary.LittleEndian.Uint64(key) ^ uint64(bits.ReverseBytes16(low))
		low = t[7][byte(w)] ^ t[6][byte(w>>8)] ^ t[5][byte(w>>16)] ^ t[4][byte(w>>24)] ^
			t[3][byte(w>>32)] ^ t[2][byte(w>>40)] ^ t[1][byte(w>>48)] ^ t[0][byte(w>>56)]
		key = key[8:]
	}
	crc := uint32(low)
	for _, b := range key {
		crc = crc<<8 ^ uint32(t[0][byte(crc>>8)^b])
	}
	return crc
}

// crc32Short is the upper half of the IEEE checksum without its top bit: 15
// bits, as in libmemcached.
// Algorithm: hash_crc32 of twemproxy's hashkit/nc_crc32.c.
func crc32Short(key []byte) uint32 {
	return crc32.ChecksumIEEE(key) >> 16 & 0x7fff
}

// crc32Full is the IEEE checksum.
// Algorithm: hash_crc32a of twemproxy's hashkit/nc_crc32.c.
func crc32Full(key []byte) uint32 {
	return crc32.ChecksumIEEE(key)
}
