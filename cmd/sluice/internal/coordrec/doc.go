// Package coordrec reads the records that coordinators keep in internal topics, __consumer_offsets and
// __transaction_state, and writes them as the JSON that Kafka's tools print: DumpLogSegments with
// --offsets-decoder and --transaction-log-decoder, and the console consumer's formatters
// (classes OffsetsMessageFormatter, GroupMetadataMessageFormatter, TransactionLogMessageFormatter).
//
// The formats are those of Kafka's message definitions OffsetCommitKey, OffsetCommitValue,
// GroupMetadataKey, GroupMetadataValue, TransactionLogKey and TransactionLogValue, every version of
// each. Fields that a version does not have, and tagged fields at their defaults, are left out, as
// Kafka leaves them out. The records of groups of newer protocols (KIP-848 and later) have types that
// are not read here; they are reported by number.
package coordrec
