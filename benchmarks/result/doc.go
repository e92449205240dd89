// Package result is what a run of the load generator says: one JSON document per run, with every
// histogram whole, so that each figure of a report can be computed again from what was committed.
//
// Times are in nanoseconds inside histograms and in seconds elsewhere; sizes are bytes, MB is 10⁶
// and GB 10⁹ bytes of record batches as they stand in the log (headers of requests not counted).
// A latency begins when the record was due (open loop) or when its request could first have been
// sent (closed loop); which of the two is in Loop.
package result
