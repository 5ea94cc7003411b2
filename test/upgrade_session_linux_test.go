package test

import (
	"fmt"
	"strings"
	"testing"

	"nutmeg/internal/testkit"
)

// What Redis keeps for a connection is the same in the new process: protocol version, database, user, name and id.
func TestSessionsOutliveAnUpgrade(t *testing.T) {
	t.Parallel()
	server := testkit.Redis(t)
	l := startLineage(t, fmt.Sprintf("alpha:\n  listen: {listen}\n  redis: true\n  servers: [\"%s:1\"]\n", server.Addr()))
	direct := dial(t, server.Addr())
	direct.wantAsk(okReply, "ACL", "SETUSER", "ann", "on", ">secret", "~*", "+@all", "-del")

	plain, third, ann := dial(t, l.Addr()), dial(t, l.Addr()), dial(t, l.Addr())
	plain.wantAsk(okReply, "SET", "k", "in 0")
	third.wantAsk(okReply, "SELECT", "3")
	third.wantAsk(okReply, "SET", "k", "in 3")
	ann.send(request("HELLO", "3", "AUTH", "ann", "secret"))
	if hello := ann.reply(); !strings.HasPrefix(hello, "%7\r\n") {
		t.Fatalf("HELLO: %q", hello)
	}
	busy := dial(t, l.Addr())
	busy.wantAsk(okReply, "MULTI")
	busy.wantAsk("+QUEUED\r\n", "INCR", "n")

	old := l.pid
	l.startUpgrade(t)
	busy.wantAsk("*1\r\n:1\r\n", "EXEC") // until then the old process stays
	l.wantEnd(t, old)
	plain.wantAsk(bulk("in 0"), "GET", "k")
	third.wantAsk(bulk("in 3"), "GET", "k")
	ann.wantAsk("_\r\n", "GET", "nothing")
	ann.send(request("DEL", "k"))
	if reply := ann.reply(); !strings.HasPrefix(reply, "-NOPERM") {
		t.Errorf("DEL by a user who may not: %q", reply)
	}
	busy.wantAsk(":2\r\n", "INCR", "n")
}
