package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"sluice/benchmarks/result"
	"sluice/benchmarks/stats"
)

// ratioMetrics are what Sluice is compared by, in this order.
var ratioMetrics = []struct{ name, text string }{
	{"produced_mb_s", "produced MB/s"},
	{"consumed_mb_s", "consumed MB/s"},
	{"requests_s", "requests/s"},
	{"p50_ack", "p50 of ack"},
	{"p99_ack", "p99 of ack"},
	{"p999_ack", "p99.9 of ack"},
	{"p50_e2e", "p50 of e2e"},
	{"p99_e2e", "p99 of e2e"},
	{"p999_e2e", "p99.9 of e2e"},
	{"p50_fetch", "p50 of fetch"},
	{"p99_fetch", "p99 of fetch"},
	{"broker_cpu_s_per_gb", "broker CPU-s/GB"},
	{"host_cpu_s_per_gb", "host CPU-s/GB"},
	{"broker_cpu_us_per_request", "broker CPU µs/request"},
	{"rss_anon_bytes", "RssAnon peak"},
	{"start_to_first_ack_s", "start to first ack"},
}

// ratioTables compares each row of Sluice with every comparable row of the case.
func (c *Case) ratioTables() []Ratios {
	var all []Ratios
	for _, ours := range c.rows {
		if ours.Side.Target != Sluice {
			continue
		}
		var others []*row
		for _, r := range c.rows {
			if r.Side.Target != Sluice && ours.comparableWith(r) {
				others = append(others, r)
			}
		}
		if t := compareTable(ours, others); len(t.Rows) > 0 {
			title := ours.name()
			if q := ours.qualifiers(); q != "" {
				title += " (" + q + ")"
			}
			all = append(all, Ratios{title, t})
		}
	}
	return all
}

func compareTable(ours *row, others []*row) Table {
	t := Table{Head: []string{"divided by"}}
	for _, m := range ratioMetrics {
		t.Head = append(t.Head, m.text)
	}
	for _, o := range others {
		cells := []Cell{{o.name(), o.qualifiers()}}
		for _, m := range ratioMetrics {
			cells = append(cells, ours.compared(o, m.name))
		}
		t.add(cells...)
	}
	return t.withoutEmptyColumns()
}

// compared prints this row ÷ other: the throughput of a limit as a share, everything else as a
// ratio. Latencies that say nothing about a difference are left out (notLatencies).
func (r *row) compared(other *row, metric string) Cell {
	m, ok := metricByName(metric)
	if !ok {
		panic("BUG: no metric " + metric)
	}
	if m.Stage != "" {
		return r.comparedLatency(other, metric)
	}
	i := r.against(other, metric)
	if other.rank() == 2 && !m.LessIsBetter && i.N > 0 {
		return share(i)
	}
	return ratio(i)
}

var overviewHead = []string{
	"case", "Sluice MB/s", "compared with", "throughput", "p50", "p99", "broker CPU-s/GB", "host CPU-s/GB",
}

// overview is one line for each row of Sluice and each target that it can be compared with.
func (c *Case) overview() [][]Cell {
	var lines [][]Cell
	for _, ours := range c.rows {
		if ours.Side.Target != Sluice {
			continue
		}
		throughput, stage := ours.headline()
		figure := estimate(ours.figure(throughput), 1)
		alone := true
		for _, o := range c.rows {
			if o.Side.Target == Sluice || !ours.comparableWith(o) {
				continue
			}
			alone = false
			lines = append(lines, []Cell{
				{c.Name, ours.qualifiers()},
				figure, plain(o.name()),
				ours.compared(o, throughput), ours.compared(o, "p50_"+stage), ours.compared(o, "p99_"+stage),
				ours.compared(o, "broker_cpu_s_per_gb"), ours.compared(o, "host_cpu_s_per_gb"),
			})
		}
		if alone {
			empty := plain(none)
			lines = append(lines, []Cell{
				{c.Name, ours.qualifiers()}, figure, empty, empty, empty, empty, empty, empty,
			})
		}
	}
	return lines
}

// headline names the throughput metric and the latency stage that the row is about.
func (r *row) headline() (throughput, stage string) {
	throughput = "produced_mb_s"
	if r.figure(throughput).N == 0 {
		throughput = "consumed_mb_s"
	}
	for _, name := range r.stages() {
		if name == result.StageE2E {
			return throughput, name
		}
		if stage == "" && (name == result.StageAck || name == result.StageFetch || name == result.StagePing) {
			stage = name
		}
	}
	if stage == "" {
		stage = result.StageAck
	}
	return throughput, stage
}

// share prints a ratio as a percentage.
func share(i stats.Interval) Cell {
	c := Cell{Text: percent(i.Value), Sub: "too few pairs"}
	if i.Known() {
		c.Sub = percent(i.Low) + "\u2009–\u2009" + percent(i.High)
	}
	return c
}

// brokerStages are the parts of a request's time inside the broker, in the order of its way.
var brokerStages = []string{"queue", "local", "remote", "poll", "throttle", "send"}

// explainedTolerance is how far the broker's sum may be from the client's mean wire time.
const explainedTolerance = 0.05

// brokerTable shows the broker's own account of its requests beside the client's.
func (c *Case) brokerTable() Table {
	t := Table{Head: []string{"target", "request"}}
	for _, s := range brokerStages {
		t.Head = append(t.Head, s+" µs")
	}
	t.Head = append(t.Head, "client µs", "explained", "within 5 %")
	for _, r := range c.rows {
		for _, kind := range requestKinds(r) {
			cells := []Cell{{r.name(), r.qualifiers()}, plain(kind)}
			for _, s := range brokerStages {
				cells = append(cells, meanCell(r, func(run Run) (float64, bool) {
					v, ok := run.BrokerStages.MeanMicros[kind][s]
					return v, ok
				}))
			}
			cells = append(cells, meanCell(r, func(run Run) (float64, bool) {
				v, ok := run.BrokerStages.ClientMicros[kind]
				return v, ok
			}))
			t.add(append(cells, explainedCells(r, kind)...)...)
		}
	}
	return t.withoutEmptyColumns()
}

func requestKinds(r *row) []string {
	kinds := map[string]bool{}
	for _, run := range r.Counted {
		if run.BrokerStages != nil {
			for kind := range run.BrokerStages.MeanMicros {
				kinds[kind] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(kinds))
}

func meanOver(r *row, of func(Run) (float64, bool)) (float64, bool) {
	var sum float64
	var n int
	for _, run := range r.Counted {
		if run.BrokerStages == nil {
			continue
		}
		if v, ok := of(run); ok {
			sum += v
			n++
		}
	}
	return sum / float64(max(n, 1)), n > 0
}

func meanCell(r *row, of func(Run) (float64, bool)) Cell {
	v, ok := meanOver(r, of)
	if !ok {
		return plain(none)
	}
	return plain(significant(v))
}

// explainedCells says which share of the client's time the broker's stages add up to.
func explainedCells(r *row, kind string) []Cell {
	v, ok := meanOver(r, func(run Run) (float64, bool) {
		v, ok := run.BrokerStages.Explained[kind]
		return v, ok
	})
	if !ok {
		return []Cell{plain(none), plain(none)}
	}
	within := "yes"
	if math.Abs(1-v) > explainedTolerance {
		within = "no"
	}
	return []Cell{plain(percent(v)), plain(within)}
}

// figuresTable shows the single values of modes with their own measures.
func (c *Case) figuresTable() Table {
	names := map[string]bool{}
	for _, r := range c.rows {
		for _, run := range r.Counted {
			for name := range run.Figures {
				names[name] = true
			}
		}
	}
	t := Table{Head: []string{"figure"}}
	for _, r := range c.rows {
		t.Head = append(t.Head, r.name())
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		cells := []Cell{plain(strings.ReplaceAll(name, "_", " "))}
		for _, r := range c.rows {
			var all []stats.Turn
			for _, run := range r.Counted {
				if v, ok := run.Figures[name]; ok {
					all = append(all, stats.Turn{Pair: run.Plan.Pair, Value: v})
				}
			}
			cells = append(cells, figureCell(all))
		}
		t.add(cells...)
	}
	return t
}

// figureCell is a geometric mean where it can be one; a figure that is zero is shown as zero.
func figureCell(all []stats.Turn) Cell {
	if len(all) == 0 {
		return plain(none)
	}
	s := stats.Values(all)
	if len(s.Values) == 0 {
		return plain(significant(all[0].Value))
	}
	return estimate(s.Mean(), 1)
}

// searchTable lists what a search for the highest rate tried.
func (c *Case) searchTable() Table {
	t := Table{Head: []string{"target", "run", "rate, records/s", "achieved", "p99 ms", "held", "step"}}
	for _, r := range c.rows {
		for _, run := range r.Runs {
			for i, s := range run.Steps {
				held, step := "no", fmt.Sprintf("%d", i+1)
				if s.Held {
					held = "yes"
				}
				if s.Confirms {
					step += ", confirming"
				}
				t.add(Cell{r.name(), r.qualifiers()}, plain(run.File), plain(significant(s.Rate)),
					plain(significant(s.Achieved)), plain(significant(float64(s.P99)/1e6)),
					Cell{held, s.Invalid}, plain(step))
			}
		}
	}
	return t
}

// notes are the runs' remarks, each once, with the target that it is about.
func (c *Case) notes() []string {
	var all []string
	for _, r := range c.rows {
		for _, run := range r.Runs {
			for _, note := range run.Notes {
				if line := r.name() + ": " + note; !slices.Contains(all, line) {
					all = append(all, line)
				}
			}
			if run.Usage == nil || run.Usage.Host == nil {
				line := r.name() + ": stolen time was not measured, so the discard rule could not be applied"
				if !slices.Contains(all, line) {
					all = append(all, line)
				}
			}
		}
	}
	return append(all, c.notCompared()...)
}

// notCompared says which targets look alike but ran another workload.
func (c *Case) notCompared() []string {
	var all []string
	for _, ours := range c.rows {
		for _, o := range c.rows {
			if ours.Side.Target != Sluice || o.Side.Target == Sluice || !ours.sameKind(o) {
				continue
			}
			if why := unequal(slices.Concat(ours.Runs, o.Runs)); why != "" {
				all = append(all, fmt.Sprintf("%s is not compared with %s: %s", ours.name(), o.name(), why))
			}
		}
	}
	return all
}

// commands are the distinct commands of the case: of brokers, then of runs.
func (c *Case) commands() []Command {
	var all []Command
	add := func(what string, words []string) {
		line := Command{what, shellLine(words)}
		if len(words) > 0 && !slices.Contains(all, line) {
			all = append(all, line)
		}
	}
	for _, r := range c.rows {
		for _, run := range r.Runs {
			add(r.name()+", the target", run.Target.Command)
			add(r.name()+", the run", run.Command)
		}
	}
	return all
}

// shellLine quotes words where a shell would take them apart.
func shellLine(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if w == "" || strings.ContainsAny(w, " \t\n'\"$`\\&|;<>()*?[]#~!{}") {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		quoted[i] = w
	}
	return strings.Join(quoted, " ")
}
