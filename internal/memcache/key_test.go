package memcache

import (
	"encoding/base64"
	"testing"
)

func TestDecodedKeys(t *testing.T) {
	cases := []struct {
		rule, key, want string
		ok              bool
	}{
		{"no pad", "YWJj", "abc", true},
		{"one pad", "YWI=", "ab", true},
		{"two pads", "YQ==", "a", true},
		{"bits behind the last byte do not matter", "YR==", "a", true},
		{"all bytes", "AP8K", "\x00\xff\n", true},
		{"plus and slash", "++//", "\xfb\xef\xff", true},
		{"what is no letter is passed over", "Y!Q==", "a", true},
		{"also behind the end", "YWJj!", "abc", true},
		{"what follows a padded group is not looked at", "YQ==YWJj", "a", true},
		{"a pad in the middle", "YW=j", "a`", true},
		{"a pad in front of the end", "A=BC", "\x00\x00", true},
		{"too few letters", "YQ", "", false},
		{"a pad too few", "YQ=", "", false},
		{"a pad too many", "YWJj=", "", false},
		{"three pads", "Y===", "", false},
		{"pads only", "====", "", false},
		{"the letters of URLs", "-_-_", "", false},
		{"nothing", "", "", false},
	}
	for _, tc := range cases {
		t.Run(tc.rule, func(t *testing.T) {
			got, ok := AppendDecodedKey([]byte("before"), []byte(tc.key))
			if ok != tc.ok || ok && string(got) != "before"+tc.want {
				t.Errorf("%q: got %q, %v, want %q, %v", tc.key, got, ok, tc.want, tc.ok)
			}
		})
	}
}

// What is encoded properly is decoded as everybody does.
func FuzzDecodedKey(f *testing.F) {
	f.Add([]byte("a"))
	f.Add([]byte("\x00\xff\n "))
	f.Fuzz(func(t *testing.T, key []byte) {
		encoded := base64.StdEncoding.AppendEncode(nil, key)
		got, ok := AppendDecodedKey(nil, encoded)
		if ok != (len(key) > 0) || string(got) != string(key) {
			t.Errorf("%q: got %q, %v", encoded, got, ok)
		}
		if len(got) > len(encoded) {
			t.Errorf("%q: %d bytes became %d", encoded, len(encoded), len(got))
		}
		AppendDecodedKey(nil, key) // whatever it is
	})
}
