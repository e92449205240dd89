package suite

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sluice/benchmarks/limits"
	"sluice/benchmarks/measure"
	"sluice/benchmarks/report"
	"sluice/benchmarks/result"
	"sluice/benchmarks/stats"
	"sluice/benchmarks/workload"
)

// TestEnough: pairs are repeated for stolen time only, to a bound, and until those that count are as
// many as were wished for and the lost ones leave a verdict possible.
func TestEnough(t *testing.T) {
	t.Parallel()
	f := func(pairs, lost, wished, repeats int, want bool) {
		t.Helper()
		if got := (tally{pairs, lost}).enough(wished, repeats); got != want {
			t.Errorf("%d pairs, %d lost, %d wished, %d repeats: %v", pairs, lost, wished, repeats, got)
		}
	}
	f(0, 0, 4, 6, false)
	f(4, 0, 4, 6, true)
	f(4, 1, 4, 6, false)
	f(4, 1, 4, 0, true)
	f(5, 1, 4, 6, true)
	f(6, 2, 4, 6, true)  // a third is lost, which is allowed
	f(7, 3, 4, 6, false) // four count, but more than a third is lost
	f(8, 4, 4, 6, true)  // twice as many as were wished for: the bound
	f(6, 3, 4, 2, true)
	f(21, 1, 20, 6, true)
	f(26, 9, 20, 6, true)
}

// script is a stage whose pairs are written by the test: which are stolen, by their number.
type script struct {
	*stage
	stolen map[int]bool
	ran    []int
	began  int
}

func newScript(t *testing.T, out string, change func(*Options)) *script {
	t.Helper()
	o := Options{Out: out, WorkDir: t.TempDir(), Binary: "/nowhere", Scale: 1, Repeats: 6, Log: io.Discard}
	if change != nil {
		change(&o)
	}
	if err := os.MkdirAll(o.rawDir(), 0o755); err != nil {
		t.Fatal(err)
	}
	s := &stage{Options: &o, brokers: newStable(&o, limits.Programs{}), began: time.Now()}
	return &script{stage: s, stolen: map[int]bool{}}
}

func (s *script) result(target string, pair int, steal float64) *result.Result {
	return &result.Result{
		Schema: result.SchemaVersion, Target: result.Target{Name: target}, Command: []string{"sluice"},
		Spec: workload.Spec{Mode: workload.Produce}, Plan: result.Plan{Case: "c", Pair: pair},
		Produced: result.Count{Records: 1, Bytes: 1, Requests: 1, Seconds: 1},
		Usage:    &measure.Usage{Host: &measure.Host{StealShare: steal}},
	}
}

func (s *script) carry(t *testing.T, wished int) error {
	t.Helper()
	return s.carryOut(t.Context(), rounds{
		id: "c", wished: wished, names: []string{"kafka", "sluice"},
		seconds: func() float64 { return 100 },
		begin:   func() error { s.began++; return nil },
		pair: func(_ context.Context, pair int) error {
			s.ran = append(s.ran, pair)
			steal := 0.0
			if s.stolen[pair] {
				steal = 2 * stats.StealShareMax
			}
			return errors.Join(s.keep(s.result("kafka", pair, steal)), s.keep(s.result("sluice", pair, 0)))
		},
	})
}

func (s *script) expect(t *testing.T, name string, ran ...int) {
	t.Helper()
	if len(s.ran) != len(ran) {
		t.Errorf("%s: ran pairs %v, want %v", name, s.ran, ran)
		return
	}
	for i := range ran {
		if s.ran[i] != ran[i] {
			t.Errorf("%s: ran pairs %v, want %v", name, s.ran, ran)
		}
	}
	s.ran = nil
}

// TestLostPairsAreRepeated, and the raw results of the lost ones stay where they are.
func TestLostPairsAreRepeated(t *testing.T) {
	t.Parallel()
	s := newScript(t, t.TempDir(), nil)
	s.stolen[1] = true
	if err := s.carry(t, 3); err != nil {
		t.Fatal(err)
	}
	s.expect(t, "one of three lost", 0, 1, 2, 3)
	if files, err := s.rawFiles("c", "[0-9][0-9]"); err != nil || len(files) != 8 {
		t.Errorf("%d raw results: %v", len(files), err)
	}
	if all, err := s.raws("c", "kafka"); err != nil || len(all) != 3 {
		t.Errorf("%d of them count: %v", len(all), err)
	}
	for pair := range 9 {
		s.stolen[pair] = true
	}
	if err := s.carry(t, 3); err != nil {
		t.Fatal(err)
	}
	s.expect(t, "all lost", 0, 1, 2, 3, 4, 5)
	s.Pairs, s.Repeats = 2, 0
	if err := s.carry(t, 3); err != nil {
		t.Fatal(err)
	}
	s.expect(t, "-pairs 2 -repeats 0", 0, 1)
}

// TestMoreGoesOn: a slice begins where the last one stopped, over packed results too; a pair that is
// not whole is moved away and carried out once more, and so is one that nobody could begin.
func TestMoreGoesOn(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	s := newScript(t, out, func(o *Options) { o.More, o.For = true, time.Second })
	if err := s.carry(t, 3); !errors.Is(err, ErrUnfinished) {
		t.Fatal(err)
	}
	s.expect(t, "a slice without time carries out one pair", 0)
	if err := s.keep(s.result("kafka", 1, 0)); err != nil { // Interrupted before Sluice's turn.
		t.Fatal(err)
	}
	s = newScript(t, out, func(o *Options) { o.More = true })
	if err := s.carry(t, 3); err != nil {
		t.Fatal(err)
	}
	s.expect(t, "the rest", 1, 2)
	if moved, _ := filepath.Glob(filepath.Join(out, supersededDir, "c.1", "*")); len(moved) != 1 {
		t.Errorf("moved away: %v", moved)
	}
	if err := s.carry(t, 3); err != nil || s.began != 1 {
		t.Errorf("begun %d times: %v", s.began, err)
	}
	s.expect(t, "a complete case")
	failed := turnOf{c: Case{ID: "c", Mode: workload.Produce}, contender: sluice, pair: 3}
	if err := s.keepFailure(failed, errors.New("start sluice: no")); err != nil {
		t.Fatal(err)
	}
	if err := s.carry(t, 4); err != nil {
		t.Fatal(err)
	}
	s.expect(t, "a failed start", 3)
	s = newScript(t, out, nil)
	if err := s.carry(t, 1); err != nil {
		t.Fatal(err)
	}
	s.expect(t, "anew", 0)
}

// TestRateOf: half of Kafka's median, and for the pairs of another slice what the first pair had.
func TestRateOf(t *testing.T) {
	t.Parallel()
	s := newScript(t, t.TempDir(), nil)
	c := Case{ID: "rated", Half: "c"}
	if _, err := s.rateOf(c); err == nil || !strings.Contains(err.Error(), "no valid run") {
		t.Errorf("error %v", err)
	}
	keep := func(id string, pair int, records int64, rate float64) {
		t.Helper()
		r := s.result("kafka", pair, 0)
		r.Plan.Case, r.Produced.Records, r.Spec.Rate = id, records, rate
		if err := s.keep(r); err != nil {
			t.Fatal(err)
		}
	}
	want := func(rate float64) {
		t.Helper()
		if got, err := s.rateOf(c); got != rate || err != nil {
			t.Errorf("rate %g (%v), want %g", got, err, rate)
		}
	}
	keep("c", 0, 1000, 0)
	want(500)
	keep("rated", 0, 500, 500)
	keep("c", 1, 4000, 0)
	keep("c", 2, 4000, 0)
	want(500)
}

// TestFailedContenderFailsItsCaseOnly: a broker that cannot be started is recorded as failed, the
// others of the pair have their turns, the suite goes on, and says so at its end.
func TestFailedContenderFailsItsCaseOnly(t *testing.T) {
	if _, err := limits.Build(""); errors.Is(err, limits.ErrNoCompiler) {
		t.Skipf("limit servers cannot be built: %v", err)
	}
	false_, err := filepath.EvalSymlinks("/bin/false")
	if err != nil {
		t.Skipf("no program that fails: %v", err)
	}
	o := Options{
		Out: t.TempDir(), WorkDir: t.TempDir(), Binary: false_, Scale: 0.1, Pairs: 1, Log: io.Discard,
		Only:    regexp.MustCompile(`^(small-64c|kafka-e2e-rated|latency-1c)$`),
		Targets: regexp.MustCompile(`^(limit-.*|sluice)$`),
	}
	err = Run(t.Context(), o)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"3 of the plan's cases failed", "case small-64c: ", "case latency-1c: ",
		"case kafka-e2e-rated: its rate is half of Kafka's",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not say %q", err, want)
		}
	}
	for id, targets := range map[string][]string{
		"small-64c": {LimitPingAppend, "sluice"}, "latency-1c": {LimitPing, "sluice", LimitPingAppend},
		"kafka-e2e-rated": {"sluice"},
	} {
		for _, target := range targets {
			run, err := report.ReadRun(filepath.Join(o.rawDir(), id+"-00-"+target+".json"))
			if err != nil || !isLimitName(target) && !strings.HasPrefix(run.Drop(), "failed: ") {
				t.Errorf("%s of %s: %v", target, id, err)
			}
		}
	}
	for _, name := range []string{"limits.json", "goals.json"} {
		if _, err := os.Stat(filepath.Join(o.Out, name)); err != nil {
			t.Error(err)
		}
	}
}

func isLimitName(target string) bool { return Contender{Target: target}.isLimit() }

// A lasting contender that could not be started is not tried again for every case.
func TestBrokenContenderIsRemembered(t *testing.T) {
	t.Parallel()
	s := newStable(&Options{WorkDir: t.TempDir(), Log: io.Discard}, limits.Programs{})
	s.broken[kafka] = errors.New("start kafka: no Java")
	if _, err := s.get(t.Context(), kafka); err == nil || !strings.Contains(err.Error(), "as before: start kafka") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s.breaks(ctx, kafka256, errors.New("interrupted")); s.broken[kafka256] != nil {
		t.Error("an interrupted start is remembered")
	}
}

// recover ends what cannot be paused any more, and keeps what can.
func TestRecover(t *testing.T) {
	t.Parallel()
	s := newStable(&Options{Log: io.Discard}, limits.Programs{})
	fake := func(pause error, stopped *bool) *broker {
		return &broker{
			pause: func() error { return pause }, resume: func(context.Context) error { return nil },
			stop: func(context.Context) error { *stopped = true; return nil },
		}
	}
	var one, dead, well bool
	s.passing[sluice] = fake(nil, &one)
	s.lasting[kafka] = fake(errors.New("no such process"), &dead)
	s.lasting[kafka256] = fake(nil, &well)
	s.recover(t.Context())
	if !one || !dead || well || len(s.passing) != 0 || len(s.lasting) != 1 || s.lasting[kafka256] == nil {
		t.Errorf("stopped: %v %v %v; left: %d, %d", one, dead, well, len(s.passing), len(s.lasting))
	}
}

// TestList: every part of the plan has its time, the slices are in order and none is longer than
// asked, but for a single pair.
func TestList(t *testing.T) {
	t.Parallel()
	all := List(Options{For: 8 * time.Minute, WarmUp: time.Minute})
	last, total := 1, 0.0
	ids := IDs()
	for i, e := range all {
		if e.ID != ids[i] || e.Seconds <= 0 || e.First < last || e.Last < e.First {
			t.Errorf("%+v after slice %d", e, last)
		}
		last, total = e.Last, total+e.Seconds
	}
	if slices := total / (8 * 60); float64(last) < slices || len(all) != len(ids) {
		t.Errorf("%d slices for %.1f times eight minutes, %d of %d parts", last, slices, len(all), len(ids))
	}
	var text strings.Builder
	if err := PrintList(&text, all); err != nil || !strings.Contains(text.String(), "kafka-sustained") {
		t.Errorf("%v %s", err, &text)
	}
	one := List(Options{Only: regexp.MustCompile("^spread-2c$"), Pairs: 2, Scale: 0.5})
	if len(one) != 1 || one[0].Pairs != 2 || one[0].Last != 0 {
		t.Errorf("%+v", one)
	}
}

// TestDiskLimit: what is held against sustained runs is the O_DIRECT append, and no label claims it for
// a broker.
func TestDiskLimit(t *testing.T) {
	t.Parallel()
	r, err := diskResult([]limits.Measure{
		{Name: limits.PageCacheSustained, Unit: "GB/s", Value: 3, Bytes: 60e9},
		{Name: limits.DirectSustained, Unit: "GB/s", Value: 2, Bytes: 40e9, Calls: 38_000},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Plan.Case = DiskCase("kafka-sustained")
	s := newScript(t, t.TempDir(), nil)
	if err := s.keep(r); err != nil {
		t.Fatal(err)
	}
	run, err := report.ReadRun(s.rawPath(r))
	if err != nil || run.Drop() != "" || run.Label != "" || run.Produced.MBPerSecond() != 2000 {
		t.Errorf("%v %q %q %g", err, run.Drop(), run.Label, run.Produced.MBPerSecond())
	}
	if _, err := diskResult(nil); err == nil || !strings.Contains(err.Error(), limits.DirectSustained) {
		t.Errorf("error %v", err)
	}
}

// Each goal held against a limit server names that server's rows, and only such as the plan measures.
func TestLimitGoalsNameTheirRows(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, row := range limits.Rows() {
		known[row.Name] = true
	}
	for _, g := range limitGoals() {
		for _, id := range g.Cases {
			if len(g.Against) > 0 && len(g.Rows[id]) == 0 {
				t.Errorf("goal %s: no row for case %s", g.ID, id)
			}
			for _, name := range g.Rows[id] {
				if !known[name] {
					t.Errorf("goal %s: row %s has no reference", g.ID, name)
				}
			}
		}
	}
}
