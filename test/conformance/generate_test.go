package conformance

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"nutmeg/internal/command"
)

// generatedCases are made of the command table and of testdata/samples.txt.
func generatedCases() ([]*testCase, error) {
	g := &generator{}
	for cmd := range command.All() {
		g.faults(cmd)
		for i := range cmd.Subcommands {
			if sub := &cmd.Subcommands[i]; !sub.Flags.Has(command.OnlySentinel) {
				g.faults(sub)
			}
		}
		if len(cmd.Subcommands) > 0 {
			g.add("subcommands", strings.ToUpper(cmd.Name)+" NOSUCH", strings.ToUpper(cmd.Name)+" nosuch a b c")
		}
	}
	samples, err := listLines("testdata/samples.txt")
	if err != nil {
		return nil, err
	}
	for _, sample := range samples {
		g.sample(sample)
	}
	return g.all, g.err
}

type generator struct {
	all []*testCase
	err error
}

func (g *generator) add(group string, lines ...string) {
	c, err := parseRedisCase("generated-"+group, "generate_test.go", lines)
	if err != nil && g.err == nil {
		g.err = fmt.Errorf("%s: %w", lines, err)
	}
	g.all = append(g.all, c)
}

// faults are requests with too few and with too many arguments. That the connection goes on is what PING at the end of
// each case shows.
func (g *generator) faults(cmd *command.Command) {
	words := strings.Fields(strings.ReplaceAll(strings.ToUpper(cmd.Name), "|", " "))
	least := max(cmd.Arity, -cmd.Arity)
	if least > len(words) {
		short := words
		for len(short) < least-1 {
			short = append(short, "a"+strconv.Itoa(len(short)))
		}
		g.add("arity", strings.Join(words, " "), strings.Join(short, " "))
	}
	if cmd.Arity > 0 {
		long := words
		for len(long) <= cmd.Arity {
			long = append(long, "a"+strconv.Itoa(len(long)))
		}
		g.add("arity", strings.Join(long, " "), strings.ToLower(strings.Join(append(long, "x"), " ")))
	}
}

// fills are commands that make a key of each type.
var fills = []struct{ kind, line string }{
	{"string", "SET $k 12"},
	{"list", "RPUSH $k a b c"},
	{"hash", "HSET $k f 1 n 2"},
	{"set", "SADD $k a b c"},
	{"zset", "ZADD $k 1 a 2 b 3 c"},
	{"stream", "XADD $k 1-1 f v"},
}

const (
	binaryKey   = `\x00\r\n\xff{k}`
	plainKey    = "k"
	looksOfKeys = "TYPE $k"
)

// sample makes cases of one request.
func (g *generator) sample(request string) {
	words, err := splitWords(request)
	if err != nil {
		g.err = err
		return
	}
	name, _, _ := strings.Cut(request, " ")
	blocks := strings.HasPrefix(name, "B") && strings.Contains(request, "0.01")
	at := func(key, line string) string { return requestWith(line, key) }

	g.add("missing", at(plainKey, request), at(plainKey, looksOfKeys), at(plainKey, "EXISTS $k {$k}2"))
	everything := []string{"%resp3"}
	for _, f := range fills {
		g.add(f.kind, at(plainKey, f.line), at(plainKey, request), at(plainKey, looksOfKeys), at(plainKey, "TYPE {$k}2"))
		everything = append(everything, at(plainKey, f.line), at(plainKey, request), at(plainKey, "DEL $k"), at(plainKey, "DEL {$k}2"))
	}
	g.add("resp3", append(everything, at(plainKey, request))...)
	g.add("binary", at(binaryKey, request), at(binaryKey, looksOfKeys))
	g.add("empty", at("", request), at("", looksOfKeys))
	g.add("case", at(plainKey, mixedCase(name)+strings.TrimPrefix(request, name)), at(plainKey, strings.ToLower(name)+strings.TrimPrefix(request, name)))
	if strings.Contains(request, "{$k}") {
		g.apart(request)
	}
	if !blocks {
		g.pipeline(at(plainKey, request))
		g.transaction(at(plainKey, request))
	}
	if !bytes.ContainsAny(bytes.Join(words, nil), "\x00\n '\"") {
		g.add("inline", fmt.Sprintf("~%s raw 1 %q", orAny(ruleOf(words)), strings.ReplaceAll(request, "$k", plainKey)+"\r\n"))
	}
}

// apart gives each key of the request another hash tag, so that several servers have them, if there are several.
func (g *generator) apart(request string) {
	request = strings.NewReplacer("{$k}2", "{two}", "{$k}3", "{three}", "$k", "{one}").Replace(request)
	for _, f := range fills {
		other := strings.ReplaceAll(f.line, "$k", "{two}")
		g.add("apart", strings.ReplaceAll(f.line, "$k", "{one}"), other, request, "TYPE {one}", "TYPE {two}")
	}
	g.add("apart", request, "TYPE {one}", "TYPE {two}")
}

// requestWith puts a key into a request and quotes what has to be.
func requestWith(line, key string) string {
	words, err := splitWords(line)
	if err != nil {
		return line
	}
	key = string(unquoted(key))
	tagged := "{" + key + "}"
	if strings.Contains(key, "{") {
		tagged = key
	}
	keys := strings.NewReplacer("{$k}", tagged, "$k", key)
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(quoteWord(keys.Replace(string(w))))
	}
	return b.String()
}

func unquoted(text string) []byte {
	words, err := splitWords(`"` + text + `"`)
	if err != nil || len(words) != 1 {
		return nil
	}
	return words[0]
}

// quoteWord writes a word as splitWords reads it.
func quoteWord(word string) string {
	plain := word != ""
	for _, b := range []byte(word) {
		plain = plain && b > ' ' && b < 0x7f && b != '"' && b != '\'' && b != '\\'
	}
	if plain {
		return word
	}
	quoted := []byte{'"'}
	for _, b := range []byte(word) {
		switch {
		case b == '"' || b == '\\':
			quoted = append(quoted, '\\', b)
		case b < ' ' || b >= 0x7f:
			quoted = fmt.Appendf(quoted, "\\x%02x", b)
		default:
			quoted = append(quoted, b)
		}
	}
	return string(append(quoted, '"'))
}

func mixedCase(name string) string {
	mixed := []byte(strings.ToLower(name))
	for i := 0; i < len(mixed); i += 2 {
		mixed[i] = strings.ToUpper(string(mixed[i]))[0]
	}
	return string(mixed)
}

// pipeline sends the request between others.
func (g *generator) pipeline(request string) {
	g.add("pipelined", "c1| SET {k}9 before", "c1| "+request, "c1| GET {k}9", "c1| "+request, "SET {k}9 behind")
}

// transaction runs the request between MULTI and EXEC.
func (g *generator) transaction(request string) {
	words, err := splitWords(request)
	if err != nil {
		g.err = err
		return
	}
	g.add("transaction", "MULTI", "~= "+request, fmt.Sprintf("~%s EXEC", insideArray(ruleOf(words))), "TYPE k")
}

// insideArray is a rule for an array with a reply of the rule.
func insideArray(r rule) rule {
	switch r {
	case "unordered", "pairs":
		return "deep"
	case "kind", "length", "fields":
		return "shape"
	}
	return r
}

func orAny(r rule) rule {
	if r == "" {
		return "="
	}
	return r
}
