// Package kgoload runs the workloads of the load generator through franz-go (package kgo), as an
// application would: records go into Produce one by one and come back through promises, consumers
// poll. It answers what a program written with an ordinary client gets from a broker; what the
// broker itself could do is the lean client's question (package load).
//
// # Parts
//
//	run.go       the life of a run: connect, warm up, measure, drain, close; the watchdog
//	options.go   a Spec as kgo's options
//	preload.go   what modes consume and backlog read
//	producer.go  one kgo client that writes: pool of records, closed and open loop, promises
//	pace.go      when the records of an open loop are due, and how to sleep until then
//	consumer.go  one kgo client that reads: a tail, or a stretch of the log again and again
//	meter.go     what one kgo client counts; phases, series, live reports
//	errors.go    names of errors
//
// # How latency is counted
//
// In an open loop record i of a producer is due at start + i/rate, whatever happened to the records
// before it. StageLag is due → taken up by the generator, StageAck is due → promise, StageSend is
// the call of Produce → promise, StageE2E is due → returned by PollFetches. When the generator
// falls behind, it takes up each overdue record as soon as it can; none is left out and none is
// moved to a later due time. In a closed loop a record is due when the generator has it ready.
//
// Records live in a pool whose size is kgo's MaxBufferedRecords too, so that Produce itself never
// blocks. The pool grows on demand. In a closed loop its bound is what keeps every connection busy:
// twice the requests in flight, of full batches. In an open loop it holds at least five seconds of
// the asked rate, within poolBytesMax for all producers together. Should a broker fall behind by
// more than that, the generator waits for a record to come back: that time is in StageLag of every
// record that became due meanwhile, and in its StageAck, so the run shows it and is marked invalid.
//
// A record whose due time is within measured time is in the histograms, even if it is answered
// while draining. Counts (Outcome.Produced, Consumed, the series) are of what was answered within
// measured time, so that a queue that is worked off afterwards makes no rate look better.
//
// The first eight bytes of a value are its due time in ns (CLOCK_MONOTONIC, big-endian). Tail
// readers begin at the log's end as it was before the first record was written, and both ends are
// in one process, so StageE2E needs no synchronized clocks.
//
// # Consumers
//
// They assign partitions to themselves, dealt round; with more readers than partitions several read
// the same one. kgo checks CRCs, the reader checks that offsets follow each other. A reader of mode
// consume begins anew when it has reached the end of all its partitions. In mode backlog the reader
// that catches up does so in the second half of measured time; the live traffic's latency is told
// for either half.
//
// # What franz-go cannot be told
//
//   - It bounds batches by bytes, at least 512, and not by records. BatchRecords is translated; a
//     note gives the records per batch that really went out.
//   - It has one connection for produce and one for fetch per broker and client, so Connections
//     makes that many kgo clients of each producer and consumer; and one fetch in flight each.
//   - An application lets it retry for ever. Here RecordRetries is 0, so that a failure is seen by
//     its name when it happens. Promises tell failed records and not failed requests: errors that
//     the broker answered with are counted per record.
package kgoload
