package config

import (
	"strings"

	"go.yaml.in/yaml/v4"
)

// Nearly all configurations, and all large ones, are plain: pools with settings
// one to a line and a list of servers, one to a line. For these the YAML library
// takes most of the time of a start and leaves much garbage. plain reads them
// into the same nodes in a fifth of it; of anything else, and of anything in
// doubt, it says that it is not plain, and the library reads all of it. A fuzz
// target holds the two to each other.
type plain struct {
	rest  string // of the file, without the line at hand
	line  int
	nodes []yaml.Node // to hand out

	indent int    // of the line at hand
	text   string // its rest, without spaces around; "" = the file is at its end
}

// decodePlain returns the root node of data and how many lines it has, or nil if
// data is not plain. The nodes' values share one copy of data.
func decodePlain(data []byte) (root *yaml.Node, lines int) {
	p := &plain{rest: string(data)}
	if !p.next() || p.text == "" {
		return nil, 0
	}
	root = p.node(yaml.MappingNode, p.indent, "")
	for p.text != "" {
		key, value := p.key()
		if p.indent != 0 || key == nil || value != nil || !p.next() {
			return nil, 0
		}
		pool := p.settings()
		if pool == nil {
			return nil, 0
		}
		root.Content = append(root.Content, key, pool)
	}
	return root, p.line
}

// settings reads the lines of one pool, one level below its name.
func (p *plain) settings() *yaml.Node {
	indent := p.indent
	if indent == 0 || p.text == "" {
		return nil
	}
	n := p.node(yaml.MappingNode, indent, "")
	for p.text != "" && p.indent == indent {
		key, value := p.key()
		if key == nil || !p.next() {
			return nil
		}
		if value == nil {
			if value = p.list(indent); value == nil {
				return nil
			}
		}
		n.Content = append(n.Content, key, value)
	}
	if p.indent != 0 {
		return nil
	}
	return n
}

// list reads the entries of a list that is the value of a key at least as far
// to the left.
func (p *plain) list(least int) *yaml.Node {
	indent := p.indent
	if indent < least || !strings.HasPrefix(p.text, "- ") {
		return nil
	}
	n := p.node(yaml.SequenceNode, indent, "")
	for p.indent == indent && strings.HasPrefix(p.text, "- ") {
		entry := p.scalar(1)
		if entry == nil || !p.next() {
			return nil
		}
		n.Content = append(n.Content, entry)
	}
	if p.indent > least {
		return nil
	}
	return n
}

// key takes the line apart into a key and its value, which is nil if it is to
// follow on other lines. The key is nil if the line is not plain.
func (p *plain) key() (key, value *yaml.Node) {
	end := 0
	for end < len(p.text) && isWord(p.text[end]) {
		end++
	}
	if end == 0 || end > maxQuoted || end == len(p.text) || p.text[end] != ':' || !startsPlain(p.text[0]) {
		return nil, nil
	}
	key = p.node(yaml.ScalarNode, p.indent, p.text[:end])
	if end+1 == len(p.text) {
		return key, nil
	}
	if p.text[end+1] != ' ' {
		return nil, nil
	}
	if value = p.scalar(end + 1); value == nil {
		return nil, nil
	}
	return key, value
}

// scalar is the value that begins behind spaces from a place in the line on; nil
// if it is not plain.
func (p *plain) scalar(from int) *yaml.Node {
	value := strings.TrimLeft(p.text[from:], " ")
	column := p.indent + len(p.text) - len(value)
	if quote := value[0]; quote == '"' || quote == '\'' {
		value = value[1:]
		if end := strings.IndexAny(value, `"'\`); end < 0 || end != len(value)-1 || value[end] != quote {
			return nil
		}
		return p.node(yaml.ScalarNode, column, value[:len(value)-1])
	}
	if !startsPlain(value[0]) && value[0] != '/' {
		return nil
	}
	for i := range len(value) {
		switch c := value[i]; {
		case isWord(c):
		case c == ':':
			if i+1 == len(value) || value[i+1] == ' ' {
				return nil // a key
			}
		case c != ' ' && c != '/' && c != '@' && c != ',' && c != '+':
			return nil
		}
	}
	return p.node(yaml.ScalarNode, column, value)
}

// next goes on to the next line that is not empty or a comment. It reports
// whether all lines up to it are plain.
func (p *plain) next() bool {
	for p.rest != "" {
		line, rest, _ := strings.Cut(p.rest, "\n")
		p.rest = rest
		p.line++
		text := strings.TrimLeft(line, " ")
		p.indent = len(line) - len(text)
		for i := range len(text) {
			if text[i] < ' ' || text[i] > '~' {
				return false
			}
		}
		if p.text = strings.TrimRight(text, " "); p.text != "" && p.text[0] != '#' {
			return true
		}
	}
	p.text, p.indent = "", 0
	return true
}

// nodesAtOnce is how many nodes are allocated together.
const nodesAtOnce = 128

func (p *plain) node(kind yaml.Kind, column int, value string) *yaml.Node {
	if len(p.nodes) == 0 {
		p.nodes = make([]yaml.Node, nodesAtOnce)
	}
	n := &p.nodes[0]
	p.nodes = p.nodes[1:]
	n.Kind, n.Value, n.Line, n.Column = kind, value, p.line, column+1
	return n
}

// isWord reports whether c may stand in a key.
func isWord(c byte) bool { return startsPlain(c) || c == '-' || c == '.' }

// startsPlain reports whether a value or key that begins with c is plain text.
func startsPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}
