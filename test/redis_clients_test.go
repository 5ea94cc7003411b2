package test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
)

// timely is a context that ends with the test's patience.
func timely(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	return ctx
}

// newGoRedis is a go-redis client; with its defaults it greets with HELLO 3 and CLIENT SETINFO.
func newGoRedis(t *testing.T, o *redis.Options) *redis.Client {
	t.Helper()
	client := redis.NewClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestGoRedis(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		o       bedOptions
		options redis.Options
	}{
		{"with its defaults", bedOptions{servers: 3}, redis.Options{}},
		{"with three workers", bedOptions{servers: 3, workers: 3}, redis.Options{}},
		{"speaking RESP2", bedOptions{servers: 3}, redis.Options{Protocol: 2}},
		{"with a password", bedOptions{servers: 3, serverArgs: []string{"--requirepass", okPassword}, pool: []string{"redis_auth: " + okPassword}}, redis.Options{Password: okPassword}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := startRedisBed(t, tc.o)
			tc.options.Addr = b.Addr()
			client := newGoRedis(t, &tc.options)
			useGoRedis(t, client)
			if err := b.Pool("alpha").want(map[string]int64{"forward_error": 0, "server_err": 0, "client_err": 0}); err != nil {
				t.Error(err)
			}
		})
	}
}

func useGoRedis(t *testing.T, client *redis.Client) {
	ctx := timely(t)
	check := func(what string, got any, err error, want any) {
		t.Helper()
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v and error %v, want %v", what, got, err, want)
		}
	}
	pong, err := client.Ping(ctx).Result()
	check("PING", pong, err, "PONG")
	check("SET", "", client.Set(ctx, "a", "1", time.Hour).Err(), "")
	n, err := client.Incr(ctx, "a").Result()
	check("INCR", n, err, 2)
	if _, err := client.Get(ctx, "none").Result(); !errors.Is(err, redis.Nil) {
		t.Errorf("GET of nothing: got error %v, want redis.Nil", err)
	}
	check("MSET", "", client.MSet(ctx, "k1", "v1", "k2", "v2", "k3", "v3", "k4", "v4").Err(), "")
	values, err := client.MGet(ctx, "k4", "none", "k1", "k2", "k3").Result()
	check("MGET", values, err, []any{"v4", nil, "v1", "v2", "v3"})
	n, err = client.Exists(ctx, "k1", "k2", "k3", "k4", "none").Result()
	check("EXISTS", n, err, 4)
	n, err = client.HSet(ctx, "h", "f1", "1", "f2", "2").Result()
	check("HSET", n, err, 2)
	fields, err := client.HGetAll(ctx, "h").Result()
	check("HGETALL", fields, err, map[string]string{"f1": "1", "f2": "2"})
	scores, err := client.ZAddArgsIncr(ctx, "z", redis.ZAddArgs{Members: []redis.Z{{Score: 1.5, Member: "m"}}}).Result()
	check("ZADD INCR", scores, err, 1.5)
	result, err := redis.NewScript("return {KEYS[1], ARGV[1]}").Run(ctx, client, []string{"k1"}, "x").Result()
	check("EVALSHA, then EVAL", result, err, []any{"k1", "x"})
	n, err = client.Del(ctx, "k1", "k2", "k3", "k4").Result()
	check("DEL", n, err, 4)
	usePipelineOfGoRedis(ctx, t, client)
}

func usePipelineOfGoRedis(ctx context.Context, t *testing.T, client *redis.Client) {
	t.Helper()
	replies, err := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i := range 1000 {
			key := strconv.Itoa(i)
			pipe.Set(ctx, key, "v"+key, 0)
			pipe.Get(ctx, key)
		}
		return nil
	})
	if err != nil || len(replies) != 2000 {
		t.Fatalf("pipeline: %d replies and error %v", len(replies), err)
	}
	for i := range 1000 {
		if got := replies[2*i+1].(*redis.StringCmd).Val(); got != "v"+strconv.Itoa(i) {
			t.Errorf("reply %d is %q", i, got)
		}
	}
	replies, err = client.TxPipelined(ctx, func(pipe redis.Pipeliner) error { return pipe.Get(ctx, "1").Err() })
	if err != nil || len(replies) != 1 || replies[0].(*redis.StringCmd).Val() != "v1" {
		t.Errorf("transaction: %v and error %v", replies, err)
	}
}

func TestRueidis(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		o        bedOptions
		password string
		resp2    bool
	}{
		{"with its defaults", bedOptions{servers: 3}, "", false},
		{"with three workers", bedOptions{servers: 3, workers: 3}, "", false},
		{"speaking RESP2", bedOptions{servers: 3}, "", true},
		{"with a password", bedOptions{servers: 3, serverArgs: []string{"--requirepass", okPassword}, pool: []string{"redis_auth: " + okPassword}}, okPassword, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := startRedisBed(t, tc.o)
			client, err := rueidis.NewClient(rueidis.ClientOption{
				InitAddress: []string{b.Addr()}, DisableCache: true, ForceSingleClient: true, Password: tc.password, AlwaysRESP2: tc.resp2,
				AlwaysPipelining: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(client.Close)
			useRueidis(t, client)
		})
	}
}

// useRueidis has goroutines share the client, which sends what they ask in one pipeline.
func useRueidis(t *testing.T, client rueidis.Client) {
	ctx := timely(t)
	var wait sync.WaitGroup
	for g := range 20 {
		wait.Go(func() {
			for i := range 100 {
				key, other := fmt.Sprintf("r-%d-%d", g, i), fmt.Sprintf("o-%d-%d", g, i)
				if err := client.Do(ctx, client.B().Mset().KeyValue().KeyValue(key, key).KeyValue(other, other).Build()).Error(); err != nil {
					t.Errorf("MSET: %v", err)
					return
				}
				got, err := client.Do(ctx, client.B().Mget().Key(other, key).Build()).AsStrSlice()
				if err != nil || len(got) != 2 || got[0] != other || got[1] != key {
					t.Errorf("MGET: got %q and error %v", got, err)
					return
				}
				for _, result := range client.DoMulti(ctx, client.B().Get().Key(key).Build(), client.B().Append().Key(key).Value("+").Build(), client.B().Del().Key(key, other).Build()) {
					if err := result.Error(); err != nil {
						t.Errorf("a pipeline: %v", err)
						return
					}
				}
			}
		})
	}
	wait.Wait()
	if err := client.Do(ctx, client.B().Get().Key("none").Build()).Error(); !rueidis.IsRedisNil(err) {
		t.Errorf("GET of nothing: got error %v, want nil of Redis", err)
	}
}
