// Package stats turns repeated runs into statements: a ratio of two brokers with an interval, a
// percentile with an interval, and a verdict on a goal. It is pure: same input, same output, so that
// a report computed again from committed raw runs says the same (another processor architecture may
// round a sum differently in its last digit, which no printed figure shows but by rare chance).
//
// # Pairs
//
// A shared machine drifts: what runs at noon and what runs at one are not comparable, what runs
// within the same two minutes nearly is. The suite therefore runs its targets in turns (A B B A) and
// numbers each round as a pair. A ratio is formed inside a pair; turns of one target inside a pair
// are averaged geometrically first, which in the order A B B A cancels a linear drift. The estimate
// is the geometric mean of the pairs' ratios, so that A÷B and B÷A are reciprocal and "twice" weighs
// as much as "half".
//
// # The interval
//
// Pairs are resampled with replacement (a bootstrap over pairs, never over single records, which are
// not independent of each other within a run), Resamples times, by a generator with a fixed seed.
// The plain percentile interval is known to be too narrow for few pairs: it takes the variance with
// n where n−1 is due, and normal where Student's quantiles are due. The tails are widened for both
// (the "expanded percentile" interval: T. Hesterberg, What Teachers Should Know About the Bootstrap,
// 2015, §4.1), which for three or four pairs reaches the smallest and the largest ratio seen.
// Nothing can be wider than that, so for very few pairs the true coverage stays under 90 %:
// TestIntervalCoverage, run long, measures 76 % for three pairs, 88 % for four, 89 % for six and
// 90 % for ten. Fewer than PairsMin pairs give no interval at all, and a goal without one is not met.
//
// # The discard rule
//
// It was fixed before any run: a run is discarded if the hypervisor withheld more than StealShareMax
// of the host's processor time from it. It stays among the raw runs and is counted in the report. A
// pair with any discarded (or failed, or invalid) turn on either side is dropped whole, since what
// is left of A B B A is no longer balanced. A goal with more than DroppedShareMax of its pairs
// dropped is invalid: neither met nor missed.
package stats
