package test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// The usual paths of an application with go-redis, with the options that people set.
func TestGoRedisPaths(t *testing.T) {
	t.Parallel()
	paths := []struct {
		name string
		use  func(ctx context.Context, t *testing.T, c *redis.Client)
	}{
		{"pipelines", goRedisPipelines},
		{"watching", goRedisWatching},
		{"publishing", goRedisPublishing},
		{"scanning", goRedisScanning},
		{"scripts", goRedisScripts},
		{"blocking", goRedisBlocking},
		{"streams", goRedisStreams},
	}
	overServers(t, func(t *testing.T, b *redisBed) {
		for _, tc := range []struct {
			name    string
			options redis.Options
		}{
			{"defaults", redis.Options{}},
			{"RESP2", redis.Options{Protocol: 2}},
			{"user and database", redis.Options{Username: appUser, Password: appPassword, DB: 3, ClientName: "named"}},
			{"time-outs, few connections", redis.Options{ContextTimeoutEnabled: true, ReadTimeout: patience, PoolSize: 3, MinIdleConns: 1, PoolFIFO: true}},
		} {
			t.Run(tc.name, func(t *testing.T) { // one after the other: they have keys in common
				tc.options.Addr = b.Addr()
				client := newGoRedis(t, &tc.options)
				for _, path := range paths {
					t.Run(path.name, func(t *testing.T) { path.use(timely(t), t, client) })
				}
			})
		}
	})
}

// What a client says of itself when it connects is what the proxy knows of it.
func TestGoRedisIdentity(t *testing.T) {
	t.Parallel()
	overServers(t, func(t *testing.T, b *redisBed) {
		ctx := timely(t)
		c := newGoRedis(t, &redis.Options{Addr: b.Addr(), ClientName: "go-client", Username: appUser, Password: appPassword})
		who, err := c.Do(ctx, "ACL", "WHOAMI").Text()
		wantResult(t, "ACL WHOAMI", who, err, appUser)
		name, err := c.ClientGetName(ctx).Result()
		wantResult(t, "CLIENT GETNAME", name, err, "go-client")
		info, err := c.ClientInfo(ctx).Result()
		if err != nil || info.Name != "go-client" || info.LibName == "" || info.LibVer == "" || info.Resp != 3 {
			t.Errorf("CLIENT INFO: got %+v and error %v", info, err)
		}
		wrong := newGoRedis(t, &redis.Options{Addr: b.Addr(), Username: appUser, Password: "wrong"})
		if err := wrong.Ping(ctx).Err(); err == nil || !redis.HasErrorPrefix(err, "WRONGPASS") {
			t.Errorf("a wrong password: got error %v, want WRONGPASS", err)
		}

		three := newGoRedis(t, &redis.Options{Addr: b.Addr(), DB: 3})
		wantResult(t, "SET in database 3", nil, three.Set(ctx, "db", "three", 0).Err(), nil)
		got, err := three.Get(ctx, "db").Result()
		wantResult(t, "GET in database 3", got, err, "three")
		if err := newGoRedis(t, &redis.Options{Addr: b.Addr()}).Get(ctx, "db").Err(); !errors.Is(err, redis.Nil) {
			t.Errorf("GET in database 0: got error %v, want redis.Nil", err)
		}
	})
}

func goRedisPipelines(ctx context.Context, t *testing.T, c *redis.Client) {
	replies, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "{tx}a", 1, time.Hour)
		p.Incr(ctx, "{tx}a")
		p.Get(ctx, "{tx}a")
		return nil
	})
	if err != nil || len(replies) != 3 {
		t.Fatalf("a transaction: %v and error %v", replies, err)
	}
	wantResult(t, "GET in a transaction", replies[2].(*redis.StringCmd).Val(), nil, "2")
	_, err = c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "{tx}text", "x", 0)
		p.Incr(ctx, "{tx}text")
		p.Set(ctx, "{tx}after", "y", 0)
		return nil
	})
	if err == nil || err.Error() != "ERR value is not an integer or out of range" {
		t.Errorf("a transaction with a mistake: got error %v", err)
	}
	got, err := c.Get(ctx, "{tx}after").Result()
	wantResult(t, "what follows the mistake", got, err, "y")

	replies, err = c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range 200 {
			p.Set(ctx, "pipe"+strconv.Itoa(i), i, 0)
			p.Get(ctx, "pipe"+strconv.Itoa(i))
		}
		return nil
	})
	if err != nil || len(replies) != 400 {
		t.Fatalf("a pipeline: %d replies and error %v", len(replies), err)
	}
	for i := range 200 {
		wantResult(t, "GET in a pipeline", replies[2*i+1].(*redis.StringCmd).Val(), nil, strconv.Itoa(i))
	}
}

func goRedisWatching(ctx context.Context, t *testing.T, c *redis.Client) {
	set := func(key, value string) {
		t.Helper()
		wantResult(t, "SET", nil, c.Set(ctx, key, value, 0).Err(), nil)
	}
	set("{watch}", "1")
	add := func(meanwhile func()) error {
		return c.Watch(ctx, func(tx *redis.Tx) error {
			n, err := tx.Get(ctx, "{watch}").Int()
			if err != nil {
				return err
			}
			meanwhile()
			_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
				p.Set(ctx, "{watch}", n+1, 0)
				return nil
			})
			return err
		}, "{watch}")
	}
	if err := add(func() { set("{watch}", "10") }); !errors.Is(err, redis.TxFailedErr) {
		t.Errorf("a transaction after a change: got error %v, want redis.TxFailedErr", err)
	}
	if err := add(func() {}); err != nil {
		t.Errorf("a transaction without a change: %v", err)
	}
	got, err := c.Get(ctx, "{watch}").Result()
	wantResult(t, "GET", got, err, "11")
}

func goRedisPublishing(ctx context.Context, t *testing.T, c *redis.Client) {
	sub := c.Subscribe(ctx, "ch1", "ch2")
	defer func() { _ = sub.Close() }()
	wantResult(t, "PSUBSCRIBE", nil, sub.PSubscribe(ctx, "pattern:*"), nil)
	for range 3 {
		if m, err := sub.Receive(ctx); err != nil {
			t.Fatalf("subscribing: got %v and error %v", m, err)
		}
	}
	messages := sub.Channel()
	for _, m := range []redis.Message{{Channel: "ch2", Payload: "hello"}, {Channel: "pattern:x", Pattern: "pattern:*", Payload: "world"}} {
		n, err := c.Publish(ctx, m.Channel, m.Payload).Result()
		wantResult(t, "PUBLISH", n, err, int64(1))
		got := <-messages
		if got == nil || got.Channel != m.Channel || got.Pattern != m.Pattern || got.Payload != m.Payload {
			t.Fatalf("a message: got %v, want %v", got, m)
		}
	}
	wantResult(t, "PING while subscribed", nil, sub.Ping(ctx, "are you there"), nil)
	wantResult(t, "UNSUBSCRIBE", nil, sub.Unsubscribe(ctx), nil)
	wantResult(t, "PUNSUBSCRIBE", nil, sub.PUnsubscribe(ctx), nil)
	eventually(t, "nobody to hear", func() error {
		if n, err := c.Publish(ctx, "ch2", "to nobody").Result(); err != nil || n != 0 {
			return fmt.Errorf("%d have heard, error %w", n, err)
		}
		return nil
	})
}

func goRedisScanning(ctx context.Context, t *testing.T, c *redis.Client) {
	var want []string
	for i := range 300 {
		key := fmt.Sprintf("scan:%03d", i)
		want = append(want, key)
		wantResult(t, "SET", nil, c.Set(ctx, key, i, 0).Err(), nil)
	}
	collect := func(it *redis.ScanIterator) (all []string, err error) {
		for it.Next(ctx) {
			all = append(all, it.Val())
		}
		slices.Sort(all)
		return slices.Compact(all), it.Err()
	}
	got, err := collect(c.Scan(ctx, 0, "scan:*", 50).Iterator())
	wantResult(t, "SCAN", got, err, want)
	got, err = collect(c.ScanType(ctx, 0, "scan:*", 50, "string").Iterator())
	wantResult(t, "SCAN TYPE", got, err, want)
	wantResult(t, "SADD", nil, c.SAdd(ctx, "set", want).Err(), nil)
	got, err = collect(c.SScan(ctx, "set", 0, "*", 10).Iterator())
	wantResult(t, "SSCAN", got, err, want)
	keys, err := c.Keys(ctx, "scan:*").Result()
	slices.Sort(keys)
	wantResult(t, "KEYS", keys, err, want)
	n, err := c.DBSize(ctx).Result()
	if err != nil || n < 301 {
		t.Errorf("DBSIZE: got %d and error %v", n, err)
	}
}

func goRedisScripts(ctx context.Context, t *testing.T, c *redis.Client) {
	// A text of its own for each client, so that no server knows it yet.
	own := strconv.Itoa(c.Options().DB) + c.Options().ClientName + strconv.Itoa(c.Options().PoolSize) + strconv.Itoa(c.Options().Protocol)
	script := redis.NewScript("-- " + own + "\nredis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])")
	for i := range 10 { // keys of all servers
		got, err := script.Run(ctx, c, []string{fmt.Sprintf("{script%d}", i)}, i).Result()
		wantResult(t, "Script.Run", got, err, strconv.Itoa(i))
	}
	known, err := script.Exists(ctx, c).Result()
	if err != nil || len(known) != 1 {
		t.Errorf("SCRIPT EXISTS: got %v and error %v", known, err)
	}
	hash, err := script.Load(ctx, c).Result()
	wantResult(t, "SCRIPT LOAD", hash, err, script.Hash())
	got, err := script.EvalShaRO(ctx, c, []string{"{script1}"}, "x").Result()
	if err == nil || !strings.Contains(err.Error(), "Write commands are not allowed from read-only scripts") {
		t.Errorf("a script that writes, read only: got %v and error %v", got, err)
	}
}

func goRedisBlocking(ctx context.Context, t *testing.T, c *redis.Client) {
	if got, err := c.Do(ctx, "BLPOP", "{list}1", "{list}2", "0.01").Result(); !errors.Is(err, redis.Nil) { // BLPop waits for whole seconds
		t.Fatalf("BLPOP of nothing: got %v and error %v, want redis.Nil", got, err)
	}
	popped := make(chan []string, 1)
	go func() {
		got, err := c.BLPop(ctx, patience, "{list}1", "{list}2").Result()
		if err != nil {
			t.Errorf("BLPOP: %v", err)
		}
		popped <- got
	}()
	wantResult(t, "RPUSH", nil, c.RPush(ctx, "{list}2", "x").Err(), nil)
	wantResult(t, "BLPOP", <-popped, nil, []string{"{list}2", "x"})
	wantResult(t, "RPUSH", nil, c.RPush(ctx, "{list}1", "y").Err(), nil)
	moved, err := c.BLMove(ctx, "{list}1", "{list}3", "LEFT", "RIGHT", time.Second).Result()
	wantResult(t, "BLMOVE", moved, err, "y")
	wantResult(t, "DEL", nil, c.Del(ctx, "{list}3").Err(), nil)
}

func goRedisStreams(ctx context.Context, t *testing.T, c *redis.Client) {
	wantResult(t, "DEL", nil, c.Del(ctx, "stream").Err(), nil)
	wantResult(t, "XGROUP CREATE", nil, c.XGroupCreateMkStream(ctx, "stream", "group", "$").Err(), nil)
	read := redis.XReadGroupArgs{Group: "group", Consumer: "me", Streams: []string{"stream", ">"}, Count: 10, Block: 10 * time.Millisecond}
	if got, err := c.XReadGroup(ctx, &read).Result(); !errors.Is(err, redis.Nil) {
		t.Fatalf("XREADGROUP of nothing: got %v and error %v, want redis.Nil", got, err)
	}
	read.Block = patience
	come := make(chan []redis.XStream, 1)
	go func() {
		got, err := c.XReadGroup(ctx, &read).Result()
		if err != nil {
			t.Errorf("XREADGROUP: %v", err)
		}
		come <- got
	}()
	id, err := c.XAdd(ctx, &redis.XAddArgs{Stream: "stream", Values: []string{"field", "value"}}).Result()
	if err != nil {
		t.Fatal(err)
	}
	got := <-come
	if len(got) != 1 || len(got[0].Messages) != 1 || got[0].Messages[0].ID != id || got[0].Messages[0].Values["field"] != "value" {
		t.Fatalf("XREADGROUP: got %v, want the entry %s", got, id)
	}
	pending, err := c.XPending(ctx, "stream", "group").Result()
	if err != nil || pending.Count != 1 {
		t.Errorf("XPENDING: got %v and error %v", pending, err)
	}
	n, err := c.XAck(ctx, "stream", "group", id).Result()
	wantResult(t, "XACK", n, err, int64(1))
}
