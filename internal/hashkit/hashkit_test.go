package hashkit

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// vectorKeys are the columns of vectors. The last two hold bytes of 0x80 and
// above, where signed and unsigned char part.
var vectorKeys = []string{"a", "apple", "foobar", "hello, world", "\xff\x80\xe9", "abc\xe9"}

// vectors were produced by twemproxy 0.5.0 on Linux x86-64.
var vectors = []struct {
	name string
	want []uint32
}{
	{"one_at_a_time", []uint32{3392050242, 2297466611, 4182965735, 466015908, 2415954654, 2046409340}},
	{"md5", []uint32{3111502092, 3195025439, 586569784, 3035748324, 2619648668, 2046935344}},
	{"crc16", []uint32{31879, 3662830516, 2667556901, 3313258553, 512932092, 1956505619}},
	{"crc32", []uint32{26807, 10542, 7926, 32683, 9100, 32395}},
	{"crc32a", []uint32{3904355907, 2838417488, 2666930069, 4289425978, 2743873384, 2123051660}},
	{"fnv1_64", []uint32{2248259518, 473199127, 2765990338, 2507474493, 2481815625, 75214872}},
	{"fnv1a_64", []uint32{2248273036, 1488911807, 4147734504, 1740530493, 2382302873, 301501254}},
	{"fnv1_32", []uint32{84696446, 67176023, 837857890, 1441171357, 3477926537, 1176603896}},
	{"fnv1a_32", []uint32{3826002220, 280767167, 3214735720, 1292805149, 992138137, 2194408902}},
	{"hsieh", []uint32{2472816263, 3738850110, 128288300, 4077733830, 1282843675, 4186542402}},
	{"murmur", []uint32{1262581116, 4142305122, 2884435735, 307187212, 3562107725, 3521994906}},
	{"jenkins", []uint32{3768813200, 1442444624, 266177376, 3651724253, 1057214583, 1306028396}},
}

func mustByName(t testing.TB, name string) Func {
	t.Helper()
	hash, ok := ByName(name)
	if !ok {
		t.Fatalf("ByName(%q) knows no such hash", name)
	}
	return hash
}

func TestHashesAgreeWithTwemproxy(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			hash := mustByName(t, v.name)
			for i, key := range vectorKeys {
				if got := hash([]byte(key)); got != v.want[i] {
					t.Errorf("hash of %q = %d, want %d", key, got, v.want[i])
				}
			}
		})
	}
}

func TestEmptyKeyHashesToZero(t *testing.T) {
	for _, name := range Names() {
		hash := mustByName(t, name)
		if got := hash(nil); got != 0 {
			t.Errorf("%s of nil = %d, want 0", name, got)
		}
		if got := hash([]byte{}); got != 0 {
			t.Errorf("%s of an empty key = %d, want 0", name, got)
		}
	}
}

func TestAlignmentDoesNotChangeTheHash(t *testing.T) {
	key := []byte("alignment must not matter\xff\x80")
	for _, name := range Names() {
		hash := mustByName(t, name)
		want := hash(key)
		for offset := range 8 {
			moved := append(make([]byte, offset), key...)[offset:]
			if got := hash(moved); got != want {
				t.Errorf("%s at offset %d = %d, want %d", name, offset, got, want)
			}
		}
	}
}

func TestNames(t *testing.T) {
	var want []string
	for _, v := range vectors {
		want = append(want, v.name)
	}
	names := Names()
	if !slices.Equal(names, want) {
		t.Fatalf("Names() = %q, want %q", names, want)
	}
	names[0] = "changed"
	if Names()[0] != want[0] {
		t.Error("changing the result of Names changed the table")
	}
}

func TestByNameKnowsExactNamesOnly(t *testing.T) {
	for _, name := range []string{"", "MD5", "fnv1a64", "crc", "md5 "} {
		if hash, ok := ByName(name); ok || hash != nil {
			t.Errorf("ByName(%q) found a hash", name)
		}
	}
}

func TestTagged(t *testing.T) {
	tests := []struct {
		rule string
		tag  string
		key  string
		want string
	}{
		{"the tag inside the key", "{}", "x{abc}2", "abc"},
		{"the first pair of several", "{}", "{abc}{def}", "abc"},
		{"an empty first pair means the whole key", "{}", "a{}{abc}", "a{}{abc}"},
		{"an open inside the tag belongs to it", "{}", "{{abc}}", "{abc"},
		{"a close before the open is skipped", "{}", "}{abc}", "abc"},
		{"no close means the whole key", "{}", "{abc", "{abc"},
		{"no open means the whole key", "{}", "abc}", "abc}"},
		{"neither means the whole key", "{}", "abc", "abc"},
		{"an open at the very end means the whole key", "{}", "abc{", "abc{"},
		{"an empty key stays empty", "{}", "", ""},
		{"equal bytes: the second closes", "$$", "x$abc$", "abc"},
		{"equal bytes side by side mean the whole key", "$$", "a$$b", "a$$b"},
		{"equal bytes: one alone means the whole key", "$$", "$abc", "$abc"},
		{"letters may be tags", "ab", "aXb", "X"},
		{"letters side by side mean the whole key", "ab", "ab", "ab"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			if got := Tagged([]byte(tt.key), tt.tag[0], tt.tag[1]); string(got) != tt.want {
				t.Errorf("Tagged(%q, %q) = %q, want %q", tt.key, tt.tag, got, tt.want)
			}
		})
	}
}

func TestHashesDoNotAllocate(t *testing.T) {
	key := bytes.Repeat([]byte("user:{12345}:"), 20)
	for _, name := range Names() {
		hash := mustByName(t, name)
		for _, size := range []int{1, 16, 100, len(key)} {
			allocs := testing.AllocsPerRun(100, func() {
				hash(Tagged(key[:size], '{', '}'))
				hash(key[:size])
			})
			if allocs != 0 {
				t.Errorf("%s of %d bytes allocates %v times", name, size, allocs)
			}
		}
	}
}

func BenchmarkHash(b *testing.B) {
	text := bytes.Repeat([]byte("user:00001"), 25)
	for _, name := range Names() {
		for _, size := range []int{8, 16, 40, 250} {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				hash, key := mustByName(b, name), text[:size]
				b.ReportAllocs()
				b.SetBytes(int64(len(key)))
				for b.Loop() {
					hash(key)
				}
			})
		}
	}
}

func BenchmarkTagged(b *testing.B) {
	key := []byte("user:{1234567890}:profile")
	b.ReportAllocs()
	for b.Loop() {
		Tagged(key, '{', '}')
	}
}
