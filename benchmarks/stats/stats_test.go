package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/benchmarks/result"
)

func TestDiscardSteal(t *testing.T) {
	for share, want := range map[float64]bool{0: false, 0.02: false, 0.0201: true, 0.5: true} {
		if got := DiscardSteal(share) != ""; got != want {
			t.Errorf("share %g: discarded %v, want %v", share, got, want)
		}
	}
}

// TestStudent holds the quantile against the tables that everybody has.
func TestStudent(t *testing.T) {
	table := map[int]float64{1: 6.3138, 2: 2.9200, 3: 2.3534, 4: 2.1318, 9: 1.8331, 10: 1.8125, 30: 1.6973}
	for freedom, want := range table {
		if got := studentQuantile(0.95, freedom); math.Abs(got-want) > 1e-4 {
			t.Errorf("freedom %d: %.5f, want %.4f", freedom, got, want)
		}
	}
}

func series(values ...float64) Series {
	var turns []Turn
	for i, v := range values {
		turns = append(turns, Turn{Pair: i, Value: v})
	}
	return Values(turns)
}

func TestGeometricMean(t *testing.T) {
	for _, c := range []struct {
		want   float64
		values []float64
	}{{4, []float64{2, 8}}, {1, []float64{0.25, 4, 1}}, {7, []float64{7}}} {
		if got := GeometricMean(c.values); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%v: %g, want %g", c.values, got, c.want)
		}
	}
	if !math.IsNaN(GeometricMean(nil)) {
		t.Error("the mean of nothing is a number")
	}
}

// TestRatiosCancelDrift: in the order A B B A a machine that slows down steadily (by the same factor
// each turn) does not change the ratio.
func TestRatiosCancelDrift(t *testing.T) {
	var a, b []Turn
	for pair := range 4 {
		at := func(turn int) float64 { return math.Pow(0.9, float64(4*pair+turn)) }
		a = append(a, Turn{Pair: pair, Value: 300 * at(0)}, Turn{Pair: pair, Value: 300 * at(3)})
		b = append(b, Turn{Pair: pair, Value: 100 * at(1)}, Turn{Pair: pair, Value: 100 * at(2)})
	}
	i := Ratios(a, b).Mean()
	if math.Abs(i.Value-3) > 1e-9 || math.Abs(i.Low-3) > 1e-9 || math.Abs(i.High-3) > 1e-9 {
		t.Errorf("%+v, want 3 exactly", i)
	}
}

func TestDroppedPairs(t *testing.T) {
	turns := func(drop int, why string, values ...float64) []Turn {
		var all []Turn
		for pair, v := range values {
			turn := Turn{Pair: pair, Value: v}
			if pair == drop {
				turn.Drop = why
			}
			all = append(all, turn)
		}
		return all
	}
	s := Ratios(turns(1, "steal", 2, 2, 2, 2, math.NaN()), turns(2, "failed", 1, 1, 1, 0, 1, 1))
	var why []string
	for _, d := range s.Dropped {
		why = append(why, d.Why)
	}
	want := []string{
		"numerator: steal", "denominator: failed", "denominator: 0 is not a positive figure",
		"numerator: NaN is not a positive figure", "no numerator",
	}
	if !slices.Equal(why, want) || !slices.Equal(s.Pairs, []int{0}) || s.Values[0] != 2 {
		t.Errorf("%q of %+v", why, s)
	}
	// One discarded turn takes the pair's other turns along.
	s = Values([]Turn{{Pair: 0, Value: 5}, {Pair: 0, Value: 5, Drop: "steal"}, {Pair: 1, Value: 6}})
	if len(s.Values) != 1 || s.Values[0] != 6 || s.DroppedShare() != 0.5 {
		t.Errorf("%+v", s)
	}
}

func TestTooFewPairs(t *testing.T) {
	for n := range 5 {
		i := series(upTo(n)...).Mean()
		if i.Known() != (n >= 3) || i.N != n {
			t.Errorf("%d pairs: %+v", n, i)
		}
		if !i.Known() && (i.Low != 0 || i.High != 0) {
			t.Errorf("%d pairs have an interval: %+v", n, i)
		}
	}
}

func upTo(n int) []float64 { return []float64{1, 2, 3, 4, 5}[:n] }

// TestThreePairsReachTheExtremes: with three pairs nothing less than what was seen is claimed.
func TestThreePairsReachTheExtremes(t *testing.T) {
	i := series(1, 2, 4).Mean()
	if math.Abs(i.Low-1) > 1e-9 || math.Abs(i.High-4) > 1e-9 || math.Abs(i.Value-2) > 1e-9 {
		t.Errorf("%+v, want 2 (1 to 4)", i)
	}
}

// TestIntervalCoverage draws from a known distribution and counts how often the interval holds its
// mean. doc.go prints these figures.
func TestIntervalCoverage(t *testing.T) {
	const rounds = 150
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		pairs     int
		low, high float64
	}{{3, 0.65, 0.87}, {4, 0.77, 0.95}, {6, 0.80, 0.97}, {10, 0.82, 0.97}} {
		n, hits := c.pairs, 0
		for range rounds {
			values := make([]float64, n)
			for i := range values {
				values[i] = 3 * math.Exp(0.2*rng.NormFloat64())
			}
			if i := series(values...).Mean(); i.Low <= 3 && 3 <= i.High {
				hits++
			}
		}
		share := float64(hits) / rounds
		t.Logf("%d pairs: %.1f %% of %d", n, share*100, rounds)
		if share < c.low || share > c.high {
			t.Errorf("%d pairs: coverage %.3f, want %g to %g", n, share, c.low, c.high)
		}
	}
}

// TestMeanProperties: order of runs is nothing, units are nothing, A÷B and B÷A are reciprocal, and
// the estimate lies in its interval, which lies within what was seen.
func TestMeanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(1e-3, 1e6), 3, 6).Draw(t, "values")
		other := rapid.SliceOfN(rapid.Float64Range(1e-3, 1e6), len(values), len(values)).Draw(t, "other")
		var a, b []Turn
		for i := range values {
			a = append(a, Turn{Pair: i, Value: values[i]})
			b = append(b, Turn{Pair: i, Value: other[i]})
		}
		i := Ratios(a, b).Mean()
		s := Ratios(a, b)
		if i != s.Mean() {
			t.Fatal("computed twice, two results")
		}
		low, high := slices.Min(s.Values), slices.Max(s.Values)
		if !(low <= i.Low*(1+1e-9) && i.Low <= i.Value && i.Value <= i.High && i.High <= high*(1+1e-9)) {
			t.Fatalf("%+v of %v", i, s.Values)
		}
		inverse := Ratios(b, a).Mean()
		if math.Abs(inverse.Value*i.Value-1) > 1e-9 {
			t.Fatalf("%g and %g are not reciprocal", inverse.Value, i.Value)
		}
		slices.Reverse(a)
		slices.Reverse(b)
		if i != Ratios(a, b).Mean() {
			t.Fatal("the order of the runs matters")
		}
	})
}

func TestSpread(t *testing.T) {
	i := series(90, 100, 104, 100).Spread()
	if math.Abs(i.Value-14) > 1e-9 || i.High != i.Value || i.Low < 0 || i.Low > i.Value {
		t.Errorf("%+v, want 14", i)
	}
	if i := series(5, 5, 5).Spread(); i.Value != 0 || i.Low != 0 {
		t.Errorf("equal runs: %+v", i)
	}
}

func histogram(values ...int64) *result.Histogram {
	h := result.NewHistogram()
	for _, v := range values {
		h.Record(v)
	}
	return h
}

// TestQuantilesAgreeWithMergedHistograms: the sparse search gives what HdrHistogram gives.
func TestQuantilesAgreeWithMergedHistograms(t *testing.T) {
	percentiles := []float64{1, 50, 90, 99, 99.9, 99.99, 100}
	rapid.Check(t, func(t *rapid.T) {
		runs := make([]*result.Histogram, rapid.IntRange(1, 4).Draw(t, "runs"))
		all := result.NewHistogram()
		for i := range runs {
			runs[i] = histogram(rapid.SliceOfN(rapid.Int64Range(0, 2e9), 1, 60).Draw(t, "values")...)
			all.Merge(runs[i])
		}
		m, err := newMerged(runs)
		if err != nil {
			t.Fatal(err)
		}
		once := []int{0, 1, 2, 3}[:len(runs)]
		for _, p := range percentiles {
			if got, want := m.at(once, p), float64(all.Percentile(p)); got != want {
				t.Fatalf("p%g: %g, HdrHistogram says %g", p, got, want)
			}
		}
	})
}

// TestQuantileIntervals: runs that agree have a narrow interval, one odd run widens it, and fewer
// than three have none.
func TestQuantileIntervals(t *testing.T) {
	steady, odd := histogram(), histogram()
	for v := range int64(1000) {
		steady.Record(1000 + v)
		odd.Record(10*1000 + 10*v)
	}
	quantiles := func(runs ...*result.Histogram) Interval {
		all, err := Quantiles(runs, []float64{50})
		if err != nil {
			t.Fatal(err)
		}
		return all[0]
	}
	if i := quantiles(steady, steady, steady); i.Low != i.Value || i.High != i.Value || !i.Known() {
		t.Errorf("equal runs: %+v", i)
	}
	if i := quantiles(steady, steady, odd); i.High < 5000 || i.Low > 2000 {
		t.Errorf("an odd run does not widen the interval: %+v", i)
	}
	if i := quantiles(steady, odd); i.Known() || i.Value == 0 {
		t.Errorf("two runs: %+v", i)
	}
	if i := quantiles(histogram(), histogram(), histogram()); i.N != 0 {
		t.Errorf("empty runs have a median: %+v", i)
	}
	if i := quantiles(); i.N != 0 {
		t.Errorf("no run has a median: %+v", i)
	}
}

func TestJudge(t *testing.T) {
	atLeast, atMost := Goal{"m", AtLeast, 3}, Goal{"m", AtMost, 0.2}
	dropped := func(n int, s Series) Series {
		for i := range n {
			s.Dropped = append(s.Dropped, Drop{100 + i, "steal 4 % is over 2 %"})
		}
		return s
	}
	for _, c := range []struct {
		name   string
		goal   Goal
		series Series
		want   Outcome
		reason string
	}{
		{"good end over the bound", atLeast, series(3.1, 3.2, 3.3), Pass, "bad end 3.1"},
		{"bad end under it", atLeast, series(2.9, 3.2, 3.4), Fail, "bad end 2.9"},
		{"estimate under it", atLeast, series(2, 2, 2), Fail, "misses"},
		{"exactly on it", atLeast, series(3, 3, 3), Pass, ""},
		{"low enough", atMost, series(0.1, 0.15, 0.19), Pass, "bad end 0.19"},
		{"high end over it", atMost, series(0.1, 0.15, 0.21), Fail, "bad end 0.21"},
		{"too few", atLeast, series(9, 9), Invalid, "too few pairs: 2"},
		{"nothing", atLeast, Series{}, Invalid, "no runs"},
		{"a third dropped", atLeast, dropped(2, series(9, 9, 9, 9)), Pass, ""},
		{"over a third dropped", atLeast, dropped(2, series(9, 9, 9)), Invalid, "2 of 5 pairs dropped: steal"},
		{"no kind", Goal{"m", "", 1}, series(1, 1, 1), Invalid, "kind"},
	} {
		v := c.goal.Judge(c.series, c.series.Mean())
		if v.Outcome != c.want || !strings.Contains(v.Reason, c.reason) {
			t.Errorf("%s: %s (%s), want %s (…%s…)", c.name, v.Outcome, v.Reason, c.want, c.reason)
		}
	}
}

func BenchmarkQuantiles(b *testing.B) {
	runs := make([]*result.Histogram, 8)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range runs {
		runs[i] = result.NewHistogram()
		for range 50_000 {
			runs[i].Record(int64(1e6 * math.Exp(rng.NormFloat64())))
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Quantiles(runs, []float64{50, 99}); err != nil {
			b.Fatal(err)
		}
	}
}
