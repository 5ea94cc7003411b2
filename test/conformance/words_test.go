package conformance

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// splitWords cuts a line of a case into the words of a command. Words stand between spaces. A word in double quotes may
// hold \n \r \t \a \b \\ \" and \xHH; one in single quotes is taken as it is.
func splitWords(line string) (words [][]byte, err error) {
	for rest := strings.TrimLeft(line, " \t"); rest != ""; rest = strings.TrimLeft(rest, " \t") {
		var word []byte
		word, rest, err = nextWord(rest)
		if err != nil {
			return nil, err
		}
		words = append(words, word)
	}
	return words, nil
}

func nextWord(line string) (word []byte, rest string, err error) {
	switch line[0] {
	case '\'':
		end := strings.IndexByte(line[1:], '\'')
		if end < 0 {
			return nil, "", fmt.Errorf("no closing ' in %s", line)
		}
		return []byte(line[1 : 1+end]), line[end+2:], nil
	case '"':
		return quotedWord(line[1:])
	}
	end := strings.IndexAny(line, " \t")
	if end < 0 {
		end = len(line)
	}
	return repeats([]byte(line[:end])), line[end:], nil
}

func quotedWord(line string) (word []byte, rest string, err error) {
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '"':
			return repeats(word), line[i+1:], nil
		case '\\':
			b, n := escaped(line[i+1:])
			word = append(word, b)
			i += n
		default:
			word = append(word, line[i])
		}
	}
	return nil, "", fmt.Errorf("no closing \" in %s", line)
}

// escaped is the byte that stands behind a backslash, and how many characters it takes.
func escaped(s string) (b byte, n int) {
	if len(s) >= 3 && s[0] == 'x' {
		if v, err := strconv.ParseUint(s[1:3], 16, 8); err == nil {
			return byte(v), 3
		}
	}
	if s == "" {
		return '\\', 0
	}
	if i := strings.IndexByte("nrtab", s[0]); i >= 0 {
		return "\n\r\t\a\b"[i], 1
	}
	return s[0], 1
}

var repeated = regexp.MustCompile(`@\{([^{}*]+)\*(\d+)\}`)

// repeats writes out what is too long for a file: @{ab*3} is ababab.
func repeats(word []byte) []byte {
	return repeated.ReplaceAllFunc(word, func(m []byte) []byte {
		part := repeated.FindSubmatch(m)
		times, err := strconv.Atoi(string(part[2]))
		if err != nil {
			return m
		}
		return bytes.Repeat(part[1], times)
	})
}

// appendCommand appends the array of bulk strings that a client sends.
func appendCommand(dst []byte, words [][]byte) []byte {
	dst = fmt.Appendf(dst, "*%d\r\n", len(words))
	for _, w := range words {
		dst = fmt.Appendf(dst, "$%d\r\n%s\r\n", len(w), w)
	}
	return dst
}
