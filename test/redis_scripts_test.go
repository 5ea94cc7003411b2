package test

import (
	"fmt"
	"strings"
	"testing"
)

// TestScriptsReachServersThatLackThem has servers lose a script behind the proxy's back. Whoever runs it by its name does not notice.
func TestScriptsReachServersThatLackThem(t *testing.T) {
	t.Parallel()
	const noScript = "-NOSCRIPT No matching script. Please use EVAL.\r\n"
	b := startRedisBed(t, bedOptions{servers: 3, workers: 2})
	lose := func() {
		for i := range b.servers {
			b.dialServer(t, i).wantAsk(okReply, "SCRIPT", "FLUSH", "SYNC")
		}
	}
	c := b.dial(t)
	run := func(name, suffix string) {
		t.Helper()
		for server := range b.servers {
			key := b.key(server, "script"+suffix)
			c.wantAsk(bulk(key), "EVALSHA", strings.ToUpper(name), "1", key)
		}
	}
	name := "4a2267357833227dd98abdedb8cf24b15a986445" // return KEYS[1]
	c.wantAsk(noScript, "EVALSHA", name, "1", "k")
	c.wantAsk(bulk("k"), "EVAL", "return KEYS[1]", "1", "k")
	run(name, "eval")
	lose()
	run(name, "lost")

	c.wantAsk(bulk(name), "SCRIPT", "LOAD", "return KEYS[1]")
	lose()
	c.wantAsk(okReply, "MULTI")
	c.wantAsk("+QUEUED\r\n", "EVALSHA", name, "1", "k")
	c.wantAsk("*1\r\n"+bulk("k"), "EXEC")

	// Servers that are new do not have it.
	for i, server := range b.servers {
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		for reply := ""; reply != nullReply; reply = c.reply() { // until the proxy has noticed, the old connection fails
			c.send(request("GET", b.key(i, "nothing")))
		}
	}
	run(name, "new")

	// Behind others of the same client it would come too late, so the client is told; and the next request is healed.
	key := b.key(0, "script")
	run(name, "before")
	lose()
	c.send(request("EVALSHA", name, "1", key) + request("SET", key, "1"))
	c.want(noScript + okReply)
	c.wantAsk(bulk(key), "EVALSHA", name, "1", key)

	c.wantAsk(okReply, "SCRIPT", "FLUSH")
	c.wantAsk(noScript, "EVALSHA", name, "1", "k")
	c.wantAsk(noScript, "EVALSHA", fmt.Sprintf("%040d", 1), "1", "k")
	c.wantAsk(noScript, "EVALSHA", "short", "1", "k")
}
