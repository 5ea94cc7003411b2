package test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

const (
	poolKeys = `"client_eof":N, "client_err":N, "client_connections":N, "server_ejects":N, "forward_error":N, "fragments":N,` +
		// what twemproxy does not have
		` "client_stalls":N, "client_refused":N, "accept_failed":N, "request_excess_keys":N, "request_too_large":N, "request_timedout":N,` +
		` "client_idle":N, "client_overflow":N, "memory_refused":N, "memory_closed":N, "client_torn":N,`
	serverKeys = `{"server_eof":N, "server_err":N, "server_timedout":N, "server_connections":N, "server_ejected_at":N, ` +
		`"requests":N, "request_bytes":N, "responses":N, "response_bytes":N, ` +
		`"in_queue":N, "in_queue_bytes":N, "out_queue":N, "out_queue_bytes":N, ` +
		`"server_stalls":N, "server_refused":N, "dedicated":N, "dedicated_waits":N}` // these two are not twemproxy's
)

// Exporters take the text apart by hand: every byte but the figures is as twemproxy writes it.
func TestStatsText(t *testing.T) {
	t.Parallel()
	pool := func(name string, servers ...string) string {
		return name + ":\n  listen: {listen}\n  servers:\n  - " + strings.Join(servers, "\n  - ") + "\n"
	}
	n := startNutmeg(t, pool("second", "127.0.0.1:3:1 s10", "127.0.0.1:4:1 s2")+pool("first", "127.0.0.1:1:1", "127.0.0.1:11211:1"))
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"service":"nutmeg", "source":"%s", "version":"VERSION", "uptime":N, "timestamp":N, "total_connections":N, "curr_connections":N, "reloads":N, "reload_errors":N, "upgrade_errors":N, "workers":N, "workers_in_use":N, "workers_busy":N, "client_moves":N, `, host) +
		`"first": {` + poolKeys + ` "127.0.0.1": ` + serverKeys + `,"127.0.0.1:1": ` + serverKeys + `},` +
		`"second": {` + poolKeys + ` "s2": ` + serverKeys + `,"s10": ` + serverKeys + `}}` + "\n"
	check := func(how, text string) {
		t.Helper()
		s, err := parseStats(text)
		if err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		// Names hold figures too, so only those behind a key are taken out.
		text = strings.Replace(text, `"version":"`+s.Version+`"`, `"version":"VERSION"`, 1)
		text = regexp.MustCompile(`":[0-9]+`).ReplaceAllString(text, `":N`)
		if text != want {
			t.Errorf("%s: got\n%s\nwant\n%s", how, text, want)
		}
	}
	silent := dial(t, n.StatsAddr())
	check("a client that says nothing", silent.all())
	ended := dial(t, n.StatsAddr())
	ended.finish()
	check("a client that ends at once", ended.all())
	talker := dial(t, n.StatsAddr())
	talker.send("stats\r\n")
	check("a client that says something", talker.all())
	for _, path := range []string{"/", "/stats"} {
		response, err := http.Get("http://" + n.StatsAddr() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "application/json" {
			t.Errorf("GET %s: %s, %v, %v", path, response.Status, response.Header, err)
		}
		check("GET "+path, string(body))
	}
}

// all reads to the end of the connection.
func (c *rawConn) all() string {
	c.t.Helper()
	text, err := io.ReadAll(c.r)
	if err != nil {
		c.t.Fatalf("got %s and then %v", short(string(text)), err)
	}
	return string(text)
}

// Every byte that goes to memcached and comes from it is counted, as it was sent: without noreply.
func TestMemcacheStatsAreExact(t *testing.T) {
	t.Parallel()
	n, _ := startCaches(t, 1, "")
	c := dial(t, n.Addr())
	var sent, got, requests int64
	for _, step := range []struct{ request, forwarded, response, want string }{
		{set("k", "v"), set("k", "v"), "STORED\r\n", "STORED\r\n"},
		{"get k\r\n", "get k\r\n", value("k", "v") + "END\r\n", value("k", "v") + "END\r\n"},
		{"  get   k \r\n", "  get   k \r\n", value("k", "v") + "END\r\n", value("k", "v") + "END\r\n"},
		{"get k none\r\n", "get k none\r\n", value("k", "v") + "END\r\n", value("k", "v") + "END\r\n"},
		{"incr k 1\r\n", "incr k 1\r\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"},
		{"touch k 0 noreply\r\n", "touch k 0\r\n", "", ""},
		{"bogus\r\n", "", "", "ERROR\r\n"},
		{"get k\r\n", "get k\r\n", value("k", "v") + "END\r\n", value("k", "v") + "END\r\n"},
	} {
		c.askCache(step.request, step.want)
		sent += int64(len(step.forwarded))
		got += int64(len(step.response))
		if step.forwarded != "" {
			requests++
		}
	}
	c.send("quit\r\n")
	c.wantClosed()
	n.waitPool("alpha", "the counters", func(p PoolStats) error {
		return p.want(map[string]int64{
			"requests": requests, "request_bytes": sent, "responses": requests - 1, "response_bytes": got,
			"in_queue": 0, "out_queue": 0, "in_queue_bytes": 0, "out_queue_bytes": 0, "fragments": 0, "forward_error": 0,
			"server_connections": 1, "client_connections": 0, "client_err": 0, "client_eof": 2, // with the one that saw whether the daemon listens
		})
	})
}

// The queues are shown as they are: what waits to be sent, and what waits for a response.
func TestStatsOfQueues(t *testing.T) {
	t.Parallel()
	get := int64(len(request("GET", "k")))
	t.Run("sent", func(t *testing.T) {
		t.Parallel()
		answer := make(chan struct{})
		server := serveScript(t, func(c *scriptedConn) {
			for range 5 {
				c.request()
			}
			<-answer
			c.say(strings.Repeat("+OK\r\n", 5))
			hang(c)
		})
		n := startNutmeg(t, poolConf("redis: true", server.addr+" a"))
		c := dial(t, n.Addr())
		c.send(strings.Repeat(request("GET", "k"), 5))
		n.waitPool("alpha", "five requests at the server", func(p PoolStats) error {
			return p.want(map[string]int64{"in_queue": 0, "in_queue_bytes": 0, "out_queue": 5, "out_queue_bytes": 5 * get, "requests": 5, "responses": 0})
		})
		close(answer)
		c.want(strings.Repeat("+OK\r\n", 5))
		n.waitPool("alpha", "empty queues", func(p PoolStats) error {
			return p.want(map[string]int64{"in_queue": 0, "out_queue": 0, "out_queue_bytes": 0, "responses": 5, "response_bytes": 25})
		})
	})
	t.Run("not sent yet", func(t *testing.T) {
		t.Parallel()
		n := startNutmeg(t, poolConf("redis: true", fullBacklog(t)+" a"))
		c := dial(t, n.Addr())
		c.send(strings.Repeat(request("GET", "k"), 3))
		n.waitPool("alpha", "three requests", func(p PoolStats) error {
			return p.want(map[string]int64{"in_queue": 3, "in_queue_bytes": 3 * get, "out_queue": 0, "server_connections": 0})
		})
	})
}

// Connections of all kinds are counted: clients, servers and listeners.
func TestStatsOfConnections(t *testing.T) {
	t.Parallel()
	a := serveScript(t, sayName("a"))
	n := startNutmeg(t, workersConf(2, "redis: true\npreconnect: true", a.addr+" a"))
	state := func(curr, total int64) {
		t.Helper()
		eventually(t, "the connections", func() error {
			if s := n.Stats(); s.Curr != curr || s.Total != total {
				return fmt.Errorf("curr_connections is %d and total_connections %d, want %d and %d", s.Curr, s.Total, curr, total)
			}
			return nil
		})
	}
	state(1+2, 1+2+1) // a listener, a server connection of each worker; and the client that saw whether the daemon listens
	first, second := dial(t, n.Addr()), dial(t, n.Addr())
	first.wantAll("k", 1, bulk("a"))
	second.wantAll("k", 1, bulk("a"))
	state(1+2+2, 1+2+3)
	first.close()
	second.abort()
	state(1+2, 1+2+3)
	n.waitPool("alpha", "the clients", func(p PoolStats) error {
		return p.want(map[string]int64{"client_connections": 0, "client_eof": 2, "client_err": 1})
	})
}
