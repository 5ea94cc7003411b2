package test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"nutmeg/internal/testkit"
)

// network is the way from the daemon to one server, through toxiproxy, which can spoil it.
type network struct {
	t     testing.TB
	addr  string
	proxy *toxiproxy.Proxy
	count int
}

// startNetwork starts a way to the server at an address. It ends with t.
func startNetwork(t testing.TB, server string) *network {
	t.Helper()
	zerolog.SetGlobalLevel(zerolog.Disabled) // some toxics print whatever logger they are given
	n := &network{t: t, addr: "127.0.0.1:" + strconv.Itoa(testkit.FreePort(t))}
	n.proxy = toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "way", n.addr, server)
	if err := n.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.proxy.Stop)
	return n
}

// settings of a toxic, by toxiproxy's names.
type settings map[string]any

// spoil adds a toxic: to what the server sends, or to what it is sent.
func (n *network) spoil(kind string, toServer bool, s settings) {
	n.t.Helper()
	n.count++
	stream := "downstream" // toxiproxy's words for the two directions
	if toServer {
		stream = "upstream"
	}
	text, err := json.Marshal(map[string]any{"name": fmt.Sprint("toxic", n.count), "type": kind, "stream": stream, "toxicity": 1, "attributes": s})
	if err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.proxy.Toxics.AddToxicJson(strings.NewReader(string(text))); err != nil {
		n.t.Fatalf("cannot spoil the network with %s: %v", kind, err)
	}
}

// heal takes all toxics away.
func (n *network) heal() { n.proxy.Toxics.ResetToxics(context.Background()) }

// spoilt is a strike of one toxic.
func spoilt(kind string, toServer bool, s settings) func(*testing.T, *faultBed, *network) {
	return func(_ *testing.T, _ *faultBed, n *network) { n.spoil(kind, toServer, s) }
}

func healed(_ *testing.T, _ *faultBed, n *network) { n.heal() }

// networkFaults are what happens to the way to a server.
var networkFaults = []fault{
	{
		rule: "latency and jitter below the time-out", timeout: 20000, proxied: true,
		strike: spoilt("latency", false, settings{"latency": 30, "jitter": 25}), mend: healed,
	},
	{
		rule: "latency above the time-out", timeout: 1000, errors: timedOutText, proxied: true,
		strike: spoilt("latency", false, settings{"latency": 3000, "jitter": 0}), mend: healed,
	},
	{
		rule: "jitter around the time-out", timeout: 1000, errors: timedOutText, proxied: true,
		strike: spoilt("latency", true, settings{"latency": 1000, "jitter": 900}), mend: healed,
	},
	{
		rule: "bandwidth of 200 KB a second from the server", timeout: 20000, value: 1000, proxied: true,
		strike: spoilt("bandwidth", false, settings{"rate": 200}), mend: healed,
	},
	{
		rule: "bandwidth of 200 KB a second to the server", timeout: 20000, value: 1000, proxied: true,
		strike: spoilt("bandwidth", true, settings{"rate": 200}), mend: healed,
	},
	{
		rule: "streams cut into pieces of a few bytes", timeout: 20000, value: 100, proxied: true,
		strike: func(_ *testing.T, _ *faultBed, n *network) {
			n.spoil("slicer", false, settings{"average_size": 7, "size_variation": 5, "delay": 20})
			n.spoil("slicer", true, settings{"average_size": 7, "size_variation": 5, "delay": 20})
		},
		mend: healed,
	},
	{
		rule: "connections that end after 2000 bytes of answers", errors: lostTexts, proxied: true, value: 100,
		strike: spoilt("limit_data", false, settings{"bytes": 2000}), mend: healed,
	},
	{
		rule: "connections that end after 2000 bytes of requests", errors: lostTexts, proxied: true, value: 100,
		strike: spoilt("limit_data", true, settings{"bytes": 2000}), mend: healed,
	},
	{
		rule: "connections that are reset at the first answer", errors: lostTexts, proxied: true,
		strike: spoilt("reset_peer", false, settings{"timeout": 0}), mend: healed,
	},
	{
		rule: "answers that vanish: half-open connections", timeout: 1000, errors: timedOutText + "|" + lostTexts, proxied: true,
		strike: spoilt("timeout", false, settings{"timeout": 0}), mend: healed,
	},
	{
		rule: "requests that vanish: half-open connections", timeout: 1000, errors: timedOutText + "|" + lostTexts, proxied: true,
		strike: spoilt("timeout", true, settings{"timeout": 0}), mend: healed,
	},
}
