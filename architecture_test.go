// Package nutmeg_test holds the whole repository to its own rules.
package nutmeg_test

import (
	"bytes"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rooms is the architecture: what each package of this module imports besides
// the standard library, tests left out. Rooms of this module are named without
// "internal/", other modules by their path. To change the architecture, change
// this map and the table in ARCHITECTURE.md, where a reviewer sees it.
var rooms = map[string]string{
	"hashkit":      "",
	"distribution": "",
	"buffer":       "",
	"resp":         "",
	"memcache":     "",
	"merge":        "resp",
	"command":      "",
	"command/gen":  "",
	"learn":        "command resp",
	"stats":        "",
	"logfile":      "",
	"daemon":       "",
	"handover":     "",
	"systemd":      "golang.org/x/sys github.com/coreos/go-systemd/v22",
	"config":       "command distribution hashkit go.yaml.in/yaml/v4",
	"pool":         "config distribution hashkit",
	"plan":         "config pool",
	"evloop":       "buffer golang.org/x/sys",
	"proxy":        "buffer command config evloop learn memcache merge pool resp stats",
	"admin":        "config stats",
	"app":          "admin config daemon evloop handover logfile plan proxy systemd",
	"testkit":      "",
	"testkit/sim":  "buffer evloop",
	"demo":         "github.com/alicebob/miniredis/v2",

	"cmd/nutmeg":    "app config daemon evloop handover stats github.com/spf13/pflag",
	"cmd/nutmegctl": "admin config demo plan pool resp github.com/spf13/pflag",
	"bench/growth":  "config distribution pool testkit golang.org/x/sys",
	"bench/chart":   "",
	"bench/load":    "golang.org/x/sys github.com/HdrHistogram/hdrhistogram-go",
	"bench":         "bench/chart bench/load testkit golang.org/x/sys github.com/schollz/progressbar/v3",
}

// daemonModules are the other modules that the daemon may link.
var daemonModules = []string{"github.com/spf13/pflag", "go.yaml.in/yaml/v4", "golang.org/x/sys", "github.com/coreos/go-systemd/v22"}

const module = "nutmeg"

func TestImportsFollowTheArchitecture(t *testing.T) {
	imports := importsOfRooms(t)
	for _, room := range slices.Sorted(maps.Keys(imports)) {
		row, known := rooms[room]
		if !known {
			t.Errorf("%s has no row; decide what it may import, and add it to the map here and to ARCHITECTURE.md", room)
			continue
		}
		allowed := strings.Fields(row)
		for _, name := range imports[room] {
			if !slices.Contains(allowed, name) {
				t.Errorf("%s imports %s, which its row does not allow", room, name)
			}
		}
		for _, name := range allowed {
			if !slices.Contains(imports[room], name) {
				t.Errorf("%s does not import %s, which its row allows; take it out", room, name)
			}
		}
	}
	for room := range rooms {
		if _, exists := imports[room]; !exists {
			t.Errorf("%s has a row and no code; take the row out", room)
		}
	}
}

// The table is what people read, the map what is tested: they must say the same.
func TestArchitectureTableMatches(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|.*\\| ([^|]*) \\|$").FindAllStringSubmatch(string(text), -1) {
		names := strings.FieldsFunc(row[2], func(r rune) bool { return strings.ContainsRune(" ,`", r) })
		if slices.Equal(names, []string{"nothing"}) {
			names = nil
		}
		slices.Sort(names)
		table[row[1]] = strings.Join(names, " ")
	}
	want := map[string]string{}
	for room, row := range rooms {
		want[room] = strings.Join(slices.Sorted(slices.Values(strings.Fields(row))), " ")
	}
	for _, room := range slices.Sorted(maps.Keys(want)) {
		if got, there := table[room]; !there || got != want[room] {
			t.Errorf("the table says %s imports %q (row there: %v), the map %q", room, got, there, want[room])
		}
	}
	for room := range table {
		if _, known := want[room]; !known {
			t.Errorf("the table has %s, the map does not", room)
		}
	}
}

func TestDaemonLinksLittle(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./cmd/nutmeg")
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=readonly")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for name := range strings.FieldsSeq(string(out)) {
		if rest, own := strings.CutPrefix(name, module+"/"); own {
			if room := roomOf(rest); room == "demo" || strings.HasPrefix(room, "testkit") {
				t.Errorf("the daemon links %s, which is for commands and tests", name)
			}
			continue
		}
		if !slices.ContainsFunc(daemonModules, func(m string) bool { return within(name, m) }) {
			t.Errorf("the daemon links %s; it may link %s and nothing else", name, strings.Join(daemonModules, ", "))
		}
	}
}

// A repository speaks of itself only: no place of one machine, nothing beside it.
func TestNoFileNamesAPlaceOutside(t *testing.T) {
	// In pieces, so that this file does not hold them.
	forbidden := []string{".." + "/shared", "/wo" + "rk/", "/ho" + "me/", "/Us" + "ers/", "/ro" + "ot/"}
	for _, name := range repositoryFiles(t) {
		text, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			continue // deleted, and git has not been told yet
		}
		if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(text, 0) >= 0 {
			continue // no text
		}
		for i, line := range strings.Split(string(text), "\n") {
			for _, place := range forbidden {
				if strings.Contains(line, place) {
					t.Errorf("%s:%d: %q", name, i+1, place)
				}
			}
		}
	}
}

// repositoryFiles are the files that git has or is about to have.
func repositoryFiles(t *testing.T) []string {
	t.Helper()
	if _, err := os.Stat(".git"); err != nil {
		t.Skip("no git checkout, so nothing says which files belong to the repository")
	}
	out, err := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

// importsOfRooms reads the imports of all packages, for every system at once, tests left out.
func importsOfRooms(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string]map[string]bool{}
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file != "." && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata"):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		room := roomOf(filepath.ToSlash(filepath.Dir(file)))
		if found[room] == nil {
			found[room] = map[string]bool{}
		}
		return addImports(found[room], file)
	})
	if err != nil {
		t.Fatal(err)
	}
	imports := map[string][]string{}
	for room, names := range found {
		imports[room] = slices.Sorted(maps.Keys(names))
	}
	return imports
}

func addImports(names map[string]bool, file string) error {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		return err
	}
	for _, spec := range parsed.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if rest, own := strings.CutPrefix(name, module+"/"); own {
			names[roomOf(rest)] = true
		} else if first, _, _ := strings.Cut(name, "/"); strings.Contains(first, ".") {
			names[moduleOf(name)] = true
		}
	}
	return nil
}

// roomOf is the name of the package in folder dir.
func roomOf(dir string) string { return strings.TrimPrefix(dir, "internal/") }

// moduleOf is the module of a package of another module, if some row names it, else the package.
func moduleOf(name string) string {
	for row := range maps.Values(rooms) {
		for m := range strings.FieldsSeq(row) {
			if strings.Contains(m, ".") && within(name, m) {
				return m
			}
		}
	}
	return name
}

// within reports whether a package belongs to a module.
func within(name, module string) bool {
	return name == module || strings.HasPrefix(name, module+"/")
}
