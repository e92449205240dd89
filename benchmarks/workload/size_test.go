package workload

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestSizeDraws: what is drawn stays within the bounds that buffers are sized by, and its mean is
// the mean that rates are computed with.
func TestSizeDraws(t *testing.T) {
	f := func(text string, lo, hi int, mean float64) {
		t.Helper()
		s, err := ParseSize(text)
		if err != nil {
			t.Error(err)
			return
		}
		if s.Min() != lo || s.Max() != hi || math.Abs(s.Mean()-mean) > 0.002*mean {
			t.Errorf("%s: %d to %d, mean %g", text, s.Min(), s.Max(), s.Mean())
		}
		rng := rand.New(rand.NewPCG(1, 2))
		sum, low, high := 0.0, math.MaxInt, 0
		const draws = 200_000
		for range draws {
			v := s.Next(rng)
			sum, low, high = sum+float64(v), min(low, v), max(high, v)
		}
		if low < lo || high > hi {
			t.Errorf("%s: drew %d to %d", text, low, high)
		}
		if math.Abs(sum/draws-s.Mean()) > 0.01*s.Mean() {
			t.Errorf("%s: drew a mean of %g, want %g", text, sum/draws, s.Mean())
		}
		if n := testing.AllocsPerRun(100, func() { s.Next(rng) }); n != 0 {
			t.Errorf("%s: %g allocations a draw", text, n)
		}
	}
	f("1024", 1024, 1024, 1024)
	f("0", 0, 0, 0)
	f("1KiB", 1024, 1024, 1024)
	f("uniform:100-2000", 100, 2000, 1050)
	f("uniform:7-7", 7, 7, 7)
	f("normal:1024,256", 1, 2048, 1024)
	f("normal:1024,100", 624, 1424, 1024)
	f("zipf:100-100000", 100, 100000, 14461)
	f("zipf:1-10", 1, 10, 3.702)
}

// TestSizeRefused: what is no size says what is wrong with it.
func TestSizeRefused(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if _, err := ParseSize(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	f("", "not a number of bytes")
	f("-1", "not a number of bytes")
	f("1.5", "not a number of bytes")
	f("65MiB", "must be 0 to 67108864")
	f("pareto:1-2", "must be fixed, uniform, normal or zipf")
	f("uniform:5", "must be smallest-largest")
	f("uniform:9-5", "the smallest is larger than the largest")
	f("uniform:1-99999999999999999999", "not a number of bytes")
	f("normal:5", "must be mean,deviation")
	f("normal:NaN,1", "must have a mean of 1")
	f("normal:100,NaN", "a deviation of 0 to the mean")
	f("normal:100,200", "a deviation of 0 to the mean")
	f("normal:1e30,1", "must have a mean of 1")
	f("zipf:0-5", "must be at least 1")
}

// FuzzParseSize: no text panics, and every size that is accepted draws within its bounds.
func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"1024", "uniform:1-2", "normal:1,1", "zipf:1-67108864", "64MiB", "uniform:0-0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSize(text)
		if err != nil {
			return
		}
		rng := rand.New(rand.NewPCG(3, 4))
		for range 50 {
			if v := s.Next(rng); v < s.Min() || v > s.Max() || v > RecordSizeMax {
				t.Fatalf("%q drew %d", text, v)
			}
		}
	})
}
