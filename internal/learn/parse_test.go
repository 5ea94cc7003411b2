package learn

import (
	"fmt"
	"strings"
	"testing"

	"nutmeg/internal/command"
)

// wire writes a reply: [ ] is an array, { } a map of version 3, ( ) a set, ~ a null, numbers are integers, +word is a simple
// string and other words are bulk strings.
func wire(text string) []byte {
	words := strings.Fields(text)
	var b strings.Builder
	for i, word := range words {
		switch first := word[0]; {
		case word == "[" || word == "{" || word == "(":
			n, kind := elements(words[i+1:]), map[string]string{"[": "*", "{": "%", "(": "~"}[word]
			if word == "{" {
				n /= 2
			}
			fmt.Fprintf(&b, "%s%d\r\n", kind, n)
		case word == "]" || word == "}" || word == ")":
		case word == "~":
			b.WriteString("*-1\r\n")
		case first == '+':
			b.WriteString(word + "\r\n")
		case first == '-' || first >= '0' && first <= '9':
			b.WriteString(":" + word + "\r\n")
		default:
			fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
		}
	}
	return []byte(b.String())
}

// elements counts the values up to the bracket that closes the list.
func elements(words []string) (n int) {
	depth := 0
	for _, word := range words {
		switch word {
		case "[", "{", "(":
			if depth == 0 {
				n++
			}
			depth++
		case "]", "}", ")":
			if depth == 0 {
				return n
			}
			depth--
		default:
			if depth == 0 {
				n++
			}
		}
	}
	return n
}

// show writes what matters of a command.
func show(c *command.Command) string {
	if c == nil {
		return "unknown"
	}
	text := fmt.Sprintf("%s %d %s @%s first %d only %v certain %v", c.Name, c.Arity, c.Flags, c.Categories, c.FirstKey, c.OnlyKey, c.KeysCertain())
	if c.Request != 0 || c.Response != 0 {
		text += fmt.Sprintf(" %s/%s", c.Request, c.Response)
	}
	for i := range c.Keys {
		text += fmt.Sprintf(" %s %+v %+v", c.Keys[i].Flags, c.Keys[i].Begin, c.Keys[i].Find)
	}
	for i := range c.Subcommands {
		text += "; " + show(&c.Subcommands[i])
	}
	return text
}

func TestParse(t *testing.T) {
	const index1 = "begin_search [ type index spec [ index 1 ] ] find_keys [ type range spec [ lastkey 0 keystep 1 limit 0 ] ]"
	for _, c := range []struct{ name, reply, want string }{
		{"what the server does not know", "[ ~ ]", "unknown"},
		{"nothing was asked", "[ ]", ""},
		{
			"version 2", "[ [ JSON.SET -4 [ +write +denyoom +shiny ] 1 1 1 [ +@write +@slow +@json ] [ ] [ [ flags [ +RW +update +shiny ] " + index1 + " ] ] [ ] ] ]",
			"json.set -4 write|denyoom @write|slow first 1 only true certain true RW|update {Kind:1 Pos:1 Keyword: StartFrom:0} {Kind:1 LastKey:0 Step:1 Limit:0 NumKeysAt:0 FirstKeyAt:0}",
		},
		{
			"version 3", "[ [ json.set -4 ( +write ) 1 1 1 ( ) ( +nondeterministic_output ) ( { flags ( +RW ) begin_search { type keyword spec { keyword keys startfrom -2 } } find_keys { type keynum spec { keynumidx 0 firstkey 1 keystep 1 } } notes text } ) [ ] ] ]",
			"json.set -4 write|movablekeys|nondeterministic_output @ first 0 only false certain true RW {Kind:2 Pos:0 Keyword:KEYS StartFrom:-2} {Kind:2 LastKey:0 Step:1 Limit:0 NumKeysAt:0 FirstKeyAt:1}",
		},
		{
			"policies, and tips that nobody knows", "[ [ x 1 [ ] 0 0 0 [ ] [ request_policy:all_shards response_policy:agg_sum request_policy:shiny shiny ] [ ] [ ] ] ]",
			"x 1  @ first 0 only false certain true all_shards/agg_sum",
		},
		{
			"subcommands, sorted", "[ [ ft -2 [ ] 0 0 0 [ ] [ ] [ ] [ [ ft|b 3 [ +write ] 0 0 0 [ ] [ ] [ ] [ ] ] [ ft|a 2 [ ] 0 0 0 [ ] [ ] [ ] [ ] ] ] ] ]",
			"ft -2  @ first 0 only false certain true; ft|a 2  @ first 0 only false certain true; ft|b 3 write @ first 0 only false certain true",
		},
		{
			"a way that nobody knows", "[ [ x 3 [ ] 0 0 0 [ ] [ ] [ [ flags [ +RO ] begin_search [ type shiny spec [ a [ b ] ] ] find_keys [ type unknown spec [ ] ] ] ] [ ] ] ]",
			"x 3 movablekeys @ first 0 only false certain false RO {Kind:0 Pos:0 Keyword: StartFrom:0} {Kind:0 LastKey:0 Step:0 Limit:0 NumKeysAt:0 FirstKeyAt:0}",
		},
		{
			"fields that came later", "[ [ x 1 [ ] 0 0 0 [ ] [ ] [ ] [ ] [ new [ 1 ] ] 7 ] ]",
			"x 1  @ first 0 only false certain true",
		},
		{
			"before version 6", "[ [ mset -3 [ +write ] 1 -1 2 ] ]",
			"mset -3 write @ first 1 only false certain true  {Kind:1 Pos:1 Keyword: StartFrom:0} {Kind:1 LastKey:-1 Step:2 Limit:0 NumKeysAt:0 FirstKeyAt:0}",
		},
		{
			"before version 7", "[ [ rename 3 [ +write ] 1 2 1 [ +@write ] ] ]",
			"rename 3 write @write first 1 only false certain true  {Kind:1 Pos:1 Keyword: StartFrom:0} {Kind:1 LastKey:1 Step:1 Limit:0 NumKeysAt:0 FirstKeyAt:0}",
		},
		{
			"before version 7, keys that only code can find", "[ [ eval -3 [ +movablekeys ] 0 0 0 ] ]",
			"eval -3 movablekeys @ first 0 only false certain false incomplete {Kind:0 Pos:0 Keyword: StartFrom:0} {Kind:0 LastKey:0 Step:0 Limit:0 NumKeysAt:0 FirstKeyAt:0}",
		},
		{
			"before version 7, more keys than the range", "[ [ sort -2 [ +movablekeys ] 1 1 1 ] ]",
			"sort -2 movablekeys @ first 0 only false certain false incomplete {Kind:1 Pos:1 Keyword: StartFrom:0} {Kind:1 LastKey:0 Step:1 Limit:0 NumKeysAt:0 FirstKeyAt:0}",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			all, err := Parse(wire(c.reply))
			if err != nil {
				t.Fatal(err)
			}
			var shown []string
			for _, cmd := range all {
				shown = append(shown, show(cmd))
			}
			if got := strings.Join(shown, "\n"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestParseRefusesWhatIsNoReply(t *testing.T) {
	many := strings.Repeat("[ ft|a 2 [ ] 0 0 0 [ ] [ ] [ ] [ ] ] ", mostSubcommands+1)
	for name, reply := range map[string]string{
		"an integer":                 "1",
		"a null":                     "~",
		"a word":                     "[ +OK ]",
		"too few fields":             "[ [ get 2 [ ] 1 1 ] ]",
		"a name that is none":        "[ [ 7 2 [ ] 1 1 1 ] ]",
		"a name that is too long":    "[ [ " + strings.Repeat("x", mostName+1) + " 2 [ ] 1 1 1 ] ]",
		"an arity of 0":              "[ [ get 0 [ ] 1 1 1 ] ]",
		"an arity beyond all bounds": "[ [ get 99999999 [ ] 1 1 1 ] ]",
		"an arity that is a word":    "[ [ get two [ ] 1 1 1 ] ]",
		"flags that are none":        "[ [ get 2 [ 1 ] 1 1 1 ] ]",
		"no list of flags":           "[ [ get 2 readonly 1 1 1 ] ]",
		"another's subcommand":       "[ [ ft -2 [ ] 0 0 0 [ ] [ ] [ ] [ [ config|get 2 [ ] 0 0 0 ] ] ] ]",
		"an unknown subcommand":      "[ [ ft -2 [ ] 0 0 0 [ ] [ ] [ ] [ ~ ] ] ]",
		"subcommands of subcommands": "[ [ ft -2 [ ] 0 0 0 [ ] [ ] [ ] [ [ ft|a -2 [ ] 0 0 0 [ ] [ ] [ ] [ [ ft|a|b 2 [ ] 0 0 0 ] ] ] ] ] ]",
		"too many subcommands":       "[ [ ft -2 [ ] 0 0 0 [ ] [ ] [ ] [ " + many + " ] ] ]",
		"no key specification":       "[ [ x 2 [ ] 0 0 0 [ ] [ ] [ 1 ] [ ] ] ]",
		"a position of words":        "[ [ x 2 [ ] 0 0 0 [ ] [ ] [ [ begin_search [ type index spec [ index one ] ] ] ] [ ] ] ]",
		"half a pair":                "[ [ x 2 [ ] 0 0 0 [ ] [ ] [ [ flags ] ] [ ] ] ]",
	} {
		if all, err := Parse(wire(reply)); err == nil {
			t.Errorf("%s: %v", name, all)
		}
	}
	for _, reply := range []string{"", "*1\r\n", "*1\r\n*6\r\n$3\r\nge", "*-1\r\n", "*99999999\r\n", "*0\r\n:1\r\n", "-ERR no\r\n"} {
		if all, err := Parse([]byte(reply)); err == nil {
			t.Errorf("%q: %v", reply, all)
		}
	}
}

type arguments [][]byte

func (a arguments) Len() int         { return len(a) }
func (a arguments) Arg(i int) []byte { return a[i] }

// Whatever a server says, a command that comes of it leads nowhere outside the arguments of a request.
func FuzzParse(f *testing.F) {
	for _, reply := range []string{
		"[ ~ ]",
		"[ [ mset -3 [ +write ] 1 -1 2 ] ]",
		"[ [ ft -2 [ ] 0 0 0 [ ] [ ] [ ] [ [ ft|b 3 [ +write ] 0 0 0 [ ] [ ] [ ] [ ] ] ] ] ]",
		"[ [ json.set -4 ( +write ) 1 1 1 ( ) ( +nondeterministic_output ) ( { flags ( +RW ) begin_search { type keyword spec { keyword keys startfrom -2 } } find_keys { type keynum spec { keynumidx 0 firstkey 1 keystep 1 } } notes text } ) [ ] ] ]",
		"[ [ x 2 [ ] 0 0 0 [ ] [ ] [ [ flags [ +RO ] begin_search [ type index spec [ index 1 ] ] find_keys [ type range spec [ lastkey -1 keystep 1 limit 2 ] ] ] ] [ ] ] ]",
	} {
		f.Add(wire(reply), uint8(3))
	}
	f.Fuzz(func(t *testing.T, reply []byte, n uint8) {
		all, err := Parse(reply)
		if err != nil {
			return
		}
		args := arguments{[]byte("x"), []byte("2"), []byte("KEYS")}
		for range n {
			args = append(args, []byte("1"))
		}
		for _, c := range all {
			if c == nil {
				continue
			}
			if c.ArityOK(len(args)) && c.FirstKey >= len(args) {
				t.Errorf("first key %d of %d arguments", c.FirstKey, len(args))
			}
			keys, _ := c.AppendKeys(nil, args)
			for _, at := range keys {
				if at < 1 || at >= len(args) {
					t.Errorf("keys at %v of %d arguments", keys, len(args))
				}
			}
		}
	})
}
