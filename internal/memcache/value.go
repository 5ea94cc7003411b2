package memcache

import "bytes"

// valueLine consumes part of a VALUE line: VALUE key flags length [cas].
func (p *ResponseParser) valueLine(data []byte, i int, base int) int {
	switch p.state {
	case headBlank:
		p.state = valueKey
		p.field = 0
		if data[i] != ' ' {
			p.state = lost
		}
		return i + 1
	case valueKey:
		end := wordEnd(data, i)
		p.field += uint16(min(end-i, MaxKey+1))
		switch {
		case p.field > MaxKey || p.field == 0:
			p.state = lost
		case end == len(data):
			return end
		case data[end] == ' ':
			p.state = valueFlags
			p.digits = number{}
		default:
			p.state = lost
		}
		return min(end+1, len(data))
	case valueLineLF:
		return p.valueStart(data, i, base)
	case metaBlank, metaFlags:
		return p.metaLine(data, i)
	}
	end := digitsEnd(data, i)
	p.digits.add(data[i:end], false)
	if end == len(data) {
		return end
	}
	p.state = p.afterNumber(data[end])
	p.digits = number{}
	return end + 1
}

// afterNumber takes the byte that ends a number of a VALUE line and returns the
// next state.
func (p *ResponseParser) afterNumber(c byte) responseState {
	limit := uint64(1<<64 - 1)
	if p.state == valueLength || p.state == metaLength {
		limit = maxServerValue
		p.left = uint32(p.digits.value)
	}
	switch {
	case !p.digits.unsigned(limit):
		return lost
	case c == ' ' && p.state != valueCas: // the next number, or the flags of VA
		return p.state + 1
	case c == '\r' && p.state != valueFlags:
		return valueLineLF
	}
	return lost
}

// metaLine consumes what is no number of a VA line: VA length [flags].
func (p *ResponseParser) metaLine(data []byte, i int) int {
	if p.state == metaBlank {
		p.state = metaLength
		p.digits = number{}
		if data[i] != ' ' {
			p.state = lost
		}
		return i + 1
	}
	end := bytes.IndexAny(data[i:], "\r\n")
	if end < 0 {
		return len(data)
	}
	i += end
	p.state = valueLineLF
	if data[i] == '\n' {
		p.state = lost
	}
	return i + 1
}

// valueStart takes the LF of a VALUE or VA line.
func (p *ResponseParser) valueStart(data []byte, i int, base int) int {
	p.state = valueBytes
	if p.left == 0 {
		p.state = valueEndCR
	}
	if data[i] != '\n' || base+i+1-p.line > maxResponseLine {
		p.state = lost
	}
	return i + 1
}

// value skips the bytes of a value and takes its CRLF.
func (p *ResponseParser) value(data []byte, i int, base int, resp *Response) int {
	switch c := data[i]; p.state {
	case valueBytes:
		if end := i + int(p.left); end+2 <= len(data) && data[end] == '\r' && data[end+1] == '\n' {
			p.left = 0
			p.endValue(base+end+2, resp)
			return end + 2
		}
		skipped := min(int(p.left), len(data)-i)
		if p.left -= uint32(skipped); p.left == 0 {
			p.state = valueEndCR
		}
		return i + skipped
	case valueEndCR:
		p.state = valueEndLF
		if c != '\r' {
			p.state = lost
		}
	case valueEndLF:
		p.endValue(base+i+1, resp)
		if c != '\n' {
			p.state = lost // whatever the value was
		}
	}
	return i + 1
}

// endValue counts a value; the next line starts at offset line. VA is a whole response.
func (p *ResponseParser) endValue(line int, resp *Response) {
	p.state = headWord
	if p.kind == MetaValue {
		p.state = responded
	}
	p.line = line
	resp.Values++
}

// digitsEnd returns the index of the first byte at or after i that is no digit.
func digitsEnd(data []byte, i int) int {
	for i < len(data) && data[i]-'0' <= 9 {
		i++
	}
	return i
}

// NextValue cuts the first VALUE block off b, a complete response of kind Values
// or what an earlier call left of it. block is the whole block with both CRLFs,
// key its key; both alias b. ok is false when b starts with anything else, which
// in a response that ResponseParser accepted is END. Other bytes are safe to ask
// about, but not checked as strictly as ResponseParser does.
func NextValue(b []byte) (key, block, rest []byte, ok bool) {
	key, end, ok := ValueSize(b)
	if !ok || end > len(b) || b[end-2] != '\r' || b[end-1] != '\n' {
		return nil, nil, b, false
	}
	return key, b[:end], b[end:], true
}

// MaxValueLine is the longest VALUE line with its CRLF.
const MaxValueLine = len("VALUE ") + MaxKey + len(" 4294967295 1073741824 18446744073709551615\r\n")

// ValueSize reads the VALUE line that b begins with: its key, which aliases b, and
// the size of the whole block, the value and both CRLFs included. Of the block
// only the line need be there. ok is false when b begins with no such line.
func ValueSize(b []byte) (key []byte, size int, ok bool) {
	const head = "VALUE "
	if len(b) < len(head) || string(b[:len(head)]) != head {
		return nil, 0, false
	}
	keyEnd := wordEnd(b, len(head))
	line := bytes.IndexByte(b[keyEnd:], '\n')
	if line < 0 || keyEnd == len(head) {
		return nil, 0, false
	}
	data := keyEnd + line + 1
	length, ok := lengthOf(b[keyEnd:data])
	if !ok {
		return nil, 0, false
	}
	return b[len(head):keyEnd], data + length + len("\r\n"), true
}

// lengthOf reads the length out of " flags length [cas]\r\n".
func lengthOf(fields []byte) (int, bool) {
	if len(fields) == 0 || fields[0] != ' ' {
		return 0, false
	}
	i := digitsEnd(fields, 1)
	if i == 1 || i >= len(fields) || fields[i] != ' ' {
		return 0, false
	}
	end := digitsEnd(fields, i+1)
	var n number
	n.add(fields[i+1:end], false)
	if !n.unsigned(maxServerValue) {
		return 0, false
	}
	return int(n.value), true
}
