package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"sluice/benchmarks/result"
	"sluice/benchmarks/stats"
)

// row is all runs of one target in one case that may be taken together: same label, placement and
// client.
type row struct {
	Side      Side
	Version   string
	Label     string
	Placement string
	Client    string
	Runs      []Run // all, by pair and turn
	Counted   []Run // those that count
}

func rowKey(r Run) [5]string {
	s := r.Spec
	return [5]string{r.Target.Name, r.Target.Variant, r.Label, string(s.Placement), string(s.Client)}
}

// rowsOf groups the runs of a case: Sluice first, then peers by name, then limits.
func rowsOf(runs []Run) []*row {
	byKey := map[[5]string]*row{}
	for _, r := range runs {
		key := rowKey(r)
		if byKey[key] == nil {
			byKey[key] = &row{
				Side:    Side{Target: r.Target.Name, Variant: r.Target.Variant},
				Version: r.Target.Version, Label: r.Label,
				Placement: string(r.Spec.Placement), Client: string(r.Spec.Client),
			}
		}
		byKey[key].Runs = append(byKey[key].Runs, r)
	}
	rows := slices.Collect(maps.Values(byKey))
	slices.SortFunc(rows, func(a, b *row) int {
		return cmp.Or(
			cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.Side.Target, b.Side.Target),
			cmp.Compare(a.Side.Variant, b.Side.Variant), cmp.Compare(a.Placement, b.Placement),
			cmp.Compare(a.Client, b.Client), cmp.Compare(a.Label, b.Label),
		)
	})
	for _, r := range rows {
		r.sortRuns()
	}
	return rows
}

func (r *row) rank() int {
	switch {
	case r.Side.Target == Sluice:
		return 0
	case r.Side.IsPeer():
		return 1
	}
	return 2
}

func (r *row) sortRuns() {
	slices.SortFunc(r.Runs, func(a, b Run) int {
		return cmp.Or(cmp.Compare(a.Plan.Pair, b.Plan.Pair), cmp.Compare(a.Plan.Turn, b.Plan.Turn),
			cmp.Compare(a.File, b.File))
	})
	for _, run := range r.Runs {
		if run.Drop() == "" {
			r.Counted = append(r.Counted, run)
		}
	}
}

// name is unique within a case, given what its other rows are.
func (r *row) name() string { return r.Side.String() }

// qualifiers are what else the row's figures depend on.
func (r *row) qualifiers() string {
	var parts []string
	for _, p := range []string{r.Label, r.Placement, r.Client} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, " · ")
}

// figure is the geometric mean over the pairs that count, with its interval.
func (r *row) figure(metric string) stats.Interval {
	m, ok := metricByName(metric)
	if !ok {
		panic("BUG: no metric " + metric)
	}
	return stats.Values(turns(r.Counted, m, "")).Mean()
}

// burst is the throughput of the burst part of sustained runs.
func (r *row) burst() stats.Interval {
	m, _ := metricByName("produced_mb_s")
	var sustained []stats.Turn
	for _, run := range r.Counted {
		if run.Burst != nil {
			v, why := m.burstOf(run.Result)
			sustained = append(sustained, stats.Turn{Pair: run.Plan.Pair, Value: v, Drop: why})
		}
	}
	return stats.Values(sustained).Mean()
}

// against is this row ÷ other by pairs.
func (r *row) against(other *row, metric string) stats.Interval {
	m, ok := metricByName(metric)
	if !ok {
		panic("BUG: no metric " + metric)
	}
	return stats.Ratios(turns(r.Runs, m, ""), turns(other.Runs, m, "")).Mean()
}

// comparableWith says that a ratio of the rows means something: same placement and client, and no
// broker ceiling against a peer.
func (r *row) comparableWith(other *row) bool {
	return r.sameKind(other) && unequal(slices.Concat(r.Runs, other.Runs)) == ""
}

func (r *row) sameKind(other *row) bool {
	if r.Placement != other.Placement || r.Client != other.Client || r.Label != other.Label {
		return false
	}
	return !other.Side.IsPeer() || r.Label != CeilingLabel
}

// stages are the names of the client stages with at least one value, in the order of a request's way.
func (r *row) stages() []string {
	var names []string
	for _, name := range stageOrder {
		for _, run := range r.Counted {
			if h := run.Stages[name]; h != nil && h.Count() > 0 {
				names = append(names, name)
				break
			}
		}
	}
	return names
}

var stageOrder = []string{
	result.StageAck, result.StageE2E, result.StageFetch, result.StageCatchup,
	result.StageConnect, result.StageHandshake, result.StagePing,
	result.StageCreate, result.StageMetadata, result.StageDelete,
	result.StageLag, result.StageBatch, result.StageQueue, result.StageWire, result.StageSend,
}

// headlineStages are shown and plotted; the rest of stageOrder explains them and is folded away.
const headlineStages = 10

func isHeadline(stage string) bool {
	i := slices.Index(stageOrder, stage)
	return i >= 0 && i < headlineStages
}

// histograms are the counted runs' of one stage.
func (r *row) histograms(stage string) []*result.Histogram {
	var all []*result.Histogram
	for _, run := range r.Counted {
		if h := run.Stages[stage]; h != nil && h.Count() > 0 {
			all = append(all, h)
		}
	}
	return all
}

// merged is all counted runs' values of a stage together; nil if there are none.
func (r *row) merged(stage string) *result.Histogram {
	all := r.histograms(stage)
	if len(all) == 0 {
		return nil
	}
	sum := result.NewHistogram()
	for _, h := range all {
		sum.Merge(h)
	}
	return sum
}

func (r *row) errors() map[string]int64 {
	all := map[string]int64{}
	for _, run := range r.Runs {
		for name, n := range run.Errors {
			all[name] += n
		}
	}
	return all
}
