package resp

import "bytes"

// inline takes a line of words.
func (p *RequestParser) inline(data []byte, req *Request) (n int, done bool, err error) {
	end := bytes.IndexByte(data, '\n')
	seen := end + 1
	if end < 0 {
		seen = len(data)
	}
	if int(p.size)+seen > MaxInline {
		return seen, false, errInlineTooBig
	}
	if end < 0 {
		return p.more(data)
	}
	p.reset()
	req.Inline = true
	return seen, true, nil
}

// AppendInline appends to dst the array that an inline request stands for. Line is the whole request, with its line end.
// An empty line gives an array without arguments, which asks for nothing. Words are split as Redis does: at blanks; within
// "double quotes" the escapes \n \r \t \b \a \\ \" and \xHH count, within 'single quotes' only \'.
func AppendInline(dst, line []byte) ([]byte, error) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if i := bytes.IndexByte(line, 0); i >= 0 {
		line = line[:i] // ends a string in C, and so in Redis
	}
	words, err := splitWords(line)
	if err != nil {
		return dst, err
	}
	dst = AppendArray(dst, len(words))
	for _, word := range words {
		dst = AppendBulk(dst, word)
	}
	return dst, nil
}

func splitWords(line []byte) (words [][]byte, err error) {
	for {
		for len(line) > 0 && isBlank(line[0]) {
			line = line[1:]
		}
		if len(line) == 0 {
			return words, nil
		}
		var word []byte
		if word, line, err = nextWord(line); err != nil {
			return nil, err
		}
		words = append(words, word)
	}
}

// nextWord takes one word off the front of line, which begins with it.
func nextWord(line []byte) (word, rest []byte, err error) {
	word = []byte{}
	for len(line) > 0 && !isBlank(line[0]) {
		switch c := line[0]; c {
		case '"', '\'':
			if word, line, err = quoted(word, line[1:], c); err != nil {
				return nil, nil, err
			}
			if len(line) > 0 && !isBlank(line[0]) {
				return nil, nil, errUnbalancedQuotes // a closing quote ends a word
			}
			return word, line, nil
		default:
			word = append(word, c)
			line = line[1:]
		}
	}
	return word, line, nil
}

// quoted appends to word what stands before the closing quote in line.
func quoted(word, line []byte, quote byte) (_, rest []byte, err error) {
	for len(line) > 0 {
		c := line[0]
		switch {
		case c == quote:
			return word, line[1:], nil
		case c == '\\' && quote == '\'' && len(line) > 1 && line[1] == '\'':
			word = append(word, '\'')
			line = line[2:]
		case c == '\\' && quote == '"' && len(line) > 3 && line[1] == 'x' && isHex(line[2]) && isHex(line[3]):
			word = append(word, hexValue(line[2])<<4|hexValue(line[3]))
			line = line[4:]
		case c == '\\' && quote == '"' && len(line) > 1:
			word = append(word, unescape(line[1]))
			line = line[2:]
		default:
			word = append(word, c)
			line = line[1:]
		}
	}
	return nil, nil, errUnbalancedQuotes
}

func unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'a':
		return '\a'
	}
	return c
}

func isBlank(c byte) bool { return c == ' ' || (c >= '\t' && c <= '\r') }

func isHex(c byte) bool {
	return (c >= '0' && c <= '9') || (c|0x20 >= 'a' && c|0x20 <= 'f')
}

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
