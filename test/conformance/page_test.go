package conformance

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"nutmeg/internal/command"
	"nutmeg/internal/proxy"
)

const pageFile = "../../docs/commands.md"

// row is what the page says of a command besides the number of cases.
type row struct {
	name string // "config|get"
	one  string // with one server in the pool
	many string // with several
	note string
}

// redisRows are the engine's own words for what it does.
func redisRows() map[string]row {
	rows := map[string]row{}
	for _, r := range proxy.Commands() {
		rows[r.Name] = row{name: strings.ToUpper(r.Name), one: r.One, many: r.Many, note: r.Note}
	}
	return rows
}

// TestCommandsPage holds docs/commands.md to the engine's table and to the cases. UPDATE_GOLDEN=1 writes the page; make
// conformance does.
func TestCommandsPage(t *testing.T) {
	redis, err := allRedisCases()
	if err != nil {
		t.Fatal(err)
	}
	text, err := allTextCases()
	if err != nil {
		t.Fatal(err)
	}
	memcached, err := readRows("testdata/memcache-commands.txt")
	if err != nil {
		t.Fatal(err)
	}
	counts := countRedis(redis)
	for name := range redisRows() {
		if counts[name] == 0 && !strings.HasPrefix(name, "sentinel|") {
			t.Errorf("no case has the command %s; write one in testdata/redis", name)
		}
	}
	page := commandsPage(redis, text, memcached)
	for _, protocol := range []string{"redis", "memcache"} {
		if page, err = appendDifferences(page, protocol); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(pageFile, page, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	old, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(old, page) {
		t.Error("docs/commands.md is not what the table and the cases say; run make conformance, and look at the diff")
	}
}

// appendDifferences tells of the exceptions: what differs from a server on purpose, and why.
func appendDifferences(page []byte, protocol string) ([]byte, error) {
	name := map[string]string{"redis": "Redis", "memcache": "memcached"}[protocol]
	page = fmt.Appendf(page, "\n## What differs from %s on purpose\n\n", name)
	var said []string
	for _, pool := range []struct{ servers, prefix string }{{"one", ""}, {"three", "with several servers: "}} {
		exceptions, err := readExceptions("testdata/exceptions-" + pool.servers + "-" + protocol + ".txt")
		if err != nil {
			return nil, err
		}
		for _, e := range exceptions {
			if !slices.Contains(said, e.reason) {
				said = append(said, e.reason)
				page = fmt.Appendf(page, "- %s%s\n", pool.prefix, e.reason)
			}
		}
	}
	return page, nil
}

// readRows reads "name | one server | several servers | note" a line.
func readRows(file string) (all []row, err error) {
	lines, err := listLines(file)
	for _, line := range lines {
		cells := strings.Split(line, " | ")
		if len(cells) < 3 || len(cells) > 4 {
			return nil, fmt.Errorf("%s: %q has %d cells, want 3 or 4", file, line, len(cells))
		}
		cells = append(cells, "")
		all = append(all, row{name: cells[0], one: cells[1], many: cells[2], note: cells[3]})
	}
	return all, err
}

func commandsPage(redis []*testCase, text []*textCase, memcached []row) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, pageHead, len(redis), len(text))
	counts, rows := countRedis(redis), redisRows()
	for _, group := range groups() {
		fmt.Fprintf(&b, "\n### %s\n\n", strings.ReplaceAll(group.String(), "_", " "))
		writeHead(&b)
		for cmd := range command.All() {
			if cmd.Group != group {
				continue
			}
			writeRow(&b, rows[cmd.Name], counts[cmd.Name])
			for i := range cmd.Subcommands {
				if sub := &cmd.Subcommands[i]; !sub.Flags.Has(command.OnlySentinel) {
					writeRow(&b, rows[sub.Name], counts[sub.Name])
				}
			}
		}
	}
	b.WriteString("\n## memcached\n\n")
	writeHead(&b)
	counts = countText(text, memcached)
	for _, r := range memcached {
		writeRow(&b, r, counts[r.name])
	}
	return b.Bytes()
}

const pageHead = `# Commands

What nutmeg does with each command, in a pool of one server and in a pool of several.

With one server the answer is the server's, byte for byte. With several a command goes to the server of its keys, is
split by key, or goes to all servers and their answers become one. What cannot be done that way is refused with an error
that says why and what to do. Keys with a common hash tag (` + "`hash_tag`" + `) are on one server.

The last column counts the conversations that stand behind a row. Each runs directly at a server and through nutmeg, with
one server and with three, and the answers are compared: %d with Redis 7.0, %d with memcached 1.6. What differs on purpose
stands at the end.

This page is written by ` + "`make conformance`" + ` from the tables of the program; do not edit it.

## Redis
`

func writeHead(b *bytes.Buffer) {
	b.WriteString("| command | one server | several servers | note | cases |\n|---|---|---|---|---|\n")
}

func writeRow(b *bytes.Buffer, r row, cases int) {
	name := strings.ReplaceAll(r.name, "|", " ")
	fmt.Fprintf(b, "| `%s` | %s | %s | %s | %d |\n", name, cell(r.one), cell(r.many), cell(r.note), cases)
}

func cell(text string) string { return strings.ReplaceAll(text, "|", "\\|") }

// groups are the chapters in the order of their names.
func groups() (all []command.Group) {
	for cmd := range command.All() {
		if !slices.Contains(all, cmd.Group) {
			all = append(all, cmd.Group)
		}
	}
	slices.SortFunc(all, func(a, b command.Group) int { return strings.Compare(a.String(), b.String()) })
	return all
}

// countRedis counts the cases in which each command and subcommand stands.
func countRedis(cases []*testCase) map[string]int {
	counts := map[string]int{}
	for _, c := range cases {
		seen := map[string]bool{}
		for i := range c.steps {
			for _, words := range requestsOf(&c.steps[i]) {
				for _, name := range namesOf(words) {
					seen[name] = true
				}
			}
		}
		for name := range seen {
			counts[name]++
		}
	}
	return counts
}

// requestsOf are the requests of a step; those of raw bytes as far as they are lines of words.
func requestsOf(s *step) (all [][][]byte) {
	if s.raw == nil {
		return [][][]byte{s.words}
	}
	for line := range strings.SplitSeq(string(s.raw), "\r\n") {
		if words, err := splitWords(line); err == nil {
			all = append(all, words)
		}
	}
	return all
}

func namesOf(words [][]byte) (names []string) {
	if len(words) == 0 {
		return nil
	}
	cmd := command.Lookup(words[0])
	if cmd == nil {
		return nil
	}
	names = append(names, cmd.Name)
	if len(words) > 1 {
		if sub := cmd.Subcommand(words[1]); sub != nil {
			names = append(names, sub.Name)
		}
	}
	return names
}

// countText counts the cases in which a line begins with the name of a row.
func countText(cases []*textCase, rows []row) map[string]int {
	counts := map[string]int{}
	for _, c := range cases {
		for _, r := range rows {
			for _, part := range c.parts {
				if beginsLine(part, r.name) {
					counts[r.name]++
					break
				}
			}
		}
	}
	return counts
}

func beginsLine(text []byte, name string) bool {
	for line := range bytes.Lines(text) {
		rest, found := bytes.CutPrefix(line, []byte(name))
		if found && len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\r' || rest[0] == '\n') {
			return true
		}
	}
	return false
}
