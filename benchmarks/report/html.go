package report

import (
	"bytes"
	_ "embed"
	"html/template"
	"strconv"
	"strings"

	"sluice/benchmarks/stats"
)

//go:embed report.html.tmpl
var pageText string

//go:embed report.css
var styleText string

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	// A drawing is markup of our own; the names within it were escaped when it was drawn.
	"inline":  func(p Plot) template.HTML { return template.HTML(p.inline()) },
	"style":   func() template.CSS { return template.CSS(styleText) },
	"lower":   strings.ToLower,
	"checks":  checkTable,
	"method":  func() []string { return method },
	"caveats": func() []caveat { return caveats },
	"facts":   factGroups,
	"day":     func(r *Report) string { return r.days() },
}).Parse(pageText))

// html renders the page.
func (r *Report) html() ([]byte, error) {
	var b bytes.Buffer
	if err := page.Execute(&b, r); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// days is when the runs were made, in UTC.
func (r *Report) days() string {
	if r.First.IsZero() {
		return "no run"
	}
	const layout = "2 January 2006 15:04"
	first, last := r.First.Format(layout), r.Last.Format(layout)
	if first == last {
		return first + " UTC"
	}
	if r.First.Format("20060102") == r.Last.Format("20060102") {
		last = r.Last.Format("15:04")
	}
	return first + " – " + last + " UTC"
}

// checkTable shows the comparisons behind a goal.
func checkTable(j Judged) Table {
	t := Table{Head: []string{"case", "compared with", "figure", "bound", "pairs", "dropped", "verdict"}}
	for _, c := range j.Checks {
		against := c.Against
		if against == "" {
			against = "absolute"
		}
		t.add(Cell{c.Case, c.Way.Of.String() + ", " + c.Way.Metric}, plain(against), checkFigure(c),
			plain(boundText(c)), plain(count64(int64(c.Figure.N))),
			plain(count64(int64(len(c.Series.Dropped)))),
			Cell{string(c.Verdict.Outcome), c.Verdict.Reason})
	}
	return t
}

func checkFigure(c Check) Cell {
	if c.Figure.N == 0 {
		return plain(none)
	}
	cell := Cell{Text: figure(c.Figure.Value, c.Unit), Sub: "too few pairs"}
	if c.Figure.Known() {
		cell.Sub = figure(c.Figure.Low, c.Unit) + " – " + figure(c.Figure.High, c.Unit)
	}
	return cell
}

func boundText(c Check) string {
	sign := "≥ "
	if c.Way.Kind == stats.AtMost {
		sign = "≤ "
	}
	return sign + strconv.FormatFloat(c.Way.Bound, 'g', -1, 64) + "\u202f" + c.Unit
}

// factGroup is a titled part of the host's fingerprint.
type factGroup struct {
	Title string
	Rows  [][2]string
}

func factGroups(rows [][2]string) []factGroup {
	var groups []factGroup
	for _, row := range rows {
		if row[1] == "" {
			groups = append(groups, factGroup{Title: row[0]})
			continue
		}
		if len(groups) == 0 {
			groups = append(groups, factGroup{Title: "Host"})
		}
		last := &groups[len(groups)-1]
		last.Rows = append(last.Rows, row)
	}
	return groups
}
