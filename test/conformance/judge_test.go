package conformance

import "testing"

// A difference that is excused must not hide that the connection hangs or is closed behind it.
func TestDifferenceHidesNoHang(t *testing.T) {
	says := func(text string, s status) outcome {
		return outcome{line: text, status: s, raw: []byte(text), value: value{kind: '+', text: []byte(text)}}
	}
	want := []outcome{says("a", replied), says("b", replied)}
	for end, verdict := range map[status]verdict{hung: hanging, closed: closing, replied: different} {
		got := []outcome{says("x", replied), says("b", end)}
		if f := judge(want, got, nil); f.verdict != verdict {
			t.Errorf("a difference, and then %v: the verdict is %v, want %v", end, f.verdict, verdict)
		}
	}
}
