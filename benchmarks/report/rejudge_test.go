package report

import (
	"strings"
	"testing"

	"sluice/benchmarks/result"
)

// What a file says of its own validity is not believed: a run whose counts and histograms break a
// rule does not count, whoever emptied its list of reasons.
func TestRunsAreJudgedFromWhatTheySaw(t *testing.T) {
	t.Parallel()
	rated := produceSpec(10)
	rated.Rate = 100_000
	sound := mould{
		target: Sluice, caseName: "rated", spec: rated, mbps: 100, medianMicros: 500,
		stages: []string{result.StageAck, result.StageLag}, brokerCPU: 0.5, anon: 60 << 20,
	}
	for _, c := range []struct {
		want   string
		change func(r *result.Result)
	}{
		{"", func(*result.Result) {}},
		{"under 99 %", func(r *result.Result) { r.AchievedRate = 0.5 * r.AskedRate }},
		{"the generator was late", func(r *result.Result) { r.Stages[result.StageLag] = r.Stages[result.StageAck] }},
		{"requests failed", func(r *result.Result) { r.Errors = map[string]int64{"REQUEST_TIMED_OUT": 3} }},
		{"never answered", func(r *result.Result) { r.Errors = map[string]int64{"UNANSWERED": 3} }},
		{"left out offsets", func(r *result.Result) { r.Errors = map[string]int64{"OFFSET_GAP": 1} }},
		{"nothing was answered", func(r *result.Result) { r.Produced = result.Count{} }},
	} {
		dir := t.TempDir()
		s := newSynthetic(t, dir)
		r := s.turn(sound, 0, 0)
		c.change(r)
		s.write(r)
		f, err := Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		drop := f.Runs[0].Drop()
		if (drop == "") != (c.want == "") || !strings.Contains(drop, c.want) {
			t.Errorf("want %q, the run is dropped for %q", c.want, drop)
		}
	}
}

// The label follows from what was measured, too.
func TestLabelsAreNotBelieved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSynthetic(t, dir)
	s.write(s.turn(mould{
		target: Sluice, caseName: "short", label: "sustained", spec: produceSpec(10), mbps: 100,
		medianMicros: 500, stages: []string{result.StageAck},
	}, 0, 0))
	f, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if label := f.Runs[0].Label; label != "burst" {
		t.Errorf("a run of 10 s is labelled %q", label)
	}
}
