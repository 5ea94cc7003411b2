package hashkit

import (
	"bytes"
	"crypto/md5"
	"testing"
)

// The references below spell the definitions out bit by bit and byte by byte,
// sharing nothing with the functions under test.

func referenceSigned(b byte) uint64 {
	if b >= 0x80 {
		return 0xffffffffffffff00 | uint64(b)
	}
	return uint64(b)
}

func referenceLittleEndian(key []byte) (n uint32) {
	for i, b := range key {
		n |= uint32(b) << (8 * i)
	}
	return n
}

func referenceOneAtATime(key []byte) uint32 {
	var hash uint64
	wrap := func(n uint64) uint64 { return n & 0xffffffff }
	for _, b := range key {
		hash = wrap(hash + referenceSigned(b))
		hash = wrap(hash + hash*1024)
		hash ^= hash / 64
	}
	hash = wrap(hash + hash*8)
	hash ^= hash / 2048
	return uint32(hash + hash*32768)
}

func referenceCRC16(key []byte) uint32 {
	var crc uint32
	for _, b := range key {
		feed := uint16(byte(crc>>8)^b) << 8
		for range 8 {
			if feed&0x8000 != 0 {
				feed = feed<<1 ^ 0x1021
			} else {
				feed <<= 1
			}
		}
		crc = crc<<8 ^ uint32(feed)
	}
	return crc
}

func referenceCRC32(key []byte) uint32 {
	crc := ^uint32(0)
	for _, b := range key {
		crc ^= uint32(b)
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0xedb88320
			} else {
				crc >>= 1
			}
		}
	}
	return ^crc
}

func referenceFNV(key []byte, offset, prime uint64, multiplyFirst bool) uint32 {
	hash := offset
	for _, b := range key {
		if multiplyFirst {
			hash *= prime
		}
		hash ^= referenceSigned(b)
		if !multiplyFirst {
			hash *= prime
		}
	}
	return uint32(hash)
}

func referenceHsieh(key []byte) uint32 {
	var hash uint32
	for ; len(key) >= 4; key = key[4:] {
		hash += referenceLittleEndian(key[:2])
		hash = hash<<16 ^ (referenceLittleEndian(key[2:4])<<11 ^ hash)
		hash += hash >> 11
	}
	switch len(key) {
	case 3:
		hash += referenceLittleEndian(key[:2])
		hash ^= hash << 16
		hash ^= uint32(referenceSigned(key[2]) << 18)
		hash += hash >> 11
	case 2:
		hash += referenceLittleEndian(key)
		hash ^= hash << 11
		hash += hash >> 17
	case 1:
		hash += referenceLittleEndian(key)
		hash ^= hash << 10
		hash += hash >> 1
	}
	for i, shift := range []int{3, 5, 4, 17, 25, 6} {
		if i%2 == 0 {
			hash ^= hash << shift
		} else {
			hash += hash >> shift
		}
	}
	return hash
}

func referenceMurmur(key []byte) uint32 {
	const m = 1540483477
	size := uint32(len(key))
	hash := 3735928559 * size
	hash ^= size
	for ; len(key) >= 4; key = key[4:] {
		k := referenceLittleEndian(key[:4])
		k *= m
		k ^= k >> 24
		k *= m
		hash *= m
		hash ^= k
	}
	if len(key) >= 3 {
		hash ^= uint32(key[2]) << 16
	}
	if len(key) >= 2 {
		hash ^= uint32(key[1]) << 8
	}
	if len(key) >= 1 {
		hash ^= uint32(key[0])
		hash *= m
	}
	hash ^= hash >> 13
	hash *= m
	hash ^= hash >> 15
	return hash
}

func referenceJenkins(key []byte) uint32 {
	start := 3735928559 + uint32(len(key)) + 13
	s := [3]uint32{start, start, start}
	rotate := func(n uint32, by int) uint32 { return n<<by | n>>(32-by) }
	padded := append(bytes.Clone(key), make([]byte, (12-len(key)%12)%12)...)
	for ; len(padded) > 0; padded = padded[12:] {
		for i := range s {
			s[i] += referenceLittleEndian(padded[4*i : 4*i+4])
		}
		if len(padded) == 12 {
			break
		}
		for i, by := range []int{4, 6, 8, 16, 19, 4} {
			x, y, z := i%3, (i+1)%3, (i+2)%3 // a, b, c turning round
			s[x] -= s[z]
			s[x] ^= rotate(s[z], by)
			s[z] += s[y]
		}
	}
	for i, by := range []int{14, 11, 25, 16, 4, 14, 24} {
		x, z := (i+2)%3, (i+1)%3
		s[x] ^= s[z]
		s[x] -= rotate(s[z], by)
	}
	return s[2]
}

// references maps every hash to its definition, for keys that are not empty.
var references = map[string]Func{
	"one_at_a_time": referenceOneAtATime,
	"md5": func(key []byte) uint32 {
		digest := md5.New()
		digest.Write(key)
		return referenceLittleEndian(digest.Sum(nil)[:4])
	},
	"crc16":    referenceCRC16,
	"crc32":    func(key []byte) uint32 { return referenceCRC32(key) >> 16 % (1 << 15) },
	"crc32a":   referenceCRC32,
	"fnv1_64":  func(key []byte) uint32 { return referenceFNV(key, 0xcbf29ce484222325, 0x100000001b3, true) },
	"fnv1a_64": func(key []byte) uint32 { return referenceFNV(key, 0xcbf29ce484222325, 0x100000001b3, false) },
	"fnv1_32":  func(key []byte) uint32 { return referenceFNV(key, 2166136261, 16777619, true) },
	"fnv1a_32": func(key []byte) uint32 { return referenceFNV(key, 2166136261, 16777619, false) },
	"hsieh":    referenceHsieh,
	"murmur":   referenceMurmur,
	"jenkins":  referenceJenkins,
}

// Every function equals its definition, for keys of every length and byte, and
// leaves the key alone.
func FuzzHash(f *testing.F) {
	for _, key := range vectorKeys {
		f.Add([]byte(key))
	}
	var all []byte
	for size := range 300 {
		f.Add(all)
		all = append(all, byte(size*size+7*size))
	}
	for size := range 28 {
		f.Add(bytes.Repeat([]byte{0xe9}, size))
	}
	f.Fuzz(func(t *testing.T, key []byte) {
		before := bytes.Clone(key)
		for _, name := range Names() {
			want := uint32(0)
			if len(key) > 0 {
				want = references[name](key)
			}
			if got := mustByName(t, name)(key); got != want {
				t.Errorf("%s of %q = %d, want %d", name, key, got, want)
			}
		}
		if !bytes.Equal(key, before) {
			t.Errorf("hashing changed the key %q to %q", before, key)
		}
	})
}

// Tagged yields what the definition, tried on every pair of positions, yields.
func FuzzTagged(f *testing.F) {
	f.Add([]byte("x{abc}2"), byte('{'), byte('}'))
	f.Add([]byte("a$$b$"), byte('$'), byte('$'))
	f.Fuzz(func(t *testing.T, key []byte, open, close byte) {
		want := key
	search:
		for i := range key {
			if key[i] != open {
				continue
			}
			for j := i + 1; j < len(key); j++ {
				if key[j] == close {
					if j > i+1 {
						want = key[i+1 : j]
					}
					break search
				}
			}
			break
		}
		if got := Tagged(key, open, close); !bytes.Equal(got, want) {
			t.Errorf("Tagged(%q, %q, %q) = %q, want %q", key, open, close, got, want)
		}
	})
}
