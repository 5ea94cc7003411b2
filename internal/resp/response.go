package resp

import "bytes"

// Kind is the type of a response: its first byte.
type Kind byte

// The kinds of both protocol versions.
const (
	SimpleString   Kind = '+'
	SimpleError    Kind = '-'
	Integer        Kind = ':'
	BulkString     Kind = '$'
	Array          Kind = '*'
	Null           Kind = '_'
	Boolean        Kind = '#'
	Double         Kind = ','
	BigNumber      Kind = '('
	BulkError      Kind = '!'
	VerbatimString Kind = '='
	Map            Kind = '%'
	Set            Kind = '~'
	Push           Kind = '>'
	Attribute      Kind = '|'
)

// maxPending bounds the elements that a response may announce and not have sent yet.
const maxPending = 1 << 40

// ResponseParser parses the responses of one server. The zero value is ready for the first byte of a response.
type ResponseParser struct {
	state   responseState
	kind    Kind  // of the whole response
	element Kind  // of the element that the parser is in
	count   int64 // of the whole response, if it is an aggregate: its elements; -1 for a null array
	pending int64 // values that are still to come, whatever aggregate they belong to
	left    int64 // bytes of a bulk string, and of its line end, that are still to come
	number  numberLine
	begun   bool
}

type responseState uint8

const (
	responseType responseState = iota
	responseLine               // a line of text
	responseLineEnd
	responseNumber // a length, a count or an integer
	responseBody
	responseBodyEnd
)

// Kind is the type of the response that Parse was last called for.
func (p *ResponseParser) Kind() Kind { return p.kind }

// Count is the number of elements of that response, -1 if it is null or no aggregate.
func (p *ResponseParser) Count() int64 { return p.count }

// Within reports whether the parser is inside a response.
func (p *ResponseParser) Within() bool { return p.begun }

// Parse takes the bytes of data that belong to the current response.
//
// With done, the response ends before data[n]; without, n is len(data) and it goes on in the next call's data.
// An error is final. A response is checked for what frames it, and integers for being some; texts are not looked into.
func (p *ResponseParser) Parse(data []byte) (n int, done bool, err error) {
	i := 0
	for i < len(data) {
		switch p.state {
		case responseType:
			if err := p.enter(Kind(data[i])); err != nil {
				return i, false, err
			}
			i++
			if p.element == BulkString {
				if length, used := shortNumber(data[i:]); used > 0 {
					i += used
					if end := i + int(length); end+2 <= len(data) && data[end] == '\r' && data[end+1] == '\n' {
						i = end + 2
						if p.leave() {
							return i, true, nil
						}
						continue
					}
					p.left = length
					p.state = responseBody
				}
			}
		case responseLine:
			at := bytes.IndexByte(data[i:], '\r')
			if at < 0 {
				return len(data), false, nil
			}
			i += at + 1
			p.state = responseLineEnd
		case responseLineEnd:
			if data[i] != '\n' {
				return i, false, errResponseLine
			}
			i++
			if p.leave() {
				return i, true, nil
			}
		case responseNumber:
			used, ended, ok := p.number.parse(data[i:])
			i += used
			if !ok {
				return i, false, errResponseNumber
			}
			if !ended {
				continue
			}
			if err := p.announced(); err != nil {
				return i, false, err
			}
			if p.state == responseType && p.leave() {
				return i, true, nil
			}
		case responseBody:
			if have := int64(len(data) - i); have < p.left {
				p.left -= have
				return len(data), false, nil
			}
			i += int(p.left)
			p.left = 2
			p.state = responseBodyEnd
			fallthrough
		case responseBodyEnd:
			for ; p.left > 0; p.left-- {
				if i == len(data) {
					return i, false, nil
				}
				if data[i] != "\n\r"[p.left-1] {
					return i, false, errBulkEnd
				}
				i++
			}
			if p.leave() {
				return i, true, nil
			}
		}
	}
	return i, false, nil
}

// ShortBulk is the size of a bulk string at the front of data, with all that frames it; 0 if there is none, or not the whole
// of it, or one of 1000 bytes and more. What frames it is taken as checked.
func ShortBulk(data []byte) int {
	if len(data) == 0 || data[0] != byte(BulkString) {
		return 0
	}
	length, used := shortNumber(data[1:])
	size := 1 + used + int(length) + 2
	if used == 0 || size > len(data) {
		return 0
	}
	return size
}

// enter begins a value of the given kind.
func (p *ResponseParser) enter(kind Kind) error {
	if !p.begun {
		p.begun = true
		p.kind = kind
		p.count = -1
		p.pending = 1
	}
	p.element = kind
	switch kind {
	case SimpleString, SimpleError, Null, Boolean, Double, BigNumber:
		p.state = responseLine
	case Integer, BulkString, Array, BulkError, VerbatimString, Map, Set, Push, Attribute:
		p.state = responseNumber
		p.number = numberLine{}
	default:
		return errResponseType
	}
	return nil
}

// announced acts on the number behind a type. It leaves the state at responseType if the value, apart from elements, ends there.
func (p *ResponseParser) announced() error {
	n := p.number.value()
	p.state = responseType
	if p.element == Integer {
		return nil
	}
	if n < -1 {
		return errResponseNumber
	}
	switch p.element {
	case BulkString, BulkError, VerbatimString:
		if n >= 0 {
			p.left = n
			p.state = responseBody
		}
		return nil
	}
	if p.pending == 1 && p.count == -1 && p.element == p.kind {
		p.count = n
	}
	if n > maxPending {
		return errResponseNumber
	}
	elements := max(n, 0)
	switch p.element {
	case Map:
		elements *= 2
	case Attribute:
		elements = elements*2 + 1 // the value that it describes is still to come
	}
	if p.pending+elements > maxPending {
		return errResponseNumber
	}
	p.pending += elements
	return nil
}

// leave ends a value and reports whether the response ends with it.
func (p *ResponseParser) leave() bool {
	p.state = responseType
	p.pending--
	if p.pending > 0 {
		return false
	}
	p.begun = false
	return true
}

// ParseInteger is the value of a whole integer response, such as ":12\r\n".
func ParseInteger(response []byte) (int64, bool) {
	if len(response) == 0 || Kind(response[0]) != Integer {
		return 0, false
	}
	var number numberLine
	n, ended, ok := number.parse(response[1:])
	return number.value(), ok && ended && n == len(response)-1
}

// ErrorText is the text of a whole error response without its type and line end; ok is false for another response.
func ErrorText(response []byte) (text []byte, ok bool) {
	if len(response) < 3 || Kind(response[0]) != SimpleError {
		return nil, false
	}
	return response[1 : len(response)-2], true
}
