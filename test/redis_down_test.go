package test

import (
	"strings"
	"testing"
)

const refused = "-ERR Connection refused\r\n"

// TestRedisServerDown: what needs a dead server fails with the reason, all else goes on, and so does the connection.
func TestRedisServerDown(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{pool: []string{"timeout: 10000"}})
	c := b.dial(t)
	k0, k1 := b.keys(0, 2, "down"), b.keys(1, 2, "down")
	all := []string{k0[0], k1[0], k1[1], k0[1]}
	c.wantAsk(okReply, with("MSET", pairs(all, all)...)...)

	b.servers[0].Kill()
	// The connection to it may be found closed first; it is made anew for each request from then on.
	if got := c.ask("GET", k0[0]); !strings.HasPrefix(got, "-ERR Connection ") {
		t.Errorf("got %q, want an error of the connection", got)
	}
	for range 3 {
		c.wantAsk(refused, "GET", k0[0])
		c.wantAsk(refused, with("MGET", k0...)...)
		c.wantAsk(refused, with("MGET", all...)...)
		c.wantAsk(bulk(k1[0]), "GET", k1[0])
		c.wantAsk(bulks(k1...), with("MGET", k1...)...)
		c.wantAsk(refused, with("MSET", pairs(all, all)...)...)
		c.wantAsk(refused, with("DEL", k0[0], k1[0])...)
		c.wantAsk(integer(0), with("DEL", k1[0])...) // its part of the DEL before was carried out
		c.wantAsk(okReply, "SET", k1[0], k1[0])
		c.send(request("GET", k1[0]) + request("GET", k0[0]) + request(with("MGET", all...)...) + request("GET", k1[1]))
		c.want(bulk(k1[0]) + refused + refused + bulk(k1[1]))
	}

	b.servers[1].Kill()
	c.ask("GET", k1[0])
	for range 3 {
		c.wantAsk(refused, "GET", k1[0])
		c.wantAsk(refused, with("MGET", all...)...)
		c.wantAsk(refused, with("DEL", all...)...)
		c.wantAsk(refused, with("MSET", pairs(all, all)...)...)
	}

	for _, server := range b.servers {
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	setGetDelete(c, all, all)
}

func TestRedisReadonlyServerSpeaksForItself(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{})
	c := b.dial(t)
	k0, k1 := b.key(0, "ro"), b.key(1, "ro")
	c.wantAsk(okReply, "MSET", k0, "0", k1, "1")
	// A replica of nobody: it keeps its data and refuses writes.
	b.dialServer(t, 0).wantAsk(okReply, "REPLICAOF", "127.0.0.1", "1")
	const readonly = "-READONLY You can't write against a read only replica.\r\n"
	c.wantAsk(readonly, "DEL", k0)
	c.wantAsk(integer(1), "DEL", k1)
	c.wantAsk(okReply, "SET", k1, "1")
	c.wantAsk(readonly, "DEL", k1, k0)
	c.wantAsk(readonly, "MSET", k1, "1", k0, "0")
	c.wantAsk(bulks("0", "1"), "MGET", k0, k1)
	if err := b.Pool("alpha").want(map[string]int64{"forward_error": 0, "server_err": 0}); err != nil {
		t.Error(err)
	}
}

func TestRedisSlowScriptTimesOut(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{pool: []string{"timeout: 400"}})
	k0, k1 := b.key(0, "slow"), b.key(1, "slow")
	c := b.dial(t)
	c.wantAsk(okReply, "SET", k1, "fast")
	const busy = "local t = redis.call('TIME') local now repeat now = redis.call('TIME') until (now[1] - t[1]) * 1000000 + now[2] - t[2] > 1500000 return 1"
	c.send(request("GET", k1) + request("EVAL", busy, "1", k0) + request("GET", k0) + request("GET", k1))
	c.want(bulk("fast") + "-ERR Connection timed out\r\n" + "-ERR Connection timed out\r\n" + bulk("fast"))
	// The late response must not meet anybody.
	eventually(t, "the server to be free again", func() error {
		if got := c.ask("GET", k0); got != nullReply {
			if got != "-ERR Connection timed out\r\n" {
				t.Fatalf("got %q", got)
			}
			return errStillBusy
		}
		return nil
	})
	if got := b.Pool("alpha").Servers["s1"]["server_timedout"]; got < 1 {
		t.Errorf("server_timedout is %d, want at least 1", got)
	}
}

type textError string

func (e textError) Error() string { return string(e) }

const errStillBusy = textError("the server is still busy")

// TestRedisServerErrorsPass: twemproxy dropped these replies together with the connection they came on.
func TestRedisServerErrorsPass(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 1, workers: 1, serverArgs: []string{"--maxmemory", "1", "--busy-reply-threshold", "1"}})
	c, other := b.dial(t), b.dial(t)
	const oom = "-OOM command not allowed when used memory > 'maxmemory'.\r\n"
	c.send(request("GET", "k") + request("SET", "k", "v") + request("GET", "k") + request("SET", "k", "v"))
	c.want(nullReply + oom + nullReply + oom)
	c.wantAsk("-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
		"EVAL", "return redis.error_reply('WRONGTYPE Operation against a key holding the wrong kind of value')", "1", "k")

	direct := b.dialServer(t, 0)
	direct.send(request("EVAL", "while true do end", "0"))
	eventually(t, "the script to keep the server busy", func() error {
		if got := other.ask("GET", "k"); !strings.HasPrefix(got, "-BUSY Redis is busy running a script.") {
			return textError(got)
		}
		return nil
	})
	control := b.dialServer(t, 0)
	control.wantAsk(okReply, "SCRIPT", "KILL")
	direct.reply()
	c.wantAsk(nullReply, "GET", "k")
	other.wantAsk(nullReply, "GET", "k")
	if err := b.Pool("alpha").want(map[string]int64{"server_connections": 1, "server_err": 0, "server_eof": 0, "forward_error": 0}); err != nil {
		t.Error(err)
	}
}

// TestRedisServerStandsStill: nobody waits for a server that he asked nothing of.
func TestRedisServerStandsStill(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{workers: 1})
	k0, k1 := b.key(0, "still"), b.key(1, "still")
	waiting, other := b.dial(t), b.dial(t)
	waiting.wantAsk(okReply, "MSET", k0, "0", k1, "1")
	if err := b.servers[0].Stop(); err != nil {
		t.Fatal(err)
	}
	waiting.send(request("GET", k1) + request("GET", k0) + request("GET", k1) + request("PING"))
	waiting.want(bulk("1"))
	for range 100 {
		other.wantAsk(bulk("1"), "GET", k1)
	}
	gone := b.dial(t)
	gone.send(strings.Repeat(request("EVAL", "return 'not for you'", "1", k0), 12)) // a new client has 16 in flight at most
	b.waitPool("alpha", "the requests to be on their way", func(p PoolStats) error { return p.want(map[string]int64{"out_queue": 13}) })
	gone.abort()
	other.send(request("MGET", k0, k1))
	b.waitPool("alpha", "the client to be gone", func(p PoolStats) error { return p.want(map[string]int64{"client_connections": 2}) })
	if err := b.servers[0].Cont(); err != nil {
		t.Fatal(err)
	}
	waiting.want(bulk("0") + bulk("1") + pongReply)
	other.want(bulks("0", "1"))
	other.wantAsk(bulk("0"), "GET", k0)
}

// TestRedisServerErrorsEject: a server that is full fails its clients with its own words, until it is taken out.
func TestRedisServerErrorsEject(t *testing.T) {
	t.Parallel()
	b := startRedisBed(t, bedOptions{servers: 1, serverArgs: []string{"--maxmemory", "1"}, pool: []string{
		"auto_eject_hosts: true", "server_failure_limit: 3", "server_retry_timeout: 600000",
	}})
	c := b.dial(t)
	const oom = "-OOM command not allowed when used memory > 'maxmemory'.\r\n"
	for range 3 {
		c.wantAsk(oom, "SET", "k", "v")
		c.wantAsk(oom, "SET", "k", "v")
		c.wantAsk(nullReply, "GET", "k") // a response that is well begins the count anew
	}
	c.wantAsk(oom, "SET", "k", "v")
	c.wantAsk(oom, "SET", "k", "v")
	c.wantAsk(oom, "SET", "k", "v")
	c.wantAsk(refused, "SET", "k", "v")
	c.wantAsk(refused, "MGET", "a", "b")
	if err := b.Pool("alpha").want(map[string]int64{"server_ejects": 1, "server_err": 0, "forward_error": 2, "server_connections": 1}); err != nil {
		t.Error(err)
	}
}
