package merge

import "nutmeg/internal/resp"

// fold makes one integer of integers.
func fold(dst []byte, in *Responses, next func(a, b int64) (int64, bool)) ([]byte, error) {
	var result int64
	for i, body := range in.Bodies {
		n, ok := resp.ParseInteger(body)
		if !ok {
			return dst, ErrShape
		}
		if i == 0 {
			result = n
			continue
		}
		if result, ok = next(result, n); !ok {
			return dst, ErrRange
		}
	}
	return resp.AppendInteger(dst, result), nil
}

func appendSum(dst []byte, in *Responses) ([]byte, error) { return fold(dst, in, add) }

func appendMin(dst []byte, in *Responses) ([]byte, error) {
	return fold(dst, in, func(a, b int64) (int64, bool) { return min(a, b), true })
}

func appendMax(dst []byte, in *Responses) ([]byte, error) {
	return fold(dst, in, func(a, b int64) (int64, bool) { return max(a, b), true })
}

func appendAnd(dst []byte, in *Responses) ([]byte, error) {
	return truths(dst, in, func(a, b bool) bool { return a && b })
}

func appendOr(dst []byte, in *Responses) ([]byte, error) {
	return truths(dst, in, func(a, b bool) bool { return a || b })
}

// truths combines truth values, one or a list of them, place by place.
func truths(dst []byte, in *Responses, combine func(a, b bool) bool) ([]byte, error) {
	var result []bool
	var shape, element resp.Kind
	for i, body := range in.Bodies {
		r := resp.NewReader(body)
		head, ok := r.Next()
		n := int64(1)
		if head.IsList() {
			n = head.Count
		} else {
			r = resp.NewReader(body)
		}
		if i == 0 {
			shape = head.Kind
		}
		if !ok || head.Kind != shape || i > 0 && n != int64(len(result)) {
			return dst, ErrShape
		}
		for at := range n {
			v, ok := r.Next()
			truth, is := truthOf(&v)
			switch {
			case !ok || !is || element != 0 && v.Kind != element:
				return dst, ErrShape
			case i == 0:
				element = v.Kind
				result = append(result, truth)
			default:
				result[at] = combine(result[at], truth)
			}
		}
		if r.Len() > 0 {
			return dst, ErrShape
		}
	}
	if shape != element || shape == 0 {
		dst = resp.AppendHeader(dst, shape, len(result))
	}
	for _, truth := range result {
		dst = appendTruth(dst, element, truth)
	}
	return dst, nil
}

// truthOf is a truth value as servers write it: an integer, or a boolean of version 3.
func truthOf(v *resp.Value) (truth, ok bool) {
	switch v.Kind {
	case resp.Integer:
		return v.Int != 0, true
	case resp.Boolean:
		return string(v.Text) == "t", true
	}
	return false, false
}

func appendTruth(dst []byte, kind resp.Kind, truth bool) []byte {
	switch {
	case kind == resp.Boolean && truth:
		return append(dst, "#t\r\n"...)
	case kind == resp.Boolean:
		return append(dst, "#f\r\n"...)
	case truth:
		return resp.AppendInteger(dst, 1)
	}
	return resp.AppendInteger(dst, 0)
}
