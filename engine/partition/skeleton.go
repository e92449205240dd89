package partition

import (
	"sluice/pagecache"
)

// DirOptions opens one log dir.
type DirOptions struct {
	// FS is the file system, pagecache.OS in production. Path is the log dir, created if absent.
	FS   pagecache.FS
	Path string
	// ClusterID, NodeID and DirectoryID go to a new meta.properties. An existing file must agree
	// on the first two; its directory.id wins.
	ClusterID   string
	NodeID      int32
	DirectoryID [16]byte
	// NowMs is the wall clock in Unix milliseconds.
	NowMs func() int64
	// Jitter returns a number in [0, n), for segment.jitter.ms; nil means no jitter.
	Jitter func(n int64) int64
	// OnFailure is called once, on any goroutine, when the dir has failed: an I/O error that
	// leaves its contents in doubt. Every log in it answers KAFKA_STORAGE_ERROR from then on.
	OnFailure func(d *Dir, err error)
	// Reserve is the process-wide budget for space reserved ahead; nil reserves nothing.
	Reserve *pagecache.Budget
	// UncheckedBytesMax bounds the bytes that a restart has to check; 0 means 256 MiB.
	UncheckedBytesMax int64
	// QueueBytesMax bounds the bytes that wait in one log's append queue; 0 means 64 MiB. An
	// append beyond it is refused at once with REQUEST_TIMED_OUT, which clients retry.
	QueueBytesMax int64
	// Gate replaces the dir's append gate in tests; nil means a new one.
	Gate *pagecache.Gate
}

// Dir is one log dir: its lock, identity, checkpoints, clean marker, gate and background worker,
// and the logs open in it. Its methods may be called concurrently.
type Dir struct{}

// FoundLog is one partition directory that OpenDir found.
type FoundLog struct {
	Topic     string
	Partition int32
	// TopicID is zero when partition.metadata is missing.
	TopicID [16]byte
}

// OpenDir locks the dir, reads its identity and checkpoints, removes the clean marker after
// noting it, and finishes deletions that a crash interrupted.
func OpenDir(o DirOptions) (*Dir, error) { return nil, nil }

// Path is the log dir's path; DirectoryID its directory.id.
func (d *Dir) Path() string          { return "" }
func (d *Dir) DirectoryID() [16]byte { return [16]byte{} }

// Clean reports whether the last shutdown was clean, and the broker epoch that it recorded (-1 for
// none, KIP-966).
func (d *Dir) Clean() (clean bool, brokerEpoch int64) { return false, -1 }

// Partitions lists the partition directories, for the broker to open (in parallel) or to delete.
func (d *Dir) Partitions() ([]FoundLog, error) { return nil, nil }

// HighWatermark is the high watermark that replication-offset-checkpoint held at OpenDir, 0 if none.
func (d *Dir) HighWatermark(topic string, partition int32) int64 { return 0 }

// CheckpointHighWatermarks writes replication-offset-checkpoint durably; highWatermark is asked
// about every open log.
func (d *Dir) CheckpointHighWatermarks(highWatermark func(*Log) int64) error { return nil }

// Checkpoint syncs every log of the dir and writes recovery-point-offset-checkpoint and
// log-start-offset-checkpoint. It waits for the device. The dir also does it by itself, on its
// worker, when UncheckedBytesMax is near.
func (d *Dir) Checkpoint() error { return nil }

// CommitStartOffsets makes start offsets moved by AdvanceStartOffset durable, and then deletes the
// segments that lie wholly below them. The broker calls it once per DeleteRecords request, and
// after a retention pass.
func (d *Dir) CommitStartOffsets() error { return nil }

// Tick does what is due at nowMs: removes .deleted files whose delay is over, syncs logs whose
// flush.ms has passed, expires producers. Call it about once a second, not on a reactor.
func (d *Dir) Tick(nowMs int64) {}

// Delete closes the log, renames its directory to <topic>-<partition>.<uuid>-delete at once, and
// removes it after file.delete.delay.ms. The name is free again when it returns.
func (d *Dir) Delete(l *Log) error { return nil }

// DeleteFound deletes a partition directory that was never opened (a topic deleted meanwhile).
func (d *Dir) DeleteFound(f FoundLog) error { return nil }

// Space reports the free and total bytes of the dir's file system.
func (d *Dir) Space() (free, total int64, err error) { return 0, 0, nil }

// Err is nil until the dir has failed.
func (d *Dir) Err() error { return nil }

// Close closes every log still open, and with clean set checkpoints and writes the clean marker
// with brokerEpoch, last of all.
func (d *Dir) Close(clean bool, brokerEpoch int64) error { return nil }

// Log is one partition's log. All methods may be called concurrently unless they say otherwise.
type Log struct{}

// Open opens or creates a partition's log and recovers it. Different partitions may be opened in
// parallel.
func Open(o Options) (*Log, Recovered, error) { return nil, Recovered{}, nil }

// Topic and Partition name the log; TopicID is the id that partition.metadata holds.
func (l *Log) Topic() string     { return "" }
func (l *Log) Partition() int32  { return 0 }
func (l *Log) TopicID() [16]byte { return [16]byte{} }

// SetConfig replaces the configuration; it acts from the next append on.
func (l *Log) SetConfig(c Config) {}

// Submit appends one batch. It never waits: it only tries the append lock, and when another
// goroutine has it, or the dir's gate is closed, the append is queued behind the earlier ones.
// It reports true when the outcome is already in a; otherwise a.Done will be called. Appends of one
// log are carried out in the order in which they were submitted.
func (l *Log) Submit(a *Append) (done bool) { return true }

// Read plans a read; see ReadRequest. It returns wire.CodeNone, or OFFSET_OUT_OF_RANGE when the
// offset is below StartOffset or above LEO, or KAFKA_STORAGE_ERROR. An offset between Bound and
// LEO gives no bytes and no error. It takes no lock and, on a tail or sequential read, makes no
// system call.
func (l *Log) Read(r *ReadRequest) (code int16) { return 0 }

// LEO is the log end offset: the next offset to be assigned. Everything below it is readable.
func (l *Log) LEO() int64 { return 0 }

// StartOffset is the first offset that may be read.
func (l *Log) StartOffset() int64 { return 0 }

// FlushedOffset is the offset below which everything is durable.
func (l *Log) FlushedOffset() int64 { return 0 }

// LastStableOffset is the first offset of the oldest open transaction, or bound (HW) if that is
// lower or no transaction is open.
func (l *Log) LastStableOffset(bound int64) int64 { return bound }

// SizeBytes is the size of all segments' records, as DescribeLogDirs reports it.
func (l *Log) SizeBytes() int64 { return 0 }

// RaiseEpoch moves the log to a leader epoch, waiting for an append in progress. Appends that
// carry another epoch are refused from then on. When leads is set the epoch's start is recorded at
// LEO in leader-epoch-checkpoint (KIP-101). It returns LEO. A lower epoch than the current one is
// an error; the same one is not.
func (l *Log) RaiseEpoch(epoch int32, leads bool) (leo int64, err error) { return 0, nil }

// LeaderEpoch is the epoch set by RaiseEpoch, or the last one in the log before that; -1 for none.
func (l *Log) LeaderEpoch() int32 { return -1 }

// OffsetForLeaderEpoch answers the API of that name from the log's own epochs.
func (l *Log) OffsetForLeaderEpoch(epoch int32) EpochEnd { return EpochEnd{-1, -1} }

// EpochAt is the leader epoch of the record at offset, -1 if unknown.
func (l *Log) EpochAt(offset int64) int32 { return -1 }

// Epochs appends the log's epochs in ascending order to dst.
func (l *Log) Epochs(dst []EpochStart) []EpochStart { return dst }

// OffsetForTimestamp finds the first record, in offset order and below bound, whose timestamp is
// at least timestampMs (ListOffsets, KIP-79). It reads the log: not on a reactor.
func (l *Log) OffsetForTimestamp(timestampMs, bound int64) (TimestampOffset, error) {
	return TimestampOffset{}, nil
}

// MaxTimestamp finds the record with the largest timestamp (ListOffsets -3, KIP-734). It may read
// the log: not on a reactor.
func (l *Log) MaxTimestamp() (TimestampOffset, error) { return TimestampOffset{}, nil }

// AbortedTxns appends to dst the aborted transactions that overlap [from, to).
func (l *Log) AbortedTxns(dst []AbortedTxn, from, to int64) ([]AbortedTxn, error) { return dst, nil }

// Producers lists the producers with state, in no order.
func (l *Log) Producers() []Producer { return nil }

// AdvanceStartOffset raises StartOffset to offset (DeleteRecords, KIP-107); a lower value is
// ignored, a value above LEO is OFFSET_OUT_OF_RANGE. It is durable, and space is freed, once
// Dir.CommitStartOffsets has returned.
func (l *Log) AdvanceStartOffset(offset int64) (code int16) { return 0 }

// ApplyRetention raises StartOffset past the oldest segments that retention.ms or retention.bytes
// no longer keep, never beyond highWatermark. It reports how many segments became obsolete;
// Dir.CommitStartOffsets deletes them.
func (l *Log) ApplyRetention(nowMs, highWatermark int64) int { return 0 }

// TruncateTo removes everything from offset on (a follower that diverged from its leader). Bytes
// that a response may still be sending stay intact in a file of their own.
func (l *Log) TruncateTo(offset int64) error { return nil }

// TruncateFully removes everything and starts again, empty, at offset.
func (l *Log) TruncateFully(offset int64) error { return nil }

// Roll closes the active segment and begins a new one, if the active one holds anything.
func (l *Log) Roll() error { return nil }

// Flush makes everything below the LEO that it found durable, and returns that offset. It waits
// for the device and holds no lock meanwhile: appends go on. Concurrent calls share the work.
func (l *Log) Flush() (flushed int64, err error) { return 0, nil }

// Close closes the log; clean also syncs it, writes its indexes and a producer snapshot, and gives
// reserved space back. Appends afterwards are refused with KAFKA_STORAGE_ERROR. Regions that were
// handed out stay readable until released.
func (l *Log) Close(clean bool) error { return nil }

// QueuedBytes is the size of the batches that wait in the append queue.
func (l *Log) QueuedBytes() int64 { return 0 }
