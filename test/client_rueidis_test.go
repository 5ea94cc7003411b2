package test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"
)

// rueidisOptions are what a client needs in front of a proxy: nothing tells it of changes made by others.
func rueidisOptions(addr string) rueidis.ClientOption {
	return rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true, ForceSingleClient: true}
}

func newRueidis(t *testing.T, o rueidis.ClientOption) rueidis.Client {
	t.Helper()
	client, err := rueidis.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// The usual paths of an application with rueidis, which shares one connection between all that do not block.
func TestRueidisPaths(t *testing.T) {
	t.Parallel()
	paths := []struct {
		name string
		use  func(ctx context.Context, t *testing.T, c rueidis.Client)
	}{
		{"pipelines", rueidisPipelines},
		{"watching", rueidisWatching},
		{"publishing", rueidisPublishing},
		{"scanning and scripts", rueidisScanning},
		{"blocking", rueidisBlocking},
	}
	overServers(t, func(t *testing.T, b *redisBed) {
		for _, tc := range []struct {
			name string
			set  func(*rueidis.ClientOption)
		}{
			{"defaults", func(*rueidis.ClientOption) {}},
			{"RESP2", func(o *rueidis.ClientOption) { o.AlwaysRESP2 = true }},
			{"user, name and database", func(o *rueidis.ClientOption) {
				o.Username, o.Password, o.ClientName, o.SelectDB = appUser, appPassword, "rueidis", 3
			}},
			{"always pipelining, no-touch", func(o *rueidis.ClientOption) {
				o.AlwaysPipelining, o.ClientNoTouch, o.ClientNoEvict = true, true, true
			}},
		} {
			t.Run(tc.name, func(t *testing.T) {
				o := rueidisOptions(b.Addr())
				tc.set(&o)
				if o.ClientNoTouch {
					o.ClientNoTouch = serverKnows(t, b, "CLIENT", "NO-TOUCH", "ON")
				}
				client := newRueidis(t, o)
				for _, path := range paths {
					t.Run(path.name, func(t *testing.T) { path.use(timely(t), t, client) })
				}
			})
		}
	})
}

// serverKnows tells whether the servers have a command: they may be older than it.
func serverKnows(t *testing.T, b *redisBed, args ...string) bool {
	t.Helper()
	return !strings.HasPrefix(b.dialServer(t, 0).ask(args...), "-")
}

// Client-side caching needs invalidations, which come on server connections that clients share. A client that asks for it
// is told so when it connects, and how to go on.
func TestRueidisCaching(t *testing.T) {
	t.Parallel()
	overServers(t, func(t *testing.T, b *redisBed) {
		for _, tracking := range [][]string{nil, {"PREFIX", "user:", "BCAST"}} {
			o := rueidisOptions(b.Addr())
			o.DisableCache, o.ClientTrackingOptions = false, tracking
			client, err := rueidis.NewClient(o)
			if err == nil {
				client.Close()
			}
			if !errors.Is(err, rueidis.ErrNoCache) || !strings.Contains(fmt.Sprint(err), "TRACKING") {
				t.Errorf("a client that tracks %q: got error %v, want one about CLIENT TRACKING and rueidis.ErrNoCache", tracking, err)
			}
		}
	})
}

func rueidisPipelines(ctx context.Context, t *testing.T, c rueidis.Client) {
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			key := fmt.Sprintf("{shared%d}", g)
			for i := range 50 {
				results := c.DoMulti(ctx, c.B().Set().Key(key).Value(strconv.Itoa(i)).Ex(time.Hour).Build(), c.B().Get().Key(key).Build())
				if got, err := results[1].ToString(); err != nil || got != strconv.Itoa(i) {
					t.Errorf("GET in a pipeline: got %q and error %v, want %d", got, err, i)
					return
				}
			}
		})
	}
	group.Wait()
	results := c.DoMulti(ctx, c.B().Multi().Build(), c.B().Set().Key("{tx}").Value("1").Build(), c.B().Incr().Key("{tx}").Build(), c.B().Exec().Build())
	got, err := results[3].ToArray()
	if err != nil || len(got) != 2 {
		t.Fatalf("EXEC: got %v and error %v", got, err)
	}
	n, err := got[1].AsInt64()
	wantResult(t, "INCR in a transaction", n, err, int64(2))
}

func rueidisWatching(ctx context.Context, t *testing.T, c rueidis.Client) {
	try := func(meanwhile string) error {
		return c.Dedicated(func(d rueidis.DedicatedClient) error {
			for _, err := range []error{
				d.Do(ctx, d.B().Set().Key("{w}").Value("1").Build()).Error(), d.Do(ctx, d.B().Watch().Key("{w}").Build()).Error(),
			} {
				if err != nil {
					return err
				}
			}
			if err := c.Do(ctx, c.B().Set().Key(meanwhile).Value("9").Build()).Error(); err != nil {
				return err
			}
			results := d.DoMulti(ctx, d.B().Multi().Build(), d.B().Incr().Key("{w}").Build(), d.B().Exec().Build())
			return results[2].Error()
		})
	}
	if err := try("{w}"); !rueidis.IsRedisNil(err) {
		t.Errorf("EXEC after a change: got error %v, want nil of Redis", err)
	}
	if err := try("{w}other"); err != nil {
		t.Errorf("EXEC after a change of another key: %v", err)
	}
}

func rueidisPublishing(ctx context.Context, t *testing.T, c rueidis.Client) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	heard := make(chan rueidis.PubSubMessage, 100)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	for _, subscribe := range []rueidis.Completed{c.B().Subscribe().Channel("ch1", "ch2").Build(), c.B().Psubscribe().Pattern("pattern:*").Build()} {
		group.Go(func() {
			if err := c.Receive(ctx, subscribe, func(m rueidis.PubSubMessage) { heard <- m }); err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("Receive: %v", err)
			}
		})
	}
	var before rueidis.PubSubMessage
	for _, want := range []rueidis.PubSubMessage{{Channel: "ch2", Message: "hello"}, {Pattern: "pattern:*", Channel: "pattern:x", Message: "world"}} {
		eventually(t, "somebody to hear "+want.Channel, func() error {
			n, err := c.Do(ctx, c.B().Publish().Channel(want.Channel).Message(want.Message).Build()).AsInt64()
			if err != nil || n != 1 {
				return fmt.Errorf("%d have heard, error %w", n, err)
			}
			// A server that has agreed counts the subscriber, who hears nothing before all servers have.
			for {
				select {
				case got := <-heard:
					if got == want {
						return nil
					}
					if got != before {
						t.Errorf("a message: got %v, want %v", got, want)
					}
				case <-time.After(time.Second):
					return errors.New("1 has heard, but was not told")
				}
			}
		})
		before = want
	}
}

func rueidisScanning(ctx context.Context, t *testing.T, c rueidis.Client) {
	values := map[string]string{}
	for i := range 200 {
		values[fmt.Sprintf("scan:%03d", i)] = strconv.Itoa(i)
	}
	for key, err := range rueidis.MSet(c, ctx, values) {
		wantResult(t, "MSet of "+key, nil, err, nil)
	}
	found := map[string]bool{}
	scanner := rueidis.NewScanner(func(cursor uint64) (rueidis.ScanEntry, error) {
		return c.Do(ctx, c.B().Scan().Cursor(cursor).Match("scan:*").Count(30).Build()).AsScanEntry()
	})
	for key := range scanner.Iter() {
		found[key] = true
	}
	wantResult(t, "SCAN", len(found), scanner.Err(), 200)

	script := rueidis.NewLuaScript("return {KEYS[1], ARGV[1]}")
	for i := range 6 {
		key := "{script" + strconv.Itoa(i) + "}"
		got, err := script.Exec(ctx, c, []string{key}, []string{"x"}).AsStrSlice()
		wantResult(t, "a script", got, err, []string{key, "x"})
	}
}

func rueidisBlocking(ctx context.Context, t *testing.T, c rueidis.Client) {
	if err := c.Do(ctx, c.B().Blpop().Key("{l}1", "{l}2").Timeout(0.01).Build()).Error(); !rueidis.IsRedisNil(err) {
		t.Fatalf("BLPOP of nothing: got error %v, want nil of Redis", err)
	}
	popped := make(chan []string, 1)
	go func() {
		got, err := c.Do(ctx, c.B().Blpop().Key("{l}1", "{l}2").Timeout(20).Build()).AsStrSlice()
		if err != nil {
			t.Errorf("BLPOP: %v", err)
		}
		popped <- got
	}()
	wantResult(t, "RPUSH", nil, c.Do(ctx, c.B().Rpush().Key("{l}2").Element("x").Build()).Error(), nil)
	wantResult(t, "BLPOP", <-popped, nil, []string{"{l}2", "x"})

	wantResult(t, "DEL", nil, c.Do(ctx, c.B().Del().Key("stream").Build()).Error(), nil)
	wantResult(t, "XGROUP CREATE", nil, c.Do(ctx, c.B().XgroupCreate().Key("stream").Group("g").Id("$").Mkstream().Build()).Error(), nil)
	come := make(chan map[string][]rueidis.XRangeEntry, 1)
	go func() {
		got, err := c.Do(ctx, c.B().Xreadgroup().Group("g", "me").Block(20000).Streams().Key("stream").Id(">").Build()).AsXRead()
		if err != nil {
			t.Errorf("XREADGROUP: %v", err)
		}
		come <- got
	}()
	id, err := c.Do(ctx, c.B().Xadd().Key("stream").Id("*").FieldValue().FieldValue("f", "v").Build()).ToString()
	wantResult(t, "XREADGROUP", <-come, err, map[string][]rueidis.XRangeEntry{"stream": {{ID: id, FieldValues: map[string]string{"f": "v"}}}})
}
