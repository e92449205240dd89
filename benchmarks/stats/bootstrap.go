package stats

import (
	"math"
	"math/rand/v2"
	"slices"
)

const (
	// Confidence is the nominal coverage of every interval.
	Confidence = 0.90
	// Resamples is how often a series is drawn again.
	Resamples = 10_000
)

// The seed is arbitrary and fixed, so that a report recomputes identically.
const seedHigh, seedLow = 0x510ce, 0xb007

// Interval is an estimate and its 90 % interval.
type Interval struct {
	Value float64 // the estimate; meaningless if N is 0
	Low   float64 // bounds; meaningless unless Known
	High  float64
	N     int // pairs or runs behind it
}

// Known says that there were enough runs (PairsMin) for Low and High to mean something.
func (i Interval) Known() bool { return i.N >= PairsMin }

// Mean is the geometric mean of the series' values with its interval.
func (s Series) Mean() Interval {
	if len(s.Values) == 0 {
		return Interval{}
	}
	logs := make([]float64, len(s.Values))
	for i, v := range s.Values {
		logs[i] = math.Log(v)
	}
	i := Interval{Value: GeometricMean(s.Values), N: len(s.Values)}
	if !i.Known() {
		return i
	}
	low, high := bootstrap(len(logs), func(draw []int) float64 {
		var sum float64
		for _, k := range draw {
			sum += logs[k]
		}
		return sum / float64(len(draw))
	})
	// Rounding must not push the estimate out of its own interval (equal values).
	i.Low, i.High = math.Min(math.Exp(low), i.Value), math.Max(math.Exp(high), i.Value)
	return i
}

// Spread is (largest − smallest) ÷ median of the values, in per cent. A resampled range is never
// larger than the one that was seen, so the upper bound is the value itself, and a goal "at most" is
// judged by what was seen.
func (s Series) Spread() Interval {
	if len(s.Values) == 0 {
		return Interval{}
	}
	sorted := slices.Sorted(slices.Values(s.Values))
	i := Interval{Value: spread(sorted), N: len(sorted)}
	if !i.Known() {
		return i
	}
	buffer := make([]float64, len(sorted))
	i.Low, _ = bootstrap(len(sorted), func(draw []int) float64 {
		for k, from := range draw {
			buffer[k] = sorted[from]
		}
		slices.Sort(buffer)
		return spread(buffer)
	})
	i.High = i.Value
	return i
}

func spread(sorted []float64) float64 {
	n := len(sorted)
	median := (sorted[(n-1)/2] + sorted[n/2]) / 2
	return (sorted[n-1] - sorted[0]) / median * 100
}

// bootstrap draws n of n with replacement, Resamples times, and gives the expanded percentile
// interval of what figure says of each draw. The slice given to figure is reused.
func bootstrap(n int, figure func(draw []int) float64) (low, high float64) {
	rng := rand.New(rand.NewPCG(seedHigh, seedLow))
	draw := make([]int, n)
	figures := make([]float64, Resamples)
	for r := range figures {
		for k := range draw {
			draw[k] = rng.IntN(n)
		}
		figures[r] = figure(draw)
	}
	slices.Sort(figures)
	tail := expandedTail(n)
	return quantile(figures, tail), quantile(figures, 1-tail)
}

// quantile of sorted values, interpolated between neighbours.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	// Written so that equal neighbours give themselves, infinite ones included.
	if sorted[i] == sorted[i+1] {
		return sorted[i]
	}
	return sorted[i] + (sorted[i+1]-sorted[i])*(at-float64(i))
}

// expandedTail is the share to cut from each end of the resampled figures of n observations:
// Φ(−√(n/(n−1)) · t), t the quantile of Student's distribution with n−1 degrees of freedom.
func expandedTail(n int) float64 {
	t := studentQuantile(1-(1-Confidence)/2, n-1)
	z := math.Sqrt(float64(n)/float64(n-1)) * t
	return math.Erfc(z/math.Sqrt2) / 2
}

// studentQuantile inverts the distribution function by bisection, for p over one half.
func studentQuantile(p float64, freedom int) float64 {
	low, high := 0.0, 1000.0
	for range 60 {
		mid := (low + high) / 2
		if studentCDF(mid, freedom) < p {
			low = mid
		} else {
			high = mid
		}
	}
	return (low + high) / 2
}

// studentCDF for t ≥ 0 by the finite series that integer degrees of freedom allow (Abramowitz and
// Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4).
func studentCDF(t float64, freedom int) float64 {
	nu := float64(freedom)
	theta := math.Atan(t / math.Sqrt(nu))
	sin, cos := math.Sin(theta), math.Cos(theta)
	if freedom%2 == 0 {
		sum, term := 1.0, 1.0
		for k := 2; k <= freedom-2; k += 2 {
			term *= float64(k-1) / float64(k) * cos * cos
			sum += term
		}
		return 0.5 + sin*sum/2
	}
	sum, term := 0.0, cos
	for k := 1; k <= freedom-2; k += 2 {
		sum += term
		term *= float64(k+1) / float64(k+2) * cos * cos
	}
	return 0.5 + (theta+sin*sum)/math.Pi
}
