package merge

import "nutmeg/internal/resp"

// appendLibraries is for FUNCTION LIST. Libraries are loaded on all servers, and each server lists them in an order of its own.
func appendLibraries(dst []byte, in *Responses) ([]byte, error) {
	return unionBy(dst, in, func(raw []byte) ([]byte, bool) {
		r, found, ok := field(raw, "library_name")
		if !ok || !found {
			return nil, false
		}
		return text(&r)
	})
}

// field finds a field of a value that is pairs; the reader's next value is the field's.
func field(raw []byte, name string) (r resp.Reader, found, ok bool) {
	r, head, err := openPairs(raw)
	if err != nil {
		return r, false, false
	}
	for range head.Count / 2 {
		key, ok := text(&r)
		switch {
		case !ok:
			return r, false, false
		case string(key) == name:
			return r, true, true
		case !r.Skip():
			return r, false, false
		}
	}
	return r, false, true
}

// appendFunctionStats takes the first response that tells of a running script, else the first.
func appendFunctionStats(dst []byte, in *Responses) ([]byte, error) {
	best := -1
	for i, body := range in.Bodies {
		r, found, ok := field(body, "running_script")
		if !ok {
			return dst, ErrShape
		}
		if !found || best >= 0 {
			continue
		}
		if v, ok := r.Next(); ok && !v.Null {
			best = i
		}
	}
	return append(dst, in.Bodies[max(best, 0)]...), nil
}
