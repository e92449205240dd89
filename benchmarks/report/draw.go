package report

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"regexp"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Plot is one drawing.
type Plot struct {
	File  string // its name below plots/
	Title string // for readers who cannot see it, and above it
	svg   []byte
}

// A plot is drawn small enough that its text is still legible at the width of a phone, where the
// page shrinks it to about two thirds.
const (
	plotWidth  = 380 * vg.Length(1)
	plotHeight = 250 * vg.Length(1)
	fontSize   = 11
	legendRow  = 16
	legendDash = 26
)

// Colours are Okabe and Ito's, told apart by readers with any colour vision; dashes say it again.
// In the page each becomes a CSS variable, so that dark mode can lighten it.
var (
	ink     = color.NRGBA{0x22, 0x26, 0x2b, 0xff}
	faint   = color.NRGBA{0xd9, 0xdc, 0xe0, 0xff}
	palette = []color.NRGBA{
		{0x00, 0x72, 0xb2, 0xff}, // blue
		{0xd5, 0x5e, 0x00, 0xff}, // vermilion
		{0x00, 0x9e, 0x73, 0xff}, // green
		{0xcc, 0x79, 0xa7, 0xff}, // pink
		{0xe6, 0x9f, 0x00, 0xff}, // orange
		{0x6b, 0x70, 0x78, 0xff}, // grey
	}
	dashes = [][]vg.Length{nil, {6, 3}, {2, 2}, {8, 2, 2, 2}, {1, 3}}
)

// grey is kept for limits.
const greyIndex = 5

// series is how a row of a case is drawn in each of its plots.
type series struct {
	row    *row
	name   string
	color  color.NRGBA
	dashes []vg.Length
}

// seriesOf gives each row a colour by its target and a dash by its place among that target's rows.
func seriesOf(rows []*row) []series {
	fixed := map[string]int{Sluice: 0, "kafka": 1, "nats": 2, "kfake": 3}
	next := map[string]int{}
	var all []series
	for _, r := range rows {
		target := r.Side.Target
		index, known := fixed[target]
		family := target
		switch {
		case r.rank() == 2:
			index, family = greyIndex, LimitPrefix
		case !known:
			index, family = 4, "other"
		}
		all = append(all, series{
			row: r, name: seriesName(r, rows), color: palette[index],
			dashes: dashes[next[family]%len(dashes)],
		})
		next[family]++
	}
	return all
}

// seriesName adds to a row's name what tells it apart from its namesakes.
func seriesName(r *row, rows []*row) string {
	for _, other := range rows {
		if other != r && other.name() == r.name() {
			return r.name() + ", " + r.qualifiers()
		}
	}
	return r.name()
}

func textStyle(size float64) text.Style {
	return text.Style{
		Color:   ink,
		Font:    font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, font.Length(size)),
		Handler: plot.DefaultTextHandler,
	}
}

// newPlot gives an empty plot in the report's manner.
func newPlot(x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Color = ink
		axis.Tick.Color = ink
		axis.Width, axis.Tick.Width = 0.75, 0.75
		axis.Tick.Length = 4
		label, tick := textStyle(fontSize), textStyle(fontSize)
		label.XAlign, label.YAlign = axis.Label.TextStyle.XAlign, axis.Label.TextStyle.YAlign
		label.Rotation = axis.Label.TextStyle.Rotation
		tick.XAlign, tick.YAlign = axis.Tick.Label.XAlign, axis.Tick.Label.YAlign
		axis.Label.TextStyle, axis.Tick.Label = label, tick
		axis.Padding = 0
	}
	p.X.Label.Text, p.Y.Label.Text = x, y
	return p
}

// render draws a plot with its legend above it, outside of the lines.
func render(p *plot.Plot, height vg.Length, legend []series) []byte {
	rows := legendRows(legend)
	legendHeight := vg.Length(len(rows)) * legendRow
	canvas := vgsvg.NewWith(vgsvg.UseWH(plotWidth, height+legendHeight))
	c := draw.New(canvas)
	for i, entries := range rows {
		drawLegend(c, entries, height+legendHeight-vg.Length(i+1)*legendRow)
	}
	p.Draw(draw.Crop(c, 2, -12, 2, -legendHeight-6))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		panic("BUG: writing to memory failed: " + err.Error())
	}
	return b.Bytes()
}

// legendRows breaks the entries into rows that fit.
func legendRows(legend []series) [][]series {
	var rows [][]series
	width := plotWidth
	for _, s := range legend {
		w := entryWidth(s)
		if width+w > plotWidth {
			rows, width = append(rows, nil), 0
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], s)
		width += w
	}
	return rows
}

func entryWidth(s series) vg.Length {
	return legendDash + 5 + textStyle(fontSize).Width(s.name) + 16
}

func drawLegend(c draw.Canvas, entries []series, y vg.Length) {
	x := vg.Length(4)
	style := textStyle(fontSize)
	style.YAlign = draw.YCenter
	for _, s := range entries {
		line := draw.LineStyle{Color: s.color, Width: 2, Dashes: s.dashes}
		c.StrokeLine2(line, x, y+5, x+legendDash, y+5)
		c.FillText(style, vg.Point{X: x + legendDash + 5, Y: y + 5}, s.name)
		x += entryWidth(s)
	}
}

var (
	svgSize  = regexp.MustCompile(`<svg width="([0-9.]+)pt" height="([0-9.]+)pt" viewBox`)
	svgProlo = regexp.MustCompile(`(?s)^.*?<svg`)
	svgFont  = regexp.MustCompile(`font-family:[^;"]*;font-variant:[^;"]*;font-weight:[^;"]*;font-style:[^;"]*;?`)
)

// inline is the drawing as part of the page: without a prolog, as wide as its column, in the page's
// colours and font.
func (p Plot) inline() string {
	s := svgProlo.ReplaceAllString(string(p.svg), "<svg")
	s = svgSize.ReplaceAllString(s, `<svg role="img" aria-label="`+escape(p.Title)+`" viewBox`)
	s = svgFont.ReplaceAllString(s, "")
	s = strings.ReplaceAll(s, hex(ink), "var(--ink)")
	s = strings.ReplaceAll(s, hex(faint), "var(--grid)")
	for i, c := range palette {
		s = strings.ReplaceAll(s, hex(c), fmt.Sprintf("var(--s%d)", i))
	}
	return strings.ReplaceAll(s, "\n\t", " ")
}

// File is the drawing by itself, on white.
func (p Plot) standalone() []byte {
	s := svgFont.ReplaceAllString(string(p.svg), "font-family:'Liberation Sans',Arial,Helvetica,sans-serif;")
	const white = `<rect width="100%" height="100%" fill="#FFFFFF"/>`
	at := strings.Index(s, "<g transform=")
	if at < 0 {
		return []byte(s)
	}
	return []byte(s[:at] + white + "\n" + s[at:])
}

func hex(c color.NRGBA) string { return fmt.Sprintf("#%02X%02X%02X", c.R, c.G, c.B) }

// roundTicks are at most about count ticks at round values from zero or low up.
func roundTicks(low, high float64, count int) []plot.Tick {
	step := roundStep((high - low) / float64(count))
	var ticks []plot.Tick
	for k := math.Ceil(low / step); k*step <= high*(1+1e-9); k++ {
		v := k * step
		ticks = append(ticks, plot.Tick{Value: v, Label: tickText(v)})
	}
	return ticks
}

func roundStep(rough float64) float64 {
	if !(rough > 0) {
		return 1
	}
	base := math.Pow(10, math.Floor(math.Log10(rough)))
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		if m*base >= rough {
			return m * base
		}
	}
	return 10 * base
}

func tickText(v float64) string {
	text := fmt.Sprintf("%.6g", v)
	if v >= 10_000 && v < 1e15 {
		text = grouped(fmt.Sprintf("%.0f", v))
	}
	// The drawing's font has no narrow space; the page's has, but widths must agree.
	return strings.ReplaceAll(text, "\u202f", " ")
}
