package conformance

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// value is a reply of Redis, protocol 2 or 3, taken apart.
type value struct {
	kind  byte // the first byte on the wire
	text  []byte
	elems []value // of a map: keys and values in turn
	null  bool
}

func (v *value) isError() bool { return v.kind == '-' || v.kind == '!' }

// readValue reads one reply and returns it with its bytes.
func readValue(r *bufio.Reader) (v value, raw []byte, err error) {
	var all bytes.Buffer
	v, err = parseValue(r, &all)
	return v, all.Bytes(), err
}

func parseValue(r *bufio.Reader, raw *bytes.Buffer) (v value, err error) {
	line, err := r.ReadBytes('\n')
	raw.Write(line)
	if err != nil {
		return v, err
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return v, fmt.Errorf("%w: line %q", errGarbage, line)
	}
	v.kind, v.text = line[0], line[1:len(line)-2]
	switch v.kind {
	case '+', '-', ':', '_', '#', ',', '(':
		v.null = v.kind == '_'
		return v, nil
	case '$', '=', '!':
		return v, v.readBulk(r, raw)
	case '*', '~', '>', '%', '|':
		return v, v.readElements(r, raw)
	}
	return v, fmt.Errorf("%w: line %q", errGarbage, line)
}

func (v *value) readBulk(r *bufio.Reader, raw *bytes.Buffer) error {
	n, err := strconv.Atoi(string(v.text))
	if err != nil || n < -1 {
		return fmt.Errorf("%w: length %q", errGarbage, v.text)
	}
	v.text = nil
	if n == -1 {
		v.null = true
		return nil
	}
	body := make([]byte, n+2)
	got, err := io.ReadFull(r, body)
	raw.Write(body[:got])
	if err != nil {
		return err
	}
	if string(body[n:]) != "\r\n" {
		return fmt.Errorf("%w: no CRLF behind a bulk string", errGarbage)
	}
	v.text = body[:n]
	return nil
}

func (v *value) readElements(r *bufio.Reader, raw *bytes.Buffer) error {
	n, err := strconv.Atoi(string(v.text))
	if err != nil || n < -1 {
		return fmt.Errorf("%w: length %q", errGarbage, v.text)
	}
	v.text = nil
	if n == -1 {
		v.null = true
		return nil
	}
	if v.kind == '%' || v.kind == '|' {
		n *= 2
	}
	for range n {
		elem, err := parseValue(r, raw)
		if err != nil {
			return err
		}
		v.elems = append(v.elems, elem)
	}
	return nil
}

// write renders a value so that equal values have equal text.
func (v *value) write(dst []byte) []byte {
	dst = append(dst, v.kind)
	switch {
	case v.null:
		return append(dst, "null "...)
	case v.elems == nil:
		return fmt.Appendf(dst, "%q ", v.text)
	}
	dst = fmt.Appendf(dst, "%d[", len(v.elems))
	for i := range v.elems {
		dst = v.elems[i].write(dst)
	}
	return append(dst, "] "...)
}

func (v *value) String() string { return string(v.write(nil)) }
