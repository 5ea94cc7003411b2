package conformance

import (
	"fmt"
	"strings"
)

// generatedTextCases combine commands of memcached with flags, and with what is wrong about them.
func generatedTextCases() (all []*textCase, err error) {
	add := func(group string, lines ...string) {
		c, e := parseTextCase("generated-"+group, "memcache_generate_test.go", lines)
		if e != nil {
			err = e
		}
		all = append(all, c)
	}
	storing(add)
	faults(add)
	metaFlags(add)
	metaPairs(add)
	flagPairs(add)
	return all, err
}

var storageVerbs = []string{"set", "add", "replace", "append", "prepend", "cas"}

// unique is what stands behind the length.
func unique(verb string) string {
	if verb == "cas" {
		return " 7"
	}
	return ""
}

// storing goes through the storage commands: on a key that is there or not, with and without a reply.
func storing(add func(group string, lines ...string)) {
	for _, verb := range storageVerbs {
		tail := unique(verb)
		for _, there := range []string{"", "set k 1 0 2; ab; "} {
			before := strings.Split(strings.TrimSuffix(there, "; "), "; ")
			if there == "" {
				before = nil
			}
			for _, noreply := range []string{"", " noreply"} {
				for _, data := range []string{"xyz", "", "0", "@{x*5000}"} {
					size := len(repeats([]byte(data)))
					line := fmt.Sprintf("%s k 5 0 %d%s%s", verb, size, tail, noreply)
					add("storing", append(before, line, quoteLine(data), "get k", "--", "get k")...)
				}
			}
		}
		add("storing", verb+" @{k*250} 0 0 1"+tail, "a", "get @{k*250}")
		add("storing", verb+" k 65536 -5 1"+tail, "a", "get k")
	}
}

// faults are storage lines that nobody can run. The commands share the parser of the line, so each has a value that is too
// long and a length that is none; noreply is for set and cas, whose words differ.
func faults(add func(group string, lines ...string)) {
	for _, verb := range storageVerbs {
		sizes, endings := []string{"2", "x"}, []string{""}
		if verb == "set" || verb == "cas" {
			sizes, endings = []string{"2", "4", "-1", "x"}, []string{"", " noreply"}
		}
		for _, size := range sizes {
			for _, ending := range endings {
				line := fmt.Sprintf("%s k 5 0 %s%s%s", verb, size, unique(verb), ending)
				add("faults", "set k 1 0 2", "ab", line, "xyz", "get k", "--", "get k")
			}
		}
	}
}

// metaCommand is a verb, and the value that stands behind its line.
type metaCommand struct{ verb, value string }

// quoteLine writes a value so that also an empty one is a line of a case.
func quoteLine(data string) string { return `"` + data + `\r\n"` }

var metaCommands = []*metaCommand{{"mg", ""}, {"ms", "ab"}, {"md", ""}, {"ma", ""}, {"me", ""}}

// metaFlags gives each meta command each flag, on a key that is there and on one that is not. "mn" shows what was silent.
func metaFlags(add func(group string, lines ...string)) {
	flags := []string{
		"b", "c", "f", "h", "k", "l", "q", "s", "t", "v", "x", "I", "E1", "O42", "N30", "R30", "T30", "F9", "C5", "D2", "J3",
		"ME", "MA", "MP", "MR", "MS", "MI", "MD", "q k", "q O1", "q v", "k O1 s", "v k q", "I q", "C5 q", "T30 t", "N30 v t",
	}
	for _, m := range metaCommands {
		for _, flag := range flags {
			request := []string{m.line("a2V5", flag)}
			if m.value != "" {
				request = append(request, m.value)
			}
			add("meta", append(request, "mn", "mg a2V5 v", "mg key v")...)
			add("meta", append(append([]string{"ms a2V5 2 T100 F1", "12", "set key 3 0 2", "34"}, request...), "mn", "mg a2V5 v f", "mg key v f")...)
		}
	}
}

func (m *metaCommand) line(key, flags string) string {
	if m.value != "" {
		return fmt.Sprintf("%s %s %d %s", m.verb, key, len(m.value), flags)
	}
	return strings.TrimSpace(m.verb + " " + key + " " + flags)
}

// metaPairs sends quiet requests of one kind between requests of another.
func metaPairs(add func(group string, lines ...string)) {
	for _, first := range metaCommands {
		for _, second := range metaCommands {
			var lines []string
			for _, m := range []*metaCommand{first, second, first} {
				for _, key := range []string{"there", "gone"} {
					lines = append(lines, m.line(key, "q k O3"))
					if m.value != "" {
						lines = append(lines, m.value)
					}
				}
			}
			lines = append([]string{"set there 0 0 1", "5"}, lines...)
			add("quiet", append(lines, "mn", "get there gone")...)
		}
	}
}

// flagPairs gives each meta command two flags at once, in both orders.
func flagPairs(add func(group string, lines ...string)) {
	flags := []string{"c", "f", "k", "q", "s", "t", "v", "O7", "T40", "N20", "I", "x"}
	for _, m := range metaCommands {
		for i, one := range flags {
			for _, two := range flags[i+1:] {
				lines := []string{"ms there 2 T100 F1", "12"}
				for _, request := range []string{m.line("there", one+" "+two), m.line("gone", two+" "+one)} {
					lines = append(lines, request)
					if m.value != "" {
						lines = append(lines, m.value)
					}
				}
				add("flags", append(lines, "mn", "get there gone")...)
			}
		}
	}
}
