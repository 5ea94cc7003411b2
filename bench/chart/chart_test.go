package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

// wellFormed fails the test unless the picture is XML, and returns how many
// elements of each name it has.
func wellFormed(t *testing.T, svg string) map[string]int {
	t.Helper()
	found := map[string]int{}
	for decoder := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		if start, ok := token.(xml.StartElement); ok {
			found[start.Name.Local]++
		}
	}
}

func TestBarsAreDrawn(t *testing.T) {
	b := Bars{
		Title: "CPU <a request>", Subtitle: "one & all", Axis: "ratio", One: "base", OneColor: "#000000",
		Groups: []string{"a", "b"},
		Series: []Series{{"x", "#ff0000", []float64{0.5, 7}}, {"y", "#00ff00", []float64{math.NaN(), 1}}},
	}
	svg := b.SVG()
	// The background, three marks of the legend, and a bar for each number that is known.
	if found := wellFormed(t, svg); found["rect"] != 1+3+3 {
		t.Errorf("%d rectangles, want 7, in\n%s", found["rect"], svg)
	}
	half := `width="` + px(plotWidth/4.0) + `" height="9" fill="#ff0000"`
	if !strings.Contains(svg, half) {
		t.Errorf("no bar of 0.5 on an axis up to 2 (%s) in\n%s", half, svg)
	}
	cut := `width="` + px(plotWidth) + `" height="9" fill="#ff0000"`
	if !strings.Contains(svg, cut) || !strings.Contains(svg, ">7.00<") {
		t.Errorf("no bar of 7 that is cut (%s) and says so in\n%s", cut, svg)
	}
	if svg != b.SVG() {
		t.Error("the same numbers have two pictures")
	}
}

func TestRangesAreDrawn(t *testing.T) {
	nan := math.NaN()
	r := Ranges{
		Title: "latency", Axis: "ms", Groups: []string{"slow", "fast"},
		Series: []RangeSeries{{"x", "#ff0000", []Range{{0.1, 0.3, 9}, {nan, nan, nan}}}, {"y", "#00ff00", []Range{{0, 1, 2}, {1, 2, 3}}}},
	}
	svg := r.SVG()
	if found := wellFormed(t, svg); found["circle"] != 2*3 {
		t.Errorf("%d dots, want 6, in\n%s", found["circle"], svg)
	}
	if !strings.Contains(svg, `cx="250"`) {
		t.Errorf("0.1 is not where the axis begins in\n%s", svg)
	}
	wellFormed(t, Ranges{Groups: []string{"nothing"}}.SVG())
}

func TestScales(t *testing.T) {
	series := func(low, high float64) Ranges {
		return Ranges{Series: []RangeSeries{{Values: []Range{{low, low, high}}}}}
	}
	check := func(low, high, from, to float64) {
		t.Helper()
		if a, b := series(low, high).scale(); math.Abs(a-from) > from/100 || math.Abs(b-to) > to/100 {
			t.Errorf("%v to %v: the axis goes from %v to %v, want %v to %v", low, high, a, b, from, to)
		}
	}
	check(0.13, 4, 0.1, 5)
	check(0.06, 60, 0.05, 100)
	check(1, 1, 1, 10)
	if got, want := decades(0.1, 5), []float64{0.1, 0.2, 0.5, 1, 2, 5}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for value, want := range map[float64]float64{0.3: 1, 1.1: 1.25, 9: 2} {
		if got := (Bars{Series: []Series{{Values: []float64{value}}}}).scale(); got != want {
			t.Errorf("%v: the axis ends at %v, want %v", value, got, want)
		}
	}
}
