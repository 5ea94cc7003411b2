package memcache

// Request is what a RequestParser found. The caller owns it and may use it again
// for the next request; while a request is cut it must be handed back to Parse
// unchanged. All spans count from the first byte of the request.
type Request struct {
	Kind    Kind
	NoReply bool
	// Problem, when set, refuses the request: forward nothing, answer
	// AppendProblem (nothing if NoReply), go on with the connection.
	Problem Problem
	// Name is the command of an Unsupported, Stats or Admin request, a constant.
	Name string
	// Keys are in the order of the line, 1 to MaxKey bytes each.
	Keys []Span
	// LineEnd is the offset past the line's CRLF, or LF; 0 while the line is cut.
	// Once it is set all other fields are final, so the caller may decide about a
	// large value before it has come; only Problem may become BadDataChunk yet.
	LineEnd int
	// BareLine is set if the line ends at an LF without CR. Forward it with a CR
	// in front of that LF: not all servers end a line there.
	BareLine bool
	// Quiet is set if a meta command has the flag q: the server may answer, or not.
	Quiet bool
	// Base64 is set if the key of a meta command is encoded; see AppendDecodedKey.
	Base64 bool
	// NoReplySpan covers the word noreply and the blanks before it.
	NoReplySpan Span
	// Exptime is the text of storage commands, touch, gat and gats.
	Exptime Span
	// Value is the value of a storage command, without its CRLF.
	Value Span
}

// keptKeys bounds the key list that a Request keeps, in spans (64 KiB).
const keptKeys = 8192

// Reset empties the request and keeps room for keys. Parse calls it.
func (r *Request) Reset() {
	keys := r.Keys[:0]
	if cap(keys) > keptKeys {
		keys = nil
	}
	*r = Request{Keys: keys}
}

// Size is the whole request's length in bytes, known once LineEnd is set.
func (r *Request) Size() int {
	if r.Value.End > 0 {
		return int(r.Value.End) + len("\r\n")
	}
	return r.LineEnd
}

// states of a RequestParser
type requestState uint8

const (
	inGap     requestState = iota // between words; the zero value starts a request
	inWord                        // inside the word of class RequestParser.class
	gapCR                         // after a CR between words: the end of the line, or of a word the first byte
	wordCR                        // after a CR inside a word: the end of the line, or a byte of the word
	inValue                       // left bytes of the value are to come
	valueCR                       // the value is complete, its CR is due
	valueLF                       // and its LF
	requested                     // the request is complete
)

// RequestParser cuts what a client sends into requests. The zero value is ready.
// It is used by one goroutine at a time.
type RequestParser struct {
	fatal     Problem // set once the stream is lost
	state     requestState
	class     byte   // of the current word
	first     byte   // of the current word, if it is a flag of a meta command
	words     uint8  // complete words after the name, saturating
	named     bool   // the name is complete
	tainted   bool   // a control byte stands in the current word
	frameless bool   // a storage line whose value length cannot be trusted
	kind      Kind   // as the forms know it
	size      uint32 // bytes of the request consumed so far
	start     uint32 // offset of the current word
	end       uint32 // offset past the last complete word
	left      uint32 // bytes of the value to come
	short     shortWord
	number    number
}

// Size is the number of bytes of the current request consumed so far: 0 between
// requests.
func (p *RequestParser) Size() int { return int(p.size) }

// Parse consumes bytes of the current request from the front of data.
//
// done means that the request ends at data[:n]; the next call starts another.
// Otherwise all of data was consumed and the request goes on. data is not kept.
//
// The error is a fatal Problem: the stream cannot be cut into requests any more.
// Answer its Reply and close; every later call returns it again.
func (p *RequestParser) Parse(data []byte, req *Request) (n int, done bool, err error) {
	if p.fatal != NoProblem {
		return 0, false, p.fatal
	}
	base, i := p.size, 0
	if base == 0 {
		req.Reset()
		if i = p.quickLine(data, req); p.state == requested {
			p.state = inGap
			return i, true, nil
		}
	}
	for i < len(data) && p.fatal == NoProblem {
		switch p.state {
		case inGap:
			i = p.gap(data, i, base, req)
		case inWord:
			i = p.word(data, i, base, req)
		case gapCR, wordCR:
			i = p.lineFeed(data, i, base, req)
		case inValue:
			skipped := min(int(p.left), len(data)-i)
			i += skipped
			if p.left -= uint32(skipped); p.left == 0 {
				p.state = valueCR
			}
		case valueCR:
			i = p.chunkEnd(data, i, '\r', valueLF, req)
		case valueLF:
			i = p.chunkEnd(data, i, '\n', requested, req)
		}
		if p.state == requested {
			*p = RequestParser{}
			return i, true, nil
		}
	}
	p.size = base + uint32(i)
	if p.state < inValue && p.fatal == NoProblem && p.size >= forms[p.kind].line {
		p.fatal = LineTooLong
	}
	if p.fatal != NoProblem {
		return i, false, p.fatal
	}
	return i, false, nil
}

// gap skips blanks and starts the next word.
func (p *RequestParser) gap(data []byte, i int, base uint32, req *Request) int {
	for data[i] == ' ' {
		if i++; i == len(data) {
			return i
		}
	}
	switch c := data[i]; {
	case c == '\r':
		p.state = gapCR
		return i + 1
	case c == '\n':
		p.endLine(base+uint32(i), false, req)
		return i + 1
	case c == 0x80 && base == 0 && i == 0:
		p.fatal = BinaryProtocol
		return i
	}
	p.startWord(base+uint32(i), data[i])
	return i
}

// startWord begins the word at offset start, whose first byte is first.
func (p *RequestParser) startWord(start uint32, first byte) {
	p.state = inWord
	p.start = start
	p.tainted = false
	p.short.n = 0
	p.class = wordName
	if p.named {
		words := forms[p.kind].words
		p.class = words[min(int(p.words), len(words)-1)]
		p.number = number{}
		p.first = first
	} else if p.start > maxLead {
		p.fatal = LineTooLong
	}
}

// word consumes the current word, or as much of it as there is.
func (p *RequestParser) word(data []byte, i int, base uint32, req *Request) int {
	end := wordEnd(data, i)
	for p.class == wordKey && p.kind.Retrieval() && !p.tainted && end+1 < len(data) && data[end] == ' ' && data[end+1] > ' ' {
		i = p.nextKey(end, base, req)
		end = wordEnd(data, i)
	}
	part := data[i:end]
	cut := end == len(data)
	switch p.class {
	case wordFlags, wordExptime, wordDelta:
		p.number.add(part, base+uint32(i) == p.start)
	case wordUnique, wordLength: // or noreply in its place
		p.number.add(part, base+uint32(i) == p.start)
		if cut {
			p.short.add(part)
		}
	case wordName, wordNoReply, wordZero, wordAny:
		if cut {
			p.short.add(part)
		}
	}
	if cut {
		return end
	}
	switch data[end] {
	case ' ':
		p.state = inGap
		p.endWord(part, base+uint32(end), req)
	case '\n':
		p.endWord(part, base+uint32(end), req)
		p.endLine(base+uint32(end), false, req)
	case '\r':
		if end+1 < len(data) && data[end+1] == '\n' {
			p.endWord(part, base+uint32(end), req)
			p.endLine(base+uint32(end), true, req)
			return end + 2
		}
		p.short.add(part)
		p.state = wordCR
	default:
		p.taint(data[end])
	}
	return end + 1
}

// taint takes a control byte, which makes the word none of ours, but does not end it.
func (p *RequestParser) taint(c byte) {
	p.tainted = true
	p.number.control(c)
	p.short.n = uint8(len(p.short.buf)) + 1
}

// nextKey ends the key before the single blank at end and starts the next, a
// short way through gap for lists of keys.
func (p *RequestParser) nextKey(end int, base uint32, req *Request) int {
	p.endWord(nil, base+uint32(end), req)
	p.start = base + uint32(end) + 1
	return end + 1
}

// lineFeed takes the byte after a CR: the end of the line, or more of the word that the CR stands in.
func (p *RequestParser) lineFeed(data []byte, i int, base uint32, req *Request) int {
	cr := base + uint32(i) - 1
	inside := p.state == wordCR
	if data[i] == '\n' {
		if inside {
			p.endWord(nil, cr, req)
		}
		p.endLine(cr, true, req)
		return i + 1
	}
	if !inside {
		p.startWord(cr, '\r')
	}
	p.state = inWord
	p.taint('\r')
	return i
}

// chunkEnd takes one byte of the CRLF after a value. If it is another the value has another length than announced:
// the request is refused, and the next one begins where memcached looks for it, behind the announced length and two bytes.
func (p *RequestParser) chunkEnd(data []byte, i int, want byte, next requestState, req *Request) int {
	if data[i] != want {
		p.refuse(req, BadDataChunk)
	}
	p.state = next
	return i + 1
}

// lineFault ends the stream at a line of size bytes. The size comes first: where
// the line was cut must not change the answer.
func (p *RequestParser) lineFault(size uint32, fault Problem) {
	p.fatal = fault
	if size > forms[p.kind].line {
		p.fatal = LineTooLong
	}
}

// endLine judges the line as a whole, which has size bytes before its CRLF or LF, and starts the value, if one follows.
func (p *RequestParser) endLine(size uint32, withCR bool, req *Request) {
	if p.fatal != NoProblem {
		return // its last word was too much
	}
	f := &forms[p.kind]
	end := size + uint32(len("\r\n"))
	if end > f.line { // also one without a CR, which will get it
		p.fatal = LineTooLong
		return
	}
	if !withCR {
		req.BareLine = true
		end--
	}
	req.LineEnd = int(end)
	switch {
	case f.block:
		p.startValue(end, req)
		return
	case !p.named, p.words < f.required:
		why := WrongArity
		if p.kind == MetaDebug { // as memcached has it
			why = MissingKey
		}
		p.refuse(req, why)
	}
	p.state = requested
}

// startValue judges a whole storage line. If the length of the value cannot be told, the request ends with its line.
func (p *RequestParser) startValue(end uint32, req *Request) {
	f := &forms[p.kind]
	switch {
	case p.kind == MetaSet && p.words > 2+MaxMetaSet:
		p.refuse(req, TooManyFlags)
	case p.words < f.required:
		p.frameless = true
		req.Problem = WrongArity
		if p.kind == MetaSet && p.words > 0 {
			req.Problem = BadStorageLine
		}
	case p.frameless && p.kind != MetaSet && int(p.words) >= len(f.words): // memcached counts first
		req.Problem = WrongArity
	}
	if p.frameless {
		p.state = requested
		return
	}
	req.Value = Span{end, end + p.left}
	p.state = inValue
	if p.left == 0 {
		p.state = valueCR
	}
}

// refuse notes the first problem of a request.
func (p *RequestParser) refuse(req *Request, why Problem) {
	if req.Problem == NoProblem {
		req.Problem = why
	}
}
