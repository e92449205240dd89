// Package differ sends the same requests to a real Apache Kafka and to Sluice and compares what
// comes back, field by field.
//
// It holds tests only, behind the build tag interop. Two brokers must be listening, each freshly
// started with an empty data directory and the few properties that interop/suites/differ.sh names:
//
//	SLUICE_INTEROP_KAFKA=127.0.0.1:9092 SLUICE_INTEROP_SLUICE=127.0.0.1:9192 \
//	    go test -tags interop ./interop/differ
//
// (interop/run.sh differ starts both and runs this.) A test is a scenario: a function that speaks to
// one broker through a side. The harness runs it once per broker. Every answer is flattened
// into lines, one per field, under the step's label; the two transcripts must be equal.
//
// # What may differ
//
// Some values differ between any two brokers. They are replaced by names before comparison, so
// that identity still counts: a topic id becomes id(topic), so an answer that carries another
// topic's id is a difference. So it goes for
//
//   - topic ids, producer ids, fetch session ids and the random part of member ids (named in order
//     of appearance, per broker),
//   - the cluster id, the node id, host and port, paths of log directories,
//   - clock readings: what lies within the run is "now", what a scenario sent is "base+N",
//   - throttle times, sizes and free space of disks (only their sign is kept),
//   - the wording of error messages (only nil, empty and present are told apart),
//   - the order of lists that Kafka builds from hash sets: topics of Metadata, CreateTopics and
//     DeleteTopics answers, config entries, log directories.
//
// Beyond those, exceptions_test.go lists each accepted difference with its reason; a run ends by
// printing how many fields each covered, so that a line of no use is seen. With two Kafkas and
// SLUICE_INTEROP_SAME=1 the exceptions are off: everything must be equal.
//
// SLUICE_INTEROP_DUMP=FILE writes Kafka's whole transcript with its messages in full.
package differ
