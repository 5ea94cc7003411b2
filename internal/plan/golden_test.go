package plan

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"nutmeg/internal/config"
)

// The golden file holds blocks of: a title, the old configuration, "====", the
// new one, "----", the plan, and an empty line. UPDATE_GOLDEN=1 rewrites it.
func TestGolden(t *testing.T) {
	const file = "testdata/plans.txt"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rewritten strings.Builder
	for block := range strings.SplitSeq(strings.TrimRight(string(data), "\n"), "\n\n") {
		head, want, found := strings.Cut(block+"\n", "----\n")
		title, files, _ := strings.Cut(head, "\n")
		from, to, two := strings.Cut(files, "====\n")
		if !found || !two {
			t.Fatalf("block %q has no ---- or ==== line", block)
		}
		got := mustCompare(t, parse(t, from), parse(t, to)).String()
		if rewritten.Len() > 0 {
			rewritten.WriteString("\n")
		}
		fmt.Fprintf(&rewritten, "%s----\n%s", head, got)
		if os.Getenv("UPDATE_GOLDEN") == "" && got != want {
			t.Errorf("%s: got\n%swant\n%s", title, got, want)
		}
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(rewritten.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func parse(t testing.TB, text string) *config.Config {
	t.Helper()
	conf, err := config.Parse("f.yml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return conf
}

func mustCompare(t testing.TB, from, to *config.Config) *Plan {
	t.Helper()
	p, err := Compare(from, to)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
