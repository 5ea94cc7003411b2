package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// decode returns the root node of the one document in data. It reports what is
// not YAML, a missing document and a second one; nil means there is nothing to
// read on.
func (r *reader) decode(data []byte) *yaml.Node {
	if root, lines := decodePlain(data); root != nil {
		r.plainLines = lines
		return root
	}
	return r.decodeYAML(data)
}

// decodeYAML is decode for all that may be YAML.
func (r *reader) decodeYAML(data []byte) *yaml.Node {
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		r.syntaxFault(data, err)
		return nil
	}
	var first yaml.Node
	if err := loader.Load(&first); errors.Is(err, io.EOF) {
		r.faultAt(1, 1, "", noPools)
		return nil
	} else if err != nil {
		r.syntaxFault(data, err)
		return nil
	}
	var second yaml.Node
	if err := loader.Load(&second); err == nil {
		r.fault(&second, "", "a second yaml document starts here; keep all pools in one document")
	} else if !errors.Is(err, io.EOF) {
		r.syntaxFault(data, err)
	}
	if first.Kind != yaml.DocumentNode || len(first.Content) == 0 {
		r.faultAt(1, 1, "", noPools)
		return nil
	}
	return resolve(first.Content[0])
}

// resolve returns the node that an alias stands for. Faults inside it are
// reported where the text is, at the anchor.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

// isEmpty tells a value that was left out, like that of "redis:", or an empty
// string. The words null and ~ are text here, as they are to twemproxy.
func isEmpty(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == ""
}

// kindName says what n is, for "... is a list".
func kindName(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isEmpty(n):
		return "empty"
	default:
		return "the value " + quote(n.Value)
	}
}

// syntaxFault reports an error of the YAML library with the best position known.
func (r *reader) syntaxFault(data []byte, err error) {
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		r.faultAt(1, 1, "", "not valid yaml: "+err.Error()+"; write a mapping of pool names")
		return
	}
	line, column := load.Mark.Line, load.Mark.Column
	if line < 1 { // the library's reader stage keeps no position
		line, column = firstBadByte(data)
		r.faultAt(line, column, "", "not valid yaml: "+load.Message+"; save the file as UTF-8 text")
		return
	}
	fact := nameless(load.Message)
	if load.ContextMsg != "" {
		fact += " " + load.ContextMsg
		if start := load.ContextMark.Line; start > 0 && start < line {
			fact += fmt.Sprintf(" from line %d on", start)
		}
	}
	r.faultAt(line, column, "", "not valid yaml: "+fact+"; "+syntaxRemedy(sourceLine(data, line)))
}

// nameless leaves the name out of what the library says of an anchor. It may be a password that starts with *.
func nameless(fact string) string {
	before, rest, found := strings.Cut(fact, "anchor '")
	end := strings.LastIndex(rest, "'")
	if !found || end < 0 {
		return fact
	}
	return before + "anchor" + rest[end+1:]
}

// syntaxRemedy guesses the mistake from the line it was noticed on.
func syntaxRemedy(line string) string {
	body := strings.TrimLeft(line, " ")
	switch {
	case strings.HasPrefix(body, "\t"):
		return "indent with spaces, not tabs"
	case strings.Contains(line, ": *") || strings.HasPrefix(body, "- *"):
		return "put a value that starts with * in quotes"
	case strings.Contains(line, ": [") || strings.HasPrefix(body, "- ["):
		return "put an address that starts with [ in quotes"
	}
	return "check indentation, quotes and brackets here"
}

// sourceLine returns the line of data with that number, or "" past the end.
func sourceLine(data []byte, number int) string {
	for range number - 1 {
		_, rest, found := bytes.Cut(data, []byte("\n"))
		if !found {
			return ""
		}
		data = rest
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	return string(line)
}

// firstBadByte finds what the YAML library's reader stumbled over: a byte that
// is not UTF-8 or a control character. Without one (UTF-16) it is the start.
func firstBadByte(data []byte) (line, column int) {
	line, column = 1, 1
	for rest := data; len(rest) > 0; {
		c, size := utf8.DecodeRune(rest)
		switch {
		case c == '\n':
			line, column = line+1, 0
		case c == utf8.RuneError && size == 1, c < ' ' && c != '\t' && c != '\r', 0x7f <= c && c < 0xa0 && c != 0x85:
			return line, column
		}
		column++
		rest = rest[size:]
	}
	return 1, 1
}
