package hashkit

import (
	"crypto/md5"
	"encoding/binary"
)

// md5Sum is the first four bytes of the MD5 digest as a little-endian number.
// Algorithm: hash_md5 of twemproxy's hashkit/nc_md5.c.
func md5Sum(key []byte) uint32 {
	if len(key) == 0 {
		return 0
	}
	digest := md5.Sum(key)
	return binary.LittleEndian.Uint32(digest[:])
}
