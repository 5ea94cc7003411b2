package config

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// tree is all of a node that is read.
func tree(n *yaml.Node) string {
	if n == nil {
		return "nothing"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d@%d:%d %q", n.Kind, n.Line, n.Column, n.Value)
	if n.Alias != nil {
		b.WriteString(" alias")
	}
	for _, c := range n.Content {
		b.WriteString(" (" + tree(c) + ")")
	}
	return b.String()
}

// checkPlain compares what decodePlain takes with what the library makes of it.
func checkPlain(t *testing.T, data []byte) (isPlain bool) {
	t.Helper()
	got, _ := decodePlain(data)
	if got == nil {
		return false
	}
	r := &reader{file: "f"}
	if want := r.decodeYAML(data); tree(got) != tree(want) || len(r.faults) > 0 {
		t.Errorf("%q is read as plain:\n%s\nthe library has\n%s\n%v", data, tree(got), tree(want), r.faults)
	}
	return true
}

func TestPlain(t *testing.T) {
	for _, tt := range []struct {
		rule, text string
		plain      bool
	}{
		{"a pool", "a:\n  listen: 127.0.0.1:1\n  servers:\n   - 127.0.0.1:2:1\n   - 127.0.0.1:3:1 name\n", true},
		{"servers as far left as their key", "a:\n  servers:\n  - h:1:1\n  listen: h:2\n", true},
		{"two pools, each indented its own way", "a:\n  listen: h:1\nb:\n      listen: h:2\n", true},
		{"no newline at the end", "a:\n  listen: h:1", true},
		{"empty lines and comments", "# c\n\na: \n   \n # c: [\n  listen: h:1  \n\n#", true},
		{"quotes", "a:\n  hash_tag: \"{}\"\n  hash: ''\n", true},
		{"paths", "a:\n  listen: /run/a.sock 0660\n  servers:\n  - /run/b.sock:1 b\n", true},
		{"words that mean something", "a:\n  x: null\n  y: 0x1F\n  z: 1e3\n  yes: no\n", true},
		{"the same key twice", "a:\n  x: 1\n  x: 2\na:\n  x: 1\n", true},
		{"several spaces", "a:\n  x:   1\n  y:\n  -   h:1:1   name\n", true},

		{"nothing", "", false},
		{"comments only", "# a\n", false},
		{"a pool that is text", "a: b\n", false},
		{"a pool without settings", "a:\nb:\n  x: 1\n", false},
		{"an empty setting", "a:\n  x:\n  y: 1\n", false},
		{"an empty setting at the end", "a:\n  x:\n", false},
		{"a mapping in a pool", "a:\n  x:\n    y: 1\n", false},
		{"a list of pools", "- a\n", false},
		{"an empty entry", "a:\n  x:\n  - \n", false},
		{"a list in a list", "a:\n  x:\n  - - b\n", false},
		{"a mapping in a list", "a:\n  x:\n  - y: 1\n", false},
		{"a mapping in a list, without a value", "a:\n  x:\n  - y:\n", false},
		{"text over two lines", "a:\n  x: b\n   c\n", false},
		{"text over two lines that looks like a key", "a:\n  x: b\n   y: c\n", false},
		{"an entry over two lines", "a:\n  x:\n  - b\n    c\n", false},
		{"an entry over two lines that looks like one", "a:\n  x:\n  - b\n   - c\n", false},
		{"entries that go left", "a:\n  x:\n    - b\n   - c\n", false},
		{"settings that go left", "a:\n   x: 1\n  y: 1\n", false},
		{"a key without a space", "a:\n  x:1\n", false},
		{"a key with a space", "a:\n  x : 1\n", false},
		{"a comment behind a value", "a:\n  x: 1 # c\n", false},
		{"an anchor", "a: &x\n  y: 1\n", false},
		{"an alias", "a:\n  y: *x\n", false},
		{"a tag", "a:\n  y: !!str 1\n", false},
		{"a block", "a:\n  y: |\n   b\n", false},
		{"a list in brackets", "a:\n  y: [b]\n", false},
		{"a mapping in braces", "a: {b: c}\n", false},
		{"a tab", "a:\n\ty: 1\n", false},
		{"a tab in a comment", "a:\n  y: 1\n#\t\n", false},
		{"lines that end in CR LF", "a:\r\n  y: 1\r\n", false},
		{"an escape", `a:` + "\n" + `  y: "\n"` + "\n", false},
		{"an open quote", "a:\n  y: \"b\n", false},
		{"text behind quotes", "a:\n  y: \"b\" c\n", false},
		{"quotes in quotes", "a:\n  y: 'b''c'\n", false},
		{"another document", "a:\n  y: 1\n---\nb:\n  y: 1\n", false},
		{"the start of a document", "---\na:\n  y: 1\n", false},
		{"the end of a document", "a:\n  y: 1\n...\n", false},
		{"a directive", "%YAML 1.2\n---\na:\n  y: 1\n", false},
		{"other letters", "a:\n  y: é\n", false},
		{"a merge", "a:\n  <<: b\n", false},
	} {
		if got := checkPlain(t, []byte(tt.text)); got != tt.plain {
			t.Errorf("%s: plain is %v, want %v", tt.rule, got, tt.plain)
		}
	}
}

func TestLargeFilesArePlain(t *testing.T) {
	if !checkPlain(t, largeFile(30, 300)) {
		t.Error("a generated file is not plain")
	}
	example, err := os.ReadFile("testdata/twemproxy-example.yml")
	if err != nil {
		t.Fatal(err)
	}
	checkPlain(t, example)
}

// Reading costs a bounded number of allocations an entry: those of the
// settings, and of what a server is made of.
func TestReadingCostsFewAllocations(t *testing.T) {
	const pools, servers = 10, 100
	file := largeFile(pools, servers)
	allocs := testing.AllocsPerRun(5, func() {
		if _, err := Parse("f", file); err != nil {
			t.Fatal(err)
		}
	})
	if perServer := allocs / (pools * servers); perServer > 2 {
		t.Errorf("%v allocations a server", perServer)
	}
}

// Whatever is taken for plain means the same to the YAML library.
func FuzzPlain(f *testing.F) {
	addGoldenInputs(f)
	f.Add([]byte("a:\n  listen: h:1\n  servers:\n   - h:2:1\n\n# c\nb:\n  hash_tag: \"{}\"\n  x: 'y'\n"))
	f.Fuzz(func(t *testing.T, data []byte) { checkPlain(t, data) })
}

// largeFile is a file of so many pools, each of so many servers.
func largeFile(pools, servers int) []byte {
	var file []byte
	for p := range pools {
		file = fmt.Appendf(file, "pool%d:\n  listen: 127.0.0.1:%d\n  redis: true\n  auto_eject_hosts: true\n  hash: fnv1a_64\n  hash_tag: \"{}\"\n  servers:\n", p, 10000+p)
		for s := range servers {
			file = fmt.Appendf(file, "   - 10.%d.%d.%d:6379:1\n", p, s/250, s%250)
		}
	}
	return file
}

func BenchmarkParse(b *testing.B) {
	file := largeFile(100, 100)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("f", file); err != nil {
			b.Fatal(err)
		}
	}
}
