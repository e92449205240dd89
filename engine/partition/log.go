package partition

import (
	"fmt"
	"sync"
	"sync/atomic"

	"sluice/pagecache"
	"sluice/wire"
)

// Log is one partition's log. All methods may be called concurrently.
type Log struct {
	dir       *Dir
	fs        pagecache.FS
	topic     string
	partition int32
	topicID   [16]byte
	path      string
	observer  Observer
	config    atomic.Pointer[Config]

	// leo, start and flushed publish the log end offset, the log start offset and the offset below
	// which everything is durable (the recovery point). leo is stored after the bytes are in the
	// file and the segment describes them.
	leo     atomic.Int64
	start   atomic.Int64
	flushed atomic.Int64
	// committed is the start offset that log-start-offset-checkpoint may have.
	committed atomic.Int64
	// epoch is the leader epoch that appends must carry.
	epoch atomic.Int32
	// segments is the list of segments by base offset, never empty, the last one active. The list
	// behind the pointer is never changed; writers, under the append lock, store a new one.
	segments atomic.Pointer[[]*segment]
	// generations counts segments ever opened.
	generations atomic.Uint32
	// namesDirty says that a name in the directory was made, replaced or removed since the last
	// SyncDir. naming is held while syncing, so that nobody takes a name for durable early.
	namesDirty atomic.Bool
	naming     sync.Mutex
	// settled is set when recovery is over: before that the checkpoints keep their entries.
	settled atomic.Bool
	// fenced is set under the append lock when a clean close begins, closed when it is complete:
	// neither lets an append in, only closed ends reads.
	fenced atomic.Bool
	closed atomic.Bool

	// structure guards what changes the set of files: sealing, truncation, removal, closing.
	structure sync.Mutex
	// flushing guards syncing: one at a time, and none during a truncation.
	flushing sync.Mutex
	// mu is the append lock. It guards the fields below it and the tail of the active segment.
	// Whoever unlocks it does so with unlock, which carries out what was queued meanwhile.
	mu        sync.Mutex
	producers producers
	verifying verifications
	// tornBy is the error of an append whose write failed, nil for none: it may have left bytes past
	// the end, which mendTail cuts off before anything else is written.
	tornBy error
	// lastEpoch is the leader epoch of the last batch, -1 for none.
	lastEpoch int32
	// unflushed counts the records appended since the last sync, for flush.messages; dirtySinceMs
	// when the first of them was appended, 0 for none.
	unflushed    int64
	dirtySinceMs int64
	// reserve is the space that the worker has been asked for.
	reserve reserveRequest
	// snapshots are encoded producer snapshots that the worker has yet to write.
	snapshots []pendingSnapshot

	epochs epochs
	txns   openTxns
	queue  appendQueue
	// chores runs on the dir's worker, trail on its syncer, drain on its gate's writer.
	chores pagecache.Task
	trail  pagecache.Task
	drain  pagecache.Task
}

type reserveRequest struct {
	segment     *segment
	position, n int64
}

type pendingSnapshot struct {
	offset int64
	file   []byte
}

// Topic is the topic's name.
func (l *Log) Topic() string { return l.topic }

// Partition is the partition's number in its topic.
func (l *Log) Partition() int32 { return l.partition }

// TopicID is the id that partition.metadata holds.
func (l *Log) TopicID() [16]byte { return l.topicID }

// Dir is the log dir that the log is in.
func (l *Log) Dir() *Dir { return l.dir }

// SetConfig replaces the configuration; it acts from the next append on.
func (l *Log) SetConfig(c Config) { l.config.Store(&c) }

// LEO is the log end offset: the next offset to be assigned. Everything below it is readable.
func (l *Log) LEO() int64 { return l.leo.Load() }

// StartOffset is the first offset that may be read.
func (l *Log) StartOffset() int64 { return l.start.Load() }

// FlushedOffset is the offset below which everything is durable.
func (l *Log) FlushedOffset() int64 { return l.flushed.Load() }

// SizeBytes is the size of all segments' records, as DescribeLogDirs reports it.
func (l *Log) SizeBytes() int64 {
	size := int64(0)
	for _, s := range *l.segments.Load() {
		size += s.size.Load()
	}
	return size
}

// RaiseEpoch moves the log to a leader epoch, waiting for an append in progress. Appends that
// carry another epoch are refused from then on. When leads is set the epoch begins at LEO
// (KIP-101); leader-epoch-checkpoint is brought up to date before anything appended in the epoch
// counts as durable. It returns LEO. The current epoch is accepted again, a lower one is an error.
func (l *Log) RaiseEpoch(epoch int32, leads bool) (leo int64, err error) {
	l.lock()
	defer l.unlock()
	leo = l.leo.Load()
	if now := max(l.epoch.Load(), l.lastEpoch); epoch < now {
		return leo, fmt.Errorf("%s: leader epoch %d is below %d", l.path, epoch, now)
	}
	l.epoch.Store(epoch)
	if leads {
		l.epochs.assign(epoch, leo)
	}
	return leo, nil
}

// LeaderEpoch is the epoch set by RaiseEpoch, or the last one in the log before that; -1 for none.
func (l *Log) LeaderEpoch() int32 { return l.epoch.Load() }

// OffsetForLeaderEpoch answers the API of that name from the log's own epochs.
func (l *Log) OffsetForLeaderEpoch(epoch int32) EpochEnd { return l.epochs.end(epoch, l.LEO()) }

// EpochAt is the leader epoch of the record at offset, -1 if unknown.
func (l *Log) EpochAt(offset int64) int32 { return l.epochs.at(offset) }

// Epochs appends the log's epochs in ascending order to dst.
func (l *Log) Epochs(dst []EpochStart) []EpochStart { return l.epochs.appendTo(dst) }

// Producers lists the producers with state, in no order.
func (l *Log) Producers() []Producer {
	l.lock()
	defer l.unlock()
	list := make([]Producer, 0, len(l.producers.list))
	for i := range l.producers.list {
		p := &l.producers.list[i]
		list = append(list, Producer{
			ID: p.id, Epoch: p.epoch, LastSequence: p.lastSeq(), LastTimestampMs: p.timestampMs,
			CoordinatorEpoch: p.coordinatorEpoch, TxnFirstOffset: p.txnFirst,
		})
	}
	return list
}

// lock takes the append lock, waiting for it: not on a reactor.
func (l *Log) lock() { l.mu.Lock() }

// unlock releases the append lock and carries out what was queued while it was held.
func (l *Log) unlock() {
	l.mu.Unlock()
	if l.queue.count.Load() > 0 {
		l.pump(nil)
	}
}

// active is the segment that appends go to. It needs the append lock.
func (l *Log) active() *segment {
	list := *l.segments.Load()
	return list[len(list)-1]
}

// storageCode is the answer to anything asked of a closed log or of one in a failed dir.
func (l *Log) storageCode() int16 {
	if l.closed.Load() || l.dir.failed.Load() {
		return wire.CodeKafkaStorageError
	}
	return wire.CodeNone
}
