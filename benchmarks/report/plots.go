package report

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"sluice/benchmarks/result"
	"sluice/benchmarks/stats"
)

// plots draws a case: throughput as bars and over time, latency by percentile for each headline
// stage.
func (c *Case) plots() ([]Plot, error) {
	all := seriesOf(c.rows)
	var plots []Plot
	add := func(kind, title string, svg []byte) {
		if svg != nil {
			plots = append(plots, Plot{c.Slug + "-" + kind + ".svg", title, svg})
		}
	}
	for _, side := range []struct{ kind, metric string }{
		{"produced", "produced_mb_s"}, {"consumed", "consumed_mb_s"},
	} {
		svg, err := bars(all, side.metric, side.kind+", MB/s")
		if err != nil {
			return nil, err
		}
		add(side.kind, "Throughput "+side.kind+", with 90 % intervals", svg)
		if svg, err = overTime(all, side.kind); err != nil {
			return nil, err
		}
		add(side.kind+"-time", "Throughput "+side.kind+" over time: median and range of runs", svg)
	}
	for _, stage := range stageOrder[:headlineStages] {
		svg, err := byPercentile(all, stage)
		if err != nil {
			return nil, err
		}
		title := "Latency by percentile: " + stage
		if c.LatencyNote != "" {
			title += " (closed loop)"
		}
		add("latency-"+stage, title, svg)
	}
	return plots, nil
}

// bars draws one horizontal bar per row, the first at the top, with its interval; nil if no row has
// the figure.
func bars(all []series, metric, label string) ([]byte, error) {
	type bar struct {
		series
		stats.Interval
	}
	var shown []bar
	for _, s := range slices.Backward(all) {
		if i := s.row.figure(metric); i.N > 0 {
			shown = append(shown, bar{s, i})
		}
	}
	if len(shown) == 0 {
		return nil, nil
	}
	p := newPlot(label, "")
	names := make([]string, len(shown))
	highest := 0.0
	for i, b := range shown {
		names[i] = b.name
		top := b.Value
		if b.Known() {
			top = b.High
		}
		highest = math.Max(highest, top)
		if err := addBar(p, float64(i), b.Interval, b.color); err != nil {
			return nil, err
		}
	}
	p.NominalY(names...)
	p.Y.Tick.Label = textStyle(fontSize)
	p.Y.Tick.Label.XAlign, p.Y.Tick.Label.YAlign = draw.XRight, draw.YCenter
	p.Y.Width = 0.75
	p.Y.Padding = 6
	p.X.Min, p.X.Max = 0, highest*1.2
	p.Y.Min, p.Y.Max = -0.5, float64(len(shown))-0.5
	p.X.Tick.Marker = plot.TickerFunc(func(low, high float64) []plot.Tick { return roundTicks(low, high, 5) })
	return render(p, vg.Length(50+26*len(shown)), nil), nil
}

func addBar(p *plot.Plot, at float64, i stats.Interval, c color.NRGBA) error {
	const half = 0.3
	body, err := plotter.NewPolygon(plotter.XYs{
		{X: 0, Y: at - half}, {X: i.Value, Y: at - half}, {X: i.Value, Y: at + half}, {X: 0, Y: at + half},
	})
	if err != nil {
		return err
	}
	body.Color, body.LineStyle.Width = c, 0
	p.Add(body)
	edge := i.Value
	if i.Known() {
		edge = i.High
		for _, line := range []plotter.XYs{
			{{X: i.Low, Y: at}, {X: i.High, Y: at}},
			{{X: i.Low, Y: at - 0.12}, {X: i.Low, Y: at + 0.12}},
			{{X: i.High, Y: at - 0.12}, {X: i.High, Y: at + 0.12}},
		} {
			whisker, err := plotter.NewLine(line)
			if err != nil {
				return err
			}
			whisker.Color, whisker.Width = ink, 1
			p.Add(whisker)
		}
	}
	style := textStyle(fontSize)
	style.YAlign = draw.YCenter
	p.Add(&plotter.Labels{
		XYs: plotter.XYs{{X: edge, Y: at}}, Labels: []string{tickText(rounded(i.Value))},
		TextStyle: []draw.TextStyle{style}, Offset: vg.Point{X: 5},
	})
	return nil
}

// rounded keeps four significant digits.
func rounded(v float64) float64 {
	scale := math.Pow(10, 3-math.Floor(math.Log10(v)))
	return math.Round(v*scale) / scale
}

// overTime draws the median of the runs at each second, and their range as a band.
func overTime(all []series, side string) ([]byte, error) {
	p := newPlot("seconds of measured time", side+", MB/s")
	p.Add(grid())
	highest := 0.0
	var legend []series
	var medians []plotter.XYs
	for _, s := range all {
		low, mid, high := bySecond(s.row.Counted, side)
		if len(mid) < 2 {
			continue
		}
		legend, medians = append(legend, s), append(medians, mid)
		if err := addBand(p, low, high, s.color); err != nil {
			return nil, err
		}
		for _, pt := range high {
			highest = math.Max(highest, pt.Y)
		}
	}
	if len(legend) == 0 || highest == 0 {
		return nil, nil
	}
	// The first row, Sluice's, is drawn last and so on top.
	for i, mid := range slices.Backward(medians) {
		if err := addLine(p, mid, legend[i]); err != nil {
			return nil, err
		}
	}
	p.X.Min = 0
	p.Y.Min, p.Y.Max = 0, highest*1.05
	p.X.Tick.Marker = plot.TickerFunc(func(low, high float64) []plot.Tick { return roundTicks(low, high, 6) })
	p.Y.Tick.Marker = plot.TickerFunc(func(low, high float64) []plot.Tick { return roundTicks(low, high, 5) })
	return render(p, plotHeight, legend), nil
}

// bySecond gives the lowest, middle and highest throughput of the runs in each interval of the
// series, as far as every run reaches. Intervals without traffic on this side in any run give nil.
func bySecond(runs []Run, side string) (low, mid, high plotter.XYs) {
	length := 0
	for i, run := range runs {
		if i == 0 || len(run.Series) < length {
			length = len(run.Series)
		}
	}
	any := false
	for k := range length {
		var values []float64
		for _, run := range runs {
			v := rateAt(run.Series, k, side)
			any = any || v > 0
			values = append(values, v)
		}
		slices.Sort(values)
		n := len(values)
		x := runs[0].Series[k].Second
		low = append(low, plotter.XY{X: x, Y: values[0]})
		mid = append(mid, plotter.XY{X: x, Y: (values[(n-1)/2] + values[n/2]) / 2})
		high = append(high, plotter.XY{X: x, Y: values[n-1]})
	}
	if !any {
		return nil, nil, nil
	}
	return low, mid, high
}

func rateAt(points []result.Point, k int, side string) float64 {
	from := 0.0
	if k > 0 {
		from = points[k-1].Second
	}
	bytes := points[k].ProducedBytes
	if side == "consumed" {
		bytes = points[k].ConsumedBytes
	}
	seconds := points[k].Second - from
	if seconds <= 0 {
		return 0
	}
	return float64(bytes) / 1e6 / seconds
}

func addBand(p *plot.Plot, low, high plotter.XYs, c color.NRGBA) error {
	outline := slices.Clone(high)
	for _, pt := range slices.Backward(low) {
		outline = append(outline, pt)
	}
	band, err := plotter.NewPolygon(outline)
	if err != nil {
		return err
	}
	c.A = 0x2e
	band.Color, band.LineStyle.Width = c, 0
	p.Add(band)
	return nil
}

func addLine(p *plot.Plot, points plotter.XYs, s series) error {
	line, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	line.Color, line.Width, line.Dashes = s.color, 1.6, s.dashes
	p.Add(line)
	return nil
}

func grid() *plotter.Grid {
	g := plotter.NewGrid()
	g.Vertical = draw.LineStyle{Color: faint, Width: 0.5}
	g.Horizontal = draw.LineStyle{Color: faint, Width: 0.5}
	return g
}

// logFrom is the ratio of the largest to the smallest latency drawn from which the axis is
// logarithmic.
const logFrom = 30

// byPercentile draws a stage on HdrHistogram's axis, x = log10(1 ÷ (1 − p)): each further nine is as
// wide as the one before. A line ends where one sample remains beyond it.
func byPercentile(all []series, stage string) ([]byte, error) {
	var legend []series
	var lines []plotter.XYs
	smallest, largest, widest := math.Inf(1), 0.0, 0.0
	for _, s := range all {
		h := s.row.merged(stage)
		if h == nil {
			continue
		}
		points := percentileLine(h)
		if len(points) < 2 {
			continue
		}
		legend, lines = append(legend, s), append(lines, points)
		last := points[len(points)-1]
		smallest, largest = math.Min(smallest, points[0].Y), math.Max(largest, last.Y)
		widest = math.Max(widest, last.X)
	}
	if len(lines) == 0 {
		return nil, nil
	}
	unit, scale := "µs", 1e-3
	if smallest >= 1e6 {
		unit, scale = "ms", 1e-6
	}
	axis := newLatencyAxis(smallest*scale, largest*scale)
	p := newPlot("percentile", fmt.Sprintf("%s latency, %s%s", stage, unit, axis.remark))
	p.Add(grid())
	for i, points := range slices.Backward(lines) {
		for k := range points {
			points[k].Y = axis.at(points[k].Y * scale)
		}
		if err := addLine(p, points, legend[i]); err != nil {
			return nil, err
		}
	}
	p.X.Min, p.X.Max = 0, math.Max(widest, 1)
	p.X.Tick.Marker = plot.ConstantTicks(percentileTicks(p.X.Max))
	p.Y.Min, p.Y.Max = axis.low, axis.high
	p.Y.Tick.Marker = plot.ConstantTicks(axis.ticks)
	return render(p, plotHeight, legend), nil
}

// percentileLine is in ns. Values of zero are lifted to 1 ns, for a logarithmic axis.
func percentileLine(h *result.Histogram) plotter.XYs {
	end := math.Log10(float64(h.Count()))
	var points plotter.XYs
	for _, step := range h.Distribution() {
		x := end
		if step.Percentile < 100 {
			x = math.Min(-math.Log10(1-step.Percentile/100), end)
		}
		y := math.Max(float64(step.Value), 1)
		if n := len(points); n > 0 && points[n-1].X == x {
			points[n-1].Y = y
			continue
		}
		points = append(points, plotter.XY{X: x, Y: y})
	}
	return points
}

// percentileTicks leave out names for which a long axis, or a short distance, has no room.
func percentileTicks(end float64) []plot.Tick {
	ticks := []plot.Tick{{Value: 0, Label: "0%"}}
	if end <= 3 {
		ticks = append(ticks, plot.Tick{Value: math.Log10(2), Label: "50%"})
	}
	names := []string{"90%", "99%", "99.9%", "99.99%", "99.999%", "99.9999%", "99.99999%", "99.999999%"}
	for i, name := range names {
		x := float64(i + 1)
		if x > end+1e-9 {
			break
		}
		if end > 6 && x > 3 && i%2 == 0 {
			name = ""
		}
		ticks = append(ticks, plot.Tick{Value: x, Label: name})
	}
	return ticks
}

// latencyAxis is linear from zero, or logarithmic where the values span more than logFrom. The
// plotting library centres the title of a logarithmic scale by value and so leaves a gap above the
// plot; here the positions are logarithms on a linear scale.
type latencyAxis struct {
	at        func(v float64) float64
	low, high float64 // as at gives them
	ticks     []plot.Tick
	remark    string
}

func newLatencyAxis(smallest, largest float64) latencyAxis {
	if largest < smallest*logFrom {
		high := largest * 1.05
		return latencyAxis{func(v float64) float64 { return v }, 0, high, roundTicks(0, high, 5), ""}
	}
	low, high := stepBelow(smallest), 1/stepBelow(1/largest)
	ticks := logTicks(low, high)
	for i := range ticks {
		ticks[i].Value = math.Log10(ticks[i].Value)
	}
	return latencyAxis{math.Log10, math.Log10(low), math.Log10(high), ticks, " (log)"}
}

// stepBelow is the next 1, 2 or 5 times a power of ten at or below v.
func stepBelow(v float64) float64 {
	base := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{5, 2} {
		if m*base <= v {
			return m * base
		}
	}
	return base
}

// logTicks names the powers of ten, and marks the steps between them.
func logTicks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for e := math.Floor(math.Log10(low)); math.Pow(10, e) <= high; e++ {
		base := math.Pow(10, e)
		for k := 1.0; k < 10; k++ {
			v := k * base
			if v < low*(1-1e-9) || v > high*(1+1e-9) {
				continue
			}
			label := ""
			if k == 1 {
				label = tickText(v)
			}
			ticks = append(ticks, plot.Tick{Value: v, Label: label})
		}
	}
	return ticks
}
