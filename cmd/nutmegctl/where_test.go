package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// whereConf has pools whose owners were recorded from twemproxy 0.5.0.
const whereConf = `
tagged:
  listen: 127.0.0.1:22121
  redis: true
  hash: fnv1a_64
  hash_tag: "{}"
  distribution: ketama
  servers:
    - 127.0.0.1:42841:1 s4
    - 127.0.0.1:42842:1 s1
    - 127.0.0.1:42843:1 s5
    - 127.0.0.1:42844:1 s3
    - 127.0.0.1:42845:1 s2
cache:
  listen: 127.0.0.1:22122
  hash: murmur
  distribution: modula
  servers:
    - 127.0.0.4:11211:1
    - 127.0.0.2:11211:1
    - 127.0.0.3:11211:1
any:
  listen: 127.0.0.1:22123
  distribution: random
  servers:
    - 127.0.0.1:11212:1
    - 127.0.0.1:11213:1
`

func TestWhere(t *testing.T) {
	file := writeFile(t, whereConf)
	for _, test := range []struct {
		rule string
		args []string
		want string // with one blank between columns
	}{
		{
			"the tagged part decides, and keys are in the order asked for",
			[]string{"-p", "tagged", "{user1}:b", "a", "{}"},
			`POOL KEY SERVER ADDRESS
tagged {user1}:b s1 127.0.0.1:42842
tagged a s3 127.0.0.1:42844
tagged {} s5 127.0.0.1:42843`,
		},
		{
			"without a tag the whole key decides",
			[]string{"-p", "cache", "a", "{a}", "Z"},
			`POOL KEY SERVER ADDRESS
cache a 127.0.0.2 127.0.0.2:11211
cache {a} 127.0.0.3 127.0.0.3:11211
cache Z 127.0.0.4 127.0.0.4:11211`,
		},
		{
			"without a pool all pools answer",
			[]string{"user1"},
			`POOL KEY SERVER ADDRESS
any user1 any the distribution is random
cache user1 127.0.0.4 127.0.0.4:11211
tagged user1 s1 127.0.0.1:42842`,
		},
	} {
		t.Run(test.rule, func(t *testing.T) {
			got := call(t, append([]string{"where", "-c", file}, test.args...)...)
			var lines []string
			for line := range strings.Lines(got.stdout) {
				lines = append(lines, strings.Join(strings.Fields(line), " "))
			}
			if table := strings.Join(lines, "\n"); got.code != 0 || got.stderr != "" || table != test.want {
				t.Errorf("got %+v\n%s\nwant\n%s", got, table, test.want)
			}
		})
	}
}

func TestWhereRefuses(t *testing.T) {
	file := writeFile(t, whereConf)
	for _, test := range []struct {
		rule string
		args []string
		want string
	}{
		{"no file", []string{"key"}, "nutmegctl: where needs a configuration file; give one with -c\n"},
		{"no key", []string{"-c", file}, "nutmegctl: where needs a key to look for; give one or more behind the options\n"},
		{"an unknown pool, and names the known ones", []string{"-c", file, "-p", "gone", "k"}, "nutmegctl: " + file + " has no pool \"gone\"; it has any, cache, tagged\n"},
		{"a faulty file, with the fault's position", []string{"-c", writeFile(t, "a:\n  hash: x\n"), "k"}, ":2:9: a.hash: "},
	} {
		t.Run(test.rule, func(t *testing.T) {
			got := call(t, append([]string{"where"}, test.args...)...)
			if got.code != 1 || got.stdout != "" || !strings.Contains(got.stderr, test.want) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nutmeg.yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
