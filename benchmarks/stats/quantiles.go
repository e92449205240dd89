package stats

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"

	"sluice/benchmarks/result"
)

// Quantiles gives percentiles (0 to 100) of all runs' values taken together, each with an interval
// from resampling whole runs. Values are nanoseconds. Runs without a value count as runs: an empty
// draw is skipped. The error is a histogram that cannot be read.
func Quantiles(runs []*result.Histogram, percentiles []float64) ([]Interval, error) {
	m, err := newMerged(runs)
	if err != nil {
		return nil, err
	}
	out := make([]Interval, len(percentiles))
	once := make([]int, len(runs))
	for i := range once {
		once[i] = i
	}
	for i, p := range percentiles {
		if m.total(once) == 0 {
			continue
		}
		out[i] = Interval{Value: m.at(once, p), N: len(runs)}
		if out[i].Known() {
			low, high := bootstrap(len(runs), func(draw []int) float64 { return m.at(draw, p) })
			out[i].Low, out[i].High = math.Min(low, out[i].Value), math.Max(high, out[i].Value)
		}
	}
	return out, nil
}

// merged holds the runs' cumulative counts over the union of their bins, so that a percentile of any
// selection of runs is a binary search instead of a merge of whole histograms.
type merged struct {
	values []int64   // upper edge of each bin, ascending
	upTo   [][]int64 // [run][bin]: values at or below the edge
}

func newMerged(runs []*result.Histogram) (*merged, error) {
	counts := make([]map[int64]int64, len(runs))
	m := &merged{}
	for i, run := range runs {
		c, err := bins(run)
		if err != nil {
			return nil, err
		}
		counts[i] = c
		for v := range c {
			m.values = append(m.values, v)
		}
	}
	slices.Sort(m.values)
	m.values = slices.Compact(m.values)
	for _, c := range counts {
		cumulative := make([]int64, len(m.values))
		var sum int64
		for k, v := range m.values {
			sum += c[v]
			cumulative[k] = sum
		}
		m.upTo = append(m.upTo, cumulative)
	}
	return m, nil
}

// bins reads a histogram's counts by upper edge. They are only to be had from the encoded form, the
// same that is committed with a report.
func bins(h *result.Histogram) (map[int64]int64, error) {
	text, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	var encoded struct {
		Data string `json:"hdr_v2"`
	}
	if err := json.Unmarshal(text, &encoded); err != nil {
		return nil, err
	}
	decoded, err := hdrhistogram.Decode([]byte(encoded.Data))
	if err != nil {
		return nil, fmt.Errorf("decode histogram: %w", err)
	}
	counts := map[int64]int64{}
	for _, bar := range decoded.Distribution() {
		if bar.Count > 0 {
			counts[bar.To] += bar.Count
		}
	}
	return counts, nil
}

func (m *merged) total(draw []int) int64 {
	if len(m.values) == 0 {
		return 0
	}
	return m.countUpTo(draw, len(m.values)-1)
}

func (m *merged) countUpTo(draw []int, bin int) int64 {
	var n int64
	for _, run := range draw {
		n += m.upTo[run][bin]
	}
	return n
}

// at is the percentile of the drawn runs together, in ns, by HdrHistogram's rule: the smallest edge
// with at least that share of the values at or below it. A draw of empty runs only gives 0.
func (m *merged) at(draw []int, percentile float64) float64 {
	total := m.total(draw)
	if total == 0 {
		return 0
	}
	wanted := max(1, int64(percentile/100*float64(total)+0.5))
	low, high := 0, len(m.values)-1
	for low < high {
		mid := (low + high) / 2
		if m.countUpTo(draw, mid) < wanted {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return float64(m.values[low])
}
