package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseListen(t *testing.T) {
	tcp := func(host string, port int) Address { return Address{Network: "tcp", Host: host, Port: port} }
	unix := func(path string) Address { return Address{Network: "unix", Path: path} }
	tests := []struct {
		name, text string
		address    Address
		mode       os.FileMode
		shown      string
	}{
		{"IPv4", "127.0.0.1:22121", tcp("127.0.0.1", 22121), 0, "127.0.0.1:22121"},
		{"host name is not resolved", "cache.example.com:1", tcp("cache.example.com", 1), 0, "cache.example.com:1"},
		{"IPv6 ends at the last colon", "::1:22121", tcp("::1", 22121), 0, "[::1]:22121"},
		{"IPv6 in brackets", "[::1]:22121", tcp("::1", 22121), 0, "[::1]:22121"},
		{"IPv6 of all interfaces", ":::65535", tcp("::", 65535), 0, "[::]:65535"},
		{"IPv6 is normalised", "2001:DB8:0::1:1", tcp("2001:db8::1", 1), 0, "[2001:db8::1]:1"},
		{"IPv6 with a zone", "fe80::1%eth0:1", tcp("fe80::1%eth0", 1), 0, "[fe80::1%eth0]:1"},
		{"star is all interfaces", "*:22121", tcp("", 22121), 0, ":22121"},
		{"path", "/tmp/a.sock", unix("/tmp/a.sock"), 0, "/tmp/a.sock"},
		{"path with a mode", "/tmp/a.sock 0660", unix("/tmp/a.sock"), 0o660, "/tmp/a.sock"},
		{"mode is octal without a zero", "/tmp/a.sock 777", unix("/tmp/a.sock"), 0o777, "/tmp/a.sock"},
		{"mode is the last word", "/tmp/a b 0600", unix("/tmp/a b"), 0o600, "/tmp/a b"},
		{"path may hold a colon", "/tmp/a:1", unix("/tmp/a:1"), 0, "/tmp/a:1"},
		{"longest path", "/" + strings.Repeat("x", 106), unix("/" + strings.Repeat("x", 106)), 0, "/" + strings.Repeat("x", 106)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address, mode, err := parseListen(tt.text)
			if err != nil || address != tt.address || mode != tt.mode {
				t.Fatalf("parseListen(%q) = %+v, %o, %v; want %+v, %o", tt.text, address, mode, err, tt.address, tt.mode)
			}
			if address.String() != tt.shown {
				t.Errorf("String() = %q, want %q", address.String(), tt.shown)
			}
		})
	}
}

func TestParseServer(t *testing.T) {
	tests := []struct {
		rule, text, name, address string
		weight                    int
	}{
		{"given name", "10.0.0.1:6379:1 s1", "s1", "10.0.0.1:6379", 1},
		{"no name is the text before the weight", "10.0.0.1:6379:7", "10.0.0.1:6379", "10.0.0.1:6379", 7},
		{"text keeps its zeros", "10.0.0.1:06379:1", "10.0.0.1:06379", "10.0.0.1:6379", 1},
		{"port 11211 is dropped", "10.0.0.1:11211:1", "10.0.0.1", "10.0.0.1:11211", 1},
		{"port 11211 with a name", "10.0.0.1:11211:1 m", "m", "10.0.0.1:11211", 1},
		{"path keeps the colon", "/tmp/r.sock:1", "/tmp/r.sock:", "/tmp/r.sock", 1},
		{"path with a name", "/tmp/r.sock:2 r", "r", "/tmp/r.sock", 2},
		{"path with a space needs a name", "/tmp/r r.sock:2 r", "r", "/tmp/r r.sock", 2},
		{"name may hold colons", "a:1:1 x:y:z", "x:y:z", "a:1", 1},
		{"several spaces before the name", "a:1:1   x", "x", "a:1", 1},
		{"IPv6", "::1:6379:1", "::1:6379", "[::1]:6379", 1},
		{"IPv6 in brackets keeps its text", "[::1]:6379:1", "[::1]:6379", "[::1]:6379", 1},
		{"IPv6 on 11211", "::1:11211:1", "::1", "[::1]:11211", 1},
		{"IPv6 in brackets on 11211", "[::1]:11211:1", "[::1]", "[::1]:11211", 1},
		{"host name", "cache_1.example.com:6379:1", "cache_1.example.com:6379", "cache_1.example.com:6379", 1},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			got, err := parseServer(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if got.Name != tt.name || got.Address.String() != tt.address || got.Weight != tt.weight || got.Text != tt.text {
				t.Errorf("parseServer(%q) = %+v, want name %q, address %q, weight %d", tt.text, got, tt.name, tt.address, tt.weight)
			}
		})
	}
}

// Bytes that a golden file cannot hold well.
func TestParseBytes(t *testing.T) {
	const good = "alpha:\r\n  listen: 127.0.0.1:1\r\n  servers:\r\n    - a:1:1\r\n"
	var many strings.Builder
	many.WriteString("alpha: &p {listen: '*:1', servers: [")
	for i := range 2000 {
		fmt.Fprintf(&many, "a:1:1 s%d,", i)
	}
	many.WriteString("]}\n")
	for i := range 150 {
		many.WriteString("p" + strings.Repeat("x", i) + ": *p\n")
	}
	tests := []struct{ name, data, want string }{
		{"CRLF", good, ""},
		{"byte order mark", "\ufeff" + good, ""},
		{"comment at the end without newline", good + "# end", ""},
		{"not UTF-8", good + "# \xff", "f:5:3: not valid yaml: invalid leading UTF-8 octet (value: 255); save the file as UTF-8 text"},
		{"control character", good + "\n\x01", "f:6:1: not valid yaml: control characters are not allowed (value: 1); save the file as UTF-8 text"},
		{"too large", strings.Repeat(" ", maxFileBytes+1), "f:1:1: the file is larger than 4194304 bytes; is it a configuration file?"},
		{"aliases of a long list", many.String(), "more than 262144 keys and servers, aliases counted; split the file"},
		{"deep nesting", strings.Repeat("[", 1<<20), "not valid yaml: "},
		{"a list that holds itself", "a: &x {listen: *x, servers: &y [*y]}", "f:1:4: a.listen: the value is a mapping; write a single value"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("f", []byte(tt.data))
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %.200v, want %s", err, tt.want)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	t.Run("a file that is not there is a path error", func(t *testing.T) {
		_, err := Load(filepath.Join(t.TempDir(), "none.yml"))
		if path := (*fs.PathError)(nil); !errors.As(err, &path) || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error %v, want a path error", err)
		}
	})
	t.Run("a folder is a path error", func(t *testing.T) {
		_, err := Load(t.TempDir())
		if path := (*fs.PathError)(nil); !errors.As(err, &path) {
			t.Errorf("error %v, want a path error", err)
		}
	})
	t.Run("a bad file gives all its faults with their place", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "bad.yml")
		if err := os.WriteFile(file, []byte("a: {timeout: x, servers: 1}"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(file)
		faults := (*Errors)(nil)
		if !errors.As(err, &faults) || len(*faults) != 3 {
			t.Fatalf("error %v, want three faults", err)
		}
		want := Error{File: file, Line: 1, Column: 14, Path: "a.timeout", Message: `"x" is not a number; write digits only, 0 to 2147483647 milliseconds`}
		if (*faults)[1] != want {
			t.Errorf("fault %+v, want %+v", (*faults)[1], want)
		}
	})
	t.Run("a twemproxy file loads unchanged", func(t *testing.T) {
		cfg, err := Load("testdata/twemproxy-example.yml")
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, p := range cfg.Pools {
			names = append(names, p.Name)
		}
		if got := strings.Join(names, " "); got != "beta alpha delta gamma omega epsilon" {
			t.Errorf("pools %s", got)
		}
	})
}

func TestFaultsAreShownUpToALimit(t *testing.T) {
	for _, c := range []struct {
		faults, shown int
		last          string
	}{
		{maxFaults, maxFaults, "f:1001:7: "},
		{maxFaults + 1, maxFaults + 1, "f:1001:7: 1 more faults are not shown; mend these first"},
		{maxFaults + 500, maxFaults + 1, "f:1001:7: 500 more faults are not shown; mend these first"},
	} {
		_, err := Parse("f", []byte("a: {listen: '*:1', servers: [\n"+strings.Repeat("      x,\n", c.faults)+"]}"))
		faults := (*Errors)(nil)
		if !errors.As(err, &faults) || len(*faults) != c.shown {
			t.Fatalf("%d faults: %d are shown", c.faults, len(*faults))
		}
		if last := (*faults)[c.shown-1].Error(); !strings.HasPrefix(last, c.last) {
			t.Errorf("%d faults: the last one is %s, want %s", c.faults, last, c.last)
		}
	}
}

// The documentation promises that its examples can be copied.
func TestDocumentedExamples(t *testing.T) {
	data, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	for i, part := range bytes.Split(data, []byte("```yaml\n")) {
		if i == 0 {
			continue
		}
		example, _, found := bytes.Cut(part, []byte("```"))
		if !found {
			t.Fatalf("example %d is not closed", i)
		}
		if _, err := Parse("docs/configuration.md", example); err != nil {
			t.Errorf("example %d: %v\n%s", i, err, example)
		}
		examples++
	}
	if examples == 0 {
		t.Error("no examples found")
	}
	process, pools, _ := bytes.Cut(data, []byte("\n## Client side of a pool\n")) // some keys are in both
	for _, key := range poolKeys {
		if !bytes.Contains(pools, []byte("\n### `"+key.name+"`\n")) {
			t.Errorf("key %s has no section", key.name)
		}
	}
	for _, key := range globalKeys {
		if !bytes.Contains(process, []byte("\n### `"+key.name+"`\n")) {
			t.Errorf("global key %s has no section", key.name)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"listen", "redis", "redis_auth", "hash", "hash_tag", "fnv1_64", "fnv1a_64"}
	tests := []struct{ rule, word, want string }{
		{"a letter is missing", "lisen", "listen"},
		{"letters are swapped", "lisetn", "listen"},
		{"letter case does not count", "LISTEN", "listen"},
		{"marks do not count", "redis-auth", "redis_auth"},
		{"marks decide nothing against letters", "fnv1a64", "fnv1a_64"},
		{"short words are not stretched", "host", ""},
		{"another word", "sentinels", ""},
		{"an empty word", "", ""},
		{"a very long word", strings.Repeat("listen", 10), ""},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			if got := nearest(tt.word, names); got != tt.want {
				t.Errorf("nearest(%q) = %q, want %q", tt.word, got, tt.want)
			}
		})
	}
}
