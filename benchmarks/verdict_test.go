package benchmarks

import (
	"strings"
	"testing"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/measure"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// histogram holds n values.
func histogram(n int64, ns int64) *result.Histogram {
	h := result.NewHistogram()
	h.RecordN(ns, n)
	return h
}

// sound is a result that nothing is wrong with.
func sound(s workload.Spec) *result.Result {
	r := &result.Result{
		Spec: s.Normalize(), Seconds: 30, Loop: "closed",
		Produced: result.Count{Records: 1000, Bytes: 1e6, Requests: 100, Seconds: 30},
		Consumed: result.Count{Records: 1000, Bytes: 1e6, Requests: 100, Seconds: 30},
		Stages: map[string]*result.Histogram{
			result.StageAck: histogram(1000, 10e6), result.StageE2E: histogram(1000, 10e6),
			result.StageLag: histogram(1000, 1e5), result.StageFetch: histogram(100, 1e6),
		},
		Errors: map[string]int64{},
	}
	if r.Spec.Open() {
		r.Loop, r.AskedRate, r.AchievedRate = "open", s.Rate, s.Rate
	}
	return r
}

// TestJudge: each rule by which a run is refused, and what just passes it.
func TestJudge(t *testing.T) {
	f := func(s workload.Spec, change func(*result.Result), failed, invalid string) {
		t.Helper()
		r := sound(s)
		change(r)
		Judge(r)
		got := strings.Join(r.Invalid, "; ")
		if !has(r.Error, failed) || !has(got, invalid) {
			t.Errorf("error %q, want %q; invalid %q, want %q", r.Error, failed, got, invalid)
		}
	}
	open := workload.Spec{Rate: 1000}
	e2e := workload.Spec{Mode: workload.E2E, Rate: 1000}
	f(workload.Spec{}, func(*result.Result) {}, "", "")
	f(open, func(*result.Result) {}, "", "")
	f(open, func(r *result.Result) { r.AchievedRate = 990 }, "", "")
	f(open, func(r *result.Result) { r.AchievedRate = 989 }, "", "achieved 989 records/s of 1000 asked: 98.9 %, under 99 %")
	f(open, func(r *result.Result) { r.Stages["lag"] = histogram(1000, 999_000) }, "", "")
	f(open, func(r *result.Result) { r.Stages["lag"] = histogram(1000, 1_100_000) }, "", "the generator was late: schedule lag p99 1.1")
	f(open, func(r *result.Result) { delete(r.Stages, "lag") }, "", "the client did not say how far it was behind")
	// End to end is judged by arrival, not by acknowledgement.
	f(e2e, func(r *result.Result) { r.Stages["ack"] = histogram(1000, 1e5) }, "", "")
	f(e2e, func(r *result.Result) { r.Stages["e2e"] = histogram(1000, 1e5) }, "", "the generator was late")
	f(e2e, func(r *result.Result) { r.Consumed = result.Count{} }, "nothing was answered within 30s", "")
	// Closed loops have no schedule to be late for.
	f(workload.Spec{}, func(r *result.Result) { r.Stages["lag"] = histogram(1000, 1e9) }, "", "")
	f(open, func(r *result.Result) { r.Interrupted, r.Seconds = true, 5 }, "", "interrupted after 5s of 30s")
	f(open, func(r *result.Result) { r.Errors["UNANSWERED"] = 1 }, "", "1 requests were never answered")
	f(open, func(r *result.Result) { r.Errors["NOT_LEADER_OR_FOLLOWER"] = 100 }, "",
		"100 of 300 requests failed: NOT_LEADER_OR_FOLLOWER × 100")
	f(open, func(r *result.Result) { r.Errors["A"], r.Errors["B"] = 150, 100 },
		"250 of 450 requests failed, so the others say nothing: A × 150, B × 100", "")
	f(open, func(r *result.Result) { r.Errors["UNANSWERED"], r.AchievedRate = 500, 321 },
		"slower than asked: 321 of 1000 records/s, and 500 of 700 requests were still unanswered 10s after", "")
	// franz-go tells failures by records.
	f(workload.Spec{Client: workload.KGO}, func(r *result.Result) { r.Errors["A"] = 1500 }, "", "1500 of 3500")
	f(open, func(r *result.Result) { r.Produced, r.Errors["A"] = result.Count{}, 7 }, "no request succeeded: A × 7", "")
	f(open, func(r *result.Result) { r.Produced, r.Interrupted = result.Count{}, true },
		"interrupted before anything was measured", "")
	f(open, func(r *result.Result) { r.Errors["BAD_CRC"] = 1 }, "the broker gave out damaged batches", "")
	f(open, func(r *result.Result) { r.Errors["OFFSET_GAP"] = 1 }, "the broker left out offsets", "")
	// What failed already is not also invalid.
	f(open, func(r *result.Result) { r.Error, r.AchievedRate = "gone", 1 }, "gone", "")
	ping := workload.Spec{Mode: workload.Connections}
	f(ping, func(r *result.Result) { r.Stages = map[string]*result.Histogram{} }, "nothing was answered", "")
	f(ping, func(r *result.Result) {
		r.Loop, r.Stages[result.StagePing] = "open", histogram(10, 1e6)
	}, "", "")
	f(ping, func(r *result.Result) {
		r.Loop, r.Stages[result.StagePing] = "open", histogram(10, 1e5)
	}, "", "the generator was late")
}

func has(got, want string) bool {
	if want == "" {
		return got == ""
	}
	return strings.Contains(got, want)
}

// TestNoPercentilesWithoutSuccess: histograms of a run in which nothing succeeded are dropped.
func TestNoPercentilesWithoutSuccess(t *testing.T) {
	r := sound(workload.Spec{})
	r.Produced, r.Errors["A"] = result.Count{}, 5
	Judge(r)
	if len(r.Stages) != 0 {
		t.Errorf("%v", r.Stages)
	}
}

// TestJudgeAgain: a result that was judged already says the same.
func TestJudgeAgain(t *testing.T) {
	r := sound(workload.Spec{Rate: 1000, Threads: 1})
	r.AchievedRate, r.Notes = 5, []string{"of the client"}
	r.Usage = &measure.Usage{Seconds: 10, Generator: &measure.Process{CPUNanos: 10e9}}
	Judge(r)
	invalid, notes := len(r.Invalid), len(r.Notes)
	Judge(r)
	if invalid != 1 || len(r.Invalid) != 1 || notes != 2 || len(r.Notes) != 2 {
		t.Errorf("%q %q", r.Invalid, r.Notes)
	}
}

// TestLabels: burst and sustained by measured time; the discarding client before both.
func TestLabels(t *testing.T) {
	f := func(s workload.Spec, seconds float64, want string) {
		t.Helper()
		r := sound(s)
		r.Seconds = seconds
		Judge(r)
		if r.Label != want {
			t.Errorf("got %q, want %q", r.Label, want)
		}
	}
	f(workload.Spec{}, 119.9, "burst")
	f(workload.Spec{}, 120, "sustained")
	f(workload.Spec{Mode: workload.Mixed}, 30, "burst")
	f(workload.Spec{Mode: workload.Mixed, Client: workload.Discarding}, 150, "broker ceiling")
	f(workload.Spec{Mode: workload.Consume, Client: workload.Discarding}, 30, "broker ceiling")
	f(workload.Spec{Mode: workload.Consume}, 30, "")
	f(workload.Spec{Mode: workload.E2E}, 300, "")
	f(workload.Spec{}, 0, "")
}

// TestRemarks: what a reader must know beside the figures.
func TestRemarks(t *testing.T) {
	f := func(change func(*result.Result), want string) {
		t.Helper()
		r := sound(workload.Spec{Threads: 1})
		r.Usage = &measure.Usage{
			Seconds: 10, Generator: &measure.Process{CPUNanos: 9e9}, Host: &measure.Host{},
		}
		change(r)
		Judge(r)
		if got := strings.Join(r.Notes, "; "); !has(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(func(*result.Result) {}, "")
	f(func(r *result.Result) { r.Usage.Generator.CPUNanos = 9.6e9 }, "the client was the limit: its 1 threads were 96 % busy")
	f(func(r *result.Result) { r.Spec.Threads, r.Usage.Host.CPUs, r.Usage.Generator.CPUNanos = 2, 2, 9.6e9 }, "")
	f(func(r *result.Result) { r.Usage.Host.StealShare = 0.021 }, "the hypervisor took 2.1 %")
	f(func(r *result.Result) { r.Seconds = 150 }, "sustained, but bytes written to the device are not known")
	f(func(r *result.Result) { r.Seconds, r.Usage.Device = 150, &measure.Device{} }, "")
	f(func(r *result.Result) { r.Usage.Broker = &measure.Process{Ended: true} }, "the broker's process ended")
}

// TestAchieved: a backlog that is only worked off while draining does not count as the rate.
func TestAchieved(t *testing.T) {
	series := func(perSecond int64, n int) (points []result.Point) {
		for i := range n {
			points = append(points, result.Point{
				Second: float64(i + 1), ProducedRecords: perSecond, ConsumedRecords: perSecond / 2,
			})
		}
		return points
	}
	f := func(mode workload.Mode, out drive.Outcome, want float64) {
		t.Helper()
		if got := achieved(workload.Spec{Mode: mode, Acks: 1}, out); got < want*0.999 || got > want*1.001 {
			t.Errorf("got %g, want %g", got, want)
		}
	}
	all := result.Count{Records: 10_000, Seconds: 10}
	f(workload.Produce, drive.Outcome{Produced: all, Seconds: 10, Series: series(1000, 10)}, 1000)
	f(workload.Produce, drive.Outcome{Produced: all, Seconds: 10, Series: series(800, 12)}, 800)
	f(workload.Produce, drive.Outcome{Produced: all, Seconds: 10}, 1000)
	f(workload.E2E, drive.Outcome{Produced: all, Consumed: all, Seconds: 10, Series: series(1000, 10)}, 500)
	f(workload.Consume, drive.Outcome{Consumed: all, Seconds: 10}, 1000)
	// The answers that are always under way are no shortfall.
	f(workload.Produce, drive.Outcome{
		Produced: result.Count{Records: 1000, Seconds: 1}, Seconds: 1, Series: series(980, 1),
		Stages: map[string]*result.Histogram{"ack": histogram(10, 20e6)},
	}, 1000)
}

// TestExplain: the broker's stages add up over all its requests, also where few waited.
func TestExplain(t *testing.T) {
	stages := []measure.Stage{
		{Request: "Produce", Stage: "queue", Count: 1000, SumSeconds: 0.1},
		{Request: "Produce", Stage: "local", Count: 1000, SumSeconds: 0.5},
		{Request: "Produce", Stage: "remote", Count: 10, SumSeconds: 0.2},
		{Request: "Produce", Stage: "send", Count: 1000, SumSeconds: 0.16},
		{Request: "Produce", Stage: "throttle", Count: 10, SumSeconds: 5},
		{Request: "Produce", Stage: "total", Count: 1000, SumSeconds: 0.96},
		{Request: "Fetch", Stage: "local", Count: 10, SumSeconds: 0.001},
	}
	sum := explain(stages, map[string]*result.Histogram{"wire": histogram(1000, 1e6)})
	if m := sum.MeanMicros["Produce"]; m["remote"] < 199.9 || m["remote"] > 200.1 || len(m) != 4 {
		t.Errorf("%v", m)
	}
	if e := sum.Explained["Produce"]; e < 0.959 || e > 0.961 || !sum.Within5Percent["Produce"] {
		t.Errorf("%+v", sum)
	}
	if _, ok := sum.Explained["Fetch"]; ok || sum.MeanMicros["Fetch"] == nil {
		t.Errorf("%+v", sum)
	}
	sum = explain(stages, map[string]*result.Histogram{"wire": histogram(1000, 1.1e6)})
	if sum.Within5Percent["Produce"] {
		t.Errorf("%+v", sum)
	}
	if explain(nil, nil) != nil {
		t.Error("stages of a broker that tells none")
	}
}

// TestWorkloads: every workload that comes with the binary is named as its file, is possible, lasts
// half a minute at most, and has a long variant that is sustained.
func TestWorkloads(t *testing.T) {
	all, total := Workloads(), 0.0
	for _, s := range all {
		if err := s.ValidateOn(2); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		if again, _, err := LoadWorkload(s.Name, false); err != nil || again.Name != s.Name {
			t.Errorf("%s: %v", s.Name, err)
		}
		if s.Description == "" || len(s.Description) > 110 {
			t.Errorf("%s: %q", s.Name, s.Description)
		}
		total += (s.Warmup + s.Duration).D().Minutes()
		long, _, err := LoadWorkload(s.Name, true)
		if err != nil || long.Duration.D().Seconds() < sustainedSeconds {
			t.Errorf("%s, long: %v %v", s.Name, long.Duration, err)
		}
		if long.Mode == workload.Produce && long.Burst == 0 {
			t.Errorf("%s, long: no burst", s.Name)
		}
	}
	if len(all) < 12 || total > 10 {
		t.Errorf("%d workloads of %.1f minutes", len(all), total)
	}
	for _, name := range []string{"1-topic-1-partition-1kb", "1-topic-16-partitions-1kb-keyed", "1-topic-100-partitions-1kb-backlog", "1-topic-1-partition-100b"} {
		if _, _, err := LoadWorkload(name, false); err != nil {
			t.Error(err)
		}
	}
	if _, _, err := LoadWorkload("nope", false); err == nil || !strings.Contains(err.Error(), "sluice bench list") {
		t.Error(err)
	}
}
