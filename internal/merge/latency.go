package merge

import (
	"cmp"
	"slices"

	"nutmeg/internal/resp"
)

// timed is an element of a list, and the time that it tells of.
type timed struct {
	at  int64
	raw []byte
}

// timedOf collects the elements of lists whose field at an index is a time.
func timedOf(in *Responses, index int) (kind resp.Kind, all []timed, err error) {
	if kind, _, err = listsOf(in); err != nil {
		return 0, nil, err
	}
	for _, body := range in.Bodies {
		r, head, _ := openList(body)
		for range head.Count {
			raw, ok := r.Element()
			if !ok {
				return 0, nil, ErrShape
			}
			entry, fields, err := openList(raw)
			if err != nil || fields.Count <= int64(index) {
				return 0, nil, ErrShape
			}
			for range index {
				ok = ok && entry.Skip()
			}
			at, is := integer(&entry)
			if !ok || !is {
				return 0, nil, ErrShape
			}
			all = append(all, timed{at, raw})
		}
		if r.Len() > 0 {
			return 0, nil, ErrShape
		}
	}
	return kind, all, nil
}

func appendTimed(dst []byte, kind resp.Kind, all []timed) []byte {
	dst = resp.AppendHeader(dst, kind, len(all))
	for i := range all {
		dst = append(dst, all[i].raw...)
	}
	return dst
}

// appendSlowlog sorts the entries, which have their time behind a number of their server's own.
func appendSlowlog(dst []byte, in *Responses) ([]byte, error) {
	kind, all, err := timedOf(in, 1)
	if err != nil {
		return dst, err
	}
	slices.SortStableFunc(all, func(a, b timed) int { return cmp.Compare(b.at, a.at) })
	if in.Limit >= 0 && int64(len(all)) > in.Limit {
		all = all[:in.Limit]
	}
	return appendTimed(dst, kind, all), nil
}

// appendHistory sorts the entries of one event, which begin with their time.
func appendHistory(dst []byte, in *Responses) ([]byte, error) {
	kind, all, err := timedOf(in, 0)
	if err != nil {
		return dst, err
	}
	slices.SortStableFunc(all, func(a, b timed) int { return cmp.Compare(a.at, b.at) })
	return appendTimed(dst, kind, all), nil
}

// latest is an entry of LATENCY LATEST.
type latest struct {
	raw             []byte // the event's name
	at, last, worst int64
}

func appendLatest(dst []byte, in *Responses) ([]byte, error) {
	kind, _, err := listsOf(in)
	if err != nil {
		return dst, err
	}
	var all []latest
	places := map[string]int{}
	for _, body := range in.Bodies {
		r, head, _ := openList(body)
		for range head.Count {
			raw, ok := r.Element()
			if !ok {
				return dst, ErrShape
			}
			one, ok := latestOf(raw)
			if !ok {
				return dst, ErrShape
			}
			if place, known := places[string(one.raw)]; known {
				all[place].take(&one)
				continue
			}
			places[string(one.raw)] = len(all)
			all = append(all, one)
		}
		if r.Len() > 0 {
			return dst, ErrShape
		}
	}
	dst = resp.AppendHeader(dst, kind, len(all))
	for i := range all {
		e := &all[i]
		dst = append(resp.AppendHeader(dst, resp.Array, 4), e.raw...)
		dst = resp.AppendInteger(resp.AppendInteger(resp.AppendInteger(dst, e.at), e.last), e.worst)
	}
	return dst, nil
}

func latestOf(raw []byte) (one latest, ok bool) {
	r, head, err := openList(raw)
	if err != nil || head.Count != 4 {
		return one, false
	}
	if one.raw, ok = r.Element(); !ok {
		return one, false
	}
	var at, last, worst bool
	one.at, at = integer(&r)
	one.last, last = integer(&r)
	one.worst, worst = integer(&r)
	return one, at && last && worst
}

// take takes what another server says of the same event.
func (e *latest) take(other *latest) {
	e.worst = max(e.worst, other.worst)
	if other.at > e.at {
		e.at, e.last = other.at, other.last
	}
}
