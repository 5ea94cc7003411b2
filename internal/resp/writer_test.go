package resp_test

import (
	"math"
	"testing"

	"nutmeg/internal/resp"
)

func TestWriter(t *testing.T) {
	check := func(got []byte, want string) {
		t.Helper()
		if string(got) != "x"+want {
			t.Errorf("got %q, want %q", got, "x"+want)
		}
	}
	x := func() []byte { return []byte("x") }
	check(resp.AppendArray(x(), 0), "*0\r\n")
	check(resp.AppendArray(x(), 1234567), "*1234567\r\n")
	check(resp.AppendBulk(x(), ""), "$0\r\n\r\n")
	check(resp.AppendBulk(x(), "a\r\nb\x00"), "$5\r\na\r\nb\x00\r\n")
	check(resp.AppendBulk(x(), []byte("0123456789")), "$10\r\n0123456789\r\n")
	check(resp.AppendInteger(x(), 0), ":0\r\n")
	check(resp.AppendInteger(x(), -1), ":-1\r\n")
	check(resp.AppendInteger(x(), math.MinInt64), ":-9223372036854775808\r\n")
	check(resp.AppendCommand(x(), "SELECT", "7"), "*2\r\n$6\r\nSELECT\r\n$1\r\n7\r\n")
	check(resp.AppendCommand(x()), "*0\r\n")
	check(resp.AppendError(x(), "ERR wrong"), "-ERR wrong\r\n")
	check(resp.AppendError(x(), "ERR a\r\nb\n"), "-ERR a  b \r\n")
}

// Clients compare these byte by byte.
func TestOwnResponses(t *testing.T) {
	for got, want := range map[string]string{
		resp.OK:            "+OK\r\n",
		resp.Pong:          "+PONG\r\n",
		resp.WrongPassword: "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
		resp.NoAuth:        "-NOAUTH Authentication required.\r\n",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if _, err := checkEveryResponseCut(t, []byte(got)); err != nil {
			t.Errorf("%q: %v", got, err)
		}
	}
}

func TestWritingAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 256)
	key := []byte("key")
	if n := testing.AllocsPerRun(100, func() {
		d := resp.AppendArray(dst, 2)
		d = resp.AppendBulk(d, "GET")
		d = resp.AppendBulk(d, key)
		d = resp.AppendInteger(d, 12345)
		_ = resp.AppendError(d, "ERR wrong")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
