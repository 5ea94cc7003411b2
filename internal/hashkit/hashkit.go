// Package hashkit turns a key into the 32-bit hash that decides which server
// owns it.
//
// The twelve functions are those of twemproxy 0.5.0 on x86-64, with all their
// departures from the textbook: bytes of 0x80 and above are sign-extended where
// the original works on signed char, crc16 keeps a 32-bit register, crc32 keeps
// 15 bits of the checksum, the 64-bit FNVs keep their low half. A fleet's data
// lies where these functions put it, so the departures are the contract and the
// test vectors come from the original program.
//
// The package knows keys and numbers only; what a hash means is the business of
// package distribution.
package hashkit

// Func hashes a key. It reads the key during the call only, allocates nothing
// and is safe for concurrent use. Every Func maps the empty key to 0.
type Func func(key []byte) uint32

// functions lists every hash in the order of twemproxy's documentation. It is
// never written to.
var functions = [...]struct {
	name string
	hash Func
}{
	{"one_at_a_time", oneAtATime},
	{"md5", md5Sum},
	{"crc16", crc16},
	{"crc32", crc32Short},
	{"crc32a", crc32Full},
	{"fnv1_64", fnv1Low64},
	{"fnv1a_64", fnv1aLow64},
	{"fnv1_32", fnv1},
	{"fnv1a_32", fnv1a},
	{"hsieh", hsieh},
	{"murmur", murmur},
	{"jenkins", jenkins},
}

// ByName returns the hash function that a configuration calls name, and whether
// there is one. Names are lower case and must match exactly.
func ByName(name string) (Func, bool) {
	for _, f := range functions {
		if f.name == name {
			return f.hash, true
		}
	}
	return nil, false
}

// Names returns the names that ByName knows, in the order of twemproxy's
// documentation. The slice belongs to the caller.
func Names() []string {
	names := make([]string, len(functions))
	for i, f := range functions {
		names[i] = f.name
	}
	return names
}

// signExtend widens b as C does with a signed char: 0x80 and above become
// 0xffffff80 and above.
func signExtend(b byte) uint32 {
	return uint32(int32(int8(b)))
}
