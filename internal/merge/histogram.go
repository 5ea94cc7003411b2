package merge

import (
	"slices"

	"nutmeg/internal/resp"
)

// histogram is what LATENCY HISTOGRAM says of one command.
type histogram struct {
	name    []byte // as it came
	kind    resp.Kind
	calls   int64
	buckets map[int64]int64 // by upper bound: calls within it and above the bucket before
}

// appendHistogram adds histograms up. A server counts in each bucket those of all smaller ones, too, and leaves out what
// adds nothing, so the counts are taken apart first.
func appendHistogram(dst []byte, in *Responses) ([]byte, error) {
	var all []*histogram
	places := map[string]*histogram{}
	var kind resp.Kind
	for i, body := range in.Bodies {
		r, head, err := openPairs(body)
		if err != nil {
			return dst, err
		}
		if i == 0 {
			kind = head.Kind
		}
		for range head.Count / 2 {
			name, ok := r.Element()
			if !ok {
				return dst, ErrShape
			}
			h := places[string(name)]
			if h == nil {
				h = &histogram{name: name, kind: kind, buckets: map[int64]int64{}}
				places[string(name)] = h
				all = append(all, h)
			}
			if err := h.take(&r); err != nil {
				return dst, err
			}
		}
		if r.Len() > 0 {
			return dst, ErrShape
		}
	}
	dst = appendPairsHeader(dst, kind, len(all))
	var err error
	for _, h := range all {
		if dst, err = h.append(dst); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// take adds the next value of a reader, which is what a server says of the command.
func (h *histogram) take(r *resp.Reader) error {
	head, ok := r.Next()
	if !ok || !head.IsPairs() {
		return ErrShape
	}
	for range head.Count / 2 {
		key, ok := text(r)
		switch {
		case !ok:
			return ErrShape
		case string(key) == "calls":
			n, ok := integer(r)
			if !ok || n < 0 {
				return ErrShape
			}
			if h.calls, ok = add(h.calls, n); !ok {
				return ErrRange
			}
		case string(key) == "histogram_usec":
			if err := h.takeBuckets(r); err != nil {
				return err
			}
		case !r.Skip():
			return ErrShape
		}
	}
	return nil
}

func (h *histogram) takeBuckets(r *resp.Reader) error {
	head, ok := r.Next()
	if !ok || !head.IsPairs() {
		return ErrShape
	}
	before := int64(0)
	for range head.Count / 2 {
		bound, isBound := integer(r)
		count, isCount := integer(r)
		if !isBound || !isCount || count < before {
			return ErrShape
		}
		if h.buckets[bound], ok = add(h.buckets[bound], count-before); !ok {
			return ErrRange
		}
		before = count
	}
	return nil
}

func (h *histogram) append(dst []byte) ([]byte, error) {
	dst = append(dst, h.name...)
	dst = appendPairsHeader(dst, h.kind, 2)
	dst = resp.AppendInteger(resp.AppendBulk(dst, "calls"), h.calls)
	dst = appendPairsHeader(resp.AppendBulk(dst, "histogram_usec"), h.kind, len(h.buckets))
	bounds := make([]int64, 0, len(h.buckets))
	for bound := range h.buckets {
		bounds = append(bounds, bound)
	}
	slices.Sort(bounds)
	sum := int64(0)
	for _, bound := range bounds {
		var ok bool
		if sum, ok = add(sum, h.buckets[bound]); !ok {
			return dst, ErrRange
		}
		dst = resp.AppendInteger(resp.AppendInteger(dst, bound), sum)
	}
	return dst, nil
}
