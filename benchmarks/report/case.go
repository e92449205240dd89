package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sluice/benchmarks/measure"
	"sluice/benchmarks/stats"
	"sluice/benchmarks/workload"
)

// Case is one workload with everything that ran it.
type Case struct {
	Name     string
	Slug     string // the name as it stands in file names, unique in the report
	Workload string // a sentence about what was asked
	Through  Table
	Latency  Table
	Cost     Table
	Ratios   []Ratios
	// LatencyNote says what the latencies are not, where they are of a closed loop.
	LatencyNote string
	// Shares are Sluice and peers alike as parts of what a limit server reached.
	Shares Table
	// Other are the client stages that explain the headline ones; Broker the broker's own account.
	Other    Table
	Broker   Table
	Figures  Table
	Search   Table
	Notes    []string
	Plots    []Plot
	Commands []Command
	rows     []*row
}

// Ratios is Sluice against one other target.
type Ratios struct {
	Title string
	Table Table
}

// Command is how something is run again.
type Command struct {
	What string
	Line string
}

func buildCase(f *Folder, name, slug string) (Case, error) {
	var runs []Run
	for _, r := range f.Runs {
		if r.caseName() == name {
			runs = append(runs, r)
		}
	}
	c := Case{Name: name, Slug: slug, rows: rowsOf(runs)}
	c.Workload = workloadText(runs[0].Spec)
	c.Through = c.throughputTable()
	c.Cost = c.costTable()
	var err error
	if c.Latency, err = c.latencyTable(true); err != nil {
		return c, err
	}
	if c.Other, err = c.latencyTable(false); err != nil {
		return c, err
	}
	c.LatencyNote = c.latencyNote()
	c.Ratios = c.ratioTables()
	c.Shares = c.shareTable()
	c.Broker = c.brokerTable()
	c.Figures = c.figuresTable()
	c.Search = c.searchTable()
	c.Notes = c.notes()
	c.Commands = c.commands()
	c.Plots, err = c.plots()
	return c, err
}

// workloadText tells a spec in a line.
func workloadText(s workload.Spec) string {
	var parts []string
	say := func(ok bool, format string, args ...any) {
		if ok {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	say(true, "%s", s.Mode)
	say(s.Rate > 0, "open loop at %s records/s", significant(s.Rate))
	say(s.Rate == 0 && s.Search == nil, "closed loop")
	say(s.Search != nil, "search for the highest rate")
	say(s.RecordSize != "", "records of %s bytes", s.RecordSize)
	say(s.BatchRecords == 1, "one record per batch")
	say(s.BatchRecords != 1 && s.BatchBytes > 0, "batches up to %s", bytesText(s.BatchBytes))
	say(s.Mode == workload.Consume && s.FetchBytes > 0, "fetches up to %s", bytesText(s.FetchBytes))
	say(s.Topics > 1, "%s", plural(s.Topics, "topic"))
	say(s.Partitions > 0, "%s", plural(s.Partitions, "partition"))
	say(s.Producers > 0 && s.Mode != workload.Consume, "%s", plural(s.Producers, "producer"))
	say(s.Consumers > 0, "%s", plural(s.Consumers, "consumer"))
	say(s.Connections > 0, "%s each", plural(s.Connections, "connection"))
	say(s.InFlight > 0, "%d in flight", s.InFlight)
	say(s.Mode != workload.Consume, "acks=%d", s.Acks)
	say(s.Idempotence, "idempotent")
	say(s.Linger > 0, "linger %s", s.Linger)
	say(s.Compression != "" && s.Compression != "none", "%s, compressibility %g", s.Compression, s.Compressibility)
	say(s.Duration > 0, "for %s", s.Duration)
	say(s.Warmup > 0, "after %s of warm-up", s.Warmup)
	return strings.Join(parts, ", ")
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return count64(int64(n)) + " " + thing + "s"
}

func bytesText(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

func (c *Case) throughputTable() Table {
	t := Table{Head: []string{
		"target", "runs", "produced MB/s", "its burst part", "consumed MB/s", "produced records/s", "consumed records/s",
		"requests/s", "achieved of asked", "errors",
	}}
	for _, r := range c.rows {
		t.add(
			Cell{r.name(), r.qualifiers()},
			Cell{fmt.Sprintf("%d of %d", len(r.Counted), len(r.Runs)), firstDrop(r)},
			estimate(r.figure("produced_mb_s"), 1), estimate(r.burst(), 1),
			estimate(r.figure("consumed_mb_s"), 1),
			estimate(r.figure("produced_records_s"), 1), estimate(r.figure("consumed_records_s"), 1),
			estimate(r.figure("requests_s"), 1), plain(achieved(r)), errorCell(r),
		)
	}
	return t.withoutEmptyColumns()
}

func firstDrop(r *row) string {
	if len(r.Counted) > 0 {
		return ""
	}
	return r.Runs[0].Drop()
}

// achieved is the lowest share of the asked rate over the runs that count.
func achieved(r *row) string {
	lowest := -1.0
	for _, run := range r.Counted {
		if run.AskedRate > 0 {
			share := run.AchievedRate / run.AskedRate
			if lowest < 0 || share < lowest {
				lowest = share
			}
		}
	}
	if lowest < 0 {
		return none
	}
	return percent(lowest)
}

// errorCell counts the errors of all runs, those that do not count too.
func errorCell(r *row) Cell {
	all := r.errors()
	if len(all) == 0 {
		return plain("0")
	}
	var sum int64
	var names []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		sum += all[name]
		names = append(names, name+" "+count64(all[name]))
	}
	return Cell{count64(sum), strings.Join(names, ", ")}
}

var tablePercentiles = []float64{50, 90, 99, 99.9, 99.99}

// latencyTable shows the headline stages, or the others.
func (c *Case) latencyTable(headline bool) (Table, error) {
	type line struct {
		row       *row
		stage     string
		intervals []stats.Interval
		max       int64
		count     int64
	}
	var lines []line
	smallest := 0.0
	for _, stage := range stageOrder {
		if isHeadline(stage) != headline {
			continue
		}
		for _, r := range c.rows {
			h := r.merged(stage)
			if h == nil {
				continue
			}
			intervals, err := stats.Quantiles(r.histograms(stage), tablePercentiles)
			if err != nil {
				return Table{}, fmt.Errorf("case %s, %s of %s: %w", c.Name, stage, r.name(), err)
			}
			lines = append(lines, line{r, stage, intervals, h.Max(), h.Count()})
			if v := intervals[0].Value; smallest == 0 || v < smallest {
				smallest = v
			}
		}
	}
	unit, scale := "µs", 1e-3
	if smallest >= 1e6 {
		unit, scale = "ms", 1e-6
	}
	t := Table{Head: []string{
		"target", "stage", "samples", "p50 " + unit, "p90 " + unit, "p99 " + unit, "p99.9 " + unit,
		"p99.99 " + unit, "max " + unit,
	}}
	for _, l := range lines {
		cells := []Cell{{l.row.name(), l.row.qualifiers()}, plain(l.stage), plain(count64(l.count))}
		for i, interval := range l.intervals {
			cells = append(cells, percentileCell(interval, tablePercentiles[i], l.count, scale))
		}
		t.add(append(cells, plain(significant(float64(l.max)*scale)))...)
	}
	return t.withoutEmptyColumns(), nil
}

// percentileCell leaves out what too few samples cannot show: a percentile needs ten values beyond
// it, which for p99.99 is 100,000 samples.
func percentileCell(i stats.Interval, percentile float64, samples int64, scale float64) Cell {
	if percentile > 50 && float64(samples)*(100-percentile)/100 < 10*(1-1e-9) {
		return plain(none)
	}
	return estimate(i, scale)
}

func (c *Case) costTable() Table {
	t := Table{Head: []string{
		"target", "broker CPU-s/GB", "host CPU-s/GB", "broker CPU µs/request", "generator CPU %",
		"RssAnon peak", "RssFile peak", "device written, most", "dirty + writeback, peak", "steal, most",
	}}
	for _, r := range c.rows {
		t.add(
			Cell{r.name(), r.qualifiers()},
			estimate(r.figure("broker_cpu_s_per_gb"), 1), estimate(r.figure("host_cpu_s_per_gb"), 1),
			estimate(r.figure("broker_cpu_us_per_request"), 1), estimate(r.figure("generator_cpu_percent"), 1),
			sizeCell(r.figure("rss_anon_bytes")), sizeCell(r.figure("rss_file_bytes")),
			largest(r, func(u *measure.Usage) (float64, bool) {
				if u.Device == nil {
					return 0, false
				}
				return float64(u.Device.WrittenBytes), true
			}, size),
			largest(r, func(u *measure.Usage) (float64, bool) {
				if u.Host == nil {
					return 0, false
				}
				return float64(u.Host.DirtyWritebackBytesPeak), true
			}, size),
			largest(r, func(u *measure.Usage) (float64, bool) {
				if u.Host == nil {
					return 0, false
				}
				return u.Host.StealShare, true
			}, percent),
		)
	}
	return t.withoutEmptyColumns()
}

func sizeCell(i stats.Interval) Cell {
	if i.N == 0 {
		return plain(none)
	}
	c := Cell{Text: size(i.Value)}
	if i.Known() {
		c.Sub = bounds(i, 1/sizeUnit(i.Value))
	}
	return c
}

// largest is the highest value over the runs that count.
func largest(r *row, of func(*measure.Usage) (float64, bool), print func(float64) string) Cell {
	best, seen := 0.0, false
	for _, run := range r.Counted {
		if run.Usage == nil {
			continue
		}
		if v, ok := of(run.Usage); ok {
			best, seen = max(best, v), true
		}
	}
	if !seen {
		return plain(none)
	}
	return plain(print(best))
}

// withoutEmptyColumns drops columns in which no row has a figure.
func (t Table) withoutEmptyColumns() Table {
	out := Table{Rows: make([][]Cell, len(t.Rows))}
	for column, head := range t.Head {
		used := column == 0
		for _, r := range t.Rows {
			used = used || r[column].Text != none && r[column].Text != ""
		}
		if !used {
			continue
		}
		out.Head = append(out.Head, head)
		for i, r := range t.Rows {
			out.Rows[i] = append(out.Rows[i], r[column])
		}
	}
	return out
}
