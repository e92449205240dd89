package workload

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// RecordSizeMax bounds a record's value in bytes: the largest message that Kafka's own protocol
// could carry is larger, but nothing that is measured here is.
const RecordSizeMax = 64 << 20

// sizeKind is the shape of a distribution of sizes.
type sizeKind uint8

const (
	sizeFixed sizeKind = iota
	sizeUniform
	sizeNormal
	sizeZipf
)

// Size is a distribution of record sizes in bytes. It is a value without pointers; many goroutines
// may draw from one, each with its own source of randomness.
type Size struct {
	kind     sizeKind
	min, max int
	// mean and deviation belong to normal; the tails beyond min and max are drawn again.
	mean, deviation float64
	text            string
}

// ParseSize reads a distribution of sizes:
//
//	1024               every record has 1024 bytes
//	uniform:100-2000   each size from 100 to 2000 is as likely as any other
//	normal:1024,256    mean and standard deviation; what falls outside of four deviations, or below
//	                   1 byte, is drawn again
//	zipf:100-100000    a size is drawn with a probability in inverse proportion to it: many small
//	                   records, few large ones, and about as many bytes in either (Zipf's law with
//	                   exponent 1, bounded; its continuous form is the log-uniform distribution)
//
// A plain number may end in KiB, MiB (powers of 1024) or kb, KB, MB (powers of 1000).
func ParseSize(text string) (Size, error) {
	kind, rest, named := strings.Cut(strings.TrimSpace(text), ":")
	s := Size{text: strings.TrimSpace(text)}
	var err error
	switch {
	case !named:
		s.kind = sizeFixed
		s.min, err = parseBytes(kind)
		s.max = s.min
	case kind == "uniform":
		s.kind = sizeUniform
		s.min, s.max, err = parseRange(rest)
	case kind == "zipf":
		s.kind = sizeZipf
		s.min, s.max, err = parseRange(rest)
	case kind == "normal":
		s.kind = sizeNormal
		err = s.parseNormal(rest)
	default:
		err = fmt.Errorf("%q is not a distribution: must be fixed, uniform, normal or zipf", kind)
	}
	if err != nil {
		return Size{}, fmt.Errorf("size %q: %w", text, err)
	}
	if s.min < 0 || s.max > RecordSizeMax {
		return Size{}, fmt.Errorf("size %q: must be 0 to %d bytes", text, RecordSizeMax)
	}
	if s.kind == sizeZipf && s.min < 1 {
		return Size{}, fmt.Errorf("size %q: the smallest size must be at least 1", text)
	}
	return s, nil
}

// parseNormal reads "mean,deviation" and sets the bounds.
func (s *Size) parseNormal(text string) error {
	mean, deviation, ok := strings.Cut(text, ",")
	if !ok {
		return fmt.Errorf("%q: must be mean,deviation", text)
	}
	var err error
	if s.mean, err = strconv.ParseFloat(mean, 64); err != nil {
		return fmt.Errorf("the mean %q is not a number", mean)
	}
	if s.deviation, err = strconv.ParseFloat(deviation, 64); err != nil {
		return fmt.Errorf("the deviation %q is not a number", deviation)
	}
	// Written so that NaN is refused as well. A deviation beyond the mean would no longer be that
	// distribution once the part below zero is cut off.
	if !(s.mean >= 1 && s.mean <= RecordSizeMax) || !(s.deviation >= 0 && s.deviation <= s.mean) {
		return fmt.Errorf("must have a mean of 1 to %d and a deviation of 0 to the mean", RecordSizeMax)
	}
	s.min = max(1, int(s.mean-4*s.deviation))
	s.max = min(RecordSizeMax, int(math.Ceil(s.mean+4*s.deviation)))
	return nil
}

// Next draws a size. It does not allocate.
func (s Size) Next(rng *rand.Rand) int {
	switch s.kind {
	case sizeUniform:
		return s.min + rng.IntN(s.max-s.min+1)
	case sizeNormal:
		for {
			v := int(math.Round(s.mean + s.deviation*rng.NormFloat64()))
			if v >= s.min && v <= s.max {
				return v
			}
		}
	case sizeZipf:
		// The inverse of the distribution function ln(v/min) / ln(max/min), over one more than the
		// largest so that its last size is as wide as the others.
		lo, hi := float64(s.min), float64(s.max)+1
		return min(s.max, int(lo*math.Pow(hi/lo, rng.Float64())))
	default:
		return s.min
	}
}

// zipfMean is the expected value of what Next draws in [lo, hi): the sum of v·ln((v+1)/v), over
// ln(hi/lo). Past the first thousand sizes a term is 1 − 1/(2v) to within a millionth.
func zipfMean(lo, hi int) float64 {
	sum, v := 0.0, lo
	for ; v < hi && v < lo+1000; v++ {
		sum += float64(v) * math.Log1p(1/float64(v))
	}
	sum += float64(hi-v) - math.Log(float64(hi)/float64(v))/2
	return sum / math.Log(float64(hi)/float64(lo))
}

// Fixed reports whether all sizes are equal.
func (s Size) Fixed() bool { return s.min == s.max }

// Min is the smallest size that Next gives.
func (s Size) Min() int { return s.min }

// Max is the largest size that Next gives; buffers are sized by it.
func (s Size) Max() int { return s.max }

// Mean is the expected size in bytes.
func (s Size) Mean() float64 {
	switch s.kind {
	case sizeUniform:
		return float64(s.min+s.max) / 2
	case sizeNormal:
		return s.mean
	case sizeZipf:
		return zipfMean(s.min, s.max+1)
	default:
		return float64(s.min)
	}
}

// String is the text that ParseSize read.
func (s Size) String() string { return s.text }

func parseRange(text string) (lo, hi int, err error) {
	first, second, ok := strings.Cut(text, "-")
	if !ok {
		return 0, 0, fmt.Errorf("%q: must be smallest-largest", text)
	}
	if lo, err = parseBytes(first); err != nil {
		return 0, 0, err
	}
	if hi, err = parseBytes(second); err != nil {
		return 0, 0, err
	}
	if lo > hi {
		return 0, 0, fmt.Errorf("%q: the smallest is larger than the largest", text)
	}
	return lo, hi, nil
}

// byteUnits are the endings that a number of bytes may have, longer ones before their own endings.
var byteUnits = []struct {
	ending string
	bytes  int64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"kB", 1e3},
	{"KB", 1e3},
	{"kb", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"B", 1},
}

// ParseBytes reads a number of bytes, with one of the endings B, kB, MB, GB (powers of 1000), KiB,
// MiB, GiB (powers of 1024) or none.
func ParseBytes(text string) (int64, error) {
	number, unit := strings.TrimSpace(text), int64(1)
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(number, u.ending); ok {
			number, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is not a number of bytes", text)
	}
	return n * unit, nil
}

func parseBytes(text string) (int, error) {
	n, err := ParseBytes(text)
	if err == nil && n > RecordSizeMax {
		return 0, fmt.Errorf("%q: must be 0 to %d bytes", text, RecordSizeMax)
	}
	return int(n), err
}
