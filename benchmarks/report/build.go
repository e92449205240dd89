package report

import (
	"fmt"
	"time"

	"sluice/benchmarks/limits"
	"sluice/benchmarks/stats"
)

// Report is everything that is said, computed and formatted; rendering adds nothing.
type Report struct {
	Name         string
	First, Last  time.Time // when the first and the last run began; zero without runs
	Runs         int
	Counted      int
	Pass         int
	Fail         int
	Invalid      int
	BoxInvalid   string // why no goal can count, "" if nothing speaks against it
	Goals        []Judged
	Cases        []Case
	Dropped      []DroppedRun
	Discarded    int // of Dropped, those that the discard rule took
	Limits       Table
	LimitsAbsent []string
	Facts        [][2]string // rows of label and text; an empty text is a heading
	Problems     []Problem
	Targets      Table
	Overview     Table // Sluice against each other target, a line each
	AllRuns      Table
}

// DroppedRun is a run that does not count.
type DroppedRun struct {
	File, Case, Target, Why string
}

// Build computes the report. The error is a histogram that decodes but cannot be encoded again,
// which means a broken library, not a broken run.
func Build(f *Folder) (*Report, error) {
	r := &Report{
		Name: f.Name, Runs: len(f.Runs), Problems: f.Problems, BoxInvalid: limitsInvalid(f),
		Limits: limitTable(f.Limits), Facts: f.Facts.Table(), Targets: targetTable(f),
		AllRuns: runTable(f),
	}
	if len(f.Limits) > 0 {
		r.LimitsAbsent = limits.Missing(f.Limits)
	}
	for _, run := range f.Runs {
		r.see(run)
	}
	for _, g := range f.Goals {
		j := judge(f, g, r.BoxInvalid)
		r.Goals = append(r.Goals, j)
		switch j.Outcome {
		case stats.Pass:
			r.Pass++
		case stats.Fail:
			r.Fail++
		default:
			r.Invalid++
		}
	}
	slugs := map[string]bool{}
	for _, name := range f.caseNames() {
		c, err := buildCase(f, name, unique(fileName(name), slugs))
		if err != nil {
			return nil, err
		}
		r.Cases = append(r.Cases, c)
		r.Overview.Rows = append(r.Overview.Rows, c.overview()...)
	}
	r.Overview.Head = overviewHead
	return r, nil
}

// unique adds a number to a name that is taken, and takes it.
func unique(name string, taken map[string]bool) string {
	free := name
	for n := 2; taken[free]; n++ {
		free = fmt.Sprintf("%s-%d", name, n)
	}
	taken[free] = true
	return free
}

func (r *Report) see(run Run) {
	if !run.Started.IsZero() {
		if r.First.IsZero() || run.Started.Before(r.First) {
			r.First = run.Started.UTC()
		}
		if run.Started.After(r.Last) {
			r.Last = run.Started.UTC()
		}
	}
	why := run.Drop()
	if why == "" {
		r.Counted++
		return
	}
	target := Side{Target: run.Target.Name, Variant: run.Target.Variant}.String()
	r.Dropped = append(r.Dropped, DroppedRun{run.File, run.caseName(), target, why})
	if run.Usage != nil && run.Usage.Host != nil && why == stats.DiscardSteal(run.Usage.Host.StealShare) {
		r.Discarded++
	}
}

func limitTable(measures []limits.Measure) Table {
	t := Table{Head: []string{"limit", "value", "reference row", "share of row", "p50 µs", "p99 µs", "max µs"}}
	for _, m := range measures {
		row, part := none, Cell{Text: none}
		if s, reference, ok := limits.Share(m); ok {
			row, part = significant(reference.Value)+"\u202f"+reference.Unit, plain(percent(s))
			if s < limits.ShareMin {
				part.Sub = "too low"
			}
		}
		t.add(plain(m.Name), plain(significant(m.Value)+"\u202f"+m.Unit), plain(row), part,
			positiveCell(m.P50Us), positiveCell(m.P99Us), positiveCell(m.MaxUs))
	}
	return t.withoutEmptyColumns()
}

func positiveCell(v float64) Cell {
	if v <= 0 {
		return plain(none)
	}
	return plain(significant(v))
}

// targetTable lists who was measured, with versions and counts of runs.
func targetTable(f *Folder) Table {
	t := Table{Head: []string{"target", "version", "runs", "count"}}
	type sum struct{ runs, counted int }
	sums := map[[2]string]*sum{}
	var order [][2]string
	for _, r := range rowsOf(f.Runs) {
		for _, run := range r.Runs {
			key := [2]string{r.name(), run.Target.Version}
			if sums[key] == nil {
				sums[key] = &sum{}
				order = append(order, key)
			}
			sums[key].runs++
			if run.Drop() == "" {
				sums[key].counted++
			}
		}
	}
	for _, key := range order {
		version := key[1]
		if version == "" {
			version = none
		}
		t.add(plain(key[0]), plain(version), plain(fmt.Sprint(sums[key].runs)),
			plain(fmt.Sprint(sums[key].counted)))
	}
	return t
}

// runTable lists every raw run, so that one that looks odd can be found and opened.
func runTable(f *Folder) Table {
	t := Table{Head: []string{"run", "case", "target", "pair", "turn", "MB/s", "errors", "steal", "counts"}}
	for _, run := range f.Runs {
		steal, counts := none, "yes"
		if run.Usage != nil && run.Usage.Host != nil {
			steal = percent(run.Usage.Host.StealShare)
		}
		if run.Drop() != "" {
			counts = "no"
		}
		t.add(plain(run.File), plain(run.caseName()),
			plain(Side{Target: run.Target.Name, Variant: run.Target.Variant}.String()),
			plain(fmt.Sprint(run.Plan.Pair)), plain(fmt.Sprint(run.Plan.Turn)),
			plain(significant(mainCount(run.Result).MBPerSecond())), plain(count64(run.errorCount())),
			plain(steal), plain(counts))
	}
	return t
}
