package test

import (
	"fmt"
	"testing"
)

func TestClientConnectionsLimit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rule, option, ping, pong, full string
	}{
		{"redis", "redis: true", request("PING"), "+PONG\r\n", "-ERR max number of clients reached\r\n"},
		{"memcached", "redis: false", "bogus\r\n", "ERROR\r\n", "ERROR Too many open connections\r\n"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			const limit = 3
			n := startNutmeg(t, workersConf(2, test.option+fmt.Sprintf("\nclient_connections: %d", limit), "127.0.0.1:1 a"))
			connected := func(want int64) {
				t.Helper()
				n.waitPool("alpha", fmt.Sprintf("%d clients", want), func(p PoolStats) error { return p.want(map[string]int64{"client_connections": want}) })
			}
			connected(0) // the one that saw whether the daemon listens has gone
			clients := make([]*rawConn, limit)
			for round := range 3 {
				for i := range clients {
					clients[i] = dial(t, n.Addr())
					clients[i].send(test.ping)
					clients[i].want(test.pong)
				}
				for range 3 {
					turnedAway := dial(t, n.Addr())
					turnedAway.want(test.full)
					turnedAway.wantGone()
					turnedAway.close()
				}
				for _, c := range clients {
					c.send(test.ping)
					c.want(test.pong)
				}
				connected(limit)
				for i, c := range clients {
					if (i+round)%2 == 0 {
						c.close()
					} else {
						c.abort()
					}
				}
				connected(0)
			}
			n.waitLog("client_connections is reached")
			eventually(t, "the listener alone to be open", func() error {
				if curr := n.Stats().Curr; curr != 1 {
					return fmt.Errorf("curr_connections is %d", curr)
				}
				return nil
			})
		})
	}
}

// One pool's limit is not another's.
func TestClientConnectionsLimitIsOfOnePool(t *testing.T) {
	t.Parallel()
	pool := func(name, option string) string {
		return name + ":\n  listen: {listen}\n  redis: true\n" + option + "  servers:\n  - 127.0.0.1:1:1 a\n"
	}
	n := startNutmeg(t, pool("alpha", "  client_connections: 1\n")+pool("beta", ""))
	n.waitPool("alpha", "no clients", func(p PoolStats) error { return p.want(map[string]int64{"client_connections": 0}) })
	first := dial(t, n.AddrOf(0))
	first.send(request("PING"))
	first.want("+PONG\r\n")
	dial(t, n.AddrOf(0)).want("-ERR max number of clients reached\r\n")
	for range 5 {
		c := dial(t, n.AddrOf(1))
		c.send(request("PING"))
		c.want("+PONG\r\n")
	}
}
