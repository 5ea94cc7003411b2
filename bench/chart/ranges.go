package chart

import (
	"math"
)

// Range is three percentiles of a latency, the middle one between the others.
type Range struct{ Low, Mid, High float64 }

// RangeSeries is the ranges of one name, one for each group; one with a NaN, or
// a number that is not above 0, is left out.
type RangeSeries struct {
	Name, Color string
	Values      []Range
}

// Ranges is a picture of latencies on a logarithmic axis: in each group a line
// for each series, from its low to its high percentile, with the middle one as
// the largest dot.
type Ranges struct {
	Title, Subtitle string
	Axis            string
	Groups          []string
	Series          []RangeSeries
}

const (
	rangeHeight   = 15
	rangeGroupGap = 14
)

// SVG draws the picture.
func (r Ranges) SVG() string {
	c := &canvas{}
	c.heading(r.Title, r.Subtitle)
	var marks []mark
	for _, s := range r.Series {
		marks = append(marks, mark{s.Name, s.Color})
	}
	c.legend(marks)
	least, most := r.scale()
	at := func(value float64) float64 {
		return labelWidth + plotWidth*(math.Log(value)-math.Log(least))/(math.Log(most)-math.Log(least))
	}
	groupHeight := float64(len(r.Series)*rangeHeight + rangeGroupGap)
	top := c.y
	bottom := top + float64(len(r.Groups))*groupHeight
	steps := decades(least, most)
	for _, tick := range steps {
		c.line(at(tick), top, at(tick), bottom, 1, grid)
		if len(steps) <= roomForSteps || isPower(tick) {
			c.text(at(tick), bottom+16, middle, 12, pale, short(tick))
		}
	}
	c.text(labelWidth+plotWidth/2, bottom+36, middle, 12.5, ink, r.Axis)
	for i, name := range r.Groups {
		y := top + float64(i)*groupHeight
		if i > 0 {
			c.line(16, y, labelWidth+plotWidth, y, 1, grid)
		}
		c.text(labelWidth-10, y+groupHeight/2+4, finish, 12.5, ink, name)
		r.group(c, i, y+rangeGroupGap/2+rangeHeight/2, at)
	}
	c.y = bottom + 50
	return c.svg(r.Title)
}

func (r Ranges) group(c *canvas, i int, y float64, at func(float64) float64) {
	for _, s := range r.Series {
		if v := s.Values[i]; v.known() {
			c.line(at(v.Low), y, at(v.High), y, 2, s.Color)
			c.dot(at(v.Low), y, 2.5, s.Color)
			c.dot(at(v.Mid), y, 4.5, s.Color)
			c.dot(at(v.High), y, 2.5, s.Color)
		}
		y += rangeHeight
	}
}

// roomForSteps is how many numbers fit under the axis; if there are more, only
// the powers of ten are written.
const roomForSteps = 12

func isPower(x float64) bool {
	log := math.Log10(x)
	return math.Abs(log-math.Round(log)) < 0.01
}

// known also keeps NaN out: every comparison with it is false.
func (v Range) known() bool { return v.Low > 0 && v.Mid > 0 && v.High > 0 }

// scale is where the axis begins and ends: at 1, 2 or 5 of a power of ten.
func (r Ranges) scale() (least, most float64) {
	least, most = math.Inf(1), 0
	for _, s := range r.Series {
		for _, v := range s.Values {
			if v.known() {
				least, most = min(least, v.Low), max(most, v.High)
			}
		}
	}
	if most == 0 {
		return 0.1, 10 // nothing to draw
	}
	steps := decades(least/10, most*10)
	from, to := steps[0], steps[len(steps)-1]
	for _, step := range steps {
		if step <= least {
			from = step
		}
	}
	for i := len(steps) - 1; i >= 0 && steps[i] >= most; i-- {
		to = steps[i]
	}
	return from, max(to, from*10)
}

// decades are the numbers 1, 2 and 5, times a power of ten, from least to most.
func decades(least, most float64) []float64 {
	var all []float64
	for power := math.Floor(math.Log10(least)); power <= math.Ceil(math.Log10(most)); power++ {
		for _, digit := range []float64{1, 2, 5} {
			// Dividing by a power of ten is exact where multiplying by 0.001 is not.
			tick := digit * math.Pow(10, power)
			if power < 0 {
				tick = digit / math.Pow(10, -power)
			}
			if tick >= least*0.999 && tick <= most*1.001 {
				all = append(all, tick)
			}
		}
	}
	return all
}
