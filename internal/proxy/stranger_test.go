package proxy

import (
	"strings"
	"testing"
	"time"

	"nutmeg/internal/testkit/sim"
)

// TestStrangerCannotFillTheMemory: a client without the password has a small limit for one request.
func TestStrangerCannotFillTheMemory(t *testing.T) {
	for _, tt := range []struct{ name, before, want string }{
		{"before AUTH", "", "-ERR Protocol error: request too large before authentication\r\n"},
		{"after AUTH", "AUTH sesame\r\n", "+OK\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newArena(t, 1, redisLanguage{}, 1, 1, "  redis_auth: sesame\n")
			client := a.Connect(proxyAddress)
			got := ""
			client.OnData = func(_ *sim.Peer, data []byte) { got += string(data) }
			client.SendString(tt.before + "*2\r\n$3\r\nGET\r\n$400000000\r\n" + strings.Repeat("x", 3_000_000))
			if err := a.RunFor(a.loops, time.Minute); err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("answered %q, want %q", got, tt.want)
			}
		})
	}
}
