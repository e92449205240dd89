package report

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"

	"sluice/benchmarks/stats"
)

// none is what a table shows where there is no figure.
const none = "–"

// Cell is one field of a table: a figure and, smaller, its interval or a remark.
type Cell struct {
	Text string
	Sub  string
}

// Table is ready to be printed. The first column holds names, the others figures.
type Table struct {
	Head []string
	Rows [][]Cell
}

func (t *Table) add(cells ...Cell) { t.Rows = append(t.Rows, cells) }

func plain(text string) Cell { return Cell{Text: text} }

// significant prints a figure with four significant digits and groups of thousands: what a run of
// this kind can know at best.
func significant(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return none
	}
	if v == 0 {
		return "0"
	}
	digits := 3 - int(math.Floor(math.Log10(math.Abs(v))))
	if digits < 0 {
		scale := math.Pow(10, float64(-digits))
		return grouped(strconv.FormatFloat(math.Round(v/scale)*scale, 'f', 0, 64))
	}
	if digits > 6 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	whole, fraction, _ := strings.Cut(text, ".")
	if fraction == "" {
		return grouped(whole)
	}
	return grouped(whole) + "." + fraction
}

// grouped puts a thin space between groups of three digits, from five digits on a comma-free form
// that reads the same in every country.
func grouped(whole string) string {
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	if len(whole) < 5 {
		return sign + whole
	}
	var b strings.Builder
	for i, digit := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteRune('\u202f')
		}
		b.WriteRune(digit)
	}
	return sign + b.String()
}

// estimate prints an interval's value with its bounds, scaled.
func estimate(i stats.Interval, scale float64) Cell {
	if i.N == 0 {
		return plain(none)
	}
	c := Cell{Text: significant(i.Value * scale)}
	if i.Known() {
		c.Sub = bounds(i, scale)
	}
	return c
}

func bounds(i stats.Interval, scale float64) string {
	return significant(i.Low*scale) + "\u2009–\u2009" + significant(i.High*scale)
}

// ratio prints with three significant digits and a times sign.
func ratio(i stats.Interval) Cell {
	if i.N == 0 {
		return plain(none)
	}
	c := Cell{Text: times(i.Value) + "\u202f×", Sub: "too few pairs"}
	if i.Known() {
		c.Sub = times(i.Low) + "\u2009–\u2009" + times(i.High)
	}
	return c
}

// times prints three significant digits, from 100 on whole numbers.
func times(v float64) string {
	digits := 0
	switch {
	case v >= 100:
	case v >= 10:
		digits = 1
	case v >= 1:
		digits = 2
	case v >= 0.1:
		digits = 3
	default:
		digits = 4
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}

func percent(share float64) string {
	return strconv.FormatFloat(share*100, 'f', 1, 64) + "\u202f%"
}

// size prints bytes in MiB, or GiB from ten on.
func size(bytes float64) string {
	if sizeUnit(bytes) == 1<<30 {
		return significant(bytes/(1<<30)) + "\u202fGiB"
	}
	return significant(bytes/(1<<20)) + "\u202fMiB"
}

func sizeUnit(bytes float64) float64 {
	if bytes >= 10*(1<<30) {
		return 1 << 30
	}
	return 1 << 20
}

// figure prints a value in a metric's unit.
func figure(v float64, unit string) string {
	switch unit {
	case "bytes":
		return size(v)
	case "×":
		return times(v) + "\u202f×"
	}
	return significant(v) + "\u202f" + unit
}

func count64(n int64) string { return grouped(strconv.FormatInt(n, 10)) }

// fileName makes a name that every file system and URL takes.
func fileName(parts ...string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(strings.Join(parts, "-")) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			b.WriteRune(r)
		case r == '.' && b.Len() > 0 && !strings.HasSuffix(b.String(), ".") && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('.')
		case !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	name := strings.Trim(b.String(), "-.")
	if name == "" {
		return fmt.Sprintf("unnamed-%d", len(parts))
	}
	return name
}

func escape(text string) string { return html.EscapeString(text) }
