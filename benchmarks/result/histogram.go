package result

import (
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Bounds of every histogram: 1 ns is kept as such, longer than ten minutes counts as ten minutes.
// Three significant digits: a value is known to 0.1 %.
const (
	lowest            = 1
	highest           = int64(600e9)
	significantDigits = 3
	// deepSamples is the number of samples from which p99.99 is told.
	deepSamples = 100_000
)

// Histogram is a distribution of nanoseconds. It is not safe for concurrent use: each client thread
// keeps its own, and they are merged when the run ends.
type Histogram struct {
	h *hdrhistogram.Histogram
	// over counts values beyond the highest bound, which are recorded as that bound.
	over int64
}

// NewHistogram gives an empty one.
func NewHistogram() *Histogram {
	return &Histogram{h: hdrhistogram.New(lowest, highest, significantDigits)}
}

// Record adds one value in ns. It does not allocate. Negative values count as 0.
func (h *Histogram) Record(ns int64) { h.RecordN(ns, 1) }

// RecordN adds n equal values.
func (h *Histogram) RecordN(ns, n int64) {
	if ns < 0 {
		ns = 0
	}
	if ns > highest {
		ns = highest
		h.over += n
	}
	// Within the bounds it cannot fail.
	_ = h.h.RecordValues(ns, n)
}

// Count is the number of values.
func (h *Histogram) Count() int64 { return h.h.TotalCount() }

// Mean, Min and Max are in ns; 0 when empty.
func (h *Histogram) Mean() float64 { return h.h.Mean() }

// Min is the smallest value in ns.
func (h *Histogram) Min() int64 { return h.h.Min() }

// Max is the largest value in ns.
func (h *Histogram) Max() int64 { return h.h.Max() }

// Percentile gives the value in ns at p, 0 to 100.
func (h *Histogram) Percentile(p float64) int64 { return h.h.ValueAtPercentile(p) }

// Merge adds all values of other.
func (h *Histogram) Merge(other *Histogram) {
	h.h.Merge(other.h)
	h.over += other.over
}

// Reset empties it, without allocating.
func (h *Histogram) Reset() {
	h.h.Reset()
	h.over = 0
}

// Summary is the fixed set of figures that every table shows, in ns.
type Summary struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean"`
	P50   int64   `json:"p50"`
	P90   int64   `json:"p90"`
	P99   int64   `json:"p99"`
	P999  int64   `json:"p99_9"`
	// P9999 is told only from 100,000 samples on; 0 otherwise.
	P9999 int64 `json:"p99_99,omitempty"`
	Max   int64 `json:"max"`
}

// Summary computes the figures.
func (h *Histogram) Summary() Summary {
	s := Summary{
		Count: h.Count(), Mean: h.Mean(), Max: h.Max(),
		P50: h.Percentile(50), P90: h.Percentile(90), P99: h.Percentile(99), P999: h.Percentile(99.9),
	}
	if s.Count >= deepSamples {
		s.P9999 = h.Percentile(99.99)
	}
	return s
}

// Bracket is one step of the distribution.
type Bracket struct {
	Percentile float64 // 0 to 100
	Value      int64   // ns
	Count      int64   // values at or below Value
}

// Distribution gives the steps that a percentile plot draws: five per halving of the distance
// to 100 %, as HdrHistogram's own tools print them.
func (h *Histogram) Distribution() []Bracket {
	raw := h.h.CumulativeDistributionWithTicks(5)
	steps := make([]Bracket, 0, len(raw))
	for _, b := range raw {
		steps = append(steps, Bracket{Percentile: b.Quantile, Value: b.ValueAt, Count: b.Count})
	}
	return steps
}

// WriteHGRM writes the percentile distribution in HdrHistogram's text format, values in
// milliseconds, as its plotter reads it.
func (h *Histogram) WriteHGRM(w io.Writer) error {
	_, err := h.h.PercentilesPrint(w, 5, 1e6)
	return err
}

// wireHistogram is the JSON form: the summary for people, the encoded counts for recomputing.
type wireHistogram struct {
	Summary Summary `json:"summary_ns"`
	Over    int64   `json:"over_bound,omitempty"`
	// Data is HdrHistogram's V2 compressed encoding in base64.
	Data string `json:"hdr_v2"`
}

// MarshalJSON writes the summary and the whole histogram.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	data, err := h.h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, fmt.Errorf("encode histogram: %w", err)
	}
	return json.Marshal(wireHistogram{Summary: h.Summary(), Over: h.over, Data: string(data)})
}

// UnmarshalJSON reads the histogram; the summary is recomputed, never trusted.
func (h *Histogram) UnmarshalJSON(text []byte) error {
	var w wireHistogram
	if err := json.Unmarshal(text, &w); err != nil {
		return err
	}
	decoded, err := hdrhistogram.Decode([]byte(w.Data))
	if err != nil {
		return fmt.Errorf("decode histogram: %w", err)
	}
	if decoded.TotalCount() < 0 || decoded.TotalCount() == math.MaxInt64 {
		return fmt.Errorf("decode histogram: impossible count %d", decoded.TotalCount())
	}
	h.h, h.over = decoded, w.Over
	return nil
}
