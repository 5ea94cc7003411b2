package resp

import "bytes"

// Reader reads the values of whole responses that lie in one piece, from front to back. It knows both versions of the
// protocol, allocates nothing, and takes for a value exactly what ResponseParser takes for one.
//
//	r := resp.NewReader([]byte("*2\r\n+a\r\n:1\r\n"))
//	list, _ := r.Next()   // list.Kind is Array, list.Count 2; its elements come next
//	first, _ := r.Next()  // first.Text is "a"
type Reader struct {
	data []byte
	at   int
}

// NewReader returns a reader of data, which must stay as it is while it is read. What the reader returns lies in data.
func NewReader(data []byte) Reader { return Reader{data: data} }

// Value is one value; of an aggregate, what stands before its elements.
type Value struct {
	Kind Kind
	// Text is that of a string of any kind, an error, a number or a boolean; nil if the value is null or an aggregate.
	Text []byte
	// Int is the value of an integer.
	Int int64
	// Count is how many values follow that belong to an aggregate: two for each entry of a map. It is -1 for a null
	// aggregate, and for what is none. An attribute's do not include the value that it describes.
	Count int64
	// Null says that there is no value, in any of the four ways to say so.
	Null bool
}

// IsList reports whether the value is an array, a set or a push that is there.
func (v *Value) IsList() bool {
	return !v.Null && (v.Kind == Array || v.Kind == Set || v.Kind == Push)
}

// IsPairs reports whether the value is a list of pairs that is there: a map, or what stands for one in version 2.
func (v *Value) IsPairs() bool {
	return !v.Null && v.Count%2 == 0 && (v.Kind == Map || v.Kind == Array)
}

// IsText reports whether the value is a string of any kind that is there.
func (v *Value) IsText() bool {
	return !v.Null && (v.Kind == BulkString || v.Kind == SimpleString || v.Kind == VerbatimString)
}

// Len is how many bytes have not been read.
func (r *Reader) Len() int { return len(r.data) - r.at }

// Next reads the next value; the elements of an aggregate come with the next calls. It reports false at the end, and for
// what is not the protocol; the reader is where it was then.
func (r *Reader) Next() (v Value, ok bool) {
	if r.at >= len(r.data) {
		return v, false
	}
	v.Kind, v.Count = Kind(r.data[r.at]), -1
	switch v.Kind {
	case SimpleString, SimpleError, Null, Boolean, Double, BigNumber:
		return v, r.line(&v)
	case Integer, BulkString, Array, BulkError, VerbatimString, Map, Set, Push, Attribute:
		return v, r.announced(&v)
	}
	return v, false
}

// line reads a value that is a line of text.
func (r *Reader) line(v *Value) bool {
	rest := r.data[r.at+1:]
	end := bytes.IndexByte(rest, '\r')
	if end < 0 || end+1 >= len(rest) || rest[end+1] != '\n' {
		return false
	}
	r.at += 1 + end + 2
	if v.Kind == Null {
		v.Null = true
		return true
	}
	v.Text = rest[:end:end]
	return true
}

// announced reads a value that begins with a number.
func (r *Reader) announced(v *Value) bool {
	var number numberLine
	used, ended, ok := number.parse(r.data[r.at+1:])
	n := number.value()
	if !ok || !ended {
		return false
	}
	at := r.at + 1 + used
	switch v.Kind {
	case Integer:
		v.Int, v.Text = n, r.data[r.at+1:at-2]
		r.at = at
		return true
	case BulkString, BulkError, VerbatimString:
		return r.body(v, at, n)
	}
	if n < -1 || n > maxPending {
		return false
	}
	switch {
	case n < 0:
		v.Null = true
	case v.Kind == Map || v.Kind == Attribute:
		v.Count = 2 * n
	default:
		v.Count = n
	}
	r.at = at
	return true
}

// body reads the n bytes of a string that begins at a place.
func (r *Reader) body(v *Value, at int, n int64) bool {
	if n == -1 {
		v.Null = true
		r.at = at
		return true
	}
	if n < 0 || n > int64(len(r.data)-at-2) {
		return false
	}
	end := at + int(n)
	if r.data[end] != '\r' || r.data[end+1] != '\n' {
		return false
	}
	v.Text = r.data[at:end:end]
	if v.Kind == VerbatimString && len(v.Text) >= 4 && v.Text[3] == ':' {
		v.Text = v.Text[4:] // what kind of text it is
	}
	r.at = end + 2
	return true
}

// Element reads a whole value, all that belongs to it included, and returns its bytes. It reports false like Next.
func (r *Reader) Element() (raw []byte, ok bool) {
	start := r.at
	for pending := int64(1); pending > 0; pending-- {
		v, ok := r.Next()
		more := max(v.Count, 0)
		if v.Kind == Attribute {
			more++ // the value that it describes
		}
		if !ok || pending+more > maxPending {
			r.at = start
			return nil, false
		}
		pending += more
	}
	return r.data[start:r.at:r.at], true
}

// Skip is Element for who does not want it.
func (r *Reader) Skip() bool {
	_, ok := r.Element()
	return ok
}

// Is reports whether the value is a text of those letters.
func (v *Value) Is(text string) bool { return v.IsText() && string(v.Text) == text }
