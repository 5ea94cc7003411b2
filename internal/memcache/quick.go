package memcache

// Short cuts for the lines that make up nearly all traffic, when they are whole
// and plain. Each either takes its line to the last byte or declines without a
// trace, and the general parser starts from the same byte: a short cut never
// accepts or refuses anything that the general parser would judge differently.
// The fuzz targets compare the two, since byte by byte no short cut applies.

// quickDigits bounds the digits of a number here, so that it fits every range.
const quickDigits = 9

// quickLine takes "get key" and "set key flags exptime length" from the front
// of data, with their CRLF. It returns the size of the line, 0 to decline.
func (p *RequestParser) quickLine(data []byte, req *Request) int {
	const name = len("get ")
	if len(data) < name {
		return 0
	}
	isGet := string(data[:name]) == "get "
	if !isGet && string(data[:name]) != "set " {
		return 0
	}
	keyEnd := wordEnd(data, name)
	if keyEnd == name || keyEnd > name+MaxKey || keyEnd+2 > len(data) {
		return 0
	}
	size := keyEnd + 2
	if isGet {
		if data[keyEnd] != '\r' || data[keyEnd+1] != '\n' {
			return 0
		}
		req.Kind = Get
		p.state = requested
	} else if size = p.quickSet(data, keyEnd, req); size == 0 {
		return 0
	}
	req.Keys = append(req.Keys, Span{uint32(name), uint32(keyEnd)})
	req.LineEnd = size
	return size
}

// quickSet takes what follows the key of a set. It returns the size of the line.
func (p *RequestParser) quickSet(data []byte, keyEnd int, req *Request) int {
	_, flagsEnd := quickNumber(data, keyEnd)
	_, exptimeEnd := quickNumber(data, flagsEnd)
	length, end := quickNumber(data, exptimeEnd)
	if end == 0 || end+2 > len(data) || data[end] != '\r' || data[end+1] != '\n' || length > MaxValue {
		return 0
	}
	size := uint32(end + 2)
	req.Kind = Set
	req.Exptime = Span{uint32(flagsEnd + 1), uint32(exptimeEnd)}
	req.Value = Span{size, size + length}
	p.left = length
	p.state = inValue
	if length == 0 {
		p.state = valueCR
	}
	return end + 2
}

// quick takes a whole END, STORED or VALUE line at data[i:]. It returns the index
// past it, 0 to decline.
func (p *ResponseParser) quick(data []byte, i int) int {
	const end, stored = "END\r\n", "STORED\r\n"
	switch rest := data[i:]; {
	case len(rest) >= len(end) && string(rest[:len(end)]) == end:
		p.kind = Values
		p.state = responded
		return i + len(end)
	case len(rest) >= len(stored) && string(rest[:len(stored)]) == stored && p.kind == NoResponse:
		p.kind = Stored
		p.state = responded
		return i + len(stored)
	}
	return p.quickValueLine(data, i)
}

// quickValueLine takes "VALUE key flags length", the start of a value.
func (p *ResponseParser) quickValueLine(data []byte, i int) int {
	key := i + len("VALUE ")
	if len(data) < key || string(data[i:key]) != "VALUE " {
		return 0
	}
	keyEnd := wordEnd(data, key)
	if keyEnd == key || keyEnd > key+MaxKey || keyEnd == len(data) {
		return 0
	}
	_, flagsEnd := quickNumber(data, keyEnd)
	length, end := quickNumber(data, flagsEnd)
	if end == 0 || end+2 > len(data) || data[end] != '\r' || data[end+1] != '\n' {
		return 0
	}
	p.kind = Values
	p.left = length
	p.state = valueBytes
	if length == 0 {
		p.state = valueEndCR
	}
	return end + 2
}

// quickNumber reads a blank at i and the number behind it. It returns the value
// and the index past it, which is before the end of data; 0 to decline. An i of
// 0 says that the word before has declined.
func quickNumber(data []byte, i int) (uint32, int) {
	if i == 0 || i >= len(data) || data[i] != ' ' {
		return 0, 0
	}
	first := i + 1
	value := uint32(0)
	for i = first; i < len(data); i++ {
		d := uint32(data[i] - '0')
		if d > 9 {
			break
		}
		value = value*10 + d
	}
	if i == first || i-first > quickDigits || i == len(data) {
		return 0, 0
	}
	return value, i
}
