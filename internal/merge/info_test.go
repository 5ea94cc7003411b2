package merge_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"nutmeg/internal/merge"
	"nutmeg/internal/resp"
)

// TestInfoOfRealServers merges what three servers of version 7.0 say. `make golden` rewrites what comes of it.
func TestInfoOfRealServers(t *testing.T) {
	in := &merge.Responses{Servers: []string{"s1", "s2", "s3"}, Tail: []byte("# Nutmeg\r\nservers:3\r\n")}
	for i := range 3 {
		text, err := os.ReadFile(fmt.Sprintf("testdata/info-%d.txt", i+1))
		if err != nil {
			t.Fatal(err)
		}
		in.Bodies = append(in.Bodies, resp.AppendBulk(nil, strings.ReplaceAll(string(text), "\n", "\r\n")))
	}
	merged, err := merge.Info.Append(nil, in)
	if err != nil {
		t.Fatal(err)
	}
	r := resp.NewReader(merged)
	v, ok := r.Next()
	if !ok || v.Kind != resp.BulkString || r.Len() > 0 {
		t.Fatalf("made %.60q", merged)
	}
	got := strings.ReplaceAll(string(v.Text), "\r\n", "\n")
	const golden = "testdata/info-merged.txt"
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the text is not that of %s any more; if it is right, run make golden and look at the difference:\n%s", golden, got)
	}
}

func TestInfoFields(t *testing.T) {
	for _, test := range []struct{ name, one, two, want string }{
		{"counters are added", "# Stats\na:1\n", "# Stats\na:2\n", "# Stats\na:3\n"},
		{"decimals are added", "# CPU\na:0.25\n", "# CPU\na:2\n", "# CPU\na:2.25\n"},
		{"a sum beyond 64 bits is left out", "# Stats\na:9223372036854775807\n", "# Stats\na:1\n", "# Stats\n"},
		{"what differs is left out", "# Server\nrun_id:a\nhz:10\n", "# Server\nrun_id:b\nhz:10\n", "# Server\nhz:10\n"},
		{"what one server lacks is left out without a rule", "# Server\nhz:10\n", "# Server\n", "# Server\n"},
		{"the shortest uptime counts", "# Server\nuptime_in_seconds:50\n", "# Server\nuptime_in_seconds:7\n", "# Server\nuptime_in_seconds:7\n"},
		{"one that loads makes all load", "# Persistence\nloading:0\n", "# Persistence\nloading:1\n", "# Persistence\nloading:1\n"},
		{"one that fails makes all fail", "# Persistence\naof_last_write_status:ok\n", "# Persistence\naof_last_write_status:err\n", "# Persistence\naof_last_write_status:err\n"},
		{"sizes for people follow", "# Memory\nused_memory:1000\nused_memory_human:1000B\n", "# Memory\nused_memory:1048576\nused_memory_human:1.00M\n", "# Memory\nused_memory:1049576\nused_memory_human:1.00M\n"},
		{"one server without a limit", "# Memory\nmaxmemory:0\n", "# Memory\nmaxmemory:5\n", "# Memory\nmaxmemory:0\n"},
		{"the worst ratio", "# Memory\nx_ratio:1.5\ny_perc:7.00%\n", "# Memory\nx_ratio:2.25\ny_perc:9.00%\n", "# Memory\nx_ratio:2.25\ny_perc:9.00%\n"},
		{"databases", "# Keyspace\ndb0:keys=3,expires=1,avg_ttl=10\n", "# Keyspace\ndb0:keys=4,expires=3,avg_ttl=30\ndb5:keys=1,expires=0,avg_ttl=0\n", "# Keyspace\ndb0:keys=7,expires=4,avg_ttl=25\ndb5:keys=1,expires=0,avg_ttl=0\n"},
		{"time of commands", "# Commandstats\ncmdstat_get:calls=1,usec=10,usec_per_call=10.00\n", "# Commandstats\ncmdstat_get:calls=3,usec=2,usec_per_call=0.67\n", "# Commandstats\ncmdstat_get:calls=4,usec=12,usec_per_call=3.00\n"},
		{"percentiles", "# Latencystats\nl:p50=1.5,p99=4.0\n", "# Latencystats\nl:p50=2.5,p99=3.0\n", "# Latencystats\nl:p50=2.5,p99=4.0\n"},
		{"pairs that are none", "# Keyspace\ndb0:x\n", "# Keyspace\ndb0:y\n", "# Keyspace\n"},
		{"sections of one server", "# Stats\na:1\n", "# Cluster\ncluster_enabled:1\n", "# Stats\na:1\n\n# Cluster\ncluster_enabled:1\n"},
		{"nothing at all", "", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := &merge.Responses{Bodies: [][]byte{resp.AppendBulk(nil, test.one), resp.AppendBulk(nil, test.two)}}
			got, err := merge.Info.Append(nil, in)
			if want := resp.AppendBulk(nil, strings.ReplaceAll(test.want, "\n", "\r\n")); err != nil || string(got) != string(want) {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		})
	}
}
