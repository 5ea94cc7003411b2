package proxy

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// plantedBug is a change of the engine that makes it wrong. The simulation must find it.
type plantedBug struct {
	name string
	file string // from this directory
	old  string // occurs exactly once
	new  string
}

var plantedBugs = []plantedBug{
	{
		"after a time-out the connection is kept", "serverconn.go",
		"\ts.conn.Close()\n\ts.fail(failTimedOut)\n",
		"\ts.worker.refuse(s.queue.pop(), s.server.pool, failTimedOut)\n\ts.worker.loop.Arm(&s.timer, s.worker.loop.Now()+s.server.pool.timeout, s)\n",
	},
	{
		"requests wait three times as long as they may", "serverconn.go",
		"\t\tr.deadline = s.worker.loop.Now() + timeout\n",
		"\t\tr.deadline = s.worker.loop.Now() + 3*timeout\n",
	},
	{
		"a response that nobody waits for goes to the next who waits", "serverconn.go",
		"\tr := s.queue.pop()\n\ts.pending--\n\ts.relieve()\n",
		"\tr := s.queue.pop()\n\tfor !r.wanted() && r.silent == nil && !r.probe && s.queue.oldest != nil {\n\t\tr = s.queue.pop()\n\t\ts.pending--\n\t}\n\ts.pending--\n\ts.relieve()\n",
	},
	{
		"the request of a client that left is free at once", "client.go",
		"\t\tr.response.Reset(&w.loop.Chunks)\n\t\tif r.done {\n",
		"\t\tr.response.Reset(&w.loop.Chunks)\n\t\tif r.done || r.family == nil {\n",
	},
	{
		"a fragment counts twice", "family.go",
		"\tf.waiting--\n",
		"\tf.waiting--\n\tif len(f.children) > 2 && f.waiting == 1 {\n\t\tf.waiting--\n\t}\n",
	},
	{
		"a fragment is not waited for", "family.go",
		"\t\tconn := w.childConns[i]\n\t\tconn.enqueue(",
		"\t\tconn := w.childConns[i]\n\t\tif i == 3 {\n\t\t\tcontinue\n\t\t}\n\t\tconn.enqueue(",
	},
	{
		"responses leave as they come", "answer.go",
		"\tcase c.queue.oldest != r:\n",
		"\tcase c.queue.oldest != r && flat == nil:\n",
	},
	{
		"the response to a request without reply is not expected", "memcache.go",
		"\tc.acceptSilent(r, m.size())\n\tconn.enqueue(r, int(conn.appended-before))\n",
		"\tc.acceptSilent(r, m.size())\n\tif before == conn.appended {\n\t\tconn.enqueue(r, 0)\n\t}\n",
	},
	{
		"of a failed connection only the oldest request is answered", "serverconn.go",
		"\tfor s.queue.oldest != nil {\n\t\tr := s.queue.pop()\n\t\tpending++\n",
		"\tfor s.queue.oldest != nil && pending == 0 {\n\t\tr := s.queue.pop()\n\t\tpending++\n",
	},
	{
		"the first part of a response stays when its connection fails", "serverconn.go",
		"\t\tw.dropResponse(r)\n\t\tw.refuse(r, sv.pool, cause)\n",
		"\t\tw.refuse(r, sv.pool, cause)\n",
	},
	{
		"an error follows half a response", "serverconn.go",
		"\t\tif r.flowed > 0 && r.client != nil {\n",
		"\t\tif r.flowed < 0 && r.client != nil {\n",
	},
	{
		"half a response is all that a client ever gets", "flow.go",
		"\tc.callBack()\n",
		"",
	},
	{
		"a response flows before its turn", "flow.go",
		" && c.queue.oldest == r && !c.gone",
		" && !c.gone",
	},
	{
		"a response that flows loses what came last", "flow.go",
		"\tr.flowed += len(piece)\n",
		"\tif r.flowed += len(piece); len(piece) == 1 {\n\t\treturn\n\t}\n",
	},
	{
		"everybody waits for a client that does not read", "serverconn.go",
		"s.waitsFor != nil && r.sender() != s.waitsFor {",
		"s.waitsFor != nil && r.sender() == nil {",
	},
	{
		"a client is waited for that has left", "client.go",
		"\tif s := c.awaitedBy(); s != nil {\n",
		"\tif s := c.awaitedBy(); s != nil && s.dead {\n",
	},
	{
		"a client is waited for that has read enough", "flow.go",
		"c.conn.Unsent() <= c.ahead()/4 {",
		"c.conn.Unsent() < 0 {",
	},
	{
		"a message comes within a response", "flow.go",
		" && !c.hearsMore()\n",
		"\n",
	},
	{
		"what a client holds is never less", "answer.go",
		"\tc.held -= r.charge + r.collected\n\tc.collected -= r.collected\n\tc.requests--\n",
		"\tc.held -= r.charge + r.collected - 100\n\tc.collected -= r.collected\n\tc.requests--\n",
	},
	{
		"a client above its mark is read from", "client.go",
		"\t} else {\n\t\tc.conn.Pause()\n\t}\n}\n",
		"\t}\n}\n",
	},
	{
		"a client above its mark is forgotten", "limits.go",
		"\treturn c.held+c.conn.Unsent() <= c.mark()/2 &&",
		"\treturn c.held+c.conn.Unsent() < 0 &&",
	},
	{
		"output that a client does not read is not counted", "limits.go",
		"return min(c.pool.conf.Limits.ClientBuffer, c.worker.heldMark) }",
		"return min(c.pool.conf.Limits.ClientBuffer, c.worker.heldMark) + 2*c.conn.Unsent() }",
	},
	{
		"a request is sent twice", "workerpool.go",
		"\tc.accept(r, n)\n\tconn.enqueue(r, int(conn.appended-start))\n",
		"\tc.accept(r, n)\n\tconn.enqueue(r, int(conn.appended-start))\n\tif m.flat != nil && conn.appended%64 == 0 {\n\t\tconn.append(m.flat)\n\t\ttwin := c.worker.newRequest()\n\t\ttwin.expects = expects\n\t\tconn.enqueue(twin, n)\n\t}\n",
	},
	{
		"a request takes any connection", "lane.go",
		"\t\ti = c.turn(n)\n",
		"\t\ti = int(s.stats.Requests) % n\n",
	},
	{
		"requests go before the password", "greeting.go",
		"\tif len(s.greeting) == 0 {\n\t\ts.begin()\n\t\treturn\n\t}\n\ts.conn.Send(hello)\n",
		"\ts.begin()\n\tif len(s.greeting) == 0 {\n\t\treturn\n\t}\n\ts.conn.Send(hello)\n",
	},
	{
		"the last count is the sum", "redis_split.go",
		"\t\tsum += n\n",
		"\t\tsum = n\n",
	},
	{
		"of a request to all servers one server gets two", "redis_all.go",
		"\t\tm.sendCopy(w.childConns[i])\n",
		"\t\tm.sendCopy(w.childConns[i&^1])\n",
	},
	{
		"the list of one server is left out", "redis_merge.go",
		"\tkind, total := resp.Kind(f.children[0].kind), int64(0)\n",
		"\tkind, total := resp.Kind(f.children[0].kind), int64(0)\n\tf.children = f.children[:min(len(f.children), 2)]\n",
	},
	{
		"a scan goes on at the next server too early", "redis_scan.go",
		"\tif own == 0 {\n\t\tindex++\n",
		"\tif own&0x10000 == 0 {\n\t\tindex++\n",
	},
	{
		"a scan forgets that servers have changed", "redis_scan.go",
		"cursor&(1<<checkBits-1) == p.check && index < p.servers\n",
		"index < p.servers\n",
	},
	{
		"an ejected server stays out", "../pool/view.go",
		"now >= s.retryAt {",
		"now < s.retryAt {",
	},
	{
		"a value loses a byte where memory begins anew", "../buffer/buffer.go",
		"\t\tdst.Append(p, bytes)\n\t\tn -= len(bytes)\n\t\toffset = 0\n",
		"\t\tdst.Append(p, bytes)\n\t\tn -= len(bytes)\n\t\toffset = 1\n",
	},
	{
		"a short write sends its last byte again", "../evloop/conn.go",
		"\t\tc.out.Discard(&c.loop.Chunks, n)\n",
		"\t\tif err != nil && n > 1 {\n\t\t\tn--\n\t\t}\n\t\tc.out.Discard(&c.loop.Chunks, n)\n",
	},
	{
		"an end that comes with bytes is not seen", "../evloop/conn.go",
		"n < len(room) && !ended",
		"n < len(room)",
	},
	{
		"a response that waits for others is written twice", "../evloop/hold.go",
		"\th.list.push(c)\n",
		"\tif h.looks > 0 {\n\t\tc.out.Append(&c.loop.Chunks, c.out.First().Bytes())\n\t}\n\th.list.push(c)\n",
	},
	{
		"a response that waits for others is forgotten", "../evloop/hold.go",
		"\th.over = false\n",
		"\tif h.over = false; h.looks == holdLooks-1 {\n\t\th.list = dirtyList{}\n\t}\n",
	},
	{
		"a client that left keeps its socket", "../evloop/linger.go",
		"func (g *linger) close() { g.conn.Close() }",
		"func (g *linger) close() { g.gone() }",
	},
	{
		"listeners are never closed", "worker.go",
		"\tif w.index == 0 {\n\t\tfor _, l := range",
		"\tif w.index == 1 {\n\t\tfor _, l := range",
	},
	{
		"a large request does not wait for those before it", "lane.go",
		"\tcase size > c.mark() && c.held == 0:\n",
		"\tcase size > 2000:\n",
	},
	{
		"what has come of a request is lost with a hand-over", "departure.go",
		"\tif len(state.Input) > 0 {",
		"\tif len(state.Input) > mostInput {",
	},
	{
		"a password is forgotten with a hand-over", "departure.go",
		"\tc.authenticated = c.authenticated || state.Authenticated\n",
		"",
	},
	{
		"a client is handed over with requests under way", "departure.go",
		"\tif c.held == 0 && c.conn.Unsent() == 0 {",
		"\tif c.conn.Unsent() == 0 {",
	},
	{
		"the crowd of a busy server is forgotten", "serverlimits.go",
		"\tif s.crowd.first == nil || s.crowd.listed {",
		"\tif s.crowd.first == nil || s.crowd.listed || !s.dead {",
	},
	{
		"a client that left still counts", "workerpool.go",
		"\tc.pool.census.clients.Add(int64(n))\n",
		"\tc.pool.census.clients.Add(int64(max(n, 0)))\n",
	},
	{
		"a quiet request keeps what came of the answer to mn", "memcache_meta.go",
		"\ts.worker.dropResponse(r)\n\ts.worker.answer(r, nil)\n",
		"\ts.worker.answer(r, nil)\n",
	},
	{
		"the answer to mn is taken for that to a quiet request", "memcache_meta.go",
		"kind == memcache.MetaEnd:\n\t\ts.passOver()\n",
		"kind == memcache.MetaEnd:\n",
	},
	{
		"a failure is kept from who sent a quiet request", "server.go",
		"\tr.failed, r.cause = true, cause\n",
		"\tr.failed, r.cause = true, cause\n\tif r.expects&0x80 != 0 && r.family == nil {\n\t\tw.answer(r, nil)\n\t\treturn\n\t}\n",
	},
	{
		"an encoded key is looked for where its letters would be", "memcache_meta.go",
		"\t\tif key = decoded; !ok {",
		"\t\tif !ok {",
	},
	{
		"a request that was held is forgotten", "memcache_dialect.go",
		"\tc.hold(whole)\n",
		"\tif c.hold(whole); s.pending%8 == 7 {\n\t\tc.session.held.drop(c)\n\t}\n",
	},
	{
		"who does not read is never closed", "limits.go",
		"\tc.overflowed = true\n",
		"",
	},
	{
		"a connection is lent again in the middle of a transaction", "dedicated.go",
		"\tif c.session.needs(s) {\n",
		"\tif s.listens && c.session.needs(s) {\n",
	},
	{
		"a client's database is forgotten", "lane.go",
		"\t\tif id := c.session.identity; id != nil {\n\t\t\tl = s.laneOf(id)\n\t\t}\n",
		"",
	},
	{
		"the connection of a client that left while it blocked is lent again", "session.go",
		"\ts.owner = nil\n\ts.close()\n",
		"\ts.owner = nil\n\tif !s.listens {\n\t\ts.server.dedicated.idle = append(s.server.dedicated.idle, s)\n\t\treturn\n\t}\n\ts.close()\n",
	},
	{
		"requests do not wait for SELECT", "redis_identity.go",
		"\tsend()\n\tc.alone = true\n",
		"\tsend()\n",
	},
	{
		"now and then a message is for nobody", "subscription.go",
		"\tcase isMessage(start) && c != nil && !c.gone:\n",
		"\tcase isMessage(start) && c != nil && !c.gone && n%8 != 0:\n",
	},
	{
		"a held request is dispatched twice", "hold.go",
		"\tc.pool.protocol.again(c, m)\n\tif c.holding {\n",
		"\tc.pool.protocol.again(c, m)\n\tif !c.holding && !c.gone && m.flat != nil {\n\t\tc.pool.protocol.again(c, m)\n\t}\n\tif c.holding {\n",
	},
	{
		"a lost WATCH is forgotten", "redis_transaction.go",
		"\tt.broken = t.broken || t.watching\n",
		"",
	},
	{
		"a transaction goes on when its connection is lost", "redis_transaction.go",
		"\tt.failed = t.open\n",
		"",
	},
	{
		"a command blocks for a client that has left", "redis_blocking.go",
		"\tcase c.ended || c.leaving:\n",
		"\tcase c.gone:\n",
	},
	{
		"who waits for a connection keeps its place when it leaves", "session.go",
		"\tif s.queued != nil {\n\t\ts.queued.leaveQueue(c)\n\t}\n\ts.held.drop(c)\n",
		"\ts.held.drop(c)\n",
	},
	{
		"identities are never forgotten", "identity.go",
		"\tid.clients--\n\tswitch {\n",
		"\tswitch {\n",
	},
	{
		"messages come before the confirmation", "subscription.go",
		"s.pending+len(s.undone) > 0 &&",
		"s.pending < 0 &&",
	},
	{
		"a reload leaves subscribers where nothing is published any more", "workerpool.go",
		"\tp.rehome()\n",
		"",
	},
	{
		"a session does not survive a hand-over", "departure.go",
		"s != nil && !c.resumeSession(s) {",
		"s != nil && s.Own && !c.resumeSession(s) {",
	},
	{
		"a client inside a transaction is handed over", "departure.go",
		"\tcase c.holding, c.session != nil && c.session.engaged():\n",
		"\tcase c.holding:\n",
	},
	{
		"a client moves with requests in flight", "move.go",
		"\treturn c.requests == 0 && c.held == 0 && c.queue.oldest == nil && c.conn",
		"\treturn c.conn",
	},
	{
		"half a request is forgotten when its client moves", "move.go",
		"\tcase c.cut != nil || c.unparsed",
		"\tcase c.unparsed",
	},
	{
		"output is forgotten when its client moves", "move.go",
		" && c.conn.Unsent() == 0 && c.portable()",
		" && c.portable()",
	},
	{
		"a client inside a transaction moves", "move.go",
		"\treturn !s.engaged() && !s.monitoring",
		"\treturn !s.monitoring",
	},
	{
		"a client's database is forgotten when it moves", "move.go",
		"\t\t\tc.session.identity = id\n",
		"",
	},
	{
		"a password is forgotten when a client moves", "move.go",
		", authenticated: c.authenticated,",
		",",
	},
	{
		"a client that moves counts twice", "move.go",
		"\tw.load.Add(-1)\n\tw.guests--\n\tc.pool",
		"\tw.guests--\n\tc.pool",
	},
	{
		"who moves while a pool goes is forgotten", "move.go",
		"\t_ = s.Close()\n",
		"",
	},
	{
		"what has nothing to do keeps its server connections", "giving.go",
		"\t\t\tconn.retire()\n",
		"\t\t\tconn.slot = slotRetired\n",
	},
	{
		"a client that cannot be brought to rest is not read from again", "giving.go",
		"\t\tif !c.gone && !c.leaving && !c.stalled && w.departure == nil {\n",
		"\t\tif !c.gone && !c.leaving && !c.stalled && w.departure == nil && c.requests == 0 {\n",
	},
	{
		"a worker looks around for ever", "mover.go",
		"\tcase b.idle == 0 ||",
		"\tcase b.idle >= 0 ||",
	},
	{
		"who waits in line is not told when it is over", "succession.go",
		"\twaiting := at.waiting\n\tat.waiting = nil\n",
		"\twaiting := at.waiting[:0]\n",
	},
}

// plantedSeeds is how many seeds may be needed to find a planted bug.
const plantedSeeds = 800

// TestPlantedBugsAreFound builds the engine with each of the planted bugs and runs the simulation on it. The engine as it
// is passes with the same seeds.
func TestPlantedBugsAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the engine many times")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs the go command")
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		if out, err := simulateBy(t, buildWith(t, nil)); err != nil {
			t.Fatalf("%v:\n%s", err, out)
		}
	})
	for _, bug := range plantedBugs {
		t.Run(bug.name, func(t *testing.T) {
			t.Parallel()
			out, err := simulateBy(t, bug.build(t))
			if err == nil {
				t.Fatalf("not found with %d seeds:\n%s", plantedSeeds, out)
			}
			t.Log(firstLine.FindString(string(out)))
		})
	}
}

var firstLine = regexp.MustCompile(`(?m)^.*(seed \d+, |panic: ).*$`)

func simulateBy(t *testing.T, program string) (output []byte, err error) {
	t.Helper()
	return exec.CommandContext(t.Context(), program, "-test.run", "^TestSimulation$", "-test.timeout", "2m",
		"-sim.first", "1", "-sim.seeds", fmt.Sprint(plantedSeeds)).CombinedOutput()
}

// build compiles the tests of this package with the bug in place and returns the program's path.
func (b plantedBug) build(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(b.file)
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), b.old); n != 1 {
		t.Fatalf("%s has the text to change %d times, not once; the code has moved on: plant the bug anew:\n%s", b.file, n, b.old)
	}
	changed := filepath.Join(t.TempDir(), filepath.Base(b.file))
	if err := os.WriteFile(changed, []byte(strings.Replace(string(source), b.old, b.new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return buildWith(t, map[string]string{path: changed})
}

// buildWith compiles the tests of this package with other files in the place of some. It does not inline: that takes longer to
// build than it saves.
func buildWith(t *testing.T, replace map[string]string) (program string) {
	t.Helper()
	dir := t.TempDir()
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(dir, "planted.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-gcflags=nutmeg/internal/proxy=-l", "-overlay", list, "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("cannot build: %v\n%s", err, out)
	}
	return program
}
