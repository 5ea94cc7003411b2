package learn

import (
	"strings"

	"nutmeg/internal/command"
)

// keySpecs reads the key specifications of a command, as servers give them since version 7:
//
//	{flags: [RW, access], begin_search: {type: index, spec: {index: 1}}, find_keys: {type: range, spec: {...}}}
func (p *parser) keySpecs(c *command.Command) bool {
	n, ok := p.list()
	if !ok || n > mostKeySpecs {
		return false
	}
	for range n {
		var spec command.KeySpec
		if !p.keySpec(&spec) {
			return false
		}
		c.Keys = append(c.Keys, spec)
	}
	return true
}

func (p *parser) keySpec(s *command.KeySpec) bool {
	return p.fields(func(name string) bool {
		switch name {
		case "flags":
			return p.words(func(word string) { s.Flags |= command.KeyFlagCalled(word) })
		case "begin_search":
			return p.typed(func(kind string) bool { return p.begin(kind, &s.Begin) })
		case "find_keys":
			return p.typed(func(kind string) bool { return p.find(kind, &s.Find) })
		}
		return p.Skip() // notes
	})
}

// typed reads the two ways of a specification: their type, and then the fields that go with it.
func (p *parser) typed(spec func(kind string) bool) bool {
	kind := ""
	return p.fields(func(name string) bool {
		switch name {
		case "type":
			v, ok := p.Next()
			kind = string(v.Text)
			return ok && v.IsText()
		case "spec":
			return spec(kind)
		}
		return p.Skip()
	})
}

// begin reads the fields of a way to begin. A way that is not known stays BeginUnknown.
func (p *parser) begin(kind string, to *command.BeginSearch) bool {
	switch kind {
	case "index":
		to.Kind = command.BeginIndex
	case "keyword":
		to.Kind = command.BeginKeyword
	}
	return p.fields(func(name string) bool {
		switch name {
		case "index":
			return p.number(&to.Pos)
		case "startfrom":
			return p.number(&to.StartFrom)
		case "keyword":
			v, ok := p.Next()
			to.Keyword = strings.ToUpper(string(v.Text))
			return ok && v.IsText()
		}
		return p.Skip()
	})
}

// find reads the fields of a way to find keys, likewise.
func (p *parser) find(kind string, to *command.FindKeys) bool {
	switch kind {
	case "range":
		to.Kind = command.FindRange
	case "keynum":
		to.Kind = command.FindKeyNum
	}
	return p.fields(func(name string) bool {
		switch name {
		case "lastkey":
			return p.number(&to.LastKey)
		case "keystep":
			return p.number(&to.Step)
		case "limit":
			return p.number(&to.Limit)
		case "keynumidx":
			return p.number(&to.NumKeysAt)
		case "firstkey":
			return p.number(&to.FirstKeyAt)
		}
		return p.Skip()
	})
}

// fields reads a map, or what stands for one in protocol version 2. read reads the value of a field.
func (p *parser) fields(read func(name string) bool) bool {
	v, ok := p.Next()
	if !ok || !v.IsPairs() || v.Count > int64(p.Len()) {
		return false
	}
	for range v.Count / 2 {
		name, ok := p.Next()
		if !ok || !name.IsText() || !read(string(name.Text)) {
			return false
		}
	}
	return true
}
