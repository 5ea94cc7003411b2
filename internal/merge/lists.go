package merge

import (
	"bytes"
	"fmt"

	"nutmeg/internal/resp"
)

func appendFirst(dst []byte, in *Responses) ([]byte, error) { return append(dst, in.Bodies[0]...), nil }

func appendSame(dst []byte, in *Responses) ([]byte, error) {
	for _, body := range in.Bodies[1:] {
		if !bytes.Equal(body, in.Bodies[0]) {
			return dst, ErrDiffer
		}
	}
	return appendFirst(dst, in)
}

// appendSuccess takes the first success. Without one it takes the error that says most: that nothing runs here is what
// all servers say but the one that matters.
func appendSuccess(dst []byte, in *Responses) ([]byte, error) {
	best := in.Bodies[0]
	idle := true
	for _, body := range in.Bodies {
		text, isError := resp.ErrorText(body)
		if !isError {
			return append(dst, body...), nil
		}
		if idle && !bytes.HasPrefix(text, []byte("NOTBUSY")) {
			best, idle = body, false
		}
	}
	return append(dst, best...), nil
}

// appendConcat puts the elements of lists behind one another. A command such as ACL LOG may answer with a status as well.
func appendConcat(dst []byte, in *Responses) ([]byte, error) {
	if v, err := read(in.Bodies[0]); err == nil && v.Kind == resp.SimpleString {
		return appendSame(dst, in)
	}
	kind, total, err := listsOf(in)
	if err != nil {
		return dst, err
	}
	dst = resp.AppendHeader(dst, kind, int(total))
	for _, body := range in.Bodies {
		r, head, _ := openList(body)
		for range head.Count {
			raw, ok := r.Element()
			if !ok {
				return dst, ErrShape
			}
			dst = append(dst, raw...)
		}
		if r.Len() > 0 {
			return dst, ErrShape
		}
	}
	return dst, nil
}

// listsOf is the kind that all lists are of, and how many elements they have together.
func listsOf(in *Responses) (kind resp.Kind, total int64, err error) {
	for i, body := range in.Bodies {
		r, head, err := openList(body)
		if err != nil {
			return 0, 0, err
		}
		if i == 0 {
			kind = head.Kind
		}
		if head.Kind != kind || head.Count > int64(r.Len()) { // an element is a byte at least
			return 0, 0, ErrShape
		}
		total += head.Count
	}
	return kind, total, nil
}

func appendUnion(dst []byte, in *Responses) ([]byte, error) {
	return unionBy(dst, in, func(raw []byte) ([]byte, bool) { return raw, true })
}

// unionBy keeps the first element of each name.
func unionBy(dst []byte, in *Responses, name func(raw []byte) ([]byte, bool)) ([]byte, error) {
	kind, _, err := listsOf(in)
	if err != nil {
		return dst, err
	}
	seen := map[string]struct{}{}
	var kept []byte
	for _, body := range in.Bodies {
		r, head, _ := openList(body)
		for range head.Count {
			raw, ok := r.Element()
			if !ok {
				return dst, ErrShape
			}
			name, ok := name(raw)
			if !ok {
				return dst, ErrShape
			}
			if _, twice := seen[string(name)]; twice {
				continue
			}
			seen[string(name)] = struct{}{}
			kept = append(kept, raw...)
		}
		if r.Len() > 0 {
			return dst, ErrShape
		}
	}
	return append(resp.AppendHeader(dst, kind, len(seen)), kept...), nil
}

// appendSumByName adds the numbers of names. All servers were asked for the same names, so they come in the same order.
func appendSumByName(dst []byte, in *Responses) ([]byte, error) {
	readers := make([]resp.Reader, len(in.Bodies))
	var first resp.Value
	for i, body := range in.Bodies {
		r, head, err := openPairs(body)
		if err != nil {
			return dst, err
		}
		if i == 0 {
			first = head
		}
		if head.Kind != first.Kind || head.Count != first.Count {
			return dst, ErrShape
		}
		readers[i] = r
	}
	dst = appendPairsHeader(dst, first.Kind, int(first.Count/2))
	for range first.Count / 2 {
		var name []byte
		var sum int64
		for i := range readers {
			raw, named := readers[i].Element()
			n, counted := integer(&readers[i])
			if i == 0 {
				name = raw
			}
			var inRange bool
			if sum, inRange = add(sum, n); !inRange {
				return dst, ErrRange
			}
			if !named || !counted || !bytes.Equal(raw, name) {
				return dst, ErrShape
			}
		}
		dst = resp.AppendInteger(append(dst, name...), sum)
	}
	for i := range readers {
		if readers[i].Len() > 0 {
			return dst, ErrShape
		}
	}
	return dst, nil
}

// appendRandom takes the response of one of those that are not null.
func appendRandom(dst []byte, in *Responses) ([]byte, error) {
	var there [][]byte
	for _, body := range in.Bodies {
		v, err := read(body)
		if err != nil {
			return dst, err
		}
		if !v.Null {
			there = append(there, body)
		}
	}
	if len(there) == 0 {
		return appendFirst(dst, in)
	}
	return append(dst, there[in.Random%uint64(len(there))]...), nil
}

// appendTexts puts texts that are made for people behind one another. An error is a text, too, unless it is all there is.
func appendTexts(dst []byte, in *Responses) ([]byte, error) {
	var all []byte
	var kind resp.Kind
	for i, body := range in.Bodies {
		v, err := read(body)
		switch {
		case err != nil || !v.IsText() && v.Kind != resp.SimpleError:
			return dst, ErrShape
		case kind == 0 && v.Kind != resp.SimpleError:
			kind = v.Kind
		}
		all = fmt.Appendf(all, "# server %s\n%s\n", in.server(i), bytes.TrimRight(v.Text, "\n"))
	}
	if kind == 0 {
		return appendFirst(dst, in)
	}
	return resp.AppendText(dst, kind == resp.VerbatimString, all), nil
}
