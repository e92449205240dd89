package report

import (
	"fmt"
	"slices"

	"sluice/benchmarks/limits"
	"sluice/benchmarks/stats"
)

// rowsInvalid says which of the rows that a verdict rests on is missing, or too low to be believed.
func rowsInvalid(measured []limits.Measure, rows []string) string {
	for _, name := range rows {
		i := slices.IndexFunc(measured, func(m limits.Measure) bool { return m.Name == name })
		if i < 0 {
			return fmt.Sprintf("limits.json has no %s, so nothing shows that the limit was itself", name)
		}
		reached, _, ok := limits.Share(measured[i])
		switch {
		case !ok:
			return fmt.Sprintf("limit %s has no reference row that it could be checked by", name)
		case !(reached >= limits.ShareMin):
			return fmt.Sprintf("limit %s reached %s of its reference row, under %s", name, percent(reached),
				percent(limits.ShareMin))
		}
	}
	return ""
}

// ceilings hold what the goal asks for against its ceiling, a sentence for each case and peer of
// which there are runs.
func (g Goal) ceilings(f *Folder) []string {
	if g.Ceiling == nil {
		return nil
	}
	var all []string
	for _, name := range g.Cases {
		for _, against := range g.Against {
			if text := g.ceiling(f, name, against); text != "" && against.IsPeer() {
				all = append(all, text)
			}
		}
	}
	return all
}

// ceiling is bound × peer ÷ limit, by pairs, of the limit server that leaves the most room. What is
// asked is beyond the machine only if the whole interval is.
func (g Goal) ceiling(f *Folder, name string, against Side) string {
	below, _ := metricByName(g.denominatorMetric())
	theirs := f.side(against, name, g.Label)
	var best stats.Interval
	limit := ""
	for _, target := range g.Ceiling.Targets {
		top := f.side(Side{Target: target}, name, g.Label)
		if unequal(slices.Concat(theirs, top)) != "" {
			continue
		}
		i := stats.Ratios(g.turnsAgainst(against, theirs, below), g.turnsAgainst(against, top, below)).Mean()
		if i.N > 0 && (limit == "" || i.Value < best.Value) {
			best, limit = i, target
		}
	}
	if limit == "" {
		return ""
	}
	best.Value, best.Low, best.High = g.Bound*best.Value, g.Bound*best.Low, g.Bound*best.High
	lead := "within this machine"
	switch {
	case best.Known() && best.Low > 1:
		lead = "beyond this machine"
	case best.Value > 1:
		lead = "perhaps beyond this machine"
	}
	cell := share(best)
	return fmt.Sprintf("%s: %g × %s would be %s (%s) of what %s alone reaches here (%s)", lead, g.Bound, against,
		cell.Text, cell.Sub, g.Ceiling.Text, limit)
}

// shareTable puts Sluice and its peers beside each other as parts of what the limit servers of the
// case reached under the same load. Without a peer the table of ratios says the same.
func (c *Case) shareTable() Table {
	t := Table{Head: []string{"target", "limit", "throughput"}}
	peer := false
	for _, r := range c.rows {
		for _, limit := range c.rows {
			if r.rank() < 2 && limit.rank() == 2 && r.comparableWith(limit) {
				throughput, _ := limit.headline()
				t.add(Cell{r.name(), r.qualifiers()}, plain(limit.name()), r.compared(limit, throughput))
				peer = peer || r.Side.IsPeer()
			}
		}
	}
	if !peer {
		return Table{}
	}
	return t
}
