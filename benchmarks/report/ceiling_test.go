package report

import (
	"strings"
	"testing"

	"sluice/benchmarks/limits"
	"sluice/benchmarks/result"
	"sluice/benchmarks/stats"
)

// TestCeiling: a goal that was missed says how much of the machine's limit it asks for; the verdict
// stays what it is.
func TestCeiling(t *testing.T) {
	g := goal("g", []string{"c"}, "produced_mb_s", stats.AtLeast, 3, Side{Target: "kafka"})
	g.Ceiling = &Ceiling{Targets: []string{"limit-append", "limit-append-2t"}, Text: "receive + CRC + pwrite"}
	if err := g.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		limit  []Run
		want   stats.Outcome
		reason string
	}{
		{
			"beyond", runsOf("limit-append", 4, 2500), stats.Fail,
			"; beyond this machine: 3 × kafka would be 120.0\u202f% (120.0\u202f%\u2009–\u2009120.0\u202f%) of what " +
				"receive + CRC + pwrite alone reaches here",
		},
		{"within", runsOf("limit-append", 4, 4000), stats.Fail, "; within this machine: 3 × kafka would be 75.0\u202f%"},
		{
			"the better limit decides", append(runsOf("limit-append", 4, 2500), runsOf("limit-append-2t", 4, 4000)...),
			stats.Fail, "; within this machine: 3 × kafka would be 75.0\u202f% (75.0\u202f%\u2009–\u200975.0\u202f%) " +
				"of what receive + CRC + pwrite alone reaches here (limit-append-2t)",
		},
		{"two pairs", runsOf("limit-append", 2, 2500), stats.Fail, "; perhaps beyond this machine: "},
		{
			"pairs on both sides", append(runsOf("limit-append", 3, 2500), runsOf("limit-append", 4, 9000)[3]),
			stats.Fail, "within this machine",
		},
		{"no limit", nil, stats.Fail, "misses ≥ 3"},
	} {
		f := folderOf(runsOf(Sluice, 4, 1700), runsOf("kafka", 4, 1000), c.limit)
		expect(t, c.name, judge(f, g, ""), c.want, c.reason)
	}
	met := folderOf(runsOf(Sluice, 4, 3100), runsOf("kafka", 4, 1000), runsOf("limit-append", 4, 2500))
	if j := judge(met, g, ""); j.Outcome != stats.Pass || strings.Contains(j.Reason, "beyond") {
		t.Errorf("a goal that is met says %s: %s", j.Outcome, j.Reason)
	}
	none := folderOf(runsOf(Sluice, 4, 1700), runsOf("kafka", 4, 1000))
	if j := judge(none, g, ""); strings.Contains(j.Reason, "machine") {
		t.Errorf("without a limit: %s", j.Reason)
	}
	g.Ceiling.Targets = []string{"kafka"}
	if err := g.Validate(); err == nil {
		t.Error("a peer is no ceiling")
	}
}

// TestShareTable: beside a peer, both stand as parts of the limit of their own case.
func TestShareTable(t *testing.T) {
	r, err := Build(folderOf(runsOf(Sluice, 3, 1500), runsOf("kafka", 3, 1000), runsOf("limit-append", 3, 2000)))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, row := range r.Cases[0].Shares.Rows {
		lines = append(lines, row[0].Text+" "+row[1].Text+" "+row[2].Text)
	}
	want := "sluice limit-append 75.0\u202f%, kafka limit-append 50.0\u202f%"
	if got := strings.Join(lines, ", "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if !strings.Contains(string(r.markdown()), "Shares of the machine's limit:") {
		t.Error("the summary does not show them")
	}
	if r, err = Build(folderOf(runsOf(Sluice, 3, 1500), runsOf("limit-append", 3, 2000))); err != nil {
		t.Fatal(err)
	}
	if len(r.Cases[0].Shares.Rows) > 0 {
		t.Error("without a peer the ratios say it already")
	}
}

// TestRowsAreRequired: a share of a limit counts only if that limit's own row is there and high
// enough; others do not stand in for it.
func TestRowsAreRequired(t *testing.T) {
	row := limits.ProduceName(1, 64<<10)
	g := goal("g", []string{"c"}, "produced_mb_s", stats.AtLeast, 0.75, Side{Target: "limit-append"})
	g.Rows = map[string][]string{"c": {row}}
	f := folderOf(runsOf(Sluice, 3, 2000), runsOf("limit-append", 3, 2400))
	f.Limits = []limits.Measure{{Name: limits.MemcpyDRAM, Unit: "GB/s", Value: 8}}
	if why := limitsInvalid(f); why != "" {
		t.Fatal(why)
	}
	expect(t, "missing", judge(f, g, ""), stats.Invalid, "limits.json has no "+row)
	f.Limits = append(f.Limits, limits.Measure{Name: row, Unit: "GB/s", Value: 1.5})
	expect(t, "too low", judge(f, g, ""), stats.Invalid, "66.6\u202f% of its reference row")
	f.Limits[1].Value = 2.4
	expect(t, "there", judge(f, g, ""), stats.Pass, "")
	g.Rows["c"] = append(g.Rows["c"], limits.PageCacheBurst)
	f.Limits = append(f.Limits, limits.Measure{Name: limits.PageCacheBurst, Unit: "GB/s", Value: 3})
	expect(t, "no reference", judge(f, g, ""), stats.Invalid, "no reference row")
	g.Rows = map[string][]string{"d": {"nowhere"}}
	expect(t, "another case's row", judge(f, g, ""), stats.Pass, "")
}

// TestLimitOfAnotherCase: the disk's limit is measured beside the pairs it belongs to, as a case of
// its own, with its own workload and no label.
func TestLimitOfAnotherCase(t *testing.T) {
	const disk = "append_direct_sustained_mb_s"
	sustained := func(r *result.Result) { r.Label, r.Seconds = "sustained", 120 }
	limit := func(mb float64) func(r *result.Result) {
		return func(r *result.Result) {
			r.Plan.Case, r.Spec, r.Produced = "c-disk", produceSpec(9), result.Count{}
			r.Figures = map[string]float64{disk: mb}
		}
	}
	g := goal("g", []string{"c"}, "produced_mb_s", stats.AtLeast, 1.5, Side{Target: "kafka"})
	g.Label = "sustained"
	g.Or = &Goal{
		Of: g.Of, Metric: g.Metric, AgainstMetric: FigurePrefix + disk, Kind: stats.AtLeast, Bound: 0.9,
		Label: "sustained", Against: []Side{{Target: "limit-disk", Case: "c-disk"}},
	}
	if err := g.Validate(); err != nil {
		t.Fatal(err)
	}
	sides := func(mb float64) *Folder {
		return folderOf(runsOf(Sluice, 3, 950, sustained), runsOf("kafka", 3, 900, sustained),
			runsOf("limit-disk", 3, 0, limit(mb)))
	}
	expect(t, "at the limit", judge(sides(1000), g, ""), stats.Pass, "met the other way: ")
	expect(t, "below it", judge(sides(1100), g, ""), stats.Fail, "misses ≥ 1.5")
	g.Or.Rows = map[string][]string{"c": {limits.DirectSustained}}
	expect(t, "a limit that nobody checked", judge(sides(1000), g, ""), stats.Fail, "misses ≥ 1.5")
}

// TestHostMustBeMeasured: beside a peer, a run without a view of the host proves nothing about
// processor time of the host, nor that none was stolen.
func TestHostMustBeMeasured(t *testing.T) {
	blind := func(r *result.Result) { r.Usage.Host = nil }
	busy := func(r *result.Result) { r.Usage.Host.BusyNanos = 1e9 }
	for _, metric := range []string{"host_cpu_s_per_gb", "produced_mb_s"} {
		g := goal("g", []string{"c"}, metric, stats.AtLeast, 0.5, Side{Target: "kafka"})
		f := folderOf(runsOf(Sluice, 4, 900, busy), runsOf("kafka", 4, 900, busy))
		expect(t, metric, judge(f, g, ""), stats.Pass, "")
		f = folderOf(runsOf(Sluice, 4, 900, busy), runsOf("kafka", 4, 900, blind))
		expect(t, metric+", blind peer", judge(f, g, ""), stats.Invalid, "the host")
		f = folderOf(runsOf(Sluice, 4, 900, blind), runsOf("kafka", 4, 900, busy))
		expect(t, metric+", blind broker", judge(f, g, ""), stats.Invalid, "the host")
	}
}
