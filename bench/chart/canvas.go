// Package chart draws the two kinds of pictures that the benchmark makes, as
// SVG: bars for ratios, and ranges for latencies. A picture is a function of its
// data: the same numbers give the same bytes.
package chart

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
)

// Sizes in pixels. Texts are not measured: a letter is taken to be letterWidth
// wide, which is generous for the fonts that browsers use.
const (
	width       = 860
	labelWidth  = 250 // left of the plot
	rightMargin = 50  // for the number behind a long bar
	letterWidth = 7
	lineHeight  = 18
	plotWidth   = width - labelWidth - rightMargin
)

const (
	ink  = "#24292f"
	pale = "#6e7781"
	grid = "#e4e7eb"
)

// canvas collects the elements of a picture from its top to its bottom.
type canvas struct {
	elements strings.Builder
	y        float64 // where the next line begins
}

func (c *canvas) add(format string, args ...any) {
	fmt.Fprintf(&c.elements, format+"\n", args...)
}

func (c *canvas) rect(x, y, w, h float64, fill string) {
	c.add(`<rect x="%s" y="%s" width="%s" height="%s" fill="%s"/>`, px(x), px(y), px(w), px(h), fill)
}

func (c *canvas) line(x1, y1, x2, y2, thick float64, stroke string) {
	c.add(`<line x1="%s" y1="%s" x2="%s" y2="%s" stroke="%s" stroke-width="%s"/>`, px(x1), px(y1), px(x2), px(y2), stroke, px(thick))
}

func (c *canvas) dot(x, y, r float64, fill string) {
	c.add(`<circle cx="%s" cy="%s" r="%s" fill="%s"/>`, px(x), px(y), px(r), fill)
}

// The anchors of a text: where its x is.
const (
	begin  = "start"
	middle = "middle"
	finish = "end"
)

func (c *canvas) text(x, y float64, anchor string, size float64, color, text string) {
	var escaped strings.Builder
	_ = xml.EscapeText(&escaped, []byte(text)) // a strings.Builder takes everything
	c.add(`<text x="%s" y="%s" text-anchor="%s" font-size="%s" fill="%s">%s</text>`, px(x), px(y), anchor, px(size), color, &escaped)
}

// label is a small text that stays readable on a line or a bar.
func (c *canvas) label(x, y float64, text string) {
	c.add(`<text x="%s" y="%s" font-size="10" fill="%s" stroke="#ffffff" stroke-width="3" paint-order="stroke">%s</text>`, px(x), px(y), pale, text)
}

// heading writes the title and what it means, line by line.
func (c *canvas) heading(title, subtitle string) {
	c.y = 30
	c.text(16, c.y, begin, 17, ink, title)
	for line := range strings.Lines(subtitle) {
		c.y += lineHeight
		c.text(16, c.y, begin, 12.5, pale, strings.TrimSpace(line))
	}
	c.y += 14
}

// mark is one entry of a legend.
type mark struct{ name, color string }

// legend writes names behind their colours.
func (c *canvas) legend(marks []mark) {
	x := 16.0
	for _, m := range marks {
		if length := 18 + float64(len(m.name))*letterWidth; x+length > width {
			x, c.y = 16, c.y+lineHeight
		}
		c.rect(x, c.y, 12, 12, m.color)
		c.text(x+18, c.y+10.5, begin, 12.5, ink, m.name)
		x += 18 + float64(len(m.name))*letterWidth + 16
	}
	c.y += 30
}

// svg is the whole picture.
func (c *canvas) svg(title string) string {
	var escaped strings.Builder
	_ = xml.EscapeText(&escaped, []byte(title))
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%s" viewBox="0 0 %[1]d %[2]s" font-family="Helvetica, Arial, sans-serif" role="img">
<title>%s</title>
<rect width="100%%" height="100%%" fill="#ffffff"/>
%s</svg>
`, width, px(c.y), &escaped, &c.elements)
}

// px writes a number of pixels, short.
func px(x float64) string {
	text := strconv.FormatFloat(x, 'f', 1, 64)
	return strings.TrimSuffix(text, ".0")
}
