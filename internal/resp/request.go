// Package resp is the Redis serialization protocol: incremental parsers for both directions, a writer, and the texts of errors.
//
// Bytes only: no sockets, no clocks. A parser is given whatever bytes have come, anywhere cut, keeps what it must know
// about the message it is in, and never looks at a byte twice. It does not copy: it tells where things are.
//
// Grammar: Redis serialization protocol versions 2 and 3, and Redis's inline commands. Where a Redis server is lenient
// (it does not check the line end behind a bulk string, for one) the request parser is strict, because what it lets pass
// goes to a connection that other clients share: nobody may put there what the server could frame differently.
package resp

import "math"

// Limits of a request. Redis has the same ones, or did in a version still in use.
const (
	MaxArgs    = 1024 * 1024
	MaxBulk    = 512 << 20
	MaxInline  = 64 << 10
	MaxRequest = 1 << 30 // all arguments together
)

// Span is where an argument's bytes are, counted from the start of its request.
type Span struct{ Start, End uint32 }

// Len is the number of bytes in the span.
func (s Span) Len() int { return int(s.End - s.Start) }

// Request is what a parser found out about one request. The zero value is ready; use Reset to keep its memory for the next.
type Request struct {
	Args []Span
	// Inline says that the request is a line of words instead of an array; Args is empty then. AppendInline makes an array of it.
	Inline bool
}

// Reset empties r for the next request.
func (r *Request) Reset() {
	r.Args = r.Args[:0]
	r.Inline = false
}

// Raw is the range of argument i together with its length line and its line end, as it stands in the request.
func (r *Request) Raw(i int) Span {
	if i == 0 {
		return Span{r.Args[0].Start - headerBytes(r.Args[0].Len()), r.Args[0].End + 2}
	}
	return Span{r.Args[i-1].End + 2, r.Args[i].End + 2}
}

// headerBytes is the size of "$n\r\n". Lengths have one spelling, without leading zeros: the parser sees to that.
func headerBytes(n int) uint32 {
	digits := uint32(1)
	for ; n >= 10; n /= 10 {
		digits++
	}
	return digits + 3
}

// RequestParser parses the requests of one client. The zero value is ready for the first byte of a request.
type RequestParser struct {
	state    requestState
	number   numberLine
	argsLeft int32
	bodyLeft uint32 // bytes of the current argument, and of the line end behind it, that are still to come
	size     uint32 // bytes of the request seen so far
}

type requestState uint8

const (
	requestStart requestState = iota
	requestCount              // in the number behind '*'
	requestDollar
	requestLength // in the number behind '$'
	requestBody
	requestBodyEnd // in the line end behind an argument
	requestInline
)

// Size is how many bytes of the current request have been seen: 0 between requests.
func (p *RequestParser) Size() int { return int(p.size) }

// minArgBytes is the size of the smallest argument, with its length line and its line end: "$0\r\n\r\n".
const minArgBytes = 6

// Announced is how large the current request is at least, by the lengths that have come; 0 between requests.
func (p *RequestParser) Announced() int {
	n := int(p.size) + int(p.bodyLeft) + max(0, int(p.argsLeft)-1)*minArgBytes
	if p.state == requestBody {
		n += 2 // the line end behind it
	}
	return n
}

// ArgsLeft is how many arguments of the current request have been announced and have not come whole.
func (p *RequestParser) ArgsLeft() int { return int(p.argsLeft) }

// Parse takes the bytes of data that belong to the current request and adds what it learns to req.
//
// With done, the request ends before data[n]; without, n is len(data) and the request goes on in the next call's data.
// An empty array has no Args, and asks for no answer; so does what AppendInline makes of an empty line.
// An error is final: the stream cannot be understood from there on. req is the same for all calls of one request.
func (p *RequestParser) Parse(data []byte, req *Request) (n int, done bool, err error) {
	i := 0
	for i < len(data) {
		switch p.state {
		case requestStart:
			if data[i] != '*' {
				p.state = requestInline
				continue
			}
			i++
			if count, used := shortNumber(data[i:]); used > 0 && count > 0 {
				i += used
				p.argsLeft = int32(count)
				p.state = requestDollar
				continue
			}
			p.state = requestCount
			p.number = numberLine{}
		case requestCount:
			used, ended, ok := p.number.parse(data[i:])
			i += used
			if !ok {
				return i, false, errMultibulkLength
			}
			if !ended {
				continue
			}
			count := p.number.value()
			switch {
			case count > MaxArgs:
				return i, false, errMultibulkLength
			case count <= 0:
				p.reset()
				return i, true, nil
			}
			p.argsLeft = int32(count)
			p.state = requestDollar
		case requestDollar:
			if i = p.wholeArgs(data, i, req); p.argsLeft == 0 {
				p.reset()
				return i, true, nil
			}
			if i == len(data) {
				return p.more(data)
			}
			if data[i] != '$' {
				return i, false, expectedDollar(data[i])
			}
			i++
			p.state = requestLength
			p.number = numberLine{}
			fallthrough
		case requestLength:
			length, used := int64(0), 0
			if p.number == (numberLine{}) {
				length, used = shortNumber(data[i:])
			}
			if used == 0 {
				var ended, ok bool
				used, ended, ok = p.number.parse(data[i:])
				if !ok {
					return i + used, false, errBulkLength
				}
				if !ended {
					return p.more(data)
				}
				length = p.number.value()
			}
			i += used
			start := uint64(p.size) + uint64(i)
			switch {
			case length < 0 || length > MaxBulk:
				return i, false, errBulkLength
			case start+uint64(length) > MaxRequest:
				return i, false, errTooLarge
			}
			req.Args = append(req.Args, Span{uint32(start), uint32(start) + uint32(length)})
			p.bodyLeft = uint32(length)
			p.state = requestBody
			fallthrough
		case requestBody:
			if have := len(data) - i; have < int(p.bodyLeft) {
				p.bodyLeft -= uint32(have)
				return p.more(data)
			}
			i += int(p.bodyLeft)
			p.bodyLeft = 2
			p.state = requestBodyEnd
			fallthrough
		case requestBodyEnd:
			for p.bodyLeft > 0 {
				if i == len(data) {
					return p.more(data)
				}
				if data[i] != "\n\r"[p.bodyLeft-1] {
					return i, false, errBulkEnd
				}
				i++
				p.bodyLeft--
			}
			if p.argsLeft--; p.argsLeft == 0 {
				p.reset()
				return i, true, nil
			}
			p.state = requestDollar
		case requestInline:
			return p.inline(data, req)
		}
	}
	return p.more(data)
}

// wholeArgs takes the short arguments that lie whole at data[i:], and returns where that ends. It leaves all else, whatever is
// wrong too, to Parse.
func (p *RequestParser) wholeArgs(data []byte, i int, req *Request) int {
	if uint64(p.size)+uint64(len(data)) > MaxRequest {
		return i
	}
	args, left := req.Args, p.argsLeft
	for left > 0 && i < len(data) && data[i] == '$' {
		length, used := shortNumber(data[i+1:])
		start := i + 1 + used
		end := start + int(length)
		if used == 0 || end+1 >= len(data) || data[end] != '\r' || data[end+1] != '\n' {
			break
		}
		args = append(args, Span{p.size + uint32(start), p.size + uint32(end)})
		i = end + 2
		left--
	}
	req.Args, p.argsLeft = args, left
	return i
}

func (p *RequestParser) more(data []byte) (int, bool, error) {
	if uint64(p.size)+uint64(len(data)) > math.MaxUint32 {
		return len(data), false, errTooLarge
	}
	p.size += uint32(len(data))
	return len(data), false, nil
}

func (p *RequestParser) reset() { *p = RequestParser{} }

// shortNumber reads a number of one to three digits and its CR LF off the front of data: nearly every number there is.
// It returns n == 0 for all else, also for a line that is not whole, which is then numberLine's.
func shortNumber(data []byte) (value int64, n int) {
	if len(data) < 5 {
		return 0, 0
	}
	first := data[0] - '0'
	if first > 9 {
		return 0, 0
	}
	if data[1] == '\r' && data[2] == '\n' {
		return int64(first), 3
	}
	second := data[1] - '0'
	if second > 9 || first == 0 {
		return 0, 0
	}
	if data[2] == '\r' && data[3] == '\n' {
		return int64(first)*10 + int64(second), 4
	}
	third := data[2] - '0'
	if third > 9 || data[3] != '\r' || data[4] != '\n' {
		return 0, 0
	}
	return int64(first)*100 + int64(second)*10 + int64(third), 5
}

// numberLine reads a decimal number and its CR LF. Like Redis it knows one spelling of each number: no plus sign, no
// leading zeros, no blanks, at least one digit.
type numberLine struct {
	magnitude uint64
	digits    uint8
	negative  bool
	cr        bool
}

// maxDigits are the digits of the largest number of 64 bits with a sign; that many fit uint64 without a check of each.
const maxDigits = 19

// parse takes bytes of data up to the end of the line. ok is false for what is not such a line, or beyond 63 bits.
func (l *numberLine) parse(data []byte) (n int, ended, ok bool) {
	for i, c := range data {
		switch {
		case l.cr:
			return i + 1, c == '\n', c == '\n'
		case c >= '0' && c <= '9':
			if l.digits >= maxDigits || (l.digits > 0 && l.magnitude == 0) {
				return i, false, false
			}
			l.magnitude = l.magnitude*10 + uint64(c-'0')
			l.digits++
		case c == '\r':
			if l.digits == 0 || (l.negative && l.magnitude == 0) || l.magnitude > l.limit() {
				return i, false, false
			}
			l.cr = true
		case c == '-' && l.digits == 0 && !l.negative:
			l.negative = true
		default:
			return i, false, false
		}
	}
	return len(data), false, true
}

// limit is the greatest magnitude that an integer of 64 bits has with l's sign.
func (l *numberLine) limit() uint64 {
	if l.negative {
		return -math.MinInt64
	}
	return math.MaxInt64
}

func (l *numberLine) value() int64 {
	if l.negative {
		return -int64(l.magnitude)
	}
	return int64(l.magnitude)
}
