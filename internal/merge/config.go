package merge

import (
	"bytes"
	"fmt"

	"nutmeg/internal/resp"
)

// setting is a name of CONFIG GET and each server's value.
type setting struct {
	name   []byte // as it came
	values []serverValue
}

type serverValue struct {
	server int
	text   []byte
	raw    []byte
}

// appendConfig answers with the value that all servers agree on. Where they do not, no value would be true: the answer
// names each server's, so that nobody takes it for the value of all. A name that some servers lack is shown likewise.
func appendConfig(dst []byte, in *Responses) ([]byte, error) {
	var all []*setting
	places := map[string]*setting{}
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
			name, named := r.Element()
			ahead := r
			v, ok := ahead.Next()
			raw, whole := r.Element()
			if !named || !ok || !whole || !v.IsText() {
				return dst, ErrShape
			}
			s := places[string(name)]
			if s == nil {
				s = &setting{name: name}
				places[string(name)] = s
				all = append(all, s)
			}
			s.values = append(s.values, serverValue{i, v.Text, raw})
		}
		if r.Len() > 0 {
			return dst, ErrShape
		}
	}
	dst = appendPairsHeader(dst, kind, len(all))
	for _, s := range all {
		dst = append(dst, s.name...)
		if s.agreed(len(in.Bodies)) {
			dst = append(dst, s.values[0].raw...)
			continue
		}
		dst = resp.AppendBulk(dst, s.differing(in))
	}
	return dst, nil
}

func (s *setting) agreed(servers int) bool {
	for i := range s.values {
		if !bytes.Equal(s.values[i].text, s.values[0].text) {
			return false
		}
	}
	return len(s.values) >= servers
}

func (s *setting) differing(in *Responses) []byte {
	text := []byte("differs:")
	for i := range s.values {
		v := &s.values[i]
		text = fmt.Appendf(text, " %s=%s", in.server(v.server), v.text)
	}
	return text
}
