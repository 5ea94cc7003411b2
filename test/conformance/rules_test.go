package conformance

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A rule says which differences of two replies mean nothing. Equal bytes are always the same, and an error is only the same
// as the same error: no rule hides one.
//
//	unordered   the elements of the reply in any order
//	pairs       likewise, two and two
//	deep        the elements of all arrays in it in any order
//	kind        the same type of reply
//	length      the same type, and as many elements or bytes
//	shape       the same types and numbers of elements all the way down, not the texts
//	fields      a text of name:value or name=value: the same names
//	near=N      integers, also inside of arrays, that differ by N at most
//	monitor     what stands behind the time and the address in a line of MONITOR
//	error       both are errors; what they say differs from one server to another
//	any         nothing is compared
type rule string

func (r rule) check() error {
	name, _, _ := strings.Cut(string(r), "=")
	if name == "near" {
		_, err := r.tolerance()
		return err
	}
	if !slices.Contains([]string{"", "unordered", "pairs", "deep", "kind", "length", "shape", "fields", "monitor", "error", "any"}, name) {
		return fmt.Errorf("%q is not a rule", string(r))
	}
	return nil
}

func (r rule) tolerance() (int64, error) {
	_, n, _ := strings.Cut(string(r), "=")
	return strconv.ParseInt(n, 10, 64)
}

// same reports whether two replies, with their bytes, are the same by the rule.
func (r rule) same(a, b *value, rawA, rawB []byte) bool {
	switch {
	case bytes.Equal(rawA, rawB), r == "any":
		return true
	case r == "error":
		return a.isError() && b.isError()
	case a.isError() || b.isError() || a.kind != b.kind || a.null != b.null:
		return false
	}
	switch r {
	case "kind":
		return true
	case "length":
		return len(a.elems) == len(b.elems) && len(a.text) == len(b.text)
	case "shape":
		return sameShape(a, b)
	case "fields":
		return slices.Equal(fieldNames(a.text), fieldNames(b.text))
	case "monitor":
		return slices.Equal(behindAddress(a), behindAddress(b))
	case "unordered":
		return slices.Equal(sortedElements(a, 1), sortedElements(b, 1))
	case "pairs":
		return slices.Equal(sortedElements(a, 2), sortedElements(b, 2))
	case "deep":
		return deepSorted(a) == deepSorted(b)
	}
	if most, err := r.tolerance(); err == nil {
		return nearby(a, b, most)
	}
	return false
}

func sameShape(a, b *value) bool {
	if a.kind != b.kind || a.null != b.null || len(a.elems) != len(b.elems) {
		return false
	}
	for i := range a.elems {
		if !sameShape(&a.elems[i], &b.elems[i]) {
			return false
		}
	}
	return true
}

func behindAddress(v *value) []byte {
	_, rest, _ := bytes.Cut(v.text, []byte("] "))
	return rest
}

var fieldName = regexp.MustCompile(`(?m)(?:^|\s)([A-Za-z_][\w-]*)[:=]`)

func fieldNames(text []byte) (names []string) {
	text = bytes.TrimPrefix(text, []byte("txt:")) // of a verbatim string
	for _, m := range fieldName.FindAllSubmatch(text, -1) {
		names = append(names, string(m[1]))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func sortedElements(v *value, step int) (all []string) {
	for i := 0; i < len(v.elems); i += step {
		var one []byte
		for j := i; j < min(i+step, len(v.elems)); j++ {
			one = v.elems[j].write(one)
		}
		all = append(all, string(one))
	}
	slices.Sort(all)
	return all
}

func deepSorted(v *value) string {
	if v.elems == nil {
		return v.String()
	}
	var all []string
	for i := range v.elems {
		all = append(all, deepSorted(&v.elems[i]))
	}
	slices.Sort(all)
	return fmt.Sprintf("%c%q", v.kind, all)
}

func nearby(a, b *value, most int64) bool {
	if !sameShape(a, b) {
		return false
	}
	if a.elems == nil {
		x, errX := strconv.ParseInt(string(a.text), 10, 64)
		y, errY := strconv.ParseInt(string(b.text), 10, 64)
		if errX != nil || errY != nil {
			return bytes.Equal(a.text, b.text)
		}
		return x-y <= most && y-x <= most && (x < 0) == (y < 0)
	}
	for i := range a.elems {
		if !nearby(&a.elems[i], &b.elems[i], most) {
			return false
		}
	}
	return true
}

// commandRules are the rules of commands whose replies differ from one server to another by nature. What a rule needs that
// depends on the arguments stands in the case: "~unordered SPOP s 5".
var commandRules = map[string]rule{
	// Sets and tables have no order.
	"smembers": "unordered", "sunion": "unordered", "sinter": "unordered", "sdiff": "unordered", "keys": "unordered",
	"hkeys": "unordered", "hvals": "unordered", "hgetall": "pairs", "command": "deep", "command|list": "unordered",
	"command|info": "deep", "command|docs": "deep", "pubsub|channels": "unordered", "pubsub|shardchannels": "unordered",
	"config|get": "pairs", "acl|getuser": "deep", "acl|cat": "unordered", "function|list": "deep", "acl|list": "unordered",
	"acl|users": "unordered", "module|list": "deep", "sscan": "deep", "hscan": "deep", "zscan": "deep", "scan": "deep",
	"dump": "length",
	// Chance.
	"spop": "length", "srandmember": "length", "hrandfield": "length", "zrandmember": "length", "randomkey": "kind",
	"acl|genpass": "length", "lolwut": "kind",
	// Time.
	"ttl": "near=2", "pttl": "near=3000", "expiretime": "near=3", "pexpiretime": "near=3000", "time": "shape",
	"lastsave": "near=600", "object|idletime": "near=3", "object|freq": "kind", "slowlog|get": "kind", "slowlog|len": "kind",
	"latency|latest": "kind", "latency|history": "kind", "latency|histogram": "kind", "latency|doctor": "kind",
	"latency|reset": "kind",
	// The server itself and its connections.
	"info": "fields", "client|id": "kind", "client|list": "fields", "client|info": "fields", "client|trackinginfo": "deep",
	"memory|stats": "kind", "memory|doctor": "kind", "memory|malloc-stats": "kind", "memory|usage": "near=64",
	"function|stats": "kind", "acl|log": "kind", "hello": "near=1000000000", "role": "kind", "object|refcount": "kind",
	"bgsave": "kind", "bgrewriteaof": "kind", "monitor": "kind", "function|dump": "length",
}
