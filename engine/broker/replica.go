package broker

import (
	"sync/atomic"

	"sluice/engine/catalog"
	"sluice/engine/partition"
	"sluice/replication"
	"sluice/wire"
)

// replica is this broker's copy of one partition: the log, what replication's core knows of it, and
// who waits for it. It is published through the topic table and never moves.
type replica struct {
	topic *topic
	index int32
	// log is nil while the partition's log dir is offline; see logOrError.
	log atomic.Pointer[partition.Log]
	// offline is set when the log dir failed: every request gets KAFKA_STORAGE_ERROR.
	offline atomic.Bool

	// highWatermark and leaderEpoch publish what leader, which only the append lock's holder may
	// touch, came to. Readers of the log use them as the bound and the epoch of their read.
	highWatermark atomic.Int64
	leaderEpoch   atomic.Int32
	underMinISR   atomic.Bool
	// leader is guarded by the log's append lock, and so is stableOffset, the last stable offset of
	// which readers of committed records have been told.
	leader       *replication.Leader
	stableOffset int64

	waiters waiters
	// progress, unless nil, is called when the high watermark has moved, inside the append lock: the
	// partition's coordinator holds answers back until then.
	progress atomic.Pointer[func()]
	// dir is where the log lives.
	dir     *logDir
	clockMs func() int64
}

// topic is one topic as this broker serves it. Everything but the atomics is immutable.
type topic struct {
	name string
	id   catalog.UUID
	// internal marks the coordinators' topics.
	internal bool
	// replicas is indexed by partition; it grows as a whole (CreatePartitions).
	replicas atomic.Pointer[[]*replica]
	// settings is what the topic's configs mean for requests.
	settings atomic.Pointer[topicSettings]
	// deleted is set before the logs go: a session that still holds the topic looks it up anew.
	deleted atomic.Bool
	metrics *topicMetrics
}

// replica returns the partition's replica, or nil.
func (t *topic) replica(index int32) *replica {
	all := *t.replicas.Load()
	if index < 0 || int(index) >= len(all) {
		return nil
	}
	return all[index]
}

// lead makes this broker the partition's leader under the committed state, which replays what
// the metadata image says. It takes the append lock.
func (r *replica) lead(self int32, p *catalog.Partition, policy replication.Policy) error {
	log := r.log.Load()
	if _, err := log.RaiseEpoch(p.LeaderEpoch, true); err != nil {
		return err
	}
	log.Locked(func() {
		leo := log.LEO()
		r.leader = replication.NewLeader(replication.LeaderConfig{
			Self: self,
			Committed: replication.Committed{
				LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch,
				Replicas: p.Replicas, ISR: p.ISR,
			},
			EpochStartOffset: leo,
			HighWatermark:    min(r.highWatermark.Load(), leo),
			Local:            replication.Local{LEO: leo, Flushed: min(log.FlushedOffset(), leo)},
			Policy:           policy,
		}, r.clockMs())
		r.publish()
		r.leaderEpoch.Store(p.LeaderEpoch)
	})
	return nil
}

// Appended implements partition.Observer: it runs inside the append lock, after bytes became
// readable at the log's end and before anyone is told.
func (r *replica) Appended(leo int64) {
	if r.leader == nil {
		return
	}
	log := r.log.Load()
	flushed := min(log.FlushedOffset(), leo)
	effects := r.leader.Appended(replication.Local{LEO: leo, Flushed: flushed}, r.clockMs())
	r.follow(effects)
}

// Flushed implements partition.Observer. It is called without the append lock; with durability
// pagecache nothing hangs on it.
func (r *replica) Flushed(int64) {}

// follow carries out what the core decided; inside the append lock.
func (r *replica) follow(effects replication.Effects) {
	if !effects.Advanced {
		return
	}
	r.publish()
	r.waiters.advance(progressUnknown, r.committedProgress())
	r.waiters.settleAcks(r.decideAck)
	if told := r.progress.Load(); told != nil {
		(*told)()
	}
}

// progressUnknown tells waiters that some bytes became readable without saying how many.
const progressUnknown = int64(1) << 40

// committedProgress says how much became readable for read_committed when the high watermark moved:
// nothing while the oldest open transaction keeps the last stable offset where it is.
func (r *replica) committedProgress() int64 {
	stable := r.log.Load().LastStableOffset(r.highWatermark.Load())
	if stable == r.stableOffset {
		return 0
	}
	r.stableOffset = stable
	return progressUnknown
}

func (r *replica) publish() {
	r.highWatermark.Store(r.leader.HighWatermark())
	r.underMinISR.Store(r.leader.UnderMinISR())
}

// decideAck says whether an acks=all wait up to lastOffset is over; inside the append lock.
func (r *replica) decideAck(lastOffset int64) (over bool, code int16) {
	state, code := r.leader.Ack(replication.AcksAll, lastOffset)
	return state != replication.AckWait, code
}

// awaitAck registers a until the high watermark has passed its last offset. It returns false, and
// the code, when that is so already. Called without the append lock.
func (r *replica) awaitAck(a *ackWait, lastOffset int64) (waiting bool, code int16) {
	if r.highWatermark.Load() > lastOffset {
		if r.underMinISR.Load() {
			return false, wire.CodeNotEnoughReplicasAfterAppend
		}
		return false, wire.CodeNone
	}
	r.waiters.addAck(a, lastOffset)
	// The high watermark may have passed between the look and the registration.
	if r.highWatermark.Load() > lastOffset && r.waiters.dropAck(a) {
		return false, wire.CodeNone
	}
	return true, wire.CodeNone
}

// logOrError returns the log, or KAFKA_STORAGE_ERROR, or UNKNOWN_TOPIC_OR_PARTITION of a replica
// that a request still holds although its topic was deleted meanwhile.
func (r *replica) logOrError() (*partition.Log, int16) {
	if r.topic.deleted.Load() {
		return nil, wire.CodeUnknownTopicOrPartition
	}
	log := r.log.Load()
	if log == nil || r.offline.Load() {
		return nil, wire.CodeKafkaStorageError
	}
	return log, wire.CodeNone
}

// checkEpoch compares the leader epoch in a request with ours (KIP-320); -1 asks for no check.
func (r *replica) checkEpoch(requested int32) int16 {
	return replication.CheckCurrentEpoch(requested, r.leaderEpoch.Load())
}
