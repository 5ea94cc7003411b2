package memcache

import (
	"bytes"
	"errors"
)

// ResponseKind is what a server answered.
type ResponseKind uint8

// The responses. Error stands for ERROR, CLIENT_ERROR and SERVER_ERROR.
const (
	NoResponse ResponseKind = iota
	Values                  // zero or more VALUE blocks, then END
	Number                  // of incr and decr
	Stored
	NotStored
	Exists
	NotFound
	Deleted
	Touched
	OK
	VersionLine
	Error
	Listing       // zero or more STAT, ITEM or PREFIX lines, then END
	Reset         // of stats reset
	Refused       // an operator's command: BUSY, BADCLASS and their like
	MetaDone      // HD
	MetaValue     // VA and a value
	MetaMiss      // EN
	MetaNotStored // NS
	MetaExists    // EX
	MetaNotFound  // NF
	MetaItem      // ME
	MetaEnd       // MN
	numResponses
)

// responseSet has bit 1<<k set for each ResponseKind k in it.
type responseSet uint32

var responseNames = [numResponses]string{
	Values: "END", Number: "number", Stored: "STORED", NotStored: "NOT_STORED", Exists: "EXISTS",
	NotFound: "NOT_FOUND", Deleted: "DELETED", Touched: "TOUCHED", OK: "OK", VersionLine: "VERSION",
	Error: "error", Listing: "listing", Reset: "RESET", Refused: "refusal", MetaDone: "HD", MetaValue: "VA", MetaMiss: "EN",
	MetaNotStored: "NS", MetaExists: "EX", MetaNotFound: "NF", MetaItem: "ME", MetaEnd: "MN",
}

// String is the word that ends the response on the wire, or a description.
func (k ResponseKind) String() string { return responseNames[k] }

// ErrResponse says that a server sent what no memcached sends, or what this
// package does not know: the stream cannot be cut into responses any more.
var ErrResponse = errors.New("memcache: malformed response; is the server a memcached that speaks the text protocol?")

// Limits of a response.
const (
	maxResponseLine = 2048      // bytes of a line with its CRLF
	maxServerValue  = 1<<31 - 3 // memcached's own bound for a value
	maxDigits       = 20        // of a number, 2^64-1 has 20
)

// Response is what a ResponseParser found. The caller owns it and may use it
// again; while a response is cut it must be handed back to Parse unchanged.
type Response struct {
	Kind   ResponseKind // set when the response is complete
	Values int          // VALUE blocks, hits of a retrieval, or 1 for VA
}

type responseState uint8

const (
	headWord    responseState = iota // the word that begins a line
	headNumber                       // the digits of a number response
	numberBlank                      // blanks after them, before CR
	bareEnd                          // the CR of a line that has no more words
	textOrEnd                        // a blank or the CR after ERROR and its like
	lineText                         // text up to CR
	textLF                           // the LF of the line that ends the response
	listBlank                        // the blank after STAT and its like
	listText                         // text up to CR
	listLF                           // the LF of the line, behind which another follows
	headBlank                        // the blank after VALUE
	valueKey                         // then its key
	valueFlags                       // and the numbers
	valueLength
	valueCas
	metaBlank   // the blank after VA
	metaLength  // then the number
	metaFlags   // and text up to CR
	valueLineLF // the LF of the line that a value follows
	valueBytes  // left bytes to come
	valueEndCR
	valueEndLF
	responded
	lost
)

// ResponseParser cuts what a server sends into responses. The zero value is
// ready. It is used by one goroutine at a time.
//
// It is strict: one blank between words, CRLF at every end, digits where numbers
// stand. A word it does not know is an error, never a guess.
type ResponseParser struct {
	size   int    // bytes of the response consumed so far
	line   int    // offset where the current line starts
	left   uint32 // bytes of the value to come
	field  uint16 // bytes of the current word of a VALUE line or number
	state  responseState
	kind   ResponseKind
	digits number
	short  shortWord
}

// Size is the number of bytes of the current response consumed so far: 0 between
// responses.
func (p *ResponseParser) Size() int { return p.size }

// Kind is what the response that was cut is: NoResponse while that is not known.
func (p *ResponseParser) Kind() ResponseKind { return p.kind }

// Parse consumes bytes of the current response from the front of data.
//
// done means that the response ends at data[:n]; the next call starts another.
// Otherwise all of data was consumed and the response goes on. data is not kept.
//
// The error is ErrResponse and final: the connection must be closed, every
// later call returns it again. What was consumed of the response is no response.
func (p *ResponseParser) Parse(data []byte, resp *Response) (n int, done bool, err error) {
	if p.state == lost {
		return 0, false, ErrResponse
	}
	base := p.size
	if base == 0 {
		*resp = Response{}
	}
	i := 0
	for i < len(data) && p.state != lost {
		switch {
		case p.state == headWord:
			i = p.head(data, i)
		case p.state < listBlank:
			i = p.single(data, i, base)
		case p.state < headBlank:
			i = p.listing(data, i, base)
		case p.state < valueBytes:
			i = p.valueLine(data, i, base)
		default:
			i = p.value(data, i, base, resp)
		}
		if p.state == responded {
			resp.Kind = p.kind
			*p = ResponseParser{}
			return i, true, nil
		}
	}
	p.size = base + i
	if p.state < valueBytes && p.size-p.line >= maxResponseLine {
		p.state = lost
	}
	if p.state == lost {
		return i, false, ErrResponse
	}
	return i, false, nil
}

// head reads the word that begins a line and chooses what may follow.
func (p *ResponseParser) head(data []byte, i int) int {
	if p.short.n == 0 && p.kind != Listing {
		if end := p.quick(data, i); end > 0 {
			return end
		}
	}
	if c := data[i]; c >= '0' && c <= '9' && p.short.n == 0 && p.kind == NoResponse {
		p.kind, p.state = Number, headNumber
		return i
	}
	end := wordEnd(data, i)
	part := data[i:end]
	if end == len(data) {
		if p.short.add(part); int(p.short.n) > len(p.short.buf) {
			p.state = lost
		}
		return end
	}
	kind, next := responseHead(p.short.bytes(part))
	p.short.n = 0
	switch {
	case p.kind == Listing && next == bareEnd && kind == Values: // END
		kind = Listing
	case p.kind != NoResponse && kind != p.kind:
		next = lost // only VALUE and END may follow a VALUE
	}
	p.kind, p.state = kind, next
	return end
}

// responseHead tells what a first word means and what follows it.
func responseHead(word []byte) (ResponseKind, responseState) {
	switch string(word) {
	case "VALUE":
		return Values, headBlank
	case "END":
		return Values, bareEnd
	case "STORED":
		return Stored, bareEnd
	case "NOT_STORED":
		return NotStored, bareEnd
	case "EXISTS":
		return Exists, bareEnd
	case "NOT_FOUND":
		return NotFound, bareEnd
	case "DELETED":
		return Deleted, bareEnd
	case "TOUCHED":
		return Touched, bareEnd
	case "OK":
		return OK, bareEnd
	case "VERSION":
		return VersionLine, textOrEnd
	case "ERROR", "CLIENT_ERROR", "SERVER_ERROR":
		return Error, textOrEnd
	case "HD":
		return MetaDone, textOrEnd
	case "VA":
		return MetaValue, metaBlank
	case "EN":
		return MetaMiss, textOrEnd
	case "MN":
		return MetaEnd, bareEnd
	case "NS":
		return MetaNotStored, textOrEnd
	case "EX":
		return MetaExists, textOrEnd
	case "NF":
		return MetaNotFound, textOrEnd
	case "ME":
		return MetaItem, textOrEnd
	}
	return operatorsHead(word)
}

// operatorsHead is responseHead for what only commands of operators are answered with.
func operatorsHead(word []byte) (ResponseKind, responseState) {
	switch string(word) {
	case "STAT", "ITEM", "PREFIX":
		return Listing, listBlank
	case "RESET":
		return Reset, bareEnd
	case "BUSY", "BADCLASS", "NOSPARE", "SAME", "NOTSTARTED", "MEMLIMIT_TOO_SMALL", "MEMLIMIT_ADJUST_FAILED", "Error":
		return Refused, textOrEnd
	}
	return NoResponse, lost
}

// single consumes part of a response of one line.
func (p *ResponseParser) single(data []byte, i int, base int) int {
	switch c := data[i]; p.state {
	case headNumber:
		end := digitsEnd(data, i)
		if p.field += uint16(min(end-i, maxDigits+1)); p.field > maxDigits {
			p.state = lost
		} else if end < len(data) {
			p.state = numberBlank
		}
		return end
	case numberBlank, bareEnd, textOrEnd:
		switch {
		case c == '\r':
			p.state = textLF
		case c == ' ' && p.state == textOrEnd:
			p.state = lineText
		case c != ' ' || p.state != numberBlank:
			p.state = lost
		}
	case lineText:
		end := bytes.IndexAny(data[i:], "\r\n")
		if end < 0 {
			return len(data)
		}
		i += end
		p.state = textLF
		if data[i] == '\n' {
			p.state = lost
		}
	case textLF:
		p.state = lost
		if c == '\n' && base+i+1-p.line <= maxResponseLine {
			p.state = responded
		}
	}
	return i + 1
}

// listing consumes part of a line that another follows.
func (p *ResponseParser) listing(data []byte, i int, base int) int {
	switch p.state {
	case listBlank:
		p.state = listText
		if data[i] != ' ' {
			p.state = lost
		}
	case listText:
		end := bytes.IndexAny(data[i:], "\r\n")
		if end < 0 {
			return len(data)
		}
		i += end
		p.state = listLF
		if data[i] == '\n' {
			p.state = lost
		}
	case listLF:
		p.state = headWord
		if data[i] != '\n' || base+i+1-p.line > maxResponseLine {
			p.state = lost
		}
		p.line = base + i + 1
	}
	return i + 1
}
