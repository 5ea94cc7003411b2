package test

import (
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nutmeg/internal/resp"
)

// texts is the strings of a reply that is a list of them.
func texts(t testing.TB, reply string) (all []string) {
	t.Helper()
	r := resp.NewReader([]byte(reply))
	head, ok := r.Next()
	if !ok || !head.IsList() {
		t.Fatalf("got %s, want a list", short(reply))
	}
	for range head.Count {
		v, ok := r.Next()
		if !ok || !v.IsText() {
			t.Fatalf("got %s, want a list of strings", short(reply))
		}
		all = append(all, string(v.Text))
	}
	return all
}

// scan reads a SCAN to its end and returns what it found, sorted.
func (c *rawConn) scan(options ...string) (all []string) {
	c.t.Helper()
	for cursor, pages := "0", 0; ; pages++ {
		reply := c.ask(slices.Concat([]string{"SCAN", cursor}, options)...)
		r := resp.NewReader([]byte(reply))
		head, _ := r.Next()
		next, ok := r.Next()
		page, whole := r.Element()
		if !ok || !whole || head.Count != 2 || r.Len() > 0 {
			c.t.Fatalf("SCAN %s: got %s", cursor, short(reply))
		}
		all = append(all, texts(c.t, string(page))...)
		if cursor = string(next.Text); cursor == "0" {
			slices.Sort(all)
			return slices.Compact(all)
		}
		if pages > 100000 {
			c.t.Fatal("the scan does not end")
		}
	}
}

func TestRedisCLIScansAllServers(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 3})
	c := b.dial(t)
	keys := named("key-", 500)
	c.wantAsk(okReply, with("MSET", pairs(keys, keys)...)...)
	host, port, _ := strings.Cut(b.Addr(), ":")
	cli := func(args ...string) string {
		out, err := exec.Command("redis-cli", append([]string{"-h", host, "-p", port}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("redis-cli %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	found := strings.Fields(cli("--scan"))
	if slices.Sort(found); !slices.Equal(found, slices.Sorted(slices.Values(keys))) {
		t.Errorf("--scan finds %d keys, want %d", len(found), len(keys))
	}
	for _, mode := range []string{"--bigkeys", "--memkeys"} {
		if out := cli(mode); !strings.Contains(out, "Sampled 500 keys in the keyspace!") {
			t.Errorf("%s prints\n%s", mode, out)
		}
	}
}

// TestRedisScanWhoseServersChange: a scan that began with other servers is refused, not led on through some of the keys.
func TestRedisScanWhoseServersChange(t *testing.T) {
	t.Parallel()
	o := bedOptions{servers: 3}
	b := startRedisBed(t, o)
	c := b.dial(t)
	keys := named("key-", 300)
	c.wantAsk(okReply, with("MSET", pairs(keys, keys)...)...)
	r := resp.NewReader([]byte(c.ask("SCAN", "0")))
	_, _ = r.Next()
	cursor, _ := r.Next()

	o.listen = b.Addr()
	b.reload(bedYAML(o, b.servers[:2]))
	c.wantAsk("-ERR invalid cursor: it is not of the servers that this pool has now; begin again with 0\r\n", "SCAN", string(cursor.Text))
	c.wantAsk("-ERR invalid cursor: it is not of the servers that this pool has now; begin again with 0\r\n", "SCAN", "1")
	b.reload(bedYAML(o, b.servers))
	if reply := c.ask("SCAN", string(cursor.Text)); !strings.HasPrefix(reply, "*2\r\n") {
		t.Errorf("back with the old servers, the scan gets %s", short(reply))
	}
}

// TestRedisListsOfManyKeys: a list larger than any buffer arrives whole.
func TestRedisListsOfManyKeys(t *testing.T) {
	t.Parallel()
	const each = 100000
	b := startRedisBed(t, bedOptions{servers: 3, serverArgs: []string{"--enable-debug-command", "yes"}})
	c := b.dial(t)
	for i := range 3 {
		b.dialServer(t, i).wantAsk(okReply, "DEBUG", "POPULATE", strconv.Itoa(each), "prefix-of-server-"+strconv.Itoa(i), "1")
	}
	c.send(request("KEYS", "*") + request("DBSIZE"))
	keys := texts(t, c.reply())
	c.want(integer(3 * each))
	if slices.Sort(keys); len(slices.Compact(keys)) != 3*each {
		t.Errorf("KEYS gives %d keys, want %d", len(keys), 3*each)
	}
	if got := c.scan("COUNT", "5000"); !slices.Equal(got, slices.Compact(keys)) {
		t.Errorf("SCAN finds %d keys, want %d", len(got), 3*each)
	}
}
