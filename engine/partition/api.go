package partition

import (
	"sluice/pagecache"
	"sluice/wire"
)

// Config is what a topic's configuration says about one log. Names follow Kafka's topic configs;
// sizes are bytes, times milliseconds.
type Config struct {
	// SegmentBytes is segment.bytes: an append that would grow the active segment past it rolls.
	SegmentBytes int64
	// SegmentMs is segment.ms: age of the first record from which an append rolls.
	SegmentMs int64
	// SegmentJitterMs is segment.jitter.ms: each segment's age limit is reduced by up to this.
	SegmentJitterMs int64
	// SegmentIndexBytes is segment.index.bytes: a full offset or time index rolls.
	SegmentIndexBytes int64
	// IndexIntervalBytes is index.interval.bytes: the log bytes between two index entries.
	IndexIntervalBytes int64
	// FlushMessages is flush.messages: records after which the log is synced before the ack.
	FlushMessages int64
	// FlushMs is flush.ms: the longest time that an append stays unsynced (Dir.Tick keeps it).
	FlushMs int64
	// RetentionMs is retention.ms, -1 for none; RetentionBytes retention.bytes, -1 for none. Both
	// act only when the topic's cleanup.policy has "delete": pass -1 where it has not.
	RetentionMs    int64
	RetentionBytes int64
	// The following act where Clean is called, whose caller looks at cleanup.policy.
	// MinCompactionLagMs is min.compaction.lag.ms: how old a segment's newest record must be.
	MinCompactionLagMs int64
	// MaxCompactionLagMs is max.compaction.lag.ms: from which age of the oldest dirty record on a
	// cleaning is due, 1<<63-1 for never.
	MaxCompactionLagMs int64
	// DeleteRetentionMs is delete.retention.ms: how long tombstones and transaction markers outlive
	// the cleaning that saw them first.
	DeleteRetentionMs int64
	// FileDeleteDelayMs is file.delete.delay.ms: how long a deleted file keeps its .deleted name.
	FileDeleteDelayMs int64
	// ProducerIDExpirationMs is producer.id.expiration.ms (a broker config): idle producers' state
	// is dropped after it.
	ProducerIDExpirationMs int64
	// VerifyTxns is transaction.partition.verification.enable (a broker config): a batch begins a
	// transaction only with a guard, see Append.Guard.
	VerifyTxns bool
}

// DefaultConfig returns Kafka's defaults.
func DefaultConfig() Config {
	const day = 24 * 3600 * 1000
	return Config{
		SegmentBytes:           1 << 30,
		SegmentMs:              7 * day,
		SegmentIndexBytes:      10 << 20,
		IndexIntervalBytes:     4096,
		FlushMessages:          1<<63 - 1,
		FlushMs:                1<<63 - 1,
		RetentionMs:            7 * day,
		RetentionBytes:         -1,
		MaxCompactionLagMs:     1<<63 - 1,
		DeleteRetentionMs:      day,
		FileDeleteDelayMs:      60_000,
		ProducerIDExpirationMs: day,
		VerifyTxns:             true,
	}
}

// Observer is told what happens to a log. Its methods must return quickly and must not call back
// into the log's Submit, Truncate, Flush or Close.
type Observer interface {
	// Appended is called with the append lock held after one or more batches became readable, and
	// before any of their Done calls: leo is the new log end offset. The broker steps its
	// replication core and marks fetch waiters here, in the same critical section.
	Appended(leo int64)
	// Flushed is called without the append lock, on the goroutine that synced: everything below
	// offset is durable. Calls come in ascending order.
	Flushed(offset int64)
}

// Options opens one log.
type Options struct {
	// Dir is the log dir that holds the partition; it carries the file system, clock and gate.
	Dir *Dir
	// Topic and Partition name the log, TopicID is its id (written to partition.metadata).
	Topic     string
	Partition int32
	TopicID   [16]byte
	Config    Config
	// Observer may be nil.
	Observer Observer
}

// Recovered says what Open found and did, for the log and for metrics. Zero values mean a log that
// needed nothing.
type Recovered struct {
	// Created is set when the partition had no directory before.
	Created bool
	// ScannedBytes were checked batch by batch (CRC included) because they lie past the recovery
	// point; CutBytes of them were no valid batch, or lay behind one that was not.
	ScannedBytes int64
	CutBytes     int64
	// SegmentsDeleted lay behind a cut; IndexesRebuilt were missing or wrong.
	SegmentsDeleted int
	IndexesRebuilt  int
	// LeftoversRemoved counts files of interrupted deletions and cleanings.
	LeftoversRemoved int
	// ProducersLoaded come from the snapshot, before what the log's own batches added.
	ProducersLoaded int
}

// Origin says who sent a batch, which decides which checks it meets under the append lock.
type Origin uint8

const (
	// FromClient is a Produce request: the leader assigns the offset and checks sequences.
	FromClient Origin = iota
	// FromReplica is a follower's fetch: offsets and epochs in the batch are the leader's and are
	// kept; producer state is replayed, not checked.
	FromReplica
	// FromCoordinator is a group or transaction coordinator of this broker: epochs are checked, and
	// transactions verified, as with FromClient, sequences are not, which coordinators do not count,
	// and control batches are allowed if they are transaction markers.
	FromCoordinator
)

// Append is one batch on its way into a log. The caller owns it, may pool it, and lends it with the
// batch until Submit returns true or Done was called; it must not touch either before.
type Append struct {
	// Batch is exactly one v2 record batch that passed every check of wire (framing, CRC-32C,
	// records). Base offset and partition leader epoch, both outside the CRC, are stamped into it
	// unless Origin is FromReplica; the bytes are written as they are otherwise.
	Batch wire.Batch
	// LeaderEpoch is the epoch that the sender believes in. It must equal the log's, else the
	// append is refused with FENCED_LEADER_EPOCH (older) or UNKNOWN_LEADER_EPOCH (newer).
	LeaderEpoch int32
	Origin      Origin
	// TxnVersion is the transaction.version that the sender speaks (KIP-890): of a transactional
	// batch 2 from Produce v12 and TxnOffsetCommit v5 on, of a marker what WriteTxnMarkers says or the
	// coordinator knows. Everything below 2 is one.
	TxnVersion int8
	// Guard is 0 at first. A transactional batch that would begin a transaction in this partition is
	// then refused with INVALID_TXN_STATE, Unverified is set, and Guard becomes the number with which
	// it may be appended again once the transaction's coordinator has said that the partition
	// belongs to the transaction (with TxnVersion 2: has added it). Where the transaction is open
	// already, and where Config.VerifyTxns is off and TxnVersion below 2, nothing is asked. With a
	// guard that is no longer good, since the transaction was ended meanwhile, the batch is
	// refused with INVALID_TXN_STATE, and Unverified is not set: the sender begins again.
	Guard uint64
	// NowMs is the sender's recent reading of the clock, in milliseconds since 1970; with 0 the log
	// reads it. It decides about rolling by age.
	NowMs int64
	// Done is called exactly once when Submit returned false, on the goroutine that carried the
	// append out, without the append lock, possibly before Submit returned. It must not block.
	Done func(*Append)
	// Context is the caller's own.
	Context any

	// Code is the outcome: wire.CodeNone, or why nothing was appended.
	Code int16
	// Unverified says that Code asks for a verification: see Guard.
	Unverified bool
	// Duplicate says that Code is CodeNone because these sequence numbers were appended before;
	// BaseOffset and LastOffset are then those of the first time, and LogAppendTimeMs is that
	// batch's greatest timestamp, also where its type is CreateTime (KIP-98).
	Duplicate bool
	// BaseOffset is the first record's offset, LastOffset the last one's; -1 after an error.
	BaseOffset int64
	LastOffset int64
	// LogAppendTimeMs is the batch's timestamp where its type is LogAppendTime, else -1; see
	// Duplicate.
	LogAppendTimeMs int64
	// LogStartOffset is the log's first offset when the append was decided.
	LogStartOffset int64

	// torn says that writing the batch has failed, so that the writer, when it has mended the tail,
	// refuses the append instead of trying it again. Guarded by the append lock.
	torn bool
	// next links queued appends; guarded by the log's queue lock.
	next *Append
}

// Cursor remembers where the previous read of one reader ended, so that the next one needs no
// lookup. It is a hint: a stale or zero cursor costs a lookup, never a wrong answer.
type Cursor struct {
	// Offset is the next offset to read, Position its batch's position in the segment whose first
	// offset is SegmentBase.
	Offset      int64
	SegmentBase int64
	Position    int64
	// generation tells files of the same base offset apart; slot is one more than the index entry at
	// or just before Position, 0 if none is known.
	generation uint32
	slot       int32
}

// ReadRequest plans one read: the caller fills in the first group, Read the second. It may live in
// the caller's session and be used again.
type ReadRequest struct {
	// Offset is the first offset wanted. The region begins with the batch that contains it, whose
	// base offset may be lower.
	Offset int64
	// Bound is the offset that the region must not reach: HW, LSO or LEO.
	Bound int64
	// MaxBytes is the region's length at most, except that with MinOne the first batch is returned
	// whole even when it is larger (KIP-74).
	MaxBytes int64
	MinOne   bool
	// Cursor is the reader's, updated by Read; the zero value is fine.
	Cursor Cursor

	// File holds the region and has been retained for the caller, who releases it exactly once; it
	// is nil when there is nothing to return. Regions end at batch boundaries.
	File     *pagecache.Shared
	Position int64
	Bytes    int64
	// Limited says that MaxBytes, not Bound, ended the region, or left none: there is more below
	// Bound. Bytes may be a little below MaxBytes because regions end at batch boundaries, and a
	// long poll should not wait for the rest.
	Limited bool
}

// TimestampOffset is a record found by time.
type TimestampOffset struct {
	// Offset and TimestampMs are -1 when no record qualifies; LeaderEpoch is -1 when unknown.
	Offset      int64
	TimestampMs int64
	LeaderEpoch int32
}

// EpochEnd answers OffsetForLeaderEpoch (KIP-101, KIP-279): the largest epoch known that is not
// above the one asked for, and the offset at which it ends. Both are -1 when there is none.
type EpochEnd struct {
	Epoch     int32
	EndOffset int64
}

// EpochStart is one line of the leader-epoch-checkpoint: the epoch's first offset.
type EpochStart struct {
	Epoch       int32
	StartOffset int64
}

// AbortedTxn is one aborted transaction whose records overlap a read (Fetch, read_committed).
type AbortedTxn struct {
	ProducerID  int64
	FirstOffset int64
}

// Producer is one producer's state, for DescribeProducers and tests.
type Producer struct {
	ID               int64
	Epoch            int16
	LastSequence     int32
	LastTimestampMs  int64
	CoordinatorEpoch int32
	// TxnFirstOffset is the first offset of its open transaction, or -1.
	TxnFirstOffset int64
}
