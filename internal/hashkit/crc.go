package hashkit

import "hash/crc32"

// crc16Table is the CRC-16/XMODEM table: polynomial 0x1021, most significant
// bit first.
var crc16Table = makeCRC16Table()

func makeCRC16Table() (table [256]uint32) {
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			carry := crc & 0x8000
			crc <<= 1
			if carry != 0 {
				crc ^= 0x1021
			}
		}
		table[i] = uint32(crc)
	}
	return table
}

// crc16 is the CCITT checksum in a register that is 32 bits wide and never cut
// to 16: what is shifted out of the low half stays in the result. Only the low
// half is fed back, so it equals the textbook's CRC-16.
// Algorithm: twemproxy's hashkit/nc_crc16.c.
func crc16(key []byte) uint32 {
	var crc uint32
	for _, b := range key {
		crc = crc<<8 ^ crc16Table[byte(crc>>8)^b]
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
