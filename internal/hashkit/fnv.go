package hashkit

// Offsets and primes of Fowler, Noll and Vo. The low 32 bits of a product and
// of an exclusive or depend on the low 32 bits of the operands alone, so the
// 64-bit variants, of which only the low half is used, need no 64-bit
// arithmetic: these are the low halves of 0xcbf29ce484222325 and 0x100000001b3.
const (
	fnvOffset32    uint32 = 0x811c9dc5
	fnvPrime32     uint32 = 0x01000193
	fnvOffset64Low uint32 = 0x84222325
	fnvPrime64Low  uint32 = 0x000001b3
)

// fnv1Low64 is the low half of the 64-bit FNV-1 over sign-extended bytes.
// Algorithm: hash_fnv1_64 of twemproxy's hashkit/nc_fnv.c.
func fnv1Low64(key []byte) uint32 {
	if len(key) == 0 {
		return 0
	}
	hash := fnvOffset64Low
	for _, b := range key {
		hash = hash*fnvPrime64Low ^ signExtend(b)
	}
	return hash
}

// fnv1aLow64 is the low half of the 64-bit FNV-1a over sign-extended bytes.
// Algorithm: hash_fnv1a_64 of twemproxy's hashkit/nc_fnv.c.
func fnv1aLow64(key []byte) uint32 {
	if len(key) == 0 {
		return 0
	}
	hash := fnvOffset64Low
	for _, b := range key {
		hash = (hash ^ signExtend(b)) * fnvPrime64Low
	}
	return hash
}

// fnv1 is the 32-bit FNV-1 over sign-extended bytes: multiply, then mix in.
// Algorithm: hash_fnv1_32 of twemproxy's hashkit/nc_fnv.c.
func fnv1(key []byte) uint32 {
	if len(key) == 0 {
		return 0
	}
	hash := fnvOffset32
	for _, b := range key {
		hash = hash*fnvPrime32 ^ signExtend(b)
	}
	return hash
}

// fnv1a is the 32-bit FNV-1a over sign-extended bytes: mix in, then multiply.
// Algorithm: hash_fnv1a_32 of twemproxy's hashkit/nc_fnv.c.
func fnv1a(key []byte) uint32 {
	if len(key) == 0 {
		return 0
	}
	hash := fnvOffset32
	for _, b := range key {
		hash = (hash ^ signExtend(b)) * fnvPrime32
	}
	return hash
}
