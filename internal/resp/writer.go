package resp

import "strconv"

// AppendArray appends the header of an array of n elements.
func AppendArray(dst []byte, n int) []byte { return appendNumber(dst, '*', int64(n)) }

// AppendHeader appends what stands before the n elements of an aggregate, or the n entries of a map.
func AppendHeader(dst []byte, kind Kind, n int) []byte {
	return appendNumber(dst, byte(kind), int64(n))
}

// AppendBulk appends a bulk string.
func AppendBulk[T []byte | string](dst []byte, value T) []byte {
	dst = appendNumber(dst, '$', int64(len(value)))
	dst = append(dst, value...)
	return append(dst, '\r', '\n')
}

// AppendText appends a text of many lines: a verbatim string, which only version 3 has, or a bulk string.
func AppendText(dst []byte, verbatim bool, text []byte) []byte {
	if !verbatim {
		return AppendBulk(dst, text)
	}
	const kind = "txt:"
	dst = appendNumber(dst, byte(VerbatimString), int64(len(kind)+len(text)))
	return append(append(append(dst, kind...), text...), '\r', '\n')
}

// AppendInteger appends an integer.
func AppendInteger(dst []byte, n int64) []byte { return appendNumber(dst, ':', n) }

// AppendCommand appends a request.
func AppendCommand(dst []byte, args ...string) []byte {
	dst = AppendArray(dst, len(args))
	for _, arg := range args {
		dst = AppendBulk(dst, arg)
	}
	return dst
}

// AppendError appends an error. Text begins with the code, such as ERR. Line ends in it become blanks.
func AppendError(dst []byte, text string) []byte {
	dst = append(dst, '-')
	for _, c := range []byte(text) {
		if c == '\r' || c == '\n' {
			c = ' '
		}
		dst = append(dst, c)
	}
	return append(dst, '\r', '\n')
}

func appendNumber(dst []byte, kind byte, n int64) []byte {
	dst = append(dst, kind)
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, '\r', '\n')
}
