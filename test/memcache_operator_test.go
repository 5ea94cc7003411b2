package test

import (
	"fmt"
	"strings"
	"testing"
)

// statOf returns the value of a statistic in a listing.
func statOf(t *testing.T, listing, name string) string {
	t.Helper()
	for line := range strings.Lines(listing) {
		if value, ok := strings.CutPrefix(line, "STAT "+name+" "); ok {
			return strings.TrimSuffix(value, "\r\n")
		}
	}
	t.Fatalf("no %s in %q", name, listing)
	return ""
}

// listing sends a request and returns the listing that answers it.
func (c *rawConn) listing(request string) string {
	c.t.Helper()
	c.send(request + "\r\n")
	return c.upTo("END\r\n")
}

// Statistics of three servers are one listing, and what each of them has is there by its name.
func TestMemcacheStatsOfSeveralServers(t *testing.T) {
	t.Parallel()
	n, caches := startCaches(t, 3, "")
	c := dial(t, n.Addr())
	for _, key := range numbered("key", 60) {
		c.askCache(set(key, "v"), "STORED\r\n")
	}
	all := c.listing("stats")
	if got := statOf(t, all, "curr_items"); got != "60" {
		t.Errorf("%s items, want 60", got)
	}
	if got := statOf(t, all, "version"); !strings.HasPrefix(got, "1.") {
		t.Errorf("version %s", got)
	}
	if strings.Contains(all, "STAT pid ") {
		t.Error("three processes have one pid")
	}
	sum := 0
	for i, name := range cacheNames {
		var items, direct int
		if _, err := fmt.Sscan(statOf(t, c.listing("nutmeg on "+name+" stats"), "curr_items"), &items); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(statOf(t, dial(t, caches[i].Addr()).listing("stats"), "curr_items"), &direct); err != nil || direct != items {
			t.Errorf("server %s has %d items, %v, and says %d by nutmeg on", name, direct, err, items)
		}
		sum += items
	}
	if sum != 60 {
		t.Errorf("the servers have %d items, want 60", sum)
	}
	if got := statOf(t, c.listing("stats items"), "items:1:number"); got != "60" {
		t.Errorf("stats items: %s items of class 1, want 60", got)
	}
	if got := statOf(t, c.listing("stats slabs"), "1:chunk_size"); got != "96" {
		t.Errorf("stats slabs: chunks of %s bytes", got)
	}
	if got := statOf(t, c.listing("stats settings"), "evictions"); got != "on" {
		t.Errorf("stats settings: evictions %s", got)
	}
	for _, of := range []string{"conns", "cachedump 1 10", "detail dump"} {
		c.send("stats " + of + "\r\n")
		if got := c.line(); !strings.HasPrefix(got, "CLIENT_ERROR ") || !strings.Contains(got, "nutmeg on <server>") {
			t.Errorf("stats %s: %q", of, got)
		}
		c.listing("nutmeg on b stats " + of)
	}
	c.askCache("nutmeg on a flush_all\r\n", "OK\r\n")
	if got := statOf(t, c.listing("nutmeg on a stats"), "cmd_flush"); got != "1" {
		t.Errorf("server a was flushed %s times, want once", got)
	}
	if got := statOf(t, c.listing("nutmeg on b stats"), "cmd_flush"); got != "0" {
		t.Errorf("server b was flushed %s times, want never", got)
	}
	c.askCache("flush_all\r\nget key1 key2 key3\r\n", "OK\r\nEND\r\n")
}

func TestMemcacheNutmegOn(t *testing.T) {
	t.Parallel()
	n, caches := startCaches(t, 2, "")
	c := dial(t, n.Addr())
	c.askCache("nutmeg servers\r\n", fmt.Sprintf("STAT a %s\r\nSTAT b %s\r\nEND\r\n", caches[0].Addr(), caches[1].Addr()))
	direct := dial(t, caches[1].Addr())
	direct.askCache(set("here", "b"), "STORED\r\n")
	const usage = "CLIENT_ERROR nutmeg knows two commands: 'nutmeg servers' and 'nutmeg on <server> <command>'\r\n"
	for _, step := range []struct{ request, want string }{
		{"nutmeg on b get here\r\n", value("here", "b") + "END\r\n"},
		{"nutmeg on a get here\r\n", "END\r\n"},
		{"nutmeg  on  b   get  here here \r\n", value("here", "b") + value("here", "b") + "END\r\n"},
		{"nutmeg on b mg here v\r\n", "VA 1\r\nb\r\n"},
		{"nutmeg on a mg here v q\r\nmn\r\n", "MN\r\n"},
		{"nutmeg on a mg here v\r\nnutmeg on b mg here v\r\n", "EN\r\nVA 1\r\nb\r\n"},
		{"nutmeg on b delete here\r\n", "DELETED\r\n"},
		{"nutmeg on b incr none 1 noreply\r\nnutmeg on b stats reset\r\n", "RESET\r\n"},
		{"nutmeg on b cache_memlimit 1\r\n", "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n"},
		{"cache_memlimit 1\r\n", "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n"},
		{"nutmeg\r\n", usage},
		{"nutmeg foo\r\n", usage},
		{"nutmeg on\r\n", usage},
		{"nutmeg on b\r\n", "CLIENT_ERROR usage: nutmeg on <server> <command>\r\n"},
		{"nutmeg on c stats\r\n", "CLIENT_ERROR no server of this pool has the name 'c': 'nutmeg servers' lists them\r\n"},
		{"nutmeg on b foo\r\n", "ERROR\r\n"},
		{"nutmeg on b watch\r\n", "CLIENT_ERROR unsupported command 'watch', send it to the server itself\r\n"},
		{"nutmeg on b quit\r\n", "CLIENT_ERROR 'quit' cannot be sent to a server with 'nutmeg on'\r\n"},
		{"nutmeg on b nutmeg servers\r\n", "CLIENT_ERROR 'nutmeg' cannot be sent to a server with 'nutmeg on'\r\n"},
		{"nutmeg on b get " + strings.Repeat("k", 251) + "\r\n", "CLIENT_ERROR bad command line format\r\n"},
	} {
		c.askCache(step.request, step.want)
	}
}
