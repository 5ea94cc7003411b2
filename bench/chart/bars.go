package chart

import (
	"math"
	"strconv"
)

// Series is the numbers of one name, one for each group; NaN is left out.
type Series struct {
	Name, Color string
	Values      []float64
}

// Bars is a picture of ratios: a group of bars for each name in Groups, and a
// line at 1 for what they are ratios to.
type Bars struct {
	Title, Subtitle string
	Axis            string // what the numbers are
	One             string // whose number is 1
	OneColor        string
	Groups          []string
	Series          []Series
}

const (
	barHeight = 9
	barGap    = 2
	groupGap  = 12
	mostRatio = 2 // a longer bar is cut; its number is written all the same
)

// SVG draws the picture.
func (b Bars) SVG() string {
	c := &canvas{}
	c.heading(b.Title, b.Subtitle)
	marks := []mark{}
	for _, s := range b.Series {
		marks = append(marks, mark{s.Name, s.Color})
	}
	c.legend(append(marks, mark{b.One + " = 1", b.OneColor}))
	end := b.scale()
	at := func(value float64) float64 { return labelWidth + min(value, end)/end*plotWidth }
	top := c.y
	bottom := top + float64(len(b.Groups))*b.groupHeight()
	for _, tick := range ticks(end) {
		c.line(at(tick), top, at(tick), bottom, 1, grid)
		c.text(at(tick), bottom+16, middle, 12, pale, short(tick))
	}
	c.text(labelWidth+plotWidth/2, bottom+36, middle, 12.5, ink, b.Axis)
	b.each(top, func(i int, s Series, y float64) {
		c.rect(labelWidth, y, at(s.Values[i])-labelWidth, barHeight, s.Color)
	})
	c.line(at(1), top-4, at(1), bottom, 1.6, b.OneColor)
	b.each(top, func(i int, s Series, y float64) {
		c.label(at(s.Values[i])+4, y+barHeight-1, strconv.FormatFloat(s.Values[i], 'f', 2, 64))
	})
	for i, name := range b.Groups {
		c.text(labelWidth-10, top+(float64(i)+0.5)*b.groupHeight()+4, finish, 12.5, ink, name)
	}
	c.y = bottom + 50
	return c.svg(b.Title)
}

// each calls draw for every number that is known: the group, the series, and
// the upper end of the bar.
func (b Bars) each(top float64, draw func(i int, s Series, y float64)) {
	for i := range b.Groups {
		y := top + float64(i)*b.groupHeight() + groupGap/2
		for _, s := range b.Series {
			if !math.IsNaN(s.Values[i]) {
				draw(i, s, y)
			}
			y += barHeight + barGap
		}
	}
}

func (b Bars) groupHeight() float64 {
	return float64(len(b.Series))*(barHeight+barGap) + groupGap
}

// scale is the end of the axis: the largest ratio, rounded up to a quarter.
func (b Bars) scale() float64 {
	most := 1.0
	for _, s := range b.Series {
		for _, v := range s.Values {
			if !math.IsNaN(v) {
				most = max(most, v)
			}
		}
	}
	return min(mostRatio, math.Ceil(most*4)/4)
}

func ticks(end float64) []float64 {
	var all []float64
	for t := 0.0; t <= end; t += 0.25 {
		all = append(all, t)
	}
	return all
}

// short writes a number of an axis without needless digits.
func short(x float64) string { return strconv.FormatFloat(x, 'g', 4, 64) }
