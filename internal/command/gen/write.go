package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// write writes the command as an element of a []Command literal.
func (f *fact) write(b *bytes.Buffer) error {
	flags, request, response, err := f.tips()
	if err != nil {
		return err
	}
	group, ok := groups[f.Group]
	if !ok {
		return fmt.Errorf("group %q is unknown; add it to the package and to the generator", f.Group)
	}
	categories, err := translate(f.categories(), categories, "ACL category")
	if err != nil {
		return err
	}
	first, only := f.firstKey()
	if limit := max(f.Arity, -f.Arity); first >= limit {
		return fmt.Errorf("the first key at %d is past the arity of %d", first, f.Arity)
	}
	fmt.Fprintf(b, "{Name: %q, Arity: %d", f.fullName(), f.Arity)
	field(b, "Flags", strings.Join(flags, "|"))
	field(b, "Categories", strings.Join(categories, "|"))
	field(b, "Group", group)
	field(b, "Request", request)
	field(b, "Response", response)
	number(b, "FirstKey", first)
	if only {
		field(b, "OnlyKey", "true")
	}
	field(b, "finder", finders[f.fullName()])
	if err := f.writeKeys(b); err != nil {
		return err
	}
	if len(f.subcommands) > 0 {
		b.WriteString(", Subcommands: []Command{\n")
		for _, sub := range f.subcommands {
			if err := sub.write(b); err != nil {
				return fmt.Errorf("%s: %w", sub.fullName(), err)
			}
		}
		b.WriteString("}")
	}
	b.WriteString("},\n")
	return nil
}

// tips returns the Go names of all flags, and of the two policies, which are
// empty where the facts have none.
func (f *fact) tips() (names []string, request, response string, err error) {
	if names, err = translate(f.Flags, flags, "flag"); err != nil {
		return nil, "", "", err
	}
	if f.movableKeys() {
		names = append(names, "MovableKeys")
	}
	for _, tip := range f.Tips {
		key, value, _ := strings.Cut(tip, ":")
		var known bool
		switch key {
		case "REQUEST_POLICY":
			request, known = requests[value]
		case "RESPONSE_POLICY":
			response, known = responses[value]
		default:
			var name string
			name, known = tips[tip]
			names = append(names, name)
		}
		if !known {
			return nil, "", "", fmt.Errorf("tip %q is unknown; add it to the package and to the generator", tip)
		}
	}
	return names, request, response, nil
}

// categories returns the facts' words for all categories: those that are given, and those that follow from the flags.
// The rule is that of Redis 7, setImplicitACLCategories in acl.c.
func (f *fact) categories() []string {
	all := slices.Clone(f.ACL)
	is := func(flag string) bool { return slices.Contains(f.Flags, flag) }
	add := func(holds bool, names ...string) {
		for _, name := range names {
			if holds && !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	add(is("WRITE"), "WRITE")
	add(is("READONLY") && !slices.Contains(all, "SCRIPTING"), "READ")
	add(is("ADMIN"), "ADMIN", "DANGEROUS")
	add(is("PUBSUB"), "PUBSUB")
	add(is("BLOCKING"), "BLOCKING")
	add(is("FAST"), "FAST")
	add(!is("FAST"), "SLOW")
	return all
}

func (f *fact) writeKeys(b *bytes.Buffer) error {
	if len(f.Keys) == 0 {
		return nil
	}
	b.WriteString(", Keys: []KeySpec{\n")
	for i := range f.Keys {
		if err := f.Keys[i].write(b); err != nil {
			return err
		}
	}
	b.WriteString("}")
	return nil
}

// write writes the specification as an element of a []KeySpec literal.
func (s *spec) write(b *bytes.Buffer) error {
	names, err := translate(s.Flags, keyFlags, "key flag")
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "{Flags: %s", strings.Join(names, "|"))
	switch begin := s.Begin; {
	case begin.Index != nil:
		fmt.Fprintf(b, ", Begin: BeginSearch{Kind: BeginIndex, Pos: %d}", begin.Index.Pos)
	case begin.Keyword != nil:
		fmt.Fprintf(b, ", Begin: BeginSearch{Kind: BeginKeyword, Keyword: %q, StartFrom: %d}",
			strings.ToUpper(begin.Keyword.Keyword), begin.Keyword.StartFrom)
	}
	switch find := s.Find; {
	case find.Range != nil:
		b.WriteString(", Find: FindKeys{Kind: FindRange")
		number(b, "LastKey", find.Range.LastKey)
		number(b, "Step", find.Range.Step)
		number(b, "Limit", find.Range.Limit)
		b.WriteString("}")
	case find.KeyNum != nil:
		b.WriteString(", Find: FindKeys{Kind: FindKeyNum")
		number(b, "NumKeysAt", find.KeyNum.NumKeysAt)
		number(b, "FirstKeyAt", find.KeyNum.FirstKeyAt)
		number(b, "Step", find.KeyNum.Step)
		b.WriteString("}")
	}
	b.WriteString("},\n")
	return nil
}

// field writes a field of a literal unless it has its zero value.
func field(b *bytes.Buffer, name, value string) {
	if value != "" {
		fmt.Fprintf(b, ", %s: %s", name, value)
	}
}

// number writes a number of a literal unless it is zero.
func number(b *bytes.Buffer, name string, value int) {
	if value != 0 {
		fmt.Fprintf(b, ", %s: %d", name, value)
	}
}
