package broker

import (
	"math/bits"
	"sync/atomic"
)

// bucketBoundsNs are the upper bounds of a stage's buckets in ns, two or three to a decade: from
// what a reactor's clock can tell apart to what makes clients give up.
var bucketBoundsNs = [...]int64{
	1e3, 2500, 5e3, 10e3, 25e3, 50e3, 100e3, 250e3, 500e3,
	1e6, 2500e3, 5e6, 10e6, 25e6, 50e6, 100e6, 250e6, 500e6,
	1e9, 2500e6, 5e9, 10e9, 30e9,
}

// bucketCount is one more than there are bounds: the last bucket has none.
const bucketCount = len(bucketBoundsNs) + 1

// bucketFrom gives, for the bit length of a duration, the first bucket that can hold it, so that at
// most two comparisons are left: no power of two spans more than two bounds.
var bucketFrom = func() (from [65]uint8) {
	for length := range from {
		lowest := uint64(0)
		if length > 0 {
			lowest = 1 << (length - 1)
		}
		for int(from[length]) < len(bucketBoundsNs) &&
			lowest > uint64(bucketBoundsNs[from[length]]) {
			from[length]++
		}
	}
	return from
}()

// histogram counts durations. It is written by one reactor and read by scrapes.
type histogram struct {
	counts [bucketCount]atomic.Uint64
	sumNs  atomic.Uint64
}

// observe counts one duration. Clocks of two threads may disagree by a little: less than nothing
// counts as nothing.
func (h *histogram) observe(ns int64) {
	if ns <= 0 {
		// A reactor reads its clock a few times a turn, so most stages of requests that it handles
		// begin and end at the same reading: they cost one addition.
		h.counts[0].Add(1)
		return
	}
	h.counts[bucketOf(ns)].Add(1)
	h.sumNs.Add(uint64(ns))
}

// bucketOf is the index of the first bucket whose bound is not below ns.
func bucketOf(ns int64) int {
	at := int(bucketFrom[bits.Len64(uint64(ns))])
	for at < len(bucketBoundsNs) && ns > bucketBoundsNs[at] {
		at++
	}
	return at
}

// histogramSum is the sum of several histograms' shards.
type histogramSum struct {
	counts [bucketCount]uint64
	count  uint64
	sumNs  uint64
}

func (s *histogramSum) add(h *histogram) {
	for i := range h.counts {
		n := h.counts[i].Load()
		s.counts[i] += n
		s.count += n
	}
	s.sumNs += h.sumNs.Load()
}
