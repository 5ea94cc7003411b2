package merge

import (
	"bytes"
	"strconv"
	"strings"

	"nutmeg/internal/resp"
)

// infoText is an INFO of several servers, in the order in which its sections and fields came.
type infoText struct {
	sections []*infoSection
	named    map[string]*infoSection
}

type infoSection struct {
	name   string
	fields []*infoField
	named  map[string]*infoField
}

// infoField is a field and its values, one of each server that has it.
type infoField struct {
	name   string
	values []string
}

// appendInfo merges field by field. Infofields.go says how; what has no rule there is shown when all servers agree on it.
func appendInfo(dst []byte, in *Responses) ([]byte, error) {
	all := infoText{named: map[string]*infoSection{}}
	var kind resp.Kind
	for i, body := range in.Bodies {
		v, err := read(body)
		if err != nil || !v.IsText() {
			return dst, ErrShape
		}
		if i == 0 {
			kind = v.Kind
		}
		all.take(v.Text)
	}
	var out []byte
	for _, section := range all.sections {
		out = section.append(out, len(in.Bodies))
	}
	if len(in.Tail) > 0 {
		out = append(separate(out), in.Tail...)
	}
	return resp.AppendText(dst, kind == resp.VerbatimString, out), nil
}

// take adds what a server says.
func (t *infoText) take(text []byte) {
	section := t.section("")
	for line := range bytes.Lines(text) {
		line := string(bytes.TrimRight(line, "\r\n"))
		if name, ok := strings.CutPrefix(line, "# "); ok {
			section = t.section(name)
			continue
		}
		if name, value, ok := strings.Cut(line, ":"); ok {
			section.take(name, value)
		}
	}
}

func (t *infoText) section(name string) *infoSection {
	s := t.named[name]
	if s == nil {
		s = &infoSection{name: name, named: map[string]*infoField{}}
		t.named[name] = s
		t.sections = append(t.sections, s)
	}
	return s
}

func (s *infoSection) take(name, value string) {
	f := s.named[name]
	if f == nil {
		f = &infoField{name: name}
		s.named[name] = f
		s.fields = append(s.fields, f)
	}
	f.values = append(f.values, value)
}

// append writes the section down. Of fields that servers do not agree on, and that have no rule, nothing is said.
func (s *infoSection) append(out []byte, servers int) []byte {
	if s.name == "" && len(s.fields) == 0 {
		return out
	}
	out = separate(out)
	if s.name != "" {
		out = append(append(append(out, "# "...), s.name...), "\r\n"...)
	}
	for _, f := range s.fields {
		value, ok := s.merged(f, servers)
		if !ok {
			continue
		}
		out = append(append(append(out, f.name...), ':'), value...)
		out = append(out, "\r\n"...)
	}
	return out
}

func separate(out []byte) []byte {
	if len(out) > 0 {
		out = append(out, "\r\n"...)
	}
	return out
}

// merged is the value of a field; ok is false if there is none that is true of all servers.
func (s *infoSection) merged(f *infoField, servers int) (value string, ok bool) {
	if stem, human := strings.CutSuffix(f.name, "_human"); human {
		return s.humanSize(stem, servers)
	}
	if value, ok = infoRuleOf(s.name, f.name)(f.values); ok {
		return value, true
	}
	return infoSame(f.values, servers)
}

// humanSize is what stands beside a number of bytes.
func (s *infoSection) humanSize(stem string, servers int) (string, bool) {
	of := s.named[stem]
	if of == nil {
		return "", false
	}
	value, ok := s.merged(of, servers)
	n, err := strconv.ParseUint(value, 10, 64)
	if !ok || err != nil {
		return "", false
	}
	if n < 1024 {
		return value + "B", true
	}
	size := float64(n) / 1024
	unit := 0
	for ; size >= 1024 && unit < len("KMGTP")-1; unit++ {
		size /= 1024
	}
	return strconv.FormatFloat(size, 'f', 2, 64) + "KMGTP"[unit:unit+1], true
}
