package show

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"sluice/benchmarks/measure"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// stageOrder is the order in which a record or a connection passes the stages.
var stageOrder = []string{
	result.StageLag, result.StageBatch, result.StageQueue, result.StageSend, result.StageWire,
	result.StageAck, result.StageE2E, result.StageFetch, result.StageCatchup, result.StageConnect,
	result.StageHandshake, result.StagePing, result.StageCreate, result.StageMetadata,
	"metadata_all", "describe", result.StageDelete,
}

// reportColumns is where lines of words end.
const reportColumns = 100

// Report writes the whole report of a run.
func Report(w io.Writer, r *result.Result) error {
	b := &strings.Builder{}
	head(b, r)
	if r.Error == "" {
		throughput(b, r)
		steps(b, r)
		latencies(b, r)
		figures(b, r)
	} else {
		counted(b, r)
		steps(b, r)
	}
	errors(b, r)
	if r.Usage != nil && r.Seconds > 0 {
		machine(b, r)
	}
	if r.Error == "" {
		brokerStages(b, r)
	}
	verdict(b, r)
	_, err := io.WriteString(w, b.String())
	return err
}

// head says what was run and where.
func head(b *strings.Builder, r *result.Result) {
	s := r.Spec
	fmt.Fprintf(b, "%s on %s", s.Name, r.Target.Name)
	for _, more := range []string{r.Target.Version, r.Target.Variant} {
		if more != "" {
			b.WriteString(" " + more)
		}
	}
	fmt.Fprintf(b, " at %s", r.Target.Addr)
	if r.Label != "" {
		fmt.Fprintf(b, "  [%s]", r.Label)
	}
	b.WriteString("\n")
	var what []string
	add := func(format string, args ...any) { what = append(what, fmt.Sprintf(format, args...)) }
	add("%s", s.Mode)
	add("%s loop", r.Loop)
	switch s.Mode {
	case workload.Connections:
		add("%s", plural(s.Connections, "connection"))
	case workload.Topics:
		add("%s × %s", plural(s.Topics, "topic"), plural(s.Partitions, "partition"))
	default:
		load(s, add)
	}
	add("%s", s.Placement)
	b.WriteString(wrapped(what, reportColumns))
	begun := r.Started.UTC().Format(time.RFC3339)
	switch {
	case r.Seconds == 0:
		fmt.Fprintf(b, "  begun %s; nothing was measured\n", begun)
	case s.Warmup > 0:
		fmt.Fprintf(b, "  begun %s, measured %s after %s of warm-up\n", begun, seconds(r.Seconds), s.Warmup)
	default:
		fmt.Fprintf(b, "  begun %s, measured %s\n", begun, seconds(r.Seconds))
	}
}

// load describes records, batches and clients.
func load(s workload.Spec, add func(string, ...any)) {
	add("%s × %s", plural(s.Topics, "topic"), plural(s.Partitions, "partition"))
	if s.Produces() || s.Preload > 0 {
		add("records of %s B", s.RecordSize)
		batch := "batches ≤ " + count(float64(s.BatchBytes)) + " B"
		if s.BatchRecords > 0 {
			batch += fmt.Sprintf(" or %d records", s.BatchRecords)
		}
		add("%s", batch)
		if s.Compression != "none" {
			add("%s (compressibility %g)", s.Compression, s.Compressibility)
		}
		if s.Keys > 0 {
			add("%s keys", count(float64(s.Keys)))
		}
	}
	if s.Produces() {
		acks := fmt.Sprint(s.Acks)
		if s.Acks < 0 {
			acks = "all"
		}
		if s.Idempotence {
			acks += " (idempotent)"
		}
		add("acks %s", acks)
		if s.Linger > 0 {
			add("linger %s", s.Linger)
		}
	}
	if s.Consumes() {
		add("fetch ≤ %s B", count(float64(s.FetchBytes)))
	}
	each := " of " + plural(s.Connections, "connection")
	if s.Producers > 0 {
		add("%s%s", plural(s.Producers, "producer"), each)
	}
	if s.Consumers > 0 {
		add("%s%s", plural(s.Consumers, "consumer"), each)
	}
	add("%d in flight", s.InFlight)
	add("client %s", s.Client)
}

// throughput tells how much went through.
func throughput(b *strings.Builder, r *result.Result) {
	rows := [][]string{{"", "MB/s", "records/s", "requests/s", "records", "bytes", "seconds"}}
	add := func(name string, c result.Count) {
		if c.Bytes == 0 && c.Records == 0 && c.Requests == 0 {
			return
		}
		rows = append(rows, []string{
			name, digits(c.MBPerSecond()), count(c.RecordsPerSecond()), count(c.RequestsPerSecond()),
			count(float64(c.Records)), bytes(float64(c.Bytes)), fmt.Sprintf("%.2f", c.Seconds),
		})
	}
	if r.Burst != nil {
		add("burst", *r.Burst)
	}
	add("produced", r.Produced)
	add("consumed", r.Consumed)
	if len(rows) > 1 {
		b.WriteString("\nThroughput (MB: 10⁶ bytes of record batches)\n")
		grid(b, rows)
	}
	if r.AskedRate > 0 {
		fmt.Fprintf(b, "  asked %s records/s, achieved %s (%s)\n", count(r.AskedRate),
			count(r.AchievedRate), percent(r.AchievedRate/r.AskedRate))
	}
}

// counted is what is left of the throughput of a run that failed: numbers, no rates.
func counted(b *strings.Builder, r *result.Result) {
	for _, side := range []struct {
		name string
		c    result.Count
	}{{"acknowledged", r.Produced}, {"read", r.Consumed}} {
		if side.c.Records > 0 || side.c.Bytes > 0 {
			fmt.Fprintf(b, "  until then %s records (%s) were %s\n", count(float64(side.c.Records)),
				bytes(float64(side.c.Bytes)), side.name)
		}
	}
}

// steps lists the rates that a search tried.
func steps(b *strings.Builder, r *result.Result) {
	if len(r.Steps) == 0 {
		return
	}
	fmt.Fprintf(b, "\nSearch for the highest rate with p99 ≤ %s\n", r.Spec.Search.P99)
	rows := [][]string{{"records/s", "achieved", "p99", ""}}
	for _, s := range r.Steps {
		rows = append(rows, []string{count(s.Rate), count(s.Achieved), nanos(float64(s.P99)), stepWord(s)})
	}
	grid(b, rows)
}

// stepWord says how a step of a search came out.
func stepWord(s result.SearchStep) string {
	word := "held"
	switch {
	case s.Invalid != "":
		word = "not held: " + s.Invalid
	case !s.Held:
		word = "not held"
	}
	if s.Confirms {
		word += " (confirming)"
	}
	return word
}

// latencies is the table of the client's stages.
func latencies(b *strings.Builder, r *result.Result) {
	if len(r.Stages) == 0 {
		return
	}
	names := slices.Collect(maps.Keys(r.Stages))
	rank := func(name string) int {
		if i := slices.Index(stageOrder, name); i >= 0 {
			return i
		}
		return len(stageOrder)
	}
	slices.SortFunc(names, func(x, y string) int {
		if d := rank(x) - rank(y); d != 0 {
			return d
		}
		return strings.Compare(x, y)
	})
	rows := [][]string{{"", "count", "mean", "p50", "p90", "p99", "p99.9", "p99.99", "max"}}
	for _, name := range names {
		s := r.Stages[name].Summary()
		deep := "-"
		if s.P9999 > 0 {
			deep = nanos(float64(s.P9999))
		}
		rows = append(rows, []string{
			name, count(float64(s.Count)), nanos(s.Mean), nanos(float64(s.P50)), nanos(float64(s.P90)),
			nanos(float64(s.P99)), nanos(float64(s.P999)), deep, nanos(float64(s.Max)),
		})
	}
	fmt.Fprintf(b, "\nLatency (%s)\n", map[bool]string{
		true:  "open loop: from the time a record was due",
		false: "closed loop: from the time a request could be sent",
	}[r.Loop != "closed"])
	grid(b, rows)
}

// figures are the single values of modes with their own.
func figures(b *strings.Builder, r *result.Result) {
	if len(r.Figures) == 0 {
		return
	}
	b.WriteString("\nFigures\n")
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(r.Figures)) {
		v := r.Figures[name]
		text := count(v)
		switch {
		case strings.HasSuffix(name, "_bytes"):
			text = bytes(v)
		case strings.HasSuffix(name, "_ns"):
			text = nanos(v)
		case v != float64(int64(v)) && v < 1000:
			text = digits(v)
		}
		name = strings.TrimSuffix(strings.TrimSuffix(name, "_bytes"), "_ns")
		rows = append(rows, []string{strings.ReplaceAll(name, "_", " "), text})
	}
	grid(b, rows)
}

func errors(b *strings.Builder, r *result.Result) {
	if len(r.Errors) == 0 {
		return
	}
	b.WriteString("\nErrors\n")
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(r.Errors)) {
		rows = append(rows, []string{name, count(float64(r.Errors[name]))})
	}
	grid(b, rows)
}

// verdict ends the report: is it to be believed?
func verdict(b *strings.Builder, r *result.Result) {
	if len(r.Notes) > 0 {
		b.WriteString("\n")
	}
	for _, n := range r.Notes {
		fmt.Fprintf(b, "note: %s\n", n)
	}
	b.WriteString("\n")
	if r.Error != "" {
		fmt.Fprintf(b, "FAILED: %s\n", r.Error)
		return
	}
	for _, why := range r.Invalid {
		fmt.Fprintf(b, "INVALID: %s\n", why)
	}
	if len(r.Invalid) == 0 {
		b.WriteString("valid\n")
	}
}

func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return count(float64(n)) + " " + noun
}

func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(10 * time.Millisecond).String()
}

// moved is the volume that costs are divided by, in GB: all bytes of batches that were written and
// read.
func moved(r *result.Result) float64 { return float64(r.Produced.Bytes+r.Consumed.Bytes) / 1e9 }

// machine is what broker, generator, host and device used.
func machine(b *strings.Builder, r *result.Result) {
	u, gb := r.Usage, moved(r)
	if r.Error != "" {
		gb = 0
	}
	b.WriteString("\nMachine\n")
	requests := float64(r.Produced.Requests + r.Consumed.Requests)
	if r.Error != "" {
		requests = 0
	}
	rows := [][]string{{"", "CPU-s", "cores busy", "CPU-s/GB", "CPU/request", "RSS", "anon", "file", "threads"}}
	for _, p := range []struct {
		name string
		p    *measure.Process
	}{{"broker", u.Broker}, {"generator", u.Generator}} {
		if p.p != nil {
			m := p.p.MemoryPeak
			rows = append(rows, []string{
				p.name, cpu(p.p.CPUNanos), busy(p.p.CPUNanos, u.Seconds), perGB(p.p.CPUNanos, gb),
				each(p.p.CPUNanos, requests), bytes(float64(m.RSSBytes)), bytes(float64(m.AnonBytes)),
				bytes(float64(m.FileBytes)), count(float64(p.p.ThreadsPeak)),
			})
		}
	}
	if h := u.Host; h != nil {
		rows = append(rows, []string{
			"whole host", cpu(h.BusyNanos), busy(h.BusyNanos, u.Seconds), perGB(h.BusyNanos, gb),
			each(h.BusyNanos, requests), "", "", "", "",
		})
	}
	grid(b, rows)
	b.WriteString("  RSS, anon and file are peaks\n")
	if h := u.Host; h != nil {
		fmt.Fprintf(b, "  host: %d processors %s busy, %s stolen; dirty pages at most %s, written back at once %s\n",
			h.CPUs, percent(h.BusyShare), percent(h.StealShare), bytes(float64(h.DirtyBytesPeak)),
			bytes(float64(h.WritebackBytesPeak)))
	}
	if d := u.Device; d != nil {
		fmt.Fprintf(b, "  device %s (%s): %s written, %s read, %s flushes\n", d.Name, d.FileSystem,
			bytes(float64(d.WrittenBytes)), bytes(float64(d.ReadBytes)), count(float64(d.Flushes)))
	}
	if r.Spec.Produces() || r.Spec.Consumes() {
		fmt.Fprintf(b, "  generator: %s heap objects per request\n", digits(r.AllocsPerRequest))
	}
	for _, m := range u.Missing {
		fmt.Fprintf(b, "  missing: %s: %s\n", m.What, m.Why)
	}
}

func cpu(nanos int64) string { return fmt.Sprintf("%.2f", float64(nanos)/1e9) }

func busy(nanos int64, seconds float64) string {
	if seconds <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(nanos)/1e9/seconds)
}

// each divides processor time by requests.
func each(nanosSpent int64, requests float64) string {
	if requests <= 0 {
		return "-"
	}
	return nanos(float64(nanosSpent) / requests)
}

func perGB(nanos int64, gb float64) string {
	if gb <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", float64(nanos)/1e9/gb)
}

// brokerStages shows the broker's own account beside the client's.
func brokerStages(b *strings.Builder, r *result.Result) {
	sum := r.BrokerStages
	if sum == nil {
		return
	}
	b.WriteString("\nThe broker's own stages, mean per request\n")
	order := []string{"queue", "local", "remote", "poll", "send"}
	rows := [][]string{append(append([]string{""}, order...), "sum", "client", "explained", "within 5 %")}
	for _, request := range slices.Sorted(maps.Keys(sum.MeanMicros)) {
		row, total := []string{request}, 0.0
		for _, stage := range order {
			v, ok := sum.MeanMicros[request][stage]
			total += v
			if !ok {
				row = append(row, "-")
				continue
			}
			row = append(row, nanos(v*1e3))
		}
		row = append(row, nanos(total*1e3))
		if client, ok := sum.ClientMicros[request]; ok {
			row = append(row, nanos(client*1e3), percent(sum.Explained[request]),
				map[bool]string{true: "yes", false: "no"}[sum.Within5Percent[request]])
		}
		rows = append(rows, row)
	}
	grid(b, rows)
}
