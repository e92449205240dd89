package report

import (
	"math"
	"strings"
	"testing"

	"sluice/benchmarks/result"
)

func TestSignificant(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1.000", 12.345: "12.35", 1234.5: "1234", 12345: "12 350", 1234567: "1 235 000",
		0.04567: "0.04567", 0.00012345: "0.000123", -2500000: "-2 500 000", math.Inf(1): none,
	} {
		if got := strings.ReplaceAll(significant(v), "\u202f", " "); got != want {
			t.Errorf("%g: %q, want %q", v, got, want)
		}
	}
}

func TestFileName(t *testing.T) {
	for in, want := range map[string]string{
		"fetch-64k-8c": "fetch-64k-8c", "Kafka (heap 1 GiB)": "kafka-heap-1-gib", "../../etc": "etc",
		"v1.2": "v1.2", "…": "unnamed-1", "a..b": "a.-b", "x.": "x",
	} {
		if got := fileName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	taken := map[string]bool{}
	if a, b, c := unique("x", taken), unique("x", taken), unique("x", taken); a != "x" || b != "x-2" || c != "x-3" {
		t.Errorf("%s %s %s", a, b, c)
	}
}

func TestShellLine(t *testing.T) {
	got := shellLine([]string{"sluice", "bench", "", "--x=a b", "it's"})
	if want := `sluice bench '' '--x=a b' 'it'\''s'`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestPercentileAxis: each nine is one further, the line ends where one sample is left beyond it, and
// no value is skipped.
func TestPercentileAxis(t *testing.T) {
	h := result.NewHistogram()
	for v := range int64(1000) {
		h.Record((v + 1) * 1000)
	}
	points := percentileLine(h)
	last := points[len(points)-1]
	if math.Abs(last.X-3) > 1e-9 || math.Abs(last.Y-1e6) > 1e3 {
		t.Errorf("the line ends at %+v, want (3, 1e6)", last)
	}
	for i := 1; i < len(points); i++ {
		if points[i].X <= points[i-1].X || points[i].Y < points[i-1].Y {
			t.Fatalf("%+v after %+v", points[i], points[i-1])
		}
	}
	for _, p := range points {
		if math.Abs(p.X-1) < 0.05 && math.Abs(p.Y-9e5) > 2e4 {
			t.Errorf("p90 is drawn at %+v", p)
		}
	}
	for _, tick := range percentileTicks(3) {
		want := map[string]float64{"0%": 0, "50%": math.Log10(2), "90%": 1, "99%": 2, "99.9%": 3}
		if x, ok := want[tick.Label]; !ok || math.Abs(x-tick.Value) > 1e-9 {
			t.Errorf("tick %+v", tick)
		}
	}
}

func TestTicks(t *testing.T) {
	var labels []string
	for _, tick := range roundTicks(0, 470, 5) {
		labels = append(labels, tick.Label)
	}
	if got := strings.Join(labels, " "); got != "0 100 200 300 400" {
		t.Errorf("ticks %s", got)
	}
	if got := roundTicks(0, 0, 5); len(got) == 0 || len(got) > 6 {
		t.Errorf("an empty range has %d ticks", len(got))
	}
	axis := newLatencyAxis(30, 4000)
	if axis.remark != " (log)" || math.Abs(axis.low-math.Log10(20)) > 1e-9 || math.Abs(axis.high-math.Log10(5000)) > 1e-9 {
		t.Errorf("%+v", axis)
	}
	if axis := newLatencyAxis(100, 400); axis.remark != "" || axis.low != 0 || axis.high < 400 {
		t.Errorf("%+v", axis)
	}
}
