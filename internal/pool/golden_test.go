package pool

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/config"
)

// recorded is a line of testdata/routing.jsonl.
type recorded struct {
	Hash         string   `json:"hash"`
	Distribution string   `json:"distribution"`
	Layout       string   `json:"layout"`
	HashTag      string   `json:"hash_tag"`
	Servers      []string `json:"servers"`
	Dead         []int    `json:"dead"`
	KeysHex      []string `json:"keys_hex"`
	ServersIndex []int    `json:"servers_index"`
}

// yaml is the configuration file of the pool.
func (r recorded) yaml() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "alpha:\n  listen: 127.0.0.1:22121\n  hash: %s\n  distribution: %s\n", r.Hash, r.Distribution)
	if r.HashTag != "" {
		fmt.Fprintf(&b, "  hash_tag: %q\n", r.HashTag)
	}
	if len(r.Dead) > 0 {
		b.WriteString("  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 3600000\n")
	}
	b.WriteString("  redis: true\n  servers:\n")
	for _, s := range r.Servers {
		fmt.Fprintf(&b, "   - %s\n", s)
	}
	return []byte(b.String())
}

// build configures the pool from its file, ejects the dead, and returns it with
// the position in r.Servers of each of its server indexes.
func (r recorded) build(t *testing.T) (*Pool, []int) {
	t.Helper()
	c, err := config.Parse("golden.yml", r.yaml())
	if err != nil {
		t.Fatal(err)
	}
	p := mustNew(t, &c.Pools[0])
	if got := len(c.Pools[0].Servers); got != len(r.Servers) {
		t.Fatalf("%d servers configured, want %d", got, len(r.Servers))
	}
	var written []int
	for i, s := range c.Pools[0].Servers {
		position := slices.Index(r.Servers, s.Text)
		if position < 0 {
			t.Fatalf("the text %q of server %d is not in the file", s.Text, i)
		}
		written = append(written, position)
		if slices.Contains(r.Dead, position) && p.Failed(i, 0, 0, "").Outcome != Ejected {
			t.Errorf("%s has failed but is not ejected", s.Text)
		}
	}
	return p, written
}

func readRecorded(t *testing.T) (all []recorded) {
	t.Helper()
	file, err := os.Open("testdata/routing.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r recorded
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// Every key that twemproxy was seen to route goes to the same server, the whole
// way from the configuration file to the index.
func TestEveryKeyGoesWhereTwemproxySendsIt(t *testing.T) {
	pools, keys := 0, 0
	for _, r := range readRecorded(t) {
		pools++
		name := fmt.Sprintf("%s/%s/%s/dead=%d", r.Layout, r.Distribution, r.Hash, len(r.Dead))
		t.Run(name, func(t *testing.T) {
			if len(r.KeysHex) != len(r.ServersIndex) {
				t.Fatalf("%d keys but %d servers", len(r.KeysHex), len(r.ServersIndex))
			}
			p, written := r.build(t)
			for i, text := range r.KeysHex {
				key, err := hex.DecodeString(text)
				if err != nil {
					t.Fatal(err)
				}
				keys++
				hash := p.Hash(key)
				server, ok := p.Pick(hash, int64(time.Hour)-1, 0)
				if !ok || written[server] != r.ServersIndex[i] {
					t.Errorf("key %q goes to %d (%v), want %d", key, written[server], ok, r.ServersIndex[i])
				}
				if owner := p.Owner(hash); owner != server {
					t.Errorf("key %q is grouped under %d but goes to %d", key, owner, server)
				}
			}
		})
	}
	if pools != 240 || keys != 41616 {
		t.Errorf("checked %d pools and %d keys, want 240 and 41616", pools, keys)
	}
}
