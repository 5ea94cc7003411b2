package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"nutmeg/internal/resp"
)

// maxNesting bounds how deep arrays in arrays are printed.
const maxNesting = 64

// formatReply turns a whole reply into text as redis-cli prints it on a
// terminal, with a newline at the end. isError tells that the reply is an error.
// The error says that reply is nested too deep, or not one whole reply.
func formatReply(reply []byte) (text string, isError bool, err error) {
	p := printer{rest: reply}
	if err := p.value("", 0); err != nil {
		return "", false, err
	}
	isError = reply[0] == byte(resp.SimpleError) || reply[0] == byte(resp.BulkError)
	return p.text.String(), isError, nil
}

// printer takes a reply apart from the front.
type printer struct {
	rest []byte
	text strings.Builder
}

// value prints the next value. What follows its first line is indented by indent.
func (p *printer) value(indent string, depth int) error {
	line, after, ok := bytes.Cut(p.rest, []byte("\r\n"))
	if !ok || len(line) == 0 || depth > maxNesting {
		return fmt.Errorf("cannot print the reply: cut off, or nested deeper than %d", maxNesting)
	}
	p.rest = after
	kind, content := resp.Kind(line[0]), string(line[1:])
	switch kind {
	case resp.SimpleError:
		p.line("(error) " + printable(content))
	case resp.Integer:
		p.line("(integer) " + content)
	case resp.Double:
		p.line("(double) " + printable(content))
	case resp.Null:
		p.line("(nil)")
	case resp.Boolean:
		p.line("(" + map[bool]string{true: "true", false: "false"}[content == "t"] + ")")
	case resp.BulkString, resp.BulkError, resp.VerbatimString:
		return p.bulk(kind, content)
	case resp.Array, resp.Set, resp.Push, resp.Map:
		return p.elements(kind, content, indent, depth)
	default:
		p.line(printable(content))
	}
	return nil
}

func (p *printer) line(text string) {
	p.text.WriteString(text)
	p.text.WriteByte('\n')
}

func (p *printer) bulk(kind resp.Kind, length string) error {
	n, err := strconv.Atoi(length)
	switch {
	case err == nil && n < 0:
		p.line("(nil)")
		return nil
	case err != nil || n > len(p.rest)-2:
		return fmt.Errorf("cannot print the reply: a string of length %s does not end", length)
	}
	content := string(p.rest[:n])
	p.rest = p.rest[n+2:]
	if kind == resp.BulkError {
		p.line("(error) " + printable(content))
	} else {
		p.line(quote(content))
	}
	return nil
}

// elements prints the elements of an array, numbered, one below the other. Keys and values of a map are elements, too.
func (p *printer) elements(kind resp.Kind, count, indent string, depth int) error {
	n, err := strconv.Atoi(count)
	switch {
	case err != nil:
		return fmt.Errorf("cannot print the reply: %q is no number of elements", count)
	case n < 0:
		p.line("(nil)")
		return nil
	case n == 0:
		p.line("(empty array)")
		return nil
	}
	if kind == resp.Map {
		n *= 2
	}
	width := len(strconv.Itoa(n))
	inner := indent + strings.Repeat(" ", width+2)
	for i := range n {
		if i > 0 {
			p.text.WriteString(indent)
		}
		fmt.Fprintf(&p.text, "%*d) ", width, i+1)
		if err := p.value(inner, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// quote is a string as redis-cli shows it: in quotes, with escapes for all but printable ASCII.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(s) {
		b.WriteString(escape(c, true))
	}
	b.WriteByte('"')
	return b.String()
}

// printable is a line of text that cannot steer the terminal.
func printable(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= 0x80 {
			b.WriteByte(c)
		} else {
			b.WriteString(escape(c, false))
		}
	}
	return b.String()
}

func escape(c byte, quoted bool) string {
	switch c {
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	case '\a':
		return `\a`
	case '\b':
		return `\b`
	case '"', '\\':
		if quoted {
			return `\` + string(rune(c))
		}
	}
	if c < ' ' || c > '~' {
		return fmt.Sprintf(`\x%02x`, c)
	}
	return string(rune(c))
}
