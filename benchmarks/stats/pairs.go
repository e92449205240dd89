package stats

import (
	"fmt"
	"math"
	"slices"
)

const (
	// StealShareMax is the share of the host's processor time that may be stolen from a run before
	// the run is discarded.
	StealShareMax = 0.02
	// DroppedShareMax is the share of pairs that may be dropped before a goal is invalid.
	DroppedShareMax = 1.0 / 3
	// PairsMin is the number of pairs from which an interval is told.
	PairsMin = 3
)

// DiscardSteal applies the discard rule to the share of the host's processor time that was stolen,
// 0 to 1: it gives the reason for a discarded run and "" for one that counts.
func DiscardSteal(share float64) string {
	if share > StealShareMax {
		return fmt.Sprintf("steal %.1f %% is over %.0f %%", share*100, StealShareMax*100)
	}
	return ""
}

// Turn is one run of one target as one figure.
type Turn struct {
	Pair  int
	Value float64 // positive; anything else drops the pair
	// Drop says why the run does not count; "" if it does.
	Drop string
}

// Series is one value per pair that counts, and the pairs that do not.
type Series struct {
	Pairs   []int     // numbers of the pairs that count, ascending
	Values  []float64 // by the same index
	Dropped []Drop    // ascending by pair
}

// Drop is a pair that does not count.
type Drop struct {
	Pair int
	Why  string
}

// DroppedShare is the share of all pairs that was dropped, 0 if there are none.
func (s Series) DroppedShare() float64 {
	all := len(s.Values) + len(s.Dropped)
	if all == 0 {
		return 0
	}
	return float64(len(s.Dropped)) / float64(all)
}

// Ratios forms numerator ÷ denominator inside each pair. A pair in which either side is absent, or
// has a turn that does not count, is dropped.
func Ratios(numerator, denominator []Turn) Series {
	above, below := bySide(numerator), bySide(denominator)
	var s Series
	for _, pair := range pairsOf(above, below) {
		n, why := sideMean(above[pair], "numerator")
		if why == "" {
			var d float64
			d, why = sideMean(below[pair], "denominator")
			n /= d
		}
		s.add(pair, n, why)
	}
	return s
}

// Values takes one target by itself: the geometric mean of its turns in each pair.
func Values(turns []Turn) Series {
	sides := bySide(turns)
	var s Series
	for _, pair := range pairsOf(sides) {
		v, why := sideMean(sides[pair], "run")
		s.add(pair, v, why)
	}
	return s
}

func (s *Series) add(pair int, value float64, why string) {
	if why != "" {
		s.Dropped = append(s.Dropped, Drop{pair, why})
		return
	}
	s.Pairs = append(s.Pairs, pair)
	s.Values = append(s.Values, value)
}

func bySide(turns []Turn) map[int][]Turn {
	sides := map[int][]Turn{}
	for _, t := range turns {
		sides[t.Pair] = append(sides[t.Pair], t)
	}
	return sides
}

func pairsOf(sides ...map[int][]Turn) []int {
	var pairs []int
	for _, side := range sides {
		for pair := range side {
			pairs = append(pairs, pair)
		}
	}
	slices.Sort(pairs)
	return slices.Compact(pairs)
}

// sideMean is the geometric mean of one side of a pair, or the reason why there is none.
func sideMean(turns []Turn, side string) (float64, string) {
	if len(turns) == 0 {
		return 0, "no " + side
	}
	values := make([]float64, 0, len(turns))
	for _, t := range turns {
		if t.Drop != "" {
			return 0, side + ": " + t.Drop
		}
		if !(t.Value > 0) || math.IsInf(t.Value, 0) {
			return 0, fmt.Sprintf("%s: %g is not a positive figure", side, t.Value)
		}
		values = append(values, t.Value)
	}
	return GeometricMean(values), ""
}

// GeometricMean of positive values; NaN of none. The order of the values does not matter, not even
// in the last digit: they are summed in ascending order.
func GeometricMean(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	// Equal values are their own mean, without the rounding of a logarithm.
	if sorted[0] == sorted[len(sorted)-1] {
		return sorted[0]
	}
	var sum float64
	for _, v := range sorted {
		sum += math.Log(v)
	}
	return math.Exp(sum / float64(len(sorted)))
}
