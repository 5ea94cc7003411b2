package hashkit

import "bytes"

// Tagged returns the part of key to hash when the pool has a hash tag: the
// bytes between the first open and the first close after it. Without such a
// pair, or with nothing between its two bytes, it is the whole key. Only the
// first open is tried; open and close may be equal.
//
// The result aliases key and is empty only if key is.
func Tagged(key []byte, open, close byte) []byte {
	start := bytes.IndexByte(key, open)
	if start < 0 {
		return key
	}
	rest := key[start+1:]
	size := bytes.IndexByte(rest, close)
	if size <= 0 {
		return key
	}
	return rest[:size]
}
