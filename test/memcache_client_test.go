package test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/bradfitz/gomemcache/memcache"
)

// The client that everybody uses with Go.
func TestGomemcache(t *testing.T) {
	t.Parallel()
	n, _ := startCaches(t, 3, "")
	client := memcache.New(n.Addr())
	client.Timeout, client.MaxIdleConns = patience, 8
	t.Cleanup(func() { _ = client.Close() })
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			if err := useGomemcache(client, fmt.Sprintf("client%d:", g)); err != nil {
				t.Errorf("client %d: %v", g, err)
			}
		})
	}
	group.Wait()
	if err := client.Ping(); err != nil {
		t.Errorf("ping: %v", err)
	}
	if err := client.FlushAll(); err != nil {
		t.Errorf("flush of all servers: %v", err)
	}
	if items, err := client.GetMulti(numbered("client0:", 60)); err != nil || len(items) > 0 {
		t.Errorf("after the flush: %d items, error %v", len(items), err)
	}
}

func useGomemcache(client *memcache.Client, prefix string) error {
	keys := numbered(prefix, 60)
	for _, key := range keys {
		if err := client.Set(&memcache.Item{Key: key, Value: []byte("value of " + key), Flags: 42}); err != nil {
			return err
		}
	}
	items, err := client.GetMulti(append(slices.Clone(keys), prefix+"none"))
	if err != nil || len(items) != len(keys) {
		return fmt.Errorf("GetMulti: %d items, %w", len(items), err)
	}
	for _, key := range keys {
		if got := items[key]; got == nil || string(got.Value) != "value of "+key || got.Flags != 42 {
			return fmt.Errorf("GetMulti: %s is %v", key, got)
		}
	}
	item, err := client.Get(keys[0])
	if err != nil {
		return err
	}
	item.Value = []byte("10")
	stale := *item
	checks := []struct {
		what string
		got  error
		want error
	}{
		{"cas", client.CompareAndSwap(item), nil},
		{"cas of an old item", client.CompareAndSwap(&stale), memcache.ErrCASConflict},
		{"add of a present key", client.Add(&memcache.Item{Key: keys[0]}), memcache.ErrNotStored},
		{"replace of an absent key", client.Replace(&memcache.Item{Key: prefix + "none"}), memcache.ErrNotStored},
		{"append", client.Append(&memcache.Item{Key: keys[1], Value: []byte("!")}), nil},
		{"prepend", client.Prepend(&memcache.Item{Key: keys[1], Value: []byte("the ")}), nil},
		{"touch", client.Touch(keys[2], 100), nil},
		{"touch of an absent key", client.Touch(prefix+"none", 100), memcache.ErrCacheMiss},
		{"delete", client.Delete(keys[3]), nil},
		{"delete of an absent key", client.Delete(keys[3]), memcache.ErrCacheMiss},
	}
	for _, c := range checks {
		if !errors.Is(c.got, c.want) {
			return fmt.Errorf("%s: %w, want %w", c.what, c.got, c.want)
		}
	}
	if n, err := client.Increment(keys[0], 5); err != nil || n != 15 {
		return fmt.Errorf("increment: %d, %w", n, err)
	}
	if n, err := client.Decrement(keys[0], 20); err != nil || n != 0 {
		return fmt.Errorf("decrement: %d, %w", n, err)
	}
	if item, err = client.GetAndTouch(keys[1], 100); err != nil || string(item.Value) != "the value of "+keys[1]+"!" {
		return fmt.Errorf("get and touch: %v, %w", item, err)
	}
	if _, err = client.Get(keys[3]); !errors.Is(err, memcache.ErrCacheMiss) {
		return fmt.Errorf("get of a deleted key: %w", err)
	}
	return nil
}
