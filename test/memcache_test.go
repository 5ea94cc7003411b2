package test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nutmeg/internal/testkit"
)

// cacheNames are the servers of a test's pool, as many as it wants of them.
var cacheNames = []string{"a", "b", "c"}

// startCaches starts memcached servers and a daemon before them, with one worker: all clients share the server connections.
// The hash is murmur, which unlike the default spreads keys that differ in their last letters.
func startCaches(t testing.TB, count int, options string) (*Nutmeg, []*testkit.Process) {
	t.Helper()
	caches := make([]*testkit.Process, count)
	servers := make([]string, count)
	for i := range caches {
		caches[i] = testkit.Memcached(t, "-t", "1", "-I", "2m")
		servers[i] = caches[i].Addr() + " " + cacheNames[i]
	}
	return startNutmeg(t, poolConf("timeout: 20000\nhash: murmur\n"+options, servers...)), caches
}

// askCache sends a memcached request and compares the bytes that come back.
func (c *rawConn) askCache(request, want string) {
	c.t.Helper()
	c.send(request)
	c.want(want)
}

// cacheReply reads one memcached response and returns its bytes.
func (c *rawConn) cacheReply() string {
	c.t.Helper()
	var b strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			c.t.Fatalf("got %s and then %v, want a response", short(b.String()), err)
		}
		words := strings.Fields(line)
		if len(words) < 4 || words[0] != "VALUE" {
			return b.String()
		}
		size, err := strconv.ParseInt(words[3], 10, 64)
		if err != nil {
			c.t.Fatalf("%q: %v", line, err)
		}
		if _, err := io.CopyN(&b, c.r, size+2); err != nil {
			c.t.Fatal(err)
		}
	}
}

// set is the bytes of a request that stores a value, value those of its appearance in a response.
func set(key, value string) string {
	return fmt.Sprintf("set %s 7 0 %d\r\n%s\r\n", key, len(value), value)
}

func value(key, value string) string {
	return fmt.Sprintf("VALUE %s 7 %d\r\n%s\r\n", key, len(value), value)
}

func numbered(prefix string, count int) []string {
	keys := make([]string, count)
	for i := range keys {
		keys[i] = prefix + strconv.Itoa(i)
	}
	return keys
}

func TestMemcacheBasics(t *testing.T) {
	t.Parallel()
	n, _ := startCaches(t, 2, "distribution: modula\npreconnect: true")
	c := dial(t, n.Addr())
	for _, step := range []struct{ request, want string }{
		{"get k\r\n", "END\r\n"},
		{set("k", "v"), "STORED\r\n"},
		{"get k\r\n", value("k", "v") + "END\r\n"},
		{set("k", ""), "STORED\r\n"},
		{"get k\r\n", value("k", "") + "END\r\n"},
		{"delete k\r\n", "DELETED\r\n"},
		{"delete k\r\n", "NOT_FOUND\r\n"},
		{"get k\r\n", "END\r\n"},
		{"  get   k  \r\n", "END\r\n"},
		{"add k 7 0 1\r\n1\r\n", "STORED\r\n"},
		{"add k 7 0 1\r\n2\r\n", "NOT_STORED\r\n"},
		{"replace k 7 0 1\r\n3\r\n", "STORED\r\n"},
		{"replace none 7 0 1\r\n3\r\n", "NOT_STORED\r\n"},
		{"append k 0 0 2\r\n45\r\n", "STORED\r\n"},
		{"prepend k 0 0 2\r\n12\r\n", "STORED\r\n"},
		{"append none 0 0 1\r\n1\r\n", "NOT_STORED\r\n"},
		{"get k\r\n", value("k", "12345") + "END\r\n"},
		{"incr k 5\r\n", "12350\r\n"},
		{"decr k 12345\r\n", "5\r\n"},
		{"decr k 6\r\n", "0\r\n"},
		{"incr k 18446744073709551615\r\n", "18446744073709551615\r\n"},
		{"incr none 1\r\n", "NOT_FOUND\r\n"},
		{set("k", "text"), "STORED\r\n"},
		{"incr k 1\r\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"},
		{"touch k 0\r\n", "TOUCHED\r\n"},
		{"touch none 0\r\n", "NOT_FOUND\r\n"},
		{"gat 0 k\r\n", value("k", "text") + "END\r\n"},
		{"gat 0 none\r\n", "END\r\n"},
		{"set k 4294967295 -1 1\r\n1\r\n", "STORED\r\n"},
		{"get k\r\n", "END\r\n"}, // expired at once
		{"set k 0 0 4\r\n\r\n\r\n\r\n", "STORED\r\n"},
		{"get k\r\n", "VALUE k 0 4\r\n\r\n\r\n\r\nEND\r\n"},
		{set(strings.Repeat("k", 250), "v"), "STORED\r\n"},
		{"get " + strings.Repeat("k", 250) + "\r\n", value(strings.Repeat("k", 250), "v") + "END\r\n"},
		{set("\x80\xff", "\x00\n\r"), "STORED\r\n"},
		{"get \x80\xff\r\n", value("\x80\xff", "\x00\n\r") + "END\r\n"},
		{"verbosity 0\r\n", "OK\r\n"},
	} {
		c.send(step.request)
		if got := c.cacheReply(); got != step.want {
			t.Fatalf("%q: got %q, want %q", step.request, got, step.want)
		}
	}
	c.send("version\r\n")
	if got := c.cacheReply(); !strings.HasPrefix(got, "VERSION 1.") {
		t.Errorf("version: got %q", got)
	}
	for i := range 10 {
		c.askCache(set("count", strconv.Itoa(i)), "STORED\r\n")
		c.askCache("incr count 1\r\n", strconv.Itoa(i+1)+"\r\n")
		c.askCache("get count\r\n", value("count", strconv.Itoa(i+1))+"END\r\n")
	}
	c.send("get k\r\nquit\r\nget k\r\n")
	c.want("VALUE k 0 4\r\n\r\n\r\n\r\nEND\r\n")
	c.wantClosed()
}

func TestMemcacheCas(t *testing.T) {
	t.Parallel()
	n, _ := startCaches(t, 2, "")
	c := dial(t, n.Addr())
	c.askCache(set("k", "1"), "STORED\r\n")
	var unique uint64
	gets := func() {
		t.Helper()
		c.send("gets k\r\n")
		if _, err := fmt.Sscanf(c.cacheReply(), "VALUE k 7 1 %d\r\n", &unique); err != nil {
			t.Fatal(err)
		}
	}
	gets()
	c.askCache(fmt.Sprintf("cas k 7 0 1 %d\r\n2\r\n", unique), "STORED\r\n")
	c.askCache(fmt.Sprintf("cas k 7 0 1 %d\r\n3\r\n", unique), "EXISTS\r\n")
	c.askCache("cas none 7 0 1 1\r\n3\r\n", "NOT_FOUND\r\n")
	gets()
	c.askCache(fmt.Sprintf("cas k 7 0 1 %d noreply\r\n4\r\nget k\r\n", unique), value("k", "4")+"END\r\n")
	c.askCache(fmt.Sprintf("cas k 7 0 1 %d noreply\r\n5\r\nget k\r\n", unique), value("k", "4")+"END\r\n")
}

// Several keys over several servers, some of them absent: what one server would answer, in the order of the request.
func TestMemcacheMultiGet(t *testing.T) {
	t.Parallel()
	n, caches := startCaches(t, 3, "")
	c := dial(t, n.Addr())
	random := rand.New(rand.NewPCG(1, 2))
	for _, count := range []int{2, 10, 179, 358, 1000} {
		present := numbered(fmt.Sprintf("here:%d:", count), count/2)
		keys := append(slices.Clone(present), numbered(fmt.Sprintf("absent:%d:", count), count-len(present))...)
		for _, key := range present {
			c.send(set(key, "value of "+key))
		}
		c.want(strings.Repeat("STORED\r\n", len(present)))
		for range 3 {
			random.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
			want := ""
			for _, key := range keys {
				if strings.HasPrefix(key, "here") {
					want += value(key, "value of "+key)
				}
			}
			c.askCache("get "+strings.Join(keys, " ")+"\r\n", want+"END\r\n")
		}
		for _, key := range keys {
			c.send("delete " + key + "\r\n")
			if strings.HasPrefix(key, "here") {
				c.want("DELETED\r\n")
			} else {
				c.want("NOT_FOUND\r\n")
			}
		}
		c.askCache("get "+strings.Join(keys, " ")+"\r\n", "END\r\n")
	}
	for i, cache := range caches {
		d := dial(t, cache.Addr())
		if d.send("stats\r\n"); !strings.Contains(d.upTo("END\r\n"), "STAT cmd_set ") {
			t.Errorf("server %d has no statistics", i)
		}
	}
	c.askCache(set("k", "v")+"get k k none k\r\n", "STORED\r\n"+strings.Repeat(value("k", "v"), 3)+"END\r\n")
	if fragments := n.Pool("alpha").Counters["fragments"]; fragments < 3*9 {
		t.Errorf("%d fragments were counted", fragments)
	}
}

// upTo reads up to a text, which is included.
func (c *rawConn) upTo(end string) string {
	c.t.Helper()
	var b strings.Builder
	for !strings.HasSuffix(b.String(), end) {
		text, err := c.r.ReadString(end[len(end)-1])
		b.WriteString(text)
		if err != nil {
			c.t.Fatalf("got %s and then %v, want %q", short(b.String()), err, end)
		}
	}
	return b.String()
}

// gets, gat and gats of keys on several servers are split like get; each server sees the new expiry time.
func TestMemcacheSplitGat(t *testing.T) {
	t.Parallel()
	n, caches := startCaches(t, 3, "")
	c := dial(t, n.Addr())
	keys := numbered("key:", 30)
	all := ""
	for _, key := range keys {
		c.askCache(set(key, "v"), "STORED\r\n")
		all += value(key, "v")
	}
	line := strings.Join(keys, " ") + "\r\n"
	c.askCache("gat 5000 none "+line, all+"END\r\n")
	used := map[int]bool{}
	for _, key := range keys {
		used[wantTTL(t, caches, key, 4000, 5000)] = true
	}
	if len(used) != len(caches) {
		t.Fatalf("only servers %v have keys", used)
	}
	for _, command := range []string{"gets ", "gats 9000 "} {
		c.send(command + line)
		response := c.cacheReply()
		for _, key := range keys {
			var unique uint64
			line, rest, _ := strings.Cut(response, "\r\nv\r\n")
			if _, err := fmt.Sscanf(line, "VALUE "+key+" 7 1 %d", &unique); err != nil || unique == 0 {
				t.Fatalf("%s: %q: %v", command, line, err)
			}
			response = rest
		}
		if response != "END\r\n" {
			t.Errorf("%s: %q is left", command, response)
		}
	}
	for _, key := range keys {
		wantTTL(t, caches, key, 8000, 9000)
	}
}

// wantTTL asks the servers themselves for a key's time to live, and returns which of them has the key.
func wantTTL(t *testing.T, caches []*testkit.Process, key string, least, most int) (owner int) {
	t.Helper()
	owner = -1
	for i, cache := range caches {
		d := dial(t, cache.Addr())
		d.send("mg " + key + " t\r\n")
		line := d.line()
		d.close()
		if line == "EN" {
			continue
		}
		ttl, err := strconv.Atoi(strings.TrimPrefix(line, "HD t"))
		if err != nil || ttl < least || ttl > most {
			t.Fatalf("%s on server %d: %q", key, i, line)
		}
		owner = i
	}
	if owner < 0 {
		t.Fatalf("no server has %s", key)
	}
	return owner
}

// Values whose ends meet the ends of buffers, up to the largest that the server takes and beyond.
func TestMemcacheValueSizes(t *testing.T) {
	t.Parallel()
	n, _ := startCaches(t, 2, "")
	c := dial(t, n.Addr())
	sizes := []int{0, 1, 2, 511, 512, 4095, 4096, 4097, 16383, 16384, 16385}
	for _, around := range []int{64 << 10, 128 << 10, 1 << 20} {
		for off := -40; off <= 2; off += 3 {
			sizes = append(sizes, around+off)
		}
		sizes = append(sizes, around, around+1)
	}
	for i, size := range sizes {
		text := strings.Repeat("0123456789abcde\n", size/16+1)[:size]
		key := "size" + strconv.Itoa(i%8)
		c.askCache(set(key, text)+"get "+key+"\r\n", "STORED\r\n"+value(key, text)+"END\r\n")
	}
	tooLarge := strings.Repeat("x", 2<<20)
	c.askCache(set("k", tooLarge), "SERVER_ERROR object too large for cache\r\n")
	c.askCache(set("k", "v")+"get k\r\n", "STORED\r\n"+value("k", "v")+"END\r\n")
	// Large values of several servers in one response.
	large, want := strings.Repeat("y", 300<<10), ""
	keys := numbered("large:", 8)
	for _, key := range keys {
		c.askCache(set(key, large+key), "STORED\r\n")
		want += value(key, large+key)
	}
	c.askCache("get "+strings.Join(keys, " ")+"\r\n", want+"END\r\n")
}

func TestMemcacheOneServerDown(t *testing.T) {
	t.Parallel()
	n, caches := startCaches(t, 2, "")
	c := dial(t, n.Addr())
	var onA, onB []string
	direct := dial(t, caches[0].Addr())
	for _, key := range numbered("key", 40) {
		c.askCache(set(key, "v"), "STORED\r\n")
		direct.send("get " + key + "\r\n")
		if direct.cacheReply() == "END\r\n" {
			onB = append(onB, key)
		} else {
			onA = append(onA, key)
		}
	}
	caches[0].Kill()
	n.waitPool("alpha", "the dead server's connection to be closed", func(p PoolStats) error { return p.want(map[string]int64{"server_connections": 1}) })
	const refused = "SERVER_ERROR Connection refused\r\n"
	for range 2 {
		c.askCache("get "+onA[0]+"\r\n", refused)
		c.askCache("get "+onB[0]+"\r\n", value(onB[0], "v")+"END\r\n")
		c.askCache("get "+onA[0]+" "+onB[0]+"\r\n", refused)
		c.askCache("get "+onB[0]+" "+onB[1]+"\r\n", value(onB[0], "v")+value(onB[1], "v")+"END\r\n")
		c.askCache(set(onA[0], "w"), refused)
		c.askCache("set "+onA[0]+" 0 0 1 noreply\r\nw\r\nget "+onB[0]+"\r\n", value(onB[0], "v")+"END\r\n")
		c.askCache("verbosity 0\r\n", refused)
	}
	caches[1].Kill()
	n.waitPool("alpha", "its connection to be closed", func(p PoolStats) error { return p.want(map[string]int64{"server_connections": 0}) })
	c.askCache("get "+onB[0]+"\r\nget "+onA[0]+" "+onB[0]+"\r\n", refused+refused)
	for _, cache := range caches {
		if err := cache.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	c.askCache("get "+onA[0]+" "+onB[0]+"\r\n", "END\r\n")
}
