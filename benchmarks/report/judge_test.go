package report

import (
	"strings"
	"testing"

	"sluice/benchmarks/limits"
	"sluice/benchmarks/measure"
	"sluice/benchmarks/result"
	"sluice/benchmarks/stats"
	"sluice/benchmarks/workload"
)

// runOf makes a run that produced so many MB in one second.
func runOf(target string, pair int, mb float64, change ...func(*result.Result)) Run {
	r := &result.Result{
		Schema: result.SchemaVersion, Target: result.Target{Name: target}, Spec: produceSpec(1),
		Plan:     result.Plan{Case: "c", Pair: pair},
		Produced: result.Count{Bytes: int64(mb * 1e6), Records: 1000, Requests: 100, Seconds: 1},
		Usage:    &measure.Usage{Seconds: 1, Host: &measure.Host{}},
	}
	for _, f := range change {
		f(r)
	}
	return Run{File: "raw/" + target, Result: r}
}

func runsOf(target string, n int, mb float64, change ...func(*result.Result)) []Run {
	var all []Run
	for pair := range n {
		all = append(all, runOf(target, pair, mb, change...))
	}
	return all
}

func folderOf(sides ...[]Run) *Folder {
	f := &Folder{}
	for _, runs := range sides {
		f.Runs = append(f.Runs, runs...)
	}
	return f
}

func expect(t *testing.T, name string, j Judged, want stats.Outcome, reason string) {
	t.Helper()
	if j.Outcome != want || !strings.Contains(j.Reason, reason) {
		t.Errorf("%s: %s (%s), want %s (…%s…)", name, j.Outcome, j.Reason, want, reason)
	}
}

func steal(share float64) func(*result.Result) {
	return func(r *result.Result) { r.Usage.Host.StealShare = share }
}

func TestJudgeFolder(t *testing.T) {
	kafka := Side{Target: "kafka"}
	atLeast := func(bound float64) Goal {
		return goal("g", []string{"c"}, "produced_mb_s", stats.AtLeast, bound, kafka)
	}
	sluice := runsOf(Sluice, 4, 900)
	ceiling := func(r *result.Result) { r.Label, r.Spec.Client = CeilingLabel, workload.Discarding }
	larger := func(r *result.Result) { r.Spec.BatchBytes *= 4 }
	set := func(r *result.Result) { r.Spec.TopicConfig = map[string]string{"flush.messages": "1"} }
	for _, c := range []struct {
		name   string
		folder *Folder
		goal   Goal
		want   stats.Outcome
		reason string
	}{
		{"met", folderOf(sluice, runsOf("kafka", 4, 300)), atLeast(3), stats.Pass, "c: "},
		{"missed", folderOf(sluice, runsOf("kafka", 4, 300)), atLeast(3.01), stats.Fail, "misses"},
		{"no peer", folderOf(sluice), atLeast(3), stats.Invalid, "no runs of kafka"},
		{"no own run", folderOf(runsOf("kafka", 4, 300)), atLeast(3), stats.Invalid, "no runs of sluice"},
		{"two pairs", folderOf(sluice, runsOf("kafka", 2, 300)), atLeast(3), stats.Invalid, "2 of 4 pairs dropped"},
		{
			"stolen", folderOf(sluice, runsOf("kafka", 2, 300), runsOf("kafka", 4, 300, steal(0.03))[2:]),
			atLeast(3), stats.Invalid, "denominator: steal 3.0 % is over 2 %",
		},
		{
			"other workload", folderOf(sluice, runsOf("kafka", 4, 300, larger)), atLeast(3), stats.Invalid,
			"batch_bytes is 65536 in raw/sluice, 262144 in raw/kafka",
		},
		{
			"other settings of the topic", folderOf(sluice, runsOf("kafka", 4, 300, set)), atLeast(3), stats.Invalid,
			"topic_config is absent in raw/sluice",
		},
		{
			"ceiling against a peer", folderOf(runsOf(Sluice, 4, 900, ceiling), runsOf("kafka", 4, 300, ceiling)),
			atLeast(3), stats.Invalid, "never compared with a peer",
		},
	} {
		expect(t, c.name, judge(c.folder, c.goal, ""), c.want, c.reason)
	}
}

// TestEveryDenominatorMustBeMet: an eighth of the smaller heap, 95 % of the best peer.
func TestEveryDenominatorMustBeMet(t *testing.T) {
	small := func(r *result.Result) { r.Target.Variant = "small" }
	f := folderOf(runsOf(Sluice, 3, 100), runsOf("kafka", 3, 1000), runsOf("kafka", 3, 500, small))
	g := goal("g", []string{"c"}, "produced_mb_s", stats.AtMost, 0.125,
		Side{Target: "kafka"}, Side{Target: "kafka", Variant: "small"})
	expect(t, "the smaller decides", judge(f, g, ""), stats.Fail, "0.2")
	g.Against = g.Against[:1]
	expect(t, "the larger alone", judge(f, g, ""), stats.Pass, "")
}

// TestEveryCaseMustBeMet, and a miss outweighs what could not be shown.
func TestEveryCaseMustBeMet(t *testing.T) {
	other := func(r *result.Result) { r.Plan.Case = "d" }
	f := folderOf(runsOf(Sluice, 3, 100), runsOf(Sluice, 3, 50, other))
	g := goal("g", []string{"c", "d"}, "produced_mb_s", stats.AtLeast, 80)
	expect(t, "missed in d", judge(f, g, ""), stats.Fail, "d: ")
	g.Bound = 40
	expect(t, "met in both", judge(f, g, ""), stats.Pass, "c: ")
	g.Cases = append(g.Cases, "e")
	expect(t, "e never ran", judge(f, g, ""), stats.Invalid, "e: no runs")
	g.Bound = 80
	expect(t, "a miss outweighs", judge(f, g, ""), stats.Fail, "d: ")
}

// TestOrElse: 1.5 times Kafka, or the disk's limit.
func TestOrElse(t *testing.T) {
	f := folderOf(runsOf(Sluice, 3, 950), runsOf("kafka", 3, 900))
	f.Limits = []limits.Measure{{Name: "disk", Unit: "GB/s", Value: 1}}
	g := goal("g", []string{"c"}, "produced_mb_s", stats.AtLeast, 1.5, Side{Target: "kafka"})
	expect(t, "one way only", judge(f, g, ""), stats.Fail, "misses ≥ 1.5")
	g.Or = &Goal{
		Of: g.Of, Against: []Side{{Limit: "disk"}}, Metric: g.Metric, Kind: stats.AtLeast, Bound: 0.9,
	}
	if err := g.Validate(); err != nil {
		t.Error(err)
	}
	expect(t, "the other way", judge(f, g, ""), stats.Pass, "met the other way: ")
	g.Or.Bound = 0.96
	expect(t, "neither way", judge(f, g, ""), stats.Fail, "misses ≥ 1.5")
	g.Or.Against[0].Limit = "absent"
	expect(t, "no such limit", judge(f, g, ""), stats.Fail, "misses ≥ 1.5")
	g.Or, g.Against = nil, []Side{{Limit: "absent"}}
	expect(t, "only a limit that is not there", judge(f, g, ""), stats.Invalid, "limits.json has no absent")
	f.Limits[0].Unit = "fathoms"
	g.Against[0].Limit = "disk"
	expect(t, "other units", judge(f, g, ""), stats.Invalid, "cannot divide")
}

// TestBurst: a sustained run tells its burst part apart, and each label takes its own figures.
func TestBurst(t *testing.T) {
	part := func(r *result.Result) {
		r.Label, r.Seconds, r.Burst = "sustained", 120, &result.Count{Bytes: 500e6, Seconds: 0.25}
	}
	f := folderOf(runsOf(Sluice, 3, 1000, part))
	g := goal("g", []string{"c"}, "produced_mb_s", stats.AtLeast, 1500)
	g.Label = "sustained"
	expect(t, "sustained", judge(f, g, ""), stats.Fail, "1000")
	g.Label = "burst"
	expect(t, "burst", judge(f, g, ""), stats.Pass, "2000")
	g.Metric, g.Kind = "broker_cpu_s_per_gb", stats.AtMost
	expect(t, "processor time of a part", judge(f, g, ""), stats.Invalid, "not known for the burst part")
	short := folderOf(runsOf(Sluice, 3, 1000, part, func(r *result.Result) { r.Seconds = 60 }))
	expect(t, "a minute is not sustained", judge(short, g, ""), stats.Invalid, "for 60 s only")
	g.Label = "other"
	expect(t, "no such label", judge(f, g, ""), stats.Invalid, `labelled "other"`)
}

// TestSpreadIsOverRuns: turns of one pair are runs of their own, and enough of them are asked for.
func TestSpreadIsOverRuns(t *testing.T) {
	var runs []Run
	for i := range 20 {
		runs = append(runs, runOf(Sluice, i/4, 100+float64(i%3)))
	}
	g := goal("g", []string{"c"}, SpreadMetric, stats.AtMost, 15)
	g.PairsMin = 20
	j := judge(folderOf(runs), g, "")
	expect(t, "20 runs", j, stats.Pass, "1.98")
	if j.Checks[0].Figure.N != 20 {
		t.Errorf("%d runs", j.Checks[0].Figure.N)
	}
	expect(t, "19 runs", judge(folderOf(runs[1:]), g, ""), stats.Invalid, "asks for 20")
	runs[7].Produced.Bytes *= 2
	expect(t, "one run apart", judge(folderOf(runs), g, ""), stats.Fail, "misses")
}

// TestLowLimitInvalidatesAll: a box that is not itself proves nothing.
func TestLowLimitInvalidatesAll(t *testing.T) {
	f := folderOf(runsOf(Sluice, 3, 900))
	f.Goals = []Goal{goal("g", []string{"c"}, "produced_mb_s", stats.AtLeast, 1)}
	f.Limits = []limits.Measure{{Name: limits.MemcpyDRAM, Unit: "GB/s", Value: 1}}
	r, err := Build(f)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "slow memory", r.Goals[0], stats.Invalid, "else PASS")
	if !strings.Contains(r.BoxInvalid, limits.MemcpyDRAM) {
		t.Errorf("the page's reason: %q", r.BoxInvalid)
	}
	f.Limits[0].Value = 8
	if r, err = Build(f); err != nil || r.Goals[0].Outcome != stats.Pass {
		t.Errorf("%v, %+v", err, r.Goals[0])
	}
	f.Limits = nil
	if r, err = Build(f); err != nil {
		t.Fatal(err)
	}
	expect(t, "no limits", r.Goals[0], stats.Invalid, "else PASS")
}

func TestValidateGoal(t *testing.T) {
	ok := goal("g", []string{"c"}, "produced_mb_s", stats.AtLeast, 1, Side{Target: "kafka"})
	if err := ok.Validate(); err != nil {
		t.Error(err)
	}
	for want, spoil := range map[string]func(*Goal){
		"id is empty":             func(g *Goal) { g.ID = "" },
		"cases":                   func(g *Goal) { g.Cases = nil },
		"of: no target":           func(g *Goal) { g.Of = Side{} },
		`metric "x" is none of`:   func(g *Goal) { g.Metric = "x" },
		`metric "y" is none of`:   func(g *Goal) { g.AgainstMetric = "y" },
		"kind":                    func(g *Goal) { g.Kind = "about" },
		"bound 0 is not positive": func(g *Goal) { g.Bound = 0 },
		"exactly one of":          func(g *Goal) { g.Against = []Side{{Target: "kafka", Limit: "disk"}} },
		"never compared":          func(g *Goal) { g.Label = CeilingLabel },
		"it has no ratio":         func(g *Goal) { g.Metric = SpreadMetric },
		"or: id and cases":        func(g *Goal) { or := *g; g.Or = &or },
	} {
		g := ok
		spoil(&g)
		if err := g.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want …%s…", err, want)
		}
	}
}

func TestMetrics(t *testing.T) {
	r := runOf(Sluice, 0, 2000, func(r *result.Result) {
		r.Usage.Seconds = 2
		r.Usage.Broker = &measure.Process{
			CPUNanos: 5e8, MemoryPeak: measure.Memory{RSSBytes: 300, AnonBytes: 200, FileBytes: 100},
		}
		r.Usage.Generator = &measure.Process{CPUNanos: 1e9}
		r.Usage.Host.BusyNanos = 3e9
		r.Figures = map[string]float64{"start_to_first_ack_s": 0.02}
		h := result.NewHistogram()
		h.RecordN(1000, 9_900)
		h.RecordN(1_000_000, 100)
		few := result.NewHistogram()
		few.RecordN(1000, 9_999)
		r.Stages = map[string]*result.Histogram{result.StageAck: h, result.StageWire: few}
	}).Result
	for name, want := range map[string]float64{
		"produced_mb_s": 2000, "produced_records_s": 1000, "requests_s": 100, "broker_cpu_s_per_gb": 0.25,
		"host_cpu_s_per_gb": 1.5, "broker_cpu_us_per_request": 5000, "generator_cpu_percent": 50,
		"rss_bytes": 300, "rss_anon_bytes": 200, "rss_file_bytes": 100, "start_to_first_ack_s": 0.02,
		"p50_ack": 1, "p999_ack": 1000,
		"figure:start_to_first_ack_s": 0.02,
	} {
		m, ok := metricByName(name)
		got, why := m.Of(r)
		if !ok || why != "" || got < want*0.999 || got > want*1.001 {
			t.Errorf("%s: %g (%q), want %g %s", name, got, why, want, m.Unit)
		}
	}
	for name, want := range map[string]string{
		"figure:x": "tells no x", "consumed_mb_s": "nothing counted", "p9999_ack": "too few samples", "p99_e2e": "too few samples",
		"p999_wire": "too few samples",
	} {
		m, _ := metricByName(name)
		if _, why := m.Of(r); !strings.Contains(why, want) {
			t.Errorf("%s: %q, want %q", name, why, want)
		}
	}
	empty := runOf(Sluice, 0, 0, func(r *result.Result) { r.Usage, r.Produced = nil, result.Count{} }).Result
	for _, m := range metrics {
		if v, why := m.Of(empty); why == "" {
			t.Errorf("%s of an empty run is %g", m.Name, v)
		}
	}
}

// TestAnotherWorkloadIsSaid: what is left out of the comparison is named among the notes.
func TestAnotherWorkloadIsSaid(t *testing.T) {
	larger := func(r *result.Result) { r.Spec.Connections = 64 }
	r, err := Build(folderOf(runsOf(Sluice, 3, 100), runsOf("kafka", 3, 50, larger), runsOf("nats", 3, 25)))
	if err != nil {
		t.Fatal(err)
	}
	c := r.Cases[0]
	notes := strings.Join(c.Notes, "\n")
	if !strings.Contains(notes, "sluice is not compared with kafka") || !strings.Contains(notes, "connections is 8") {
		t.Errorf("notes: %s", notes)
	}
	if len(c.Ratios) != 1 || len(c.Ratios[0].Table.Rows) != 1 || c.Ratios[0].Table.Rows[0][0].Text != "nats" {
		t.Errorf("ratios: %+v", c.Ratios)
	}
	if got := c.Ratios[0].Table.Rows[0][1].Text; got != "4.00\u202f×" {
		t.Errorf("ratio %s", got)
	}
}
