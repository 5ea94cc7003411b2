package resp

import "testing"

func TestShortBulk(t *testing.T) {
	for _, test := range []struct {
		data string
		size int
	}{
		{"", 0},
		{"$", 0},
		{"$0\r\n\r\n", 6},
		{"$3\r\nabc\r\n", 9},
		{"$3\r\nabc\r\n$1\r\nx\r\n", 9},
		{"$12\r\nabcdefghijkl\r\n", 19},
		{"$3\r\nabc\r", 0},
		{"$3\r\nab", 0},
		{"$3\r", 0},
		{"$-1\r\n", 0},
		{"$1000\r\n", 0},
		{":12\r\n", 0},
		{"*1\r\n$1\r\nx\r\n", 0},
		{"_\r\n", 0},
	} {
		if size := ShortBulk([]byte(test.data)); size != test.size {
			t.Errorf("ShortBulk(%q) = %d, want %d", test.data, size, test.size)
		}
		if test.size == 0 {
			continue
		}
		var p ResponseParser
		if n, done, err := p.Parse([]byte(test.data)); n != test.size || !done || err != nil {
			t.Errorf("the parser says of %q %d, %v, %v", test.data, n, done, err)
		}
	}
}
