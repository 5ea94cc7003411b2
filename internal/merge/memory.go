package merge

import "nutmeg/internal/resp"

// deepest bounds how far values of MEMORY STATS may be within one another: a database is within the whole.
const deepest = 4

// sums is a map whose numbers are added up, in the order in which its fields came.
type sums struct {
	kind   resp.Kind
	fields []sumField
	places map[string]int
}

// sumField is a number or a map.
type sumField struct {
	name   []byte // as it came
	number int64
	nested *sums
}

// appendMemory adds up bytes and counts. Ratios and averages are left out: those of the whole do not follow from them.
func appendMemory(dst []byte, in *Responses) ([]byte, error) {
	all := &sums{places: map[string]int{}}
	for _, body := range in.Bodies {
		r := resp.NewReader(body)
		if err := all.take(&r, deepest); err != nil {
			return dst, err
		}
		if r.Len() > 0 {
			return dst, ErrShape
		}
	}
	return all.append(dst), nil
}

// take adds the next value of a reader, which has to be a map.
func (s *sums) take(r *resp.Reader, deepest int) error {
	head, ok := r.Next()
	if !ok || !head.IsPairs() || deepest == 0 {
		return ErrShape
	}
	s.kind = head.Kind
	for range head.Count / 2 {
		raw, ok := r.Element()
		if !ok {
			return ErrShape
		}
		if err := s.takeField(raw, r, deepest); err != nil {
			return err
		}
	}
	return nil
}

func (s *sums) takeField(raw []byte, r *resp.Reader, deepest int) error {
	ahead := *r
	v, ok := ahead.Next()
	name := resp.NewReader(raw)
	key, named := text(&name)
	switch {
	case !ok || !named:
		return ErrShape
	case v.Kind == resp.Integer && string(key) != "keys.bytes-per-key":
		*r = ahead
		f, _ := s.field(key, raw)
		if f.nested != nil {
			return ErrShape
		}
		sum, inRange := add(f.number, v.Int)
		if !inRange {
			return ErrRange
		}
		f.number = sum
	case v.IsPairs():
		f, fresh := s.field(key, raw)
		if fresh {
			f.nested = &sums{places: map[string]int{}}
		}
		if f.nested == nil {
			return ErrShape
		}
		return f.nested.take(r, deepest-1)
	case !r.Skip():
		return ErrShape
	}
	return nil
}

// field is the field of a name; fresh says that it was not there.
func (s *sums) field(key, raw []byte) (f *sumField, fresh bool) {
	place, known := s.places[string(key)]
	if !known {
		place = len(s.fields)
		s.places[string(key)] = place
		s.fields = append(s.fields, sumField{name: raw})
	}
	return &s.fields[place], !known
}

func (s *sums) append(dst []byte) []byte {
	dst = appendPairsHeader(dst, s.kind, len(s.fields))
	for i := range s.fields {
		f := &s.fields[i]
		dst = append(dst, f.name...)
		if f.nested != nil {
			dst = f.nested.append(dst)
			continue
		}
		dst = resp.AppendInteger(dst, f.number)
	}
	return dst
}
