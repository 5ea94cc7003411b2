package memcache

import "bytes"

// endWord takes the word that ends at offset end; part is what came of it in
// this call, all of it unless it was cut.
func (p *RequestParser) endWord(part []byte, end uint32, req *Request) {
	span := Span{p.start, end}
	if p.class == wordName {
		p.endName(part, req)
		p.end = end
		return
	}
	if p.tainted {
		p.refuse(req, ControlByte)
	}
	switch p.class {
	case wordKey:
		req.Keys = append(req.Keys, span)
		if span.Len() > MaxKey {
			p.refuse(req, KeyTooLong)
		}
	case wordNoReply, wordZero:
		p.endNoReply(part, end, req)
	case wordExtra:
		p.refuse(req, WrongArity)
		req.NoReply = false // it was not the last word
	case wordMeta:
		p.endFlag(req)
	case wordAny:
		p.endAny(part, end, req)
	default:
		p.endNumber(part, span, req)
	}
	p.words = min(p.words, 254) + 1
	p.end = end
}

// endName chooses the form of the line.
func (p *RequestParser) endName(part []byte, req *Request) {
	p.named = true
	p.kind, req.Name = lookup(p.short.bytes(part))
	req.Kind = p.kind
	switch p.kind {
	case Unknown:
		p.refuse(req, UnknownCommand)
	case Unsupported:
		p.refuse(req, UnsupportedCommand)
	}
}

// endFlag takes a flag of a meta command. The server judges what it does not know:
// whatever the flags are, it answers once.
func (p *RequestParser) endFlag(req *Request) {
	switch c := p.first; {
	case c == 'q':
		req.Quiet = true
	case c == 'b':
		req.Base64 = true
	case c >= 0x80:
		p.refuse(req, BadFlag) // versions of memcached differ
	}
}

// endNumber checks the range of a number and keeps what is needed of it.
func (p *RequestParser) endNumber(part []byte, span Span, req *Request) {
	n := &p.number
	if !n.framed() {
		p.frameless = true // the words of a storage line may have shifted
	}
	switch p.class {
	case wordExptime:
		req.Exptime = span
		if !n.int32() {
			p.refuse(req, p.exptimeProblem())
		}
	case wordDelta:
		if !n.wellFormed() {
			p.refuse(req, BadDelta)
		}
	case wordUnique:
		if !n.unsigned(1<<64 - 1) {
			p.refuse(req, BadNumber)
			req.NoReply = string(p.short.bytes(part)) == "noreply"
		}
	case wordLength:
		p.endLength(part, req)
	default: // flags
		if !n.unsigned(1<<32 - 1) {
			p.refuse(req, BadNumber)
		}
	}
}

// endLength takes the length of a value. Where memcached knows one and the request is refused all the same, the value is
// skipped; a length that it does not know itself leaves the line without a value.
func (p *RequestParser) endLength(part []byte, req *Request) {
	n := &p.number
	p.left = uint32(n.value)
	switch {
	case n.unsigned(MaxValue):
	case !n.framed(), n.overflow, n.value > maxLength, n.negative && n.value > 0:
		p.refuse(req, BadNumber)
		p.frameless = true
		req.NoReply = p.kind != MetaSet && p.kind != Cas && string(p.short.bytes(part)) == "noreply"
	case n.unsigned(maxLength):
		p.refuse(req, ValueTooLarge)
	default: // a sign
		p.refuse(req, BadNumber)
	}
}

// exptimeProblem is memcached's choice of words.
func (p *RequestParser) exptimeProblem() Problem {
	if forms[p.kind].block {
		return BadNumber
	}
	return BadExptime
}

// endNoReply takes the word that must be noreply, or for delete may be "0".
func (p *RequestParser) endNoReply(part []byte, end uint32, req *Request) {
	switch word := p.short.bytes(part); {
	case string(word) == "noreply":
		req.NoReply = true
		req.NoReplySpan = Span{p.end, end}
		if p.class == wordZero {
			p.words++ // nothing may follow
		}
	case p.class == wordZero && string(word) == "0":
	case p.kind == Delete:
		p.refuse(req, BadDelete)
	default:
		p.refuse(req, WrongArity)
		req.NoReply = false // what stood in a number's place was not the last word
	}
}

// endAny looks at a word of a command whose words are of no other class.
func (p *RequestParser) endAny(part []byte, end uint32, req *Request) {
	word := p.short.bytes(part)
	switch p.kind {
	case Stats, Admin:
		p.endAdmin(word, end, req)
	case Unsupported:
		req.NoReply = string(word) == "noreply"
	case Unknown:
		// A browser that is lured into posting to the port must not get the body of
		// its request run as commands. memcached closes as well.
		if len(word) <= len(p.short.buf) && bytes.HasPrefix(word, []byte("HTTP/")) { // of a longer one that is cut not all is kept
			p.lineFault(end+1, HTTPRequest)
		}
	}
}

// endAdmin takes a word of a command for operators. The server judges most of
// them; what must be right is that there is one answer, and of a known form.
func (p *RequestParser) endAdmin(word []byte, end uint32, req *Request) {
	switch {
	case req.NoReply, p.words >= maxAdmin: // it was not the last word, or there are too many
		req.NoReply = false
		p.refuse(req, WrongArity)
	case string(word) != "noreply":
		if p.words == 0 {
			p.endAdminFirst(word, req)
		}
	case takesNoReply(req.Name, int(p.words)+1):
		req.NoReply = true
		req.NoReplySpan = Span{p.end, end}
	default:
		p.refuse(req, WrongArity)
	}
}

// endAdminFirst takes the word that says what statistics, or what of lru_crawler.
func (p *RequestParser) endAdminFirst(word []byte, req *Request) {
	for i := range refusedWords {
		if r := &refusedWords[i]; r.command == req.Name && r.word == string(word) {
			req.Name = r.name
			p.refuse(req, UnsupportedCommand)
			return
		}
	}
	if p.kind != Stats {
		return
	}
	for i := range statsNames {
		if statsNames[i].word == string(word) {
			req.Name = statsNames[i].name
			return
		}
	}
	p.refuse(req, UnknownCommand) // memcached says the same to statistics that it does not know
}
